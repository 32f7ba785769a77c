"""A payment at a counter, from the merchant's question to the payer's money.

1. The merchant's own system asks: amount, payer, its reference. It gets a challenge, which the counter shows.
2. The holder agrees to exactly that: their device signs a code over the challenge, or they give the e-card password for
   it in an app.
3. The authority signs a settlement authorization, once, for the payer alone.
4. The payer redeems it, once. Until then the merchant may void it, and the payer may at any time.

Whose payment it was is known to the payer by its own reference of the person, and to the merchant not at all.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ecard_card import cwt, jose
from ecard_card.acting import IN_PERSON, Acting
from ecard_card.algorithm import Algorithm
from ecard_card.card import ChipAssurance
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_issuer.keyring import IssuerIdentity
from ecard_issuer.levels.business import BusinessType, Level
from ecard_issuer.links.links import Links, caller_of
from ecard_issuer.links.values import Link
from ecard_issuer.people import People
from ecard_issuer.pins.passwords import Passwords
from ecard_issuer.pins.secret import Secret
from ecard_issuer.relying.desk import Permission, RelyingDesk
from ecard_issuer.relying.office import ServiceOffice
from ecard_issuer.relying.qualification import StatementKeys
from ecard_issuer.relying.rules import Ask, require_within
from ecard_issuer.relying.services import RelyingService
from ecard_issuer.rows import CredentialRow
from ecard_issuer.settlements.states import PaymentState
from ecard_issuer.settlements.store import Agreed, PaymentRow, PaymentStore, context_of
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose
from ecard_qr import payload
from ecard_qr.challenge import MAX_NAME, Challenge, Transaction, parse_challenge
from ecard_qr.frame import OnlineFrame
from ecard_verifier.callers import Caller
from ecard_verifier.settlement import ConsentWay, Settlement, draft_settlement, read_settlement

#: How long a holder has to look at what is asked.
CHALLENGE_LIFE: Final = timedelta(minutes=5)
#: By when the payer must have redeemed it.
AUTHORIZATION_LIFE: Final = timedelta(days=1)
#: How long a question that nobody answered is kept, for its merchant to see what became of it.
_UNANSWERED: Final = timedelta(days=1)
_BATCH: Final = 500
_BUSINESS: Final = BusinessType.PAYMENT
_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class AskPayment:
    """What a merchant asks. `request_id` is its own: the same again gives the same payment. `line` is of the
    catalogue."""

    request_id: str
    line: int
    counter: str
    purpose: str
    transaction: Transaction


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as its merchant, its payer or its holder's app may see it. `authorization` is the signed one."""

    row: PaymentRow
    challenge: Challenge
    merchant: RelyingService
    authorization: str | None = None


class Settlements:
    """Every verb may raise `Unavailable`; those of a service, `NotFound` `relying_service_unknown`,
    `transaction_unknown` (also for another service's)."""

    def __init__(
        self,
        store: PaymentStore,
        services: ServiceOffice,
        desk: RelyingDesk,
        links: Links,
        passwords: Passwords,
        people: People,
        signing: SigningDesk,
        keys: StatementKeys,
        identity: IssuerIdentity,
        *,
        credential_of: Callable[[bytes], CredentialRow | None],
    ) -> None:
        self._store, self._services, self._desk = store, services, desk
        self._links, self._passwords, self._people = links, passwords, people
        self._signing, self._keys, self._identity = signing, keys, identity
        self._credential_of = credential_of

    def ask(self, service_id: str, caller: Caller, asked: AskPayment, now: datetime) -> Payment:
        """A new payment with its challenge, or the one of this request.

        Raises `RuleViolation` `relying_service_not_yet`, `relying_service_ended`, `line_not_served`,
        `business_type_not_permitted`, `payer_unknown`; `InvalidInput` `bad_challenge`; `Conflict`
        `relying_request_differs`.
        """
        service = self._services.of_caller(service_id, caller)
        _require_in_force(service, now)
        require_within(service, asked.line, _BUSINESS.value, ())
        if asked.transaction.payer == service_id:
            raise RuleViolation("payer_unknown", "a service pays nothing to itself")
        self._require_payer(asked.transaction.payer, now)
        until = now.astimezone(UTC).replace(microsecond=0) + CHALLENGE_LIFE
        named = service.name_zh[:MAX_NAME].strip()
        # Keyed, so that nobody else can name it, and the same for the same request.
        transaction_id = self._people.references.request("payment", service_id, asked.request_id)
        challenge = Challenge(
            asked.counter,
            named,
            asked.purpose,
            int(until.timestamp()),
            bytes.fromhex(transaction_id),
            transaction=asked.transaction,
        )
        row = self._store.add(
            PaymentRow(
                transaction_id=transaction_id,
                service_id=service_id,
                payer=asked.transaction.payer,
                request_hash=_hash_of(asked),
                line=asked.line,
                challenge=challenge.text,
                amount=asked.transaction.amount,
                asked_at=now,
                until=until,
            )
        )
        if row.request_hash != _hash_of(asked):
            raise Conflict("relying_request_differs", "this request id was used for another payment")
        return self._as_merchant_sees(row, service)

    def of_merchant(self, service_id: str, caller: Caller, transaction_id: str) -> Payment:
        """What became of a payment, with its authorization once the holder agreed."""
        service = self._services.of_caller(service_id, caller)
        return self._as_merchant_sees(self._own(service, transaction_id), service)

    def answer(
        self,
        service_id: str,
        caller: Caller,
        transaction_id: str,
        code: str,
        now: datetime,
        *,
        acting: Acting = IN_PERSON,
        pin: str | None = None,
    ) -> Payment:
        """The holder's device answered the challenge with `code`: authorize. Once authorized, whatever is sent
        gives the same.

        Raises as `RelyingDesk.check`; `CheckFailed` `challenge_unanswered`, `wrong_nonce`; `RuleViolation`
        `challenge_expired`, `payment_voided`, `level_too_low`, `payer_unknown`, `mandate_out_of_scope`.
        """
        service = self._services.of_caller(service_id, caller)
        row = self._own(service, transaction_id)
        if row.sealed:
            return self._as_merchant_sees(row, service)
        challenge = self._answerable(row, now)
        self._require_holders_device(code)
        ask = replace(_ask(row), code=code, reading_id=None, pin=pin, acting=acting, answers=challenge.answer)
        permission = self._desk.check(service_id, caller, ask, now, least_level=Level.PAYMENT)
        row = self._authorized(row, challenge, permission, ConsentWay.DEVICE, now)
        return self._as_merchant_sees(row, service)

    def shown(self, link: Link, text: str, now: datetime) -> Payment:
        """What an app shows its holder before they agree: the payment of a challenge that it scanned.

        Raises `InvalidInput` as `parse_challenge`; `NotFound` `transaction_unknown`; `RuleViolation`
        `challenge_expired`, `payment_voided`, `payment_authorized`; what `Links.usable` raises.
        """
        self._links.usable(link, now)
        row = self._scanned(text)
        challenge = _open(row, now)
        return Payment(row, challenge, self._services.get(row.service_id))

    def agree(self, link: Link, text: str, password: Secret, now: datetime) -> Payment:
        """The holder gave the e-card password for exactly this payment in an app: authorize.

        Raises as `shown` and `Passwords.verify`; `RuleViolation` `level_too_low`, `service_region_differs`,
        `pin_needed`, `payer_unknown`; `mandate_out_of_scope` for a link that somebody who acts for the holder has
        devices under: it would be written down that the holder agreed.
        """
        ecard = self._links.usable(link, now)
        if link.mandate_id is not None:
            raise RuleViolation("mandate_out_of_scope", "this link was claimed on a mandate, which pays nothing")
        row = self._scanned(text)
        merchant = self._services.get(row.service_id)
        if row.sealed and row.holder_ref == link.holder_ref and row.way == ConsentWay.PASSWORD:
            return Payment(row, parse_challenge(row.challenge), merchant)
        challenge = self._answerable(row, now)
        self._passwords.verify(link.ecard_id, password, caller_of(link), now)
        permission = self._desk.consented(
            merchant, _ask(row), ecard, row.until, caller_of(link), now, least_level=Level.PAYMENT
        )
        row = self._authorized(row, challenge, permission, ConsentWay.PASSWORD, now)
        if row.holder_ref != link.holder_ref:
            raise RuleViolation("payment_authorized", "somebody else has agreed to it meanwhile")
        return Payment(row, challenge, merchant)

    def redeem(self, payer_id: str, caller: Caller, token: str, request_id: str, now: datetime) -> Payment:
        """The payer takes an authorization, once; the same request again gives the same. Judge it by
        `verify_settlement` first: here only whether it is ours, this payer's, and unused.

        Raises `InvalidInput` `bad_settlement`; `NotFound` `transaction_unknown`, also where it is another payer's;
        `RuleViolation` `settlement_expired`; `Conflict` `settlement_redeemed`, `settlement_voided`.
        """
        self._services.of_caller(payer_id, caller)
        row, said, stored = self._by_token(token)
        if row.payer != payer_id:
            raise NotFound("transaction_unknown", "no authorization for you has this id")
        if row.state is PaymentState.AUTHORIZED and row.expires_at is not None and row.expires_at <= now:
            raise RuleViolation("settlement_expired", "it had to be redeemed before")
        row = self._store.redeem(row.transaction_id, request_id, now)
        if row.state is PaymentState.VOIDED:
            raise Conflict("settlement_voided", "the merchant or the payer took it back")
        if row.redeemed_for != request_id:
            raise Conflict("settlement_redeemed", "another request redeemed it before")
        return Payment(row, parse_challenge(row.challenge), self._services.get(said.merchant), stored)

    def void(self, service_id: str, caller: Caller, transaction_id: str, now: datetime) -> Payment:
        """Take it back: its merchant until it is redeemed, its payer at any time. Again changes nothing.

        Raises `Conflict` `settlement_redeemed`.
        """
        service = self._services.of_caller(service_id, caller)
        row = self._store.find(transaction_id)
        if row is None or service_id not in (row.service_id, row.payer):
            raise _unknown()
        before = (PaymentState.ASKED, PaymentState.AUTHORIZED)
        states = (*before, PaymentState.REDEEMED) if service_id == row.payer else before
        row = self._store.void(transaction_id, service_id, states, now)
        if row.state is not PaymentState.VOIDED:
            raise Conflict("settlement_redeemed", "the payer has taken it: only the payer can take it back")
        merchant = service if service_id == row.service_id else self._services.get(row.service_id)
        return Payment(row, parse_challenge(row.challenge), merchant)

    def upkeep(self, now: datetime) -> None:
        """Forget what was asked and never answered."""
        self._store.forget(now - _UNANSWERED, _BATCH)

    def _answerable(self, row: PaymentRow, now: datetime) -> Challenge:
        """As `_open`, while the payer takes authorizations: nobody else could redeem what is signed."""
        challenge = _open(row, now)
        self._require_payer(row.payer, now)
        return challenge

    def _require_holders_device(self, code: str) -> None:
        """Raises `RuleViolation` `mandate_out_of_scope` for a device that somebody who acts for the holder may have:
        the authorization would say that the holder agreed. What is no code of ours, the check says."""
        try:
            frame = payload.parse(code)
            named = frame.credential_id if isinstance(frame, OnlineFrame) else cwt.parse(frame.credential).credential_id
        except InvalidInput:
            return
        row = self._credential_of(named)
        if row is not None and self._links.rights.on_mandate(row.ecard_id, row.device_key_thumbprint):
            raise RuleViolation("mandate_out_of_scope", "this device is under a link on a mandate, which pays nothing")

    def _require_payer(self, payer: str, now: datetime) -> None:
        try:
            _require_in_force(self._services.get(payer), now)
        except (NotFound, RuleViolation):
            raise RuleViolation("payer_unknown", "no service of this id takes authorizations now") from None

    def _own(self, service: RelyingService, transaction_id: str) -> PaymentRow:
        row = self._store.find(transaction_id)
        if row is None or row.service_id != service.service_id:
            raise _unknown()
        return row

    def _scanned(self, text: str) -> PaymentRow:
        """The row of a scanned challenge: its nonce is the payment's id, and the text must be the very same."""
        challenge = parse_challenge(text)
        row = self._store.find(challenge.nonce.hex())
        if row is None or row.challenge != text:
            raise _unknown()
        return row

    def _authorized(
        self, row: PaymentRow, challenge: Challenge, permission: Permission, way: ConsentWay, now: datetime
    ) -> PaymentRow:
        holder = self._people.get(permission.holder_ref)
        expires_at = now + AUTHORIZATION_LIFE
        key = self._keys.active(KeyPurpose.STATEMENT)
        assert challenge.transaction is not None  # noqa: S101 - ours always has one
        said = Settlement(
            issuer=self._identity.issuer,
            settlement_id=row.transaction_id,
            subject=self._people.references.pairwise(row.payer, holder.holder_ref),
            merchant=row.service_id,
            counter=challenge.counter,
            purpose=challenge.purpose,
            transaction=challenge.transaction,
            challenge=challenge.digest,
            way=way,
            assurance=permission.assurance or ChipAssurance.DECLARED,
            authorized_at=int(now.timestamp()),
            expires_at=int(expires_at.timestamp()),
        )
        draft = draft_settlement(said, key.kid, Algorithm(key.algorithm))
        (signature,) = self._signing.sign(SigningProfile.SETTLEMENT, key.kid, [draft.signing_input], now)
        sealed = self._people.seal_of(holder).seal(draft.complete(signature).encode(), context_of(row.transaction_id))
        done = self._store.authorize(row.transaction_id, Agreed(holder.holder_ref, way.value, now, expires_at, sealed))
        if done.state is PaymentState.VOIDED:
            raise RuleViolation("payment_voided", "it was taken back meanwhile")
        return done

    def _as_merchant_sees(self, row: PaymentRow, merchant: RelyingService) -> Payment:
        handed = row.state in (PaymentState.AUTHORIZED, PaymentState.REDEEMED)
        return Payment(row, parse_challenge(row.challenge), merchant, self._token(row) if handed else None)

    def _token(self, row: PaymentRow) -> str | None:
        """The signed authorization; None where the holder was erased."""
        if not row.sealed or row.holder_ref is None:
            return None
        seal = self._people.seal_of(self._people.get(row.holder_ref))
        return seal.open(row.sealed, context_of(row.transaction_id)).decode()

    def _by_token(self, token: str) -> tuple[PaymentRow, Settlement, str]:
        """The row of a token, which must be the stored one to the byte: then its signature is ours."""
        parts = token.split(".")
        if len(token) > _LIMIT or len(parts) != 3:
            raise InvalidInput("bad_settlement", "not a compact JWS of ours")
        try:
            said = read_settlement(jose.b64url_decode(parts[1]))
        except InvalidInput as error:
            raise InvalidInput("bad_settlement", error.detail) from None
        row = self._store.find(said.settlement_id)
        stored = None if row is None else self._token(row)
        if row is None or stored is None or not secrets.compare_digest(stored.encode(), token.encode()):
            raise _unknown()
        return row, said, stored


def _ask(row: PaymentRow) -> Ask:
    """What goes on the holder's record."""
    return Ask(f"payment-{row.transaction_id}", row.line, _BUSINESS.value, reading_id=row.transaction_id)


def _hash_of(asked: AskPayment) -> str:
    paid = asked.transaction
    facts = [asked.line, asked.counter, asked.purpose, paid.amount, paid.currency, paid.payer, paid.reference]
    return hashlib.sha256(jose.dump_json(facts)).hexdigest()


def _open(row: PaymentRow, now: datetime) -> Challenge:
    """The challenge, while it may be answered."""
    if row.state is PaymentState.VOIDED:
        raise RuleViolation("payment_voided", "it was taken back")
    if row.state is not PaymentState.ASKED:
        raise RuleViolation("payment_authorized", "the holder has agreed to it already")
    if row.until <= now:
        raise RuleViolation("challenge_expired", "what the counter showed is over; ask for it anew")
    return parse_challenge(row.challenge)


def _require_in_force(service: RelyingService, now: datetime) -> None:
    refusal = service.at(now)
    if refusal is not None:
        raise refusal


def _unknown() -> NotFound:
    return NotFound("transaction_unknown", "no payment of yours has this id")
