"""An issuance on its way while its key's successor is promoted: the holder notices nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ecard_issuer.rows import SigningKeyRow
from ecard_keys.key import KeyPurpose
from ecard_sdk.device import DeviceKey
from tests.contracts.register_world import NOW
from tests.issuer.office import Office


def test_an_issuance_is_laid_out_again_under_the_new_key(tmp_path: Path) -> None:
    promoted: list[SigningKeyRow] = []

    def rotate(step: str) -> None:
        if step == "drafted" and not promoted:  # between choosing the key and recording the plan
            old = next(key for key in office.register.list_keys(["credential"]) if key.state == "active")
            kid = office.home.create(KeyPurpose.CREDENTIAL, NOW)
            made = replace(old, kid=kid, state="next", public=office.home.public_key(kid), activated_at=None)
            office.register.add_key(made)
            promoted.append(office.register.activate_key("credential", kid, NOW))

    office = Office.open(tmp_path, reached=rotate)
    card_ref = office.add_card(1)
    issued = office.issue(office.prove(office.signature_chip(1)), DeviceKey.generate())
    (credential,) = office.register.credentials_of(card_ref)
    assert credential.credential_id == issued.credential_id
    assert credential.key_id == promoted[0].kid
