"""Drafts of a credential: laid out in both formats, and checked as a verifier would before a real key is spent.

After boulder's issuance: the very bytes that will be signed are signed by a throwaway key first, and the verifier's
own `check_credential` reads them back.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final

from ecard_card import cwt, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance, Holder, HolderProof
from ecard_card.china import CHINA
from ecard_card.credential import Credential, StatusRef
from ecard_card.errors import CheckFailed, InvalidInput, RuleViolation, Unavailable
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.rows import CardRow, CredentialRow, HolderRow, PlanRow, StatusSlot
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose, KeyRecord
from ecard_keys.status_uri import list_uri
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList
from ecard_keys.verify import uncompressed
from ecard_verifier.check import check_credential
from ecard_verifier.policy import Policy

#: Seconds for which the trust that a draft is checked under is made at once.
_TRUSTED: Final = 60


@dataclass(frozen=True, slots=True)
class Profile:
    """What this issuer puts into every credential. A plan carries its hash: a signature follows the profile planned."""

    issuer: str
    vct: str
    status_uri: str  # template with {list}
    validity: timedelta
    test: bool = False  # every card is a test card

    @property
    def digest(self) -> str:
        facts = [self.issuer, self.vct, self.status_uri, int(self.validity.total_seconds()), self.test]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Draft:
    """One credential in both formats, unsigned, under the name of the key that will sign it."""

    credential: Credential
    compact: cwt.UnsignedCwt
    selective: sd_jwt.UnsignedSdJwt
    key: KeyRecord

    @property
    def inputs(self) -> list[bytes]:
        """The messages to be signed, in the order in which `complete` takes their signatures."""
        return [self.compact.signing_input, self.selective.signing_input]

    @property
    def hashes(self) -> tuple[str, ...]:
        return tuple(hashlib.sha256(message).hexdigest() for message in self.inputs)

    def complete(self, signatures: list[bytes]) -> tuple[bytes, str]:
        return self.compact.complete(signatures[0]), self.selective.complete(signatures[1])


class Drafter:
    """Lays out and checks credentials of one profile."""

    def __init__(self, profile: Profile, desk: CardDesk, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self.profile = profile
        self._desk = desk
        self._random = random
        self._throwaways: dict[tuple[str, Algorithm], EphemeralSigner] = {}

    def lay_out(
        self,
        card: CardRow,
        credential_id: bytes,
        device_key: bytes,
        slot: StatusSlot,
        assurance: ChipAssurance,
        key: KeyRecord,
        now: datetime,
        *,
        device_algorithm: Algorithm = Algorithm.ES256,
        holder_proof: HolderProof | None = None,
        until: datetime | None = None,
        holder: HolderRow | None = None,
    ) -> Draft:
        """A draft that our own check accepts under a throwaway key standing in for `key`, of the same algorithm. It
        ends with the profile's validity, with the physical card, or at `until`: whichever comes first.
        `holder` is the card's, where it was read already.

        Raises `RuleViolation` `card_not_issuable` for an expired card, `Unavailable` `draft_refused` or
        `algorithm_unavailable`.
        """
        identity = self._desk.identity(card, holder)
        expires_at = min(now + self.profile.validity, datetime.combine(card.expires_on, time.max, CHINA))
        if until is not None:
            expires_at = min(expires_at, until)
        if expires_at <= now:
            raise RuleViolation("card_not_issuable", "the physical card has expired")
        credential = Credential(
            issuer=self.profile.issuer,
            credential_id=credential_id,
            device_key=device_key,
            issued_at=int(now.timestamp()),
            expires_at=int(expires_at.timestamp()),
            status=StatusRef(list_uri(self.profile.status_uri, slot.list_id), slot.list_id, slot.index),
            assurance=assurance,
            vct=self.profile.vct,
            claims={
                "name": identity.holder.name,
                **_birthdate(identity.holder),
                "personal_administrative_number": identity.holder.id_number.text,
                "card_number": identity.number.text,
                "expiry_date": card.expires_on.isoformat(),
                "chip_ref": self._desk.references.chip_claim(card.card_ref),
            },
            region=card.region,
            device_algorithm=device_algorithm,
            holder_proof=holder_proof,
            test_card=self.profile.test,
        )
        algorithm = Algorithm(key.algorithm)
        compact = cwt.draft(credential, bytes.fromhex(key.kid), algorithm)
        selective = sd_jwt.draft(credential, key.kid, lambda: self._random(16), algorithm)
        draft = Draft(credential, compact, selective, key)
        throwaway = self._throwaway(key.kid, algorithm)
        stand_in = throwaway.record(KeyPurpose.CREDENTIAL)
        self.verify(draft, draft.complete(throwaway.sign(key.kid, draft.inputs)), stand_in, now)
        return draft

    def row(
        self,
        card: CardRow,
        plan: PlanRow,
        draft: Draft,
        finished: tuple[bytes, str],
        holder: HolderRow | None = None,
    ) -> CredentialRow:
        """What the register keeps of the signed credential: the compact form, and the other sealed for its holder."""
        credential = draft.credential
        sealed = self._desk.seal_of(card, holder).seal(finished[1].encode(), seal_context(plan.credential_id))
        return CredentialRow(
            card_ref=card.card_ref,
            credential_id=plan.credential_id,
            ecard_id=plan.ecard_id,
            list_id=plan.list_id,
            index=plan.index,
            key_id=plan.key_id,
            cwt=finished[0],
            sealed_sd_jwt=sealed,
            assurance=credential.assurance,
            device_key_thumbprint=plan.device_key_thumbprint,
            issued_at=datetime.fromtimestamp(credential.issued_at, UTC),
            expires_at=datetime.fromtimestamp(credential.expires_at, UTC),
        )

    def _throwaway(self, kid: str, algorithm: Algorithm) -> EphemeralSigner:
        """The key that stands in for `kid`: one for all drafts, in this object's memory alone. What is proven with it
        is that the bytes are right, and that takes no new key each time (Boulder's linter has one for each issuer)."""
        known = self._throwaways.get((kid, algorithm))
        if known is None:
            known = self._throwaways[kid, algorithm] = EphemeralSigner(kid, algorithm)
        return known

    def verify(self, draft: Draft, finished: tuple[bytes, str], key: KeyRecord, now: datetime) -> None:
        """The verifier's own check on both formats, and that each says what was meant.

        Raises `Unavailable` `draft_refused`: something of ours is wrong, never the caller's request.
        """
        seconds = int(now.timestamp())
        meant = draft.credential
        # Whether we may sign for the region is for the trust list to say, and for the desk that signs.
        entry = IssuerEntry(self.profile.issuer, self.profile.status_uri, (meant.region,), (key,))
        trust = _trust_in(entry, seconds // _TRUSTED)
        facts = (meant.issued_at, meant.expires_at, meant.status.index, meant.assurance, meant.region)
        proof = (meant.holder_proof, meant.test_card)
        policy = Policy(accept_test=self.profile.test)
        device = (meant.device_algorithm, uncompressed(meant.device_key, meant.device_algorithm))
        try:
            for form in (finished[0], sd_jwt.parse(finished[1])):
                said = check_credential(form, trust, now, policy)
                if (said.issued_at, said.expires_at, said.status_index, said.assurance, said.region) != facts:
                    raise CheckFailed("draft_differs", "a format does not say what was meant")
                if (said.holder_proof, said.test_card) != proof:
                    raise CheckFailed("draft_differs", "a format names another proof of the holder, or another kind")
                if (said.device_algorithm, uncompressed(said.device_key, said.device_algorithm)) != device:
                    raise CheckFailed("draft_differs", "a format names another device key")
        except (CheckFailed, InvalidInput) as error:
            raise Unavailable("draft_refused", f"our own check refuses the credential: {error.code}") from error


@lru_cache(maxsize=64)
def _trust_in(entry: IssuerEntry, place: int) -> Trust:
    """Trust in one issuer alone, for the `_TRUSTED` seconds of that place: made once for all their credentials."""
    return Trust.of(TrustList(1, place * _TRUSTED, (place + 1) * _TRUSTED, None, (entry,)))


def seal_context(credential_id: bytes) -> str:
    """Under what a credential's SD-JWT is sealed in the register."""
    return f"credential/{credential_id.hex()}"


def _birthdate(holder: Holder) -> dict[str, str]:
    """The claim where the birth date is known: the number of a foreigner may not tell it, and nothing is made up."""
    return {} if holder.birth_date is None else {"birthdate": holder.birth_date.isoformat()}
