"""A promise of every key home: what it signs, the one check calls valid. For an issuer's keys and a device's alike.

A subclass gives the fixture `home`, of class scope, and `algorithm` if its keys are not ES256. Put the home's key in
the wrong place, and the check must say so too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from ecard_card import cwt, sd_jwt, status_token
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.credential import Credential, StatusRef, Unsigned, card_type
from ecard_card.errors import CheckFailed
from ecard_card.status import EcardStatus
from ecard_card.status_list import StatusList
from ecard_keys.key import KeyPurpose, KeyRecord, KeyState
from ecard_keys.signer import HeldKey, KeyHome
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList
from ecard_qr import frame, payload
from ecard_verifier.check import check
from ecard_verifier.statuses import StatusSnapshot, accept_status_token
from ecard_verifier.verdict import Outcome, Verdict
from tests.world import ISSUER, NOW, REGION, STATUS_URI, seconds

_ISSUED_AT = seconds(NOW - timedelta(days=1))
_URI = STATUS_URI.replace("{list}", "1")
_AUDIENCE, _NONCE = "https://clinic.example", "n-1"


@dataclass(frozen=True)
class HomeAuthority:
    """An issuer and a holder's device, all of whose keys live in one home."""

    home: KeyHome
    credential_key: HeldKey
    status_key: HeldKey
    device_key: HeldKey

    @classmethod
    def made_in(cls, home: KeyHome) -> HomeAuthority:
        # A home has no purpose for a device's key: one that no verifier would take for an issuer's stands in.
        ids = [home.create(purpose, NOW) for purpose in (KeyPurpose.CREDENTIAL, KeyPurpose.STATUS, KeyPurpose.LOG)]
        held = {key.key_id: key for key in home.held()}
        return cls(home, *(held[key_id] for key_id in ids))

    def signed(self, draft: Unsigned, key: HeldKey) -> bytes | str:
        return draft.complete(self.home.sign(key.key_id, [draft.signing_input])[0])

    def trust(self, **credential_changes: object) -> Trust:
        records = (replace(record(self.credential_key), **credential_changes), record(self.status_key))  # type: ignore[arg-type]
        entry = IssuerEntry(ISSUER, STATUS_URI, (REGION,), records)
        return Trust.of(TrustList(1, seconds(NOW) - 60, seconds(NOW) + 86400, None, (entry,)))

    def credential(self) -> Credential:
        return Credential(
            issuer=ISSUER,
            credential_id=secrets.token_bytes(16),
            device_key=self.device_key.public,
            device_algorithm=Algorithm(self.device_key.algorithm),
            issued_at=_ISSUED_AT,
            expires_at=seconds(NOW + timedelta(days=365)),
            status=StatusRef(_URI, 1, 7),
            assurance=ChipAssurance.CHALLENGE,
            vct=card_type(ISSUER),
            claims={"name": "测试"},
            region=REGION,
        )

    def compact(self) -> bytes:
        key = self.credential_key
        draft = cwt.draft(self.credential(), bytes.fromhex(key.key_id), Algorithm(key.algorithm))
        return bytes(self.signed(draft, key))  # type: ignore[arg-type]

    def offline_code(self, credential: bytes) -> str:
        algorithm = Algorithm(self.device_key.algorithm)
        draft = frame.draft_offline(credential, seconds(NOW), secrets.token_bytes(8), algorithm=algorithm)
        return payload.to_text(bytes(self.signed(draft, self.device_key)), payload.Form.OFFLINE)  # type: ignore[arg-type]

    def online_code(self, credential: bytes) -> str:
        draft = frame.draft_online(cwt.parse(credential).credential_id, seconds(NOW), secrets.token_bytes(8))
        return payload.to_text(bytes(self.signed(draft, self.device_key)), payload.Form.ONLINE)  # type: ignore[arg-type]

    def presentation(self) -> str:
        key = self.credential_key
        salt = lambda: secrets.token_bytes(16)  # noqa: E731
        token = self.signed(sd_jwt.draft(self.credential(), key.key_id, salt, Algorithm(key.algorithm)), key)
        shown = sd_jwt.key_binding_input(
            sd_jwt.present(str(token), ["name"]),
            audience=_AUDIENCE,
            nonce=_NONCE,
            issued_at=seconds(NOW),
            algorithm=Algorithm(self.device_key.algorithm),
        )
        return str(self.signed(shown, self.device_key))

    def status_lists(self, values: dict[int, EcardStatus]) -> list[str | bytes]:
        """The same list in both forms."""
        statuses = StatusList(1024)
        for index, value in values.items():
            statuses.set(index, value)
        key, at = self.status_key, seconds(NOW)
        algorithm = Algorithm(key.algorithm)
        drafts = (
            status_token.jwt_draft(_URI, statuses, key.key_id, at, at + 3600, 60, algorithm=algorithm),
            status_token.cwt_draft(_URI, statuses, bytes.fromhex(key.key_id), at, at + 3600, 60, algorithm=algorithm),
        )
        return [self.signed(draft, key) for draft in drafts]

    def statuses(self, trust: Trust, values: dict[int, EcardStatus]) -> StatusSnapshot:
        return StatusSnapshot(accept_status_token(token, trust, NOW) for token in self.status_lists(values))

    def judge(
        self, code: str, trust: Trust, values: dict[int, EcardStatus], credential: bytes | None = None
    ) -> Verdict:
        """`code` as the check of a verifier sees it that has our list in both forms."""
        known = {} if credential is None else {cwt.parse(credential).credential_id: credential}
        asked = {"audience": _AUDIENCE, "nonce": _NONCE} if "~" in code else {"audience": None, "nonce": None}
        return check(code, trust, self.statuses(trust, values), NOW, credentials=known, **asked)


def record(key: HeldKey) -> KeyRecord:
    """The key as the trust list names it while it is active."""
    return KeyRecord(
        key.key_id, key.purpose, KeyState.ACTIVE, key.algorithm, key.public, _ISSUED_AT - 60, user_id=key.user_id
    )


class HomeInCheckContract:
    """A credential, a status list and a code signed by this home verify in the one check."""

    algorithm = Algorithm.ES256

    @pytest.fixture(scope="class")
    @classmethod
    def authority(cls, home: KeyHome) -> HomeAuthority:
        return HomeAuthority.made_in(home)

    def test_its_keys_are_of_its_algorithm(self, authority: HomeAuthority) -> None:
        keys = (authority.credential_key, authority.status_key, authority.device_key)
        assert {key.algorithm for key in keys} == {self.algorithm}

    @pytest.mark.parametrize("kind", ["EC1", "EC0", "SD-JWT"])
    def test_what_it_signed_is_valid_and_follows_the_status(self, authority: HomeAuthority, kind: str) -> None:
        trust, credential = authority.trust(), authority.compact()
        code = (
            authority.presentation()
            if kind == "SD-JWT"
            else authority.offline_code(credential)
            if kind == "EC1"
            else authority.online_code(credential)
        )
        verdict = authority.judge(code, trust, {}, credential)
        assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "ok")
        assert authority.judge(code, trust, {7: EcardStatus.SUSPENDED}, credential).reason == "suspended"

    def test_a_code_of_another_device_is_refused(self, authority: HomeAuthority) -> None:
        thief = replace(authority, device_key=authority.status_key)
        code = thief.offline_code(authority.compact())
        assert authority.judge(code, authority.trust(), {}).reason == "bad_holder_signature"

    def test_another_key_of_the_home_in_its_place_is_refused(self, authority: HomeAuthority) -> None:
        code = authority.offline_code(authority.compact())
        other = authority.trust(public=authority.device_key.public)
        assert authority.judge(code, other, {}).reason == "bad_signature"

    def test_a_stolen_key_is_refused(self, authority: HomeAuthority) -> None:
        code = authority.offline_code(authority.compact())
        stolen = authority.trust(state=KeyState.COMPROMISED, compromised_from=_ISSUED_AT - 1)
        assert authority.judge(code, stolen, {}).reason == "key_compromised"

    def test_a_list_by_the_wrong_key_of_the_home_is_refused(self, authority: HomeAuthority) -> None:
        wrong = replace(authority, status_key=authority.credential_key)
        for token in wrong.status_lists({}):
            with pytest.raises(CheckFailed) as refusal:
                accept_status_token(token, authority.trust(), NOW)
            assert refusal.value.code == "unknown_key"
