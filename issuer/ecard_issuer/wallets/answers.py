"""From what is kept of wallets to the answers of routes and commands."""

from __future__ import annotations

from collections.abc import Sequence

from ecard_issuer.wallets.offers import MadeOffer
from ecard_issuer.wallets.values import BatchRow, WalletClient
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def offer_answer(made: MadeOffer) -> Json:
    """An `OfferAnswer`. Its secrets are shown to whoever made the offer, and nowhere else."""
    return {
        "offer_id": made.offer_id,
        "credential_offer_uri": made.reference,
        "links": made.links(),
        "tx_code": made.transaction_code,
        "expires_at": rfc3339(made.expires_at),
    }


def wallet_answer(client: WalletClient) -> Json:
    """A `WalletAnswer`."""
    return {
        "client_id": client.client_id,
        "name": client.name,
        "redirect_uris": list(client.redirect_uris),
        "added_by": client.added_by,
        "added_at": rfc3339(client.added_at),
        "ended_by": client.ended_by,
        "ended_at": rfc3339(client.ended_at) if client.ended_at else None,
    }


def wallets_answer(clients: Sequence[WalletClient], limit: int) -> Json:
    """A `WalletsAnswer`."""
    full = len(clients) == limit
    return {"wallets": [wallet_answer(one) for one in clients], "next_after": clients[-1].client_id if full else None}


def review_answer(batch: BatchRow, card_ref: str | None) -> Json:
    """A `ReviewAnswer`."""
    return {
        "review_id": batch.batch_id,
        "card_ref": card_ref,
        "keys": len(batch.keys),
        "state": batch.state.value,
        "asked_at": rfc3339(batch.created_at),
        "until": rfc3339(batch.expires_at),
        "decided_by": batch.decided_by,
        "decided_at": rfc3339(batch.decided_at) if batch.decided_at else None,
    }


def reviews_answer(reviews: Sequence[tuple[BatchRow, str | None]], limit: int) -> Json:
    """A `ReviewsAnswer`."""
    full = len(reviews) == limit
    return {
        "reviews": [review_answer(batch, card_ref) for batch, card_ref in reviews],
        "next_after": reviews[-1][0].batch_id if full else None,
    }
