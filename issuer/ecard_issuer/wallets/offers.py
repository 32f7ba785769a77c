"""Offers: made for a proven enrolment, taken up by a wallet once, within minutes and with the code told apart."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import quote

from ecard_card import jose
from ecard_card.errors import Conflict, InvalidInput, NotFound, RuleViolation
from ecard_card.status import EcardStatus
from ecard_issuer.chosen_ids import CHOSEN_ID
from ecard_issuer.links.links import Links
from ecard_issuer.people import References
from ecard_issuer.ports import Register
from ecard_issuer.rows import CardRow, EnrolmentRow
from ecard_issuer.states import EnrolmentState
from ecard_issuer.together import Together, all_or_each
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.tokens import TX_DIGITS, WalletSecrets, read_opener, same
from ecard_issuer.wallets.values import OFFER_LIFE, OfferRow, OfferState, Right
from ecard_verifier.callers import Caller

PRE_AUTHORIZED: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
#: The one credential that wallets are offered.
CONFIGURATION: Final = "ecard_sd_jwt"
#: What a wallet registers to be opened by: OpenID4VCI 1.0 §4.1, and HAIP 1.0 §4.2.
_SCHEMES: Final = {"openid": "openid-credential-offer://", "haip": "haip-vci://"}
_TX_DESCRIPTION: Final = "6 digits, told to you by the desk or the app that made this offer"


@dataclass(frozen=True, slots=True)
class MadeOffer:
    """An offer for whoever asked for it. The code goes to the person on another way than the links."""

    offer_id: str
    reference: str = field(repr=False)  # URL
    transaction_code: str = field(repr=False)
    document: dict[str, object] = field(repr=False)
    expires_at: datetime

    def links(self) -> dict[str, dict[str, str]]:
        """By scheme: the link by reference, and by value (RFC 3986 query)."""
        by_value = quote(jose.dump_json(self.document), safe="")
        by_reference = quote(self.reference, safe="")
        return {
            name: {
                "by_reference": f"{scheme}?credential_offer_uri={by_reference}",
                "by_value": f"{scheme}?credential_offer={by_value}",
            }
            for name, scheme in _SCHEMES.items()
        }


class Offers:
    """The use case. `origin` is the credential issuer's identifier."""

    def __init__(
        self,
        store: WalletStore,
        register: Register,
        links: Links,
        references: References,
        secrets: WalletSecrets,
        origin: str,
        random: Callable[[int], bytes] = randomness.token_bytes,
    ) -> None:
        self._store, self._register, self._links = store, register, links
        self._references, self._secrets = references, secrets
        self._origin, self._random = origin, random
        self._proofs = Together(all_or_each(self._found))

    def make(
        self, right: Right, caller: Caller, now: datetime, *, review: bool = False, request_id: str | None = None
    ) -> MadeOffer:
        """Offer what a right is good for. The caller's same `request_id` again gives the same offer, as long
        as that can be taken up.

        Raises `InvalidInput` `bad_event_id`; `NotFound` `enrolment_unknown`, `link_unknown`; `RuleViolation`
        `enrolment_not_proven`, `enrolment_expired`, `card_not_issuable`, `link_released`, `ecard_ended`,
        `ecard_not_usable`; `Conflict` `enrolment_already_used`, `offer_over` (that request's
        offer was taken up, has expired, or was for something else).
        """
        if request_id is None:
            offer_id = self._random(16).hex()
        elif CHOSEN_ID.fullmatch(request_id):
            offer_id = self._references.request("wallet-offer", caller.name, request_id)
        else:
            raise InvalidInput("bad_event_id", "want 1 to 64 letters, digits and . _ : -")
        if right.enrolment_id is not None:
            self._require_proven(right.enrolment_id, now)
        else:
            self._links.usable(self._links.get(right.app_id or "", right.link_id or ""), now)
        wanted = OfferRow(
            offer_id, right.enrolment_id, right.app_id, right.link_id, review, caller.name, now, now + OFFER_LIFE
        )
        kept = self._store.add_offer(wanted)
        alike = (kept.right, kept.review) == (right, review)
        if not alike or kept.state is not OfferState.OPEN or kept.expires_at <= now:
            raise Conflict("offer_over", "the offer of this request can be taken up no more; make another one")
        return MadeOffer(
            offer_id=offer_id,
            reference=f"{self._origin}/wallets/offers/{self._secrets.reference(offer_id).text}",
            transaction_code=self._secrets.transaction_code(offer_id),
            document=self._document(offer_id),
            expires_at=kept.expires_at,
        )

    def show(self, reference: str, now: datetime) -> dict[str, object]:
        """The offer behind its URL, again and again until it is taken up or over. Raises `NotFound` `offer_unknown`."""
        opener = read_opener(reference)
        if opener is None or not same(self._secrets.reference(opener.row_id).secret, opener.secret):
            raise NotFound("offer_unknown", "no offer has this address")
        offer = self._store.find_offer(opener.row_id)
        if offer is None or offer.state is not OfferState.OPEN or offer.expires_at <= now:
            raise NotFound("offer_unknown", "this offer was taken up, or is over")
        return self._document(offer.offer_id)

    def behind_state(self, issuer_state: str, now: datetime) -> OfferRow:
        """The open offer that an `issuer_state` leads to. Raises `WalletRefusal` `invalid_request`."""
        opener = read_opener(issuer_state)
        known = opener is not None and same(self._secrets.issuer_state(opener.row_id).secret, opener.secret)
        offer = self._store.find_offer(opener.row_id) if opener is not None and known else None
        if offer is None or offer.state is not OfferState.OPEN or offer.expires_at <= now:
            raise WalletRefusal("invalid_request", "issuer_state belongs to no offer that can be taken up")
        return offer

    def _found(self, enrolment_ids: Sequence[str]) -> list[tuple[EnrolmentRow, CardRow | None] | None]:
        found = self._register.proofs(enrolment_ids)
        return [found.get(enrolment_id) for enrolment_id in enrolment_ids]

    def _require_proven(self, enrolment_id: str, now: datetime) -> None:
        found = self._proofs.ask(enrolment_id)[0]
        if found is None:
            raise NotFound("enrolment_unknown", "no such enrolment")
        enrolment, card = found
        if enrolment.state is EnrolmentState.ISSUED:
            raise Conflict("enrolment_already_used", "this enrolment has led to a credential already")
        if enrolment.state is not EnrolmentState.PROVEN or enrolment.card_ref is None:
            raise RuleViolation("enrolment_not_proven", "nothing was proven yet")
        if enrolment.expires_at <= now:
            raise RuleViolation("enrolment_expired", "the proof is too old")
        if card is None:
            raise NotFound("card_unknown", "no such card in the register")
        if self._register.effect_of(card, now) is not EcardStatus.VALID:
            raise RuleViolation("card_not_issuable", "the card's status does not permit an e-card")

    def _document(self, offer_id: str) -> dict[str, object]:
        """A credential offer (OpenID4VCI 1.0 §4.1.1)."""
        return {
            "credential_issuer": self._origin,
            "credential_configuration_ids": [CONFIGURATION],
            "grants": {
                PRE_AUTHORIZED: {
                    "pre-authorized_code": self._secrets.code(offer_id).text,
                    "tx_code": {"input_mode": "numeric", "length": TX_DIGITS, "description": _TX_DESCRIPTION},
                },
                "authorization_code": {"issuer_state": self._secrets.issuer_state(offer_id).text},
            },
        }
