"""The authority's own client, for its desks and counters: register and prove chips, issue, change a status, verify.

Channel apps use `ecard_sdk.ECardClient`: other keys, other rights, other routes.

One object, one connection pool, safe from several threads. It logs nothing, and keeps neither codes nor credentials.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx2

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput
from ecard_card.status import CardChange, CardStatus
from ecard_keys.trust.root import TrustRoot, root_from_json
from ecard_sdk.device import DeviceKey
from ecard_sdk.errors import ApprovalNeededError, ServerError
from ecard_sdk.exchange import Exchange, reference
from ecard_sdk.models import Card, Change, Enrolment, IssuedCredential, Key, ProvenChip, Verification

TRUST_LIST: Final = "/.well-known/ecard-trust-list"


class AuthorityClient:
    """Talks to an issuer at `base_url` with a bearer `token`, and to the verifier at `verifier_url` (else the same).

    `timeout` in seconds, for connecting and for each pause in an answer. Every verb raises an
    `ECardError` of the class that says whose turn it is (`ecard_sdk.errors`). Reading, and requests that the service
    knows again, are repeated after passing faults; all others are sent once.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        verifier_url: str | None = None,
        timeout: float = 10.0,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        def exchange(url: str) -> Exchange:
            return Exchange(url, token, timeout=timeout, transport=transport, pause=pause, jitter=jitter)

        self._name = base_url.rstrip("/")
        self._issuer = exchange(base_url)
        self._verifier = exchange(verifier_url) if verifier_url is not None else self._issuer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._issuer.close()
        self._verifier.close()

    # Cards

    def register_card(
        self,
        *,
        identification_code: str,
        card_number: str,
        profile: str,
        id_number: str,
        name: str,
        issued_on: date,
        expires_on: date,
        status: CardStatus | None = None,
        chip_public_key: bytes | None = None,
        atr_historical: bytes | None = None,
    ) -> Card:
        """Put a physical card into the register.

        `chip_public_key` is a DER SubjectPublicKeyInfo, `atr_historical` the 13 historical bytes of the answer to
        reset: with either, known from the card's making, no other genuine chip can stand in for this one.

        `ConflictError`: the register has this card, or this key, already.
        """
        body: dict[str, object] = {
            "identification_code": identification_code,
            "card_number": card_number,
            "profile": profile,
            "holder": {"id_number": id_number, "name": name},
            "issued_on": issued_on.isoformat(),
            "expires_on": expires_on.isoformat(),
        }
        if status is not None:
            body["status"] = int(status)
        if chip_public_key is not None:
            body["chip_public_key"] = jose.b64url_encode(chip_public_key)
        if atr_historical is not None:
            body["atr_historical"] = atr_historical.hex().upper()
        return Card.of(self._issuer.post("/v1/cards", body))

    def card(self, card_ref: str) -> Card:
        """The card with this reference. `NotFoundError`: there is none."""
        return Card.of(self._issuer.get_json(f"/v1/cards/{reference(card_ref)}"))

    def find_cards(
        self,
        *,
        identification_code: str | None = None,
        id_number: str | None = None,
        card_number: str | None = None,
    ) -> tuple[Card, ...]:
        """The cards with one chip, person or number: give one of the three. It travels in the body."""
        wanted = {"identification_code": identification_code, "id_number": id_number, "card_number": card_number}
        body = {name: value for name, value in wanted.items() if value is not None}
        return Card.each(self._issuer.post("/v1/cards/find", body, safe=True), "cards")

    def change_card(
        self,
        card_ref: str,
        change: CardChange,
        *,
        sequence: int | None = None,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
        reason: str | None = None,
    ) -> Change:
        """Report what happened to a card: lost, found, locked, cancelled. Repeating an `event_id` changes nothing.

        Give your own `event_id` to repeat after a `ServerError`; without one, one is made for this call.
        """
        body = _event(sequence, event_id, occurred_at, reason) | {"change": change.value}
        return Change.of(self._issuer.post(f"/v1/cards/{reference(card_ref)}/changes", body, safe=True))

    def replace_card(
        self,
        card_ref: str,
        new_card_ref: str,
        *,
        sequence: int | None = None,
        event_id: str | None = None,
        occurred_at: datetime | None = None,
        reason: str | None = None,
        enrolment_id: str | None = None,
    ) -> Change:
        """End a card and move its e-card to the new one (补换), which is bound by a proven `enrolment_id` of its own
        now, or by the next one that it is issued on."""
        body = _event(sequence, event_id, occurred_at, reason) | {"new_card_ref": new_card_ref}
        if enrolment_id is not None:
            body["enrolment_id"] = enrolment_id
        return Change.of(self._issuer.post(f"/v1/cards/{reference(card_ref)}/replacement", body, safe=True))

    # Enrolment and issuing

    def begin_enrolment(self, terminal_id: str) -> Enrolment:
        """Ask for a challenge that the chip at this terminal shall answer."""
        return Enrolment.of(self._issuer.post("/v1/enrolments", {"terminal_id": terminal_id}))

    def send_evidence(self, enrolment_id: str, evidence: str | bytes | Mapping[str, object]) -> ProvenChip:
        """Hand in what the chip answered (`ecard-chip-evidence/1`). The service judges; wrong is `RefusedError`."""
        body = evidence.encode() if isinstance(evidence, str) else evidence
        return ProvenChip.of(self._issuer.post(f"/v1/enrolments/{reference(enrolment_id)}/evidence", body))

    def issue(
        self,
        enrolment_id: str,
        device: DeviceKey,
        now: datetime | None = None,
        *,
        issuer: str | None = None,
        ecard_id: str | None = None,
    ) -> IssuedCredential:
        """Have the e-card issued to `device`, which proves that it holds its key to `issuer` (else `base_url`) now.

        `ecard_id` asks for one more credential of an e-card that this chip has already. The same device may repeat
        the request: it gets the same credential.
        """
        proof = device.proof(issuer or self._name, enrolment_id, now or datetime.now(UTC))
        body: dict[str, object] = {"device_key": device.public_jwk, "proof": proof}
        if ecard_id is not None:
            body["ecard_id"] = ecard_id
        path = f"/v1/enrolments/{reference(enrolment_id)}/credentials"
        return IssuedCredential.of(self._issuer.post(path, body, safe=True))

    def collect_successor(
        self, credential_id: bytes, device: DeviceKey, now: datetime | None = None, *, issuer: str | None = None
    ) -> IssuedCredential:
        """Fetch the credential that was made anew for `device`, after the issuer replaced a key; the old one ends.

        `credential_id` is the old one's. A repetition gives the same again. `ConflictError` `credential_not_replaced`:
        there is nothing to fetch, the old one stays good; `RefusedError` `card_not_issuable`: its card has ended.
        """
        proof = device.proof(issuer or self._name, credential_id.hex(), now or datetime.now(UTC))
        path = f"/v1/credentials/{credential_id.hex()}/successor"
        return IssuedCredential.of(self._issuer.post(path, {"proof": proof}, safe=True))

    # Keys, what is published, and verification

    def keys(self) -> tuple[Key, ...]:
        """Every signing key of the issuer and its state."""
        return Key.each(self._issuer.get_json("/v1/keys"), "keys")

    def create_key(self, purpose: str) -> Key:
        """Make the next key of a purpose. It is published at once and signs only after `promote_key`."""
        return Key.of(self._issuer.post("/v1/keys", {"purpose": purpose}))

    def promote_key(self, kid: str, *, despite_lead: bool = False) -> Key:
        """Let a `next` key sign; its predecessor then only verifies.

        Raises `RefusedError` `key_lead_not_over` until every verifier must have learned of the key;
        `ApprovalNeededError`.
        """
        return Key.of(self._change(f"/v1/keys/{reference(kid)}/promote", {"despite_lead": despite_lead}))

    def compromise_key(self, kid: str, cut_off: datetime | None) -> Key:
        """Declare a key stolen: what it signed after `cut_off` is refused, without one everything; a successor signs.

        Raises `ApprovalNeededError`.
        """
        moment = None if cut_off is None else cut_off.isoformat()
        return Key.of(self._change(f"/v1/keys/{reference(kid)}/compromise", {"cut_off": moment}))

    def approve(self, request_id: str) -> None:
        """Agree to a change that another operator asked for. For one's own: `RefusedError` `approval_own_request`."""
        self._issuer.post(f"/v1/approvals/{reference(request_id)}/approve", {})

    def _change(self, path: str, body: Mapping[str, object]) -> object:
        """A change that other people may have to agree to first."""
        answer = self._issuer.post(path, body)
        match answer:
            case {"approval": {"id": str(request_id)}}:
                raise ApprovalNeededError("approval_needed", "another operator must agree", request_id=request_id)
        return answer

    def bundle(self) -> bytes:
        """The offline bundle as it is: keep it in a file, open it by `OfflineVerifier.from_bundle`."""
        return self._issuer.get("/v1/bundle").content

    def save_bundle(self, path: str | Path) -> Path:
        """Fetch the bundle into a file, which holds the old one until the new one is whole."""
        target, draft = Path(path), Path(f"{path}.new")
        draft.write_bytes(self.bundle())
        return draft.replace(target)

    def trust_root(self) -> TrustRoot:
        """What the service says its root is. Compare it with what you were given by another way before you pin it."""
        answer = self._issuer.get_json("/v1/trust-root")
        try:
            return root_from_json(answer)
        except InvalidInput:
            raise ServerError("service_answer_unreadable", "the answer is no trust root") from None

    def verify(
        self,
        code: str,
        *,
        counter: str | None = None,
        audience: str | None = None,
        minimum_assurance: ChipAssurance | None = None,
    ) -> Verification:
        """Have a code judged online. Sent once only: an accepted code is used up, also if the answer is lost."""
        wanted = {
            "code": code,
            "counter": counter,
            "audience": audience,
            "minimum_assurance": None if minimum_assurance is None else minimum_assurance.label,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        return Verification.of(self._verifier.post("/v1/verifications", body))


def _event(
    sequence: int | None, event_id: str | None, occurred_at: datetime | None, reason: str | None
) -> dict[str, object]:
    body: dict[str, object] = {"event_id": event_id or secrets.token_hex(16)}
    if sequence is not None:
        body["sequence"] = sequence
    if occurred_at is not None:
        body["occurred_at"] = occurred_at.isoformat()
    if reason is not None:
        body["reason"] = reason
    return body
