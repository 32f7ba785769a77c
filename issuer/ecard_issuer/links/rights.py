"""Credentials under a link: each on a right of its own, which is written down before anything is signed.

The claim has proven the holder once. What is issued later under the link rests on that and on the binding of the
e-card, with the binding's own assurance: nothing here makes a chip better proven than it was. A chip that is still to
be proven (after a replacement) is not proven by a link.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from ecard_card import jose
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, HolderProof
from ecard_card.errors import Conflict, NotFound, RuleViolation
from ecard_issuer.ecards import Ecard
from ecard_issuer.enrol import PROOF_LIFE
from ecard_issuer.issue import IssuedCredential, Issuing
from ecard_issuer.links.store import LinkStore
from ecard_issuer.links.values import Link, LinkRight
from ecard_issuer.people import People
from ecard_issuer.ports import Cards, Enrolments, Reissuing
from ecard_issuer.rows import CardRow, CredentialRow, EnrolmentRow
from ecard_issuer.states import BindingState, CredentialState
from ecard_keys.private_key import PrivateKey, generate_private_key, load_private_key

#: Device keys that one link may have at once; the oldest gives way.
MOST_DEVICES: Final = 5


class CardsAndEnrolments(Cards, Enrolments, Reissuing, Protocol):
    """The part of the register that rights need."""


@dataclass(frozen=True, slots=True)
class KeptKey:
    """A device key that the authority keeps for a link, opened for one use, and the credential of it."""

    credential: CredentialRow
    key: PrivateKey = field(repr=False)


class Rights:
    """Makes and uses them. Any verb may raise `Unavailable`, and what `Issuing.issue_to` raises."""

    def __init__(
        self,
        store: LinkStore,
        register: CardsAndEnrolments,
        people: People,
        issuing: Issuing,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store, self._register, self._people = store, register, people
        self._issuing, self._random = issuing, random

    def issue_to(
        self, link: Link, ecard: Ecard, point: bytes, now: datetime, *, proof: HolderProof | None = None
    ) -> IssuedCredential:
        """One more credential of the link's e-card, for a device key (65 bytes) whose possession was shown; the same
        key again gets the same credential. `proof` is how the holder was proven for this very key, where that is not
        what the link rests on: a claim by PIN has the same link as one by the chip before, and no chip was there.

        Raises `RuleViolation` `link_released`, `ecard_not_usable`; `Conflict` `issuance_in_progress`: the same is being
        issued in this moment."""
        held = self.issued_to(link, ecard, point, now)
        if held is not None:
            return held
        issued = self._issue(link, ecard, point, now, proof=proof or link.proof, shown=proof)
        # Looked at after the issuance, so that of many at once the last one sees all that are too many.
        devices = [right for right in self._store.rights_of(link.link_id) if right.sealed_key is None]
        if len(devices) > MOST_DEVICES:
            done = [right for right in devices if self._credential(right) is not None]  # others are being issued now
            oldest = [right.enrolment_id for right in done[: max(0, len(done) - MOST_DEVICES)]]
            self._store.end_rights(link.link_id, oldest, now)
        return issued

    def issued_to(self, link: Link, ecard: Ecard, point: bytes, now: datetime) -> IssuedCredential | None:
        """The good credential that this device key has under the link, if it has one."""
        for right in self._of_device(link, point):
            credential = self._credential(right)
            if credential is not None and _good(credential, ecard, now):
                return self._issuing.issue_to(right.enrolment_id, point, now, ecard_id=ecard.ecard_id)
        return None

    def _of_device(self, link: Link, point: bytes) -> list[LinkRight]:
        rights, thumbprint = self._store.rights_of(link.link_id), thumbprint_of(point)
        return [right for right in rights if right.device_thumbprint == thumbprint and right.sealed_key is None]

    def _over(self, link: Link, ecard: Ecard, point: bytes, now: datetime) -> list[str]:
        """Rights of this device key that give nothing any more: their credential is good no longer, or nothing came of
        them while their proof was."""
        found = [(right, self._credential(right)) for right in self._of_device(link, point)]
        return [
            right.enrolment_id
            for right, credential in found
            if (right.made_at + PROOF_LIFE <= now if credential is None else not _good(credential, ecard, now))
        ]

    def require_issued(self, link: Link, credential_id: bytes) -> None:
        """Return if this credential, or one that it follows, was issued to a device under the link. Raises `NotFound`
        `credential_unknown`: of another link, of a key that the authority keeps, of a device that gave way."""
        for right in self._store.rights_of(link.link_id):
            if right.sealed_key is None:
                first = self._credential(right)
                line = () if first is None else self._register.line_of(first.credential_id)
                if any(row.credential_id == credential_id for row in line):
                    return
        raise NotFound("credential_unknown", "no device of this link has this credential")

    def kept(
        self, link: Link, ecard: Ecard, until: datetime, now: datetime, *, family_link_id: str | None = None
    ) -> KeptKey:
        """The device key that is kept for this link and this e-card; made now where there is none whose credential is
        good until `until`. `family_link_id`: the e-card is a relative's.

        Raises `RuleViolation` `link_released`, `ecard_not_usable`."""
        outlived: list[str] = []
        for right in reversed(self._store.rights_of(link.link_id)):
            if right.sealed_key is None or right.family_link_id != family_link_id:
                continue
            credential = self._credential(right)
            same = (right.ecard_id, right.holder_ref) == (ecard.ecard_id, ecard.card.holder_ref)
            if same and credential is not None and _good(credential, ecard, until):
                return KeptKey(credential, self._opened(right))
            outlived.append(right.enrolment_id)
        key = generate_private_key(Algorithm.ES256)
        proof = link.proof if family_link_id is None else None
        issued = self._issue(link, ecard, key.public, now, proof=proof, key=key, family_link_id=family_link_id)
        self._store.end_rights(link.link_id, outlived, now)
        credential = self._register.find_credential(issued.credential_id)
        if credential is None:
            raise RuleViolation("link_released", "this link was released")
        return KeptKey(credential, key)

    def bound_by_link_alone(self, ecard_id: str, device_thumbprint: bytes) -> bool:
        """Whether a device key has its credential by an app's link, without its holder being proven for this very key:
        by a page or a wallet that the app opened."""
        links = self._store.links_of_ecard(ecard_id)
        rights = [right for link in links for right in self._store.rights_of(link.link_id)]
        own = [right for right in rights if right.device_thumbprint == device_thumbprint]
        return any(right.proof is None for right in own)

    def on_mandate(self, ecard_id: str, device_thumbprint: bytes) -> bool:
        """Whether a device key has its credential under a link that somebody who acts for the holder has a device
        under."""
        links = (link for link in self._store.links_of_ecard(ecard_id) if link.mandate_id is not None)
        rights = (right for link in links for right in self._store.rights_of(link.link_id))
        return any(right.device_thumbprint == device_thumbprint for right in rights)

    def draft(
        self,
        link_id: str,
        enrolment_id: str,
        ecard_id: str,
        card: CardRow,
        point: bytes,
        now: datetime,
        *,
        key: PrivateKey | None = None,
        family_link_id: str | None = None,
        proof: HolderProof | None = None,
    ) -> LinkRight:
        """A right, not stored, with the kept `key` sealed for the card's holder."""
        sealed = None
        if key is not None:
            seal = self._people.seal_of(self._people.get(card.holder_ref))
            sealed = seal.seal(key.secret, _context(enrolment_id))
        thumbprint = thumbprint_of(point)
        return LinkRight(
            link_id, enrolment_id, ecard_id, card.holder_ref, thumbprint, now, sealed, family_link_id, proof=proof
        )

    def point_of(self, right: LinkRight) -> bytes:
        """The public half of a kept key, 65 bytes."""
        return self._opened(right).public

    def prove(
        self,
        enrolment_id: str,
        terminal_id: str,
        card: CardRow,
        assurance: ChipAssurance,
        proof: HolderProof | None,
        record: Mapping[str, object],
        now: datetime,
    ) -> None:
        """A proven enrolment where no chip answers now: `record` says on the strength of what, and is sealed. `proof`
        is None where the holder was not there: somebody shows a relative's e-card."""
        seal = self._people.seal_of(self._people.get(card.holder_ref))
        evidence = seal.seal(json.dumps(dict(record)).encode(), f"evidence/{enrolment_id}")
        row = EnrolmentRow(enrolment_id, terminal_id, b"", now + PROOF_LIFE, card_ref=card.card_ref)
        self._register.open_enrolment(row)
        self._register.prove_enrolment(
            enrolment_id,
            card_ref=card.card_ref,
            assurance=assurance,
            evidence=evidence,
            now=now,
            holder_proof=proof,
        )

    def _issue(
        self,
        link: Link,
        ecard: Ecard,
        point: bytes,
        now: datetime,
        *,
        proof: HolderProof | None,
        shown: HolderProof | None = None,
        key: PrivateKey | None = None,
        family_link_id: str | None = None,
    ) -> IssuedCredential:
        card = ecard.card
        binding = self._register.find_binding(card.card_ref)
        if binding is None or binding.state is not BindingState.LIVE or binding.ecard_id != ecard.ecard_id:
            raise RuleViolation("ecard_not_usable", "the chip that carries the e-card has to be proven first")
        enrolment_id = self._random(16).hex()
        right = self.draft(
            link.link_id,
            enrolment_id,
            ecard.ecard_id,
            card,
            point,
            now,
            key=key,
            family_link_id=family_link_id,
            proof=shown,
        )
        kept = self._store.add_right(right, link, self._over(link, ecard, point, now) if key is None else ())
        if kept.enrolment_id != enrolment_id:
            return self._joined(kept, ecard, point, now)
        said = (proof or link.proof).label
        record = {"link": link.link_id, "channel": link.app_id, "claim": link.claim_id, "proof": said}
        if family_link_id is not None:
            record["family_link"] = family_link_id
        terminal = f"channel:{link.app_id}"
        self.prove(enrolment_id, terminal, card, binding.assurance, proof, record, now)
        try:
            return self._issuing.issue_to(enrolment_id, point, now, ecard_id=ecard.ecard_id)
        except Conflict as conflict:
            if conflict.code == "enrolment_already_used":  # a release took the proof away in this moment
                raise RuleViolation("link_released", "this link was released") from None
            raise

    def _joined(self, right: LinkRight, ecard: Ecard, point: bytes, now: datetime) -> IssuedCredential:
        """What somebody else is being issued for the same key in this moment."""
        try:
            return self._issuing.issue_to(right.enrolment_id, point, now, ecard_id=ecard.ecard_id)
        except (NotFound, RuleViolation) as refusal:
            if refusal.code not in ("enrolment_unknown", "enrolment_not_proven"):
                raise
            raise Conflict("issuance_in_progress", "this key is being given its credential now") from None

    def _credential(self, right: LinkRight) -> CredentialRow | None:
        """What was issued under a right. Its enrolment may be gone, long after: then the device key finds it."""
        try:
            given = self._register.get_enrolment(right.enrolment_id).credential_id
        except NotFound:
            card_ref = self._register.card_of_ecard(right.ecard_id)
            rows = self._register.credentials_of(card_ref) if card_ref is not None else ()
            own = [row for row in rows if row.device_key_thumbprint == right.device_thumbprint]
            return own[-1] if own else None
        return None if given is None else self._register.find_credential(given)

    def _opened(self, right: LinkRight) -> PrivateKey:
        seal = self._people.seal_of(self._people.get(right.holder_ref))
        opened = seal.open(right.sealed_key or b"", _context(right.enrolment_id))
        return load_private_key(Algorithm.ES256, opened, b"")


def thumbprint_of(point: bytes) -> bytes:
    """RFC 7638, of a P-256 point of 65 bytes."""
    return jose.thumbprint(jose.public_jwk(point[1:33], point[33:]))


#: A credential is not used in its last minute: a code lives that long.
_MARGIN: Final = timedelta(minutes=1)


def _good(credential: CredentialRow, ecard: Ecard, until: datetime) -> bool:
    """Whether the credential is this e-card's, on the card that carries it now, and the last of its line."""
    here = (credential.ecard_id, credential.card_ref) == (ecard.ecard_id, ecard.card.card_ref)
    lasting = credential.state is CredentialState.LIVE and credential.replaced_by is None
    return here and lasting and credential.expires_at - _MARGIN > until


def _context(enrolment_id: str) -> str:
    return f"link-key/{enrolment_id}"
