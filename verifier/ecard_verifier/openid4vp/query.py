"""What a verifier asks a wallet for: the DCQL query (OpenID4VP 1.0 §6) and the transaction data (§8.4). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ecard_card import jose
from ecard_card.credential import DISCLOSABLE, card_type
from ecard_card.errors import InvalidInput
from ecard_card.sd_jwt import TYP
from ecard_verifier.openid4vp.trusted_issuers import TrustedIssuer

#: The id of the e-card among the credentials of a query.
ECARD: Final = "ecard"
MAX_TRANSACTIONS: Final = 4
_MAX_TRANSACTION: Final = 4096  # bytes of JSON
_OURS: Final = frozenset({"credential_ids", "transaction_data_hashes_alg"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: claims of the e-card, or in its place one credential of one of `others`."""

    claims: tuple[str, ...] = ()
    others: tuple[TrustedIssuer, ...] = ()

    def __post_init__(self) -> None:
        if not DISCLOSABLE.issuperset(self.claims) or len(set(self.claims)) != len(self.claims):
            raise InvalidInput("bad_claims", "an e-card has no such claim, or it is named twice")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids that an answer may have one of."""
        return (ECARD, *(other.name for other in self.others))


def dcql_query(wanted: Wanted, issuers: Collection[str]) -> dict[str, object]:
    """The query. `issuers` are those of the trust list, whose cards are e-cards."""
    credentials: list[dict[str, object]] = [_ask(ECARD, sorted(map(card_type, issuers)), wanted.claims)]
    for other in wanted.others:
        asked = _ask(other.name, [other.vct], other.claims)
        if other.authority_key_ids:
            asked["trusted_authorities"] = [{"type": "aki", "values": list(other.authority_key_ids)}]
        credentials.append(asked)
    if not wanted.others:
        return {"credentials": credentials}
    return {"credentials": credentials, "credential_sets": [{"options": [[name] for name in wanted.ids]}]}


def _ask(name: str, types: list[str], claims: Sequence[str]) -> dict[str, object]:
    asked: dict[str, object] = {"id": name, "format": TYP, "meta": {"vct_values": types}}
    if claims:
        asked["claims"] = [{"path": [claim]} for claim in claims]
    return asked


def transaction_data(items: Sequence[Mapping[str, object]], wanted: Wanted) -> tuple[str, ...]:
    """The texts that a wallet shows, and whose hashes its holder signs.

    Raises `InvalidInput` `bad_transaction_data`: more than four, without a `type`, with members that are ours, or
    longer than 4 KiB.
    """
    if len(items) > MAX_TRANSACTIONS:
        raise InvalidInput("bad_transaction_data", "at most four things are confirmed at once")
    texts = []
    for item in items:
        kind = item.get("type")
        if type(kind) is not str or not 1 <= len(kind) <= 128 or not kind.isprintable() or not _OURS.isdisjoint(item):
            raise InvalidInput("bad_transaction_data", "want a type, and none of the members that the protocol sets")
        full = {**item, "credential_ids": list(wanted.ids), "transaction_data_hashes_alg": ["sha-256"]}
        text = jose.dump_json(full)
        if len(text) > _MAX_TRANSACTION:
            raise InvalidInput("bad_transaction_data", "longer than 4 KiB")
        texts.append(jose.b64url_encode(text))
    return tuple(texts)
