"""Fetching the successor: a device that holds an old credential gets the one that was made anew for it, or that follows
it on the card that took its card's place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ecard_card import cwt, device_proof
from ecard_card.errors import Conflict, InvalidInput, NotFound
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.draft import Profile, seal_context
from ecard_issuer.issue import IssuedCredential, to_issued
from ecard_issuer.ports import Register
from ecard_issuer.rows import CredentialRow
from ecard_issuer.states import CredentialState
from ecard_keys.key import DEFAULT_USER_ID
from ecard_keys.status_uri import list_uri
from ecard_keys.verify import load_public_key, verify_jws


class Collecting:
    """Hands successors out, each to the device key that it was made for."""

    def __init__(
        self, register: Register, desk: CardDesk, profile: Profile, follow: Callable[[CredentialRow, datetime], None]
    ) -> None:
        self._register = register
        self._desk = desk
        self._profile = profile
        self._follow = follow

    def collect(self, credential_id: bytes, proof: str, now: datetime) -> IssuedCredential:
        """The newest successor of `credential_id`, which ends with this; a repetition gives the same again.

        The commit comes before the answer: should that be lost, the device asks again. After a replacement of the card
        the successor is made now, for the same device key, on the chip that carries the e-card since (`follow`): the
        e-card recovers by itself.

        `proof` is a device proof (`ecard_card.device_proof`) with the old credential's id in hex as its nonce, signed
        by the device key in that credential. Raises `NotFound` `credential_unknown`; `InvalidInput`
        `bad_device_proof` and the codes of `device_proof.parse`; `Conflict` `credential_not_replaced`; `RuleViolation`
        `card_not_issuable` where the successor has ended with its card; and what `Issuing.follow` raises.
        """
        old = self._register.find_credential(credential_id)
        if old is None:
            raise NotFound("credential_unknown", "no credential has this id")
        held = cwt.parse(old.cwt)
        key = load_public_key(held.device_key, held.device_algorithm, DEFAULT_USER_ID)
        jws = device_proof.parse(
            proof, issuer=self._profile.issuer, enrolment_id=credential_id.hex(), now=int(now.timestamp())
        )
        if not verify_jws(jws, key):
            raise InvalidInput("bad_device_proof", "not signed by the device key of the credential")
        last = self._register.line_of(credential_id)[-1]
        if last.state is CredentialState.ENDED and self._register.card_of_ecard(last.ecard_id) != last.card_ref:
            try:
                self._follow(last, now)
            except Conflict as conflict:
                if conflict.code != "credential_already_replaced":  # else this request was sent twice at once
                    raise
        newest = self._register.collect_successor(credential_id, now)
        card = self._register.get_card(newest.card_ref)
        selective = self._desk.seal_of(card).open(newest.sealed_sd_jwt, seal_context(newest.credential_id))
        return to_issued(newest, selective.decode(), list_uri(self._profile.status_uri, newest.list_id))
