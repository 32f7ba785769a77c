"""From payments to the answers of their routes."""

from __future__ import annotations

from ecard_issuer.settlements.desk import Payment
from ecard_verifier.verdict import rfc3339

Json = dict[str, object]


def payment_answer(payment: Payment) -> Json:
    """A `PaymentAnswer`: for the merchant that asked and the payer it is for. Nothing in it is about the holder."""
    row = payment.row
    return {
        "transaction_id": row.transaction_id,
        "state": row.state.value,
        "challenge": row.challenge,
        **_asked(payment),
        "way": row.way,
        "authorized_at": None if row.authorized_at is None else rfc3339(row.authorized_at),
        "redeem_by": None if row.expires_at is None else rfc3339(row.expires_at),
        "authorization": payment.authorization,
    }


def shown_payment_answer(payment: Payment) -> Json:
    """A `ShownPaymentAnswer`: what an app shows its holder."""
    merchant = payment.merchant
    return {
        "state": payment.row.state.value,
        "names": {"zh": merchant.name_zh, "en": merchant.name_en},
        **_asked(payment),
    }


def _asked(payment: Payment) -> Json:
    paid = payment.challenge.transaction
    return {
        "merchant": payment.row.service_id,
        "counter": payment.challenge.counter,
        "purpose": payment.challenge.purpose,
        "amount": payment.row.amount,
        "currency": None if paid is None else paid.currency,
        "payer": payment.row.payer,
        "reference": None if paid is None else paid.reference,
        "until": rfc3339(payment.row.until),
    }
