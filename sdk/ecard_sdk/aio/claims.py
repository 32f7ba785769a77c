"""Claim (领取): the holder is proven, and the app has its link."""

from __future__ import annotations

from collections.abc import Mapping

from ecard_sdk.aio.run import AsyncRun
from ecard_sdk.channel_models import Proof
from ecard_sdk.core.call import Call, reference
from ecard_sdk.holder import Device
from ecard_sdk.links_models import Claim, Claimed, Identification, OfferedCard


class AsyncClaims:
    """`begin` one after `identify`, then bring its `evidence`. Both can be repeated. `issuer` is the authority's own
    URL, which a device's proof is made out to."""

    def __init__(self, run: AsyncRun, issuer: str) -> None:
        self._run, self._issuer = run, issuer

    async def begin(
        self,
        identification: Identification,
        card: OfferedCard,
        proof: Proof | str,
        *,
        consent: str,
        device: Device | None = None,
        acting: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Claim:
        """Open a claim of a card that an identification offered, to be proven by one of its `proofs`.

        `consent` names the text that the holder agreed to (1 to 64 characters). `device` gets a credential of its own,
        for codes without a network. `acting`: somebody claims for the holder (`ground`, `mandate_id`).
        """
        body: dict[str, object] = {
            "identification_id": identification.identification_id,
            "card": card.card,
            "proof": str(proof),
            "consent": consent,
        }
        if acting is not None:
            body["acting"] = dict(acting)
        if device is not None:
            proof_of_key = device.proof(self._issuer, identification.identification_id)
            body["device"] = {"key": device.key.public_jwk, "proof": proof_of_key}
        return await self._run(
            Call("POST", "/v1/claims", Claim.of, body, changes=True, idempotency_key=idempotency_key)
        )

    async def evidence(
        self,
        claim: Claim | str,
        *,
        chip: Mapping[str, object] | None = None,
        pin: str | None = None,
        identity: str | None = None,
        idempotency_key: str | None = None,
    ) -> Claimed:
        """Bring one of: what the chip answered, the PIN that the holder typed, the statement of an identity-proofing
        service. The link comes back."""
        given = {"chip": chip, "pin": pin, "identity": identity}
        claim_id = claim if isinstance(claim, str) else claim.claim_id
        return await self._run(
            Call(
                "POST",
                f"/v1/claims/{reference(claim_id)}/evidence",
                Claimed.of,
                {name: value for name, value in given.items() if value is not None},
                changes=True,
                signed=True,
                idempotency_key=idempotency_key,
            )
        )
