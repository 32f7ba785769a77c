"""What may become of a payment that was asked for."""

from __future__ import annotations

from enum import StrEnum


class PaymentState(StrEnum):
    """`asked` → `authorized` → `redeemed`; any of the three → `voided`."""

    ASKED = "asked"
    AUTHORIZED = "authorized"  # the holder agreed
    REDEEMED = "redeemed"  # the payer took it
    VOIDED = "voided"
