"""Routes by which a channel identifies a holder and claims their e-card (领取)."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card import jose
from ecard_card.card import HolderProof, IdNumber
from ecard_card.errors import InvalidInput
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.links.answers import claim_answer, claimed_answer, identified_answer
from ecard_issuer.links.claiming import DeviceAsked
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import idempotent, with_once
from ecard_issuer.web.enrolments import document
from ecard_issuer.web.link_models import (
    ClaimAnswer,
    ClaimDevice,
    ClaimedAnswer,
    ClaimEvidence,
    EncryptionKeys,
    IdentificationAnswer,
    NewClaim,
    NewIdentification,
)
from ecard_verifier.web.base import problems

ClaimId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `claim_id` that `POST /v1/claims` gave.")]
KEYS_PATH: Final = "/.well-known/ecard-encryption-keys"
_ALL: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
_ACTING: Final = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"
_CLAIMABLE: Final = "card_not_issuable holder_proof_not_permitted first_claim_needs_chip"


def claims_router(issuer: Issuer) -> APIRouter:
    """`/v1/identifications`, `/v1/claims`, and the keys that both are encrypted to."""
    router = APIRouter(tags=["claims"])
    linking, channel = issuer.linking, require_channel(issuer, Scope.CLAIM)
    signed = require_channel(issuer, Scope.CLAIM, signed=True)

    @router.post(
        "/v1/identifications",
        operation_id="identify_holder",
        summary="Name a holder, and see which cards may be claimed",
        status_code=201,
        response_model=IdentificationAnswer,
        responses=channel_problems(
            *_ALL,
            codes=with_once(
                {
                    400: "bad_id_number bad_sealed_data bad_search",
                    403: "secret_guesses_used_up",
                    422: "holder_not_identified identification_locked",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.CLAIM),
        dependencies=[Depends(idempotent(issuer, channel))],
    )
    def identify_holder(
        body: NewIdentification,
        caller: ChannelCaller = Depends(channel),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """A number that nobody has and a name that is not the person's are one answer. Nothing of the person comes
        back: cards by masked numbers, and what a claim of each may rest on."""
        now = issuer.clock()
        number, name = _named(issuer, body)
        found = linking.identifying.identify(IdNumber(number), name, caller.caller, now)
        return JSONResponse(identified_answer(found), 201)

    @router.post(
        "/v1/claims",
        operation_id="open_claim",
        summary="Claim an e-card (领取)",
        status_code=201,
        response_model=ClaimAnswer,
        responses=channel_problems(
            *_ALL,
            codes=with_once(
                {
                    400: "bad_consent bad_acting bad_device_proof bad_jws bad_jwk bad_public_key",
                    403: "claims_used_up",
                    404: "identification_unknown card_handle_unknown",
                    409: "replacement_under_way",
                    422: f"identification_expired {_CLAIMABLE} {_ACTING}",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.CLAIM),
        dependencies=[Depends(idempotent(issuer, channel))],
    )
    def open_claim(
        body: NewClaim,
        caller: ChannelCaller = Depends(channel),  # noqa: B008
    ) -> JSONResponse:
        """Then bring its evidence: the chip's answer over NFC or a reader, the PIN, or a statement of a registered
        identity-proofing service. Which may be used says the identification."""
        opened = linking.claiming.open(
            body.identification_id,
            body.card,
            HolderProof.from_label(body.proof),
            body.consent,
            caller.caller,
            issuer.clock(),
            device=None if body.device is None else _device(body.device),
            acting=body.who,
            quota=caller.quotas.claims_per_day,
        )
        return JSONResponse(claim_answer(opened), 201)

    @router.post(
        "/v1/claims/{claim_id}/evidence",
        operation_id="prove_claim",
        summary="Prove the holder, and have the link (一级签发)",
        response_model=ClaimedAnswer,
        responses=channel_problems(
            *_ALL,
            signed=True,
            codes=with_once(
                {
                    400: "bad_chip_evidence bad_identity_proof claim_evidence_differs secret_not_six_digits bad_search",
                    403: "test_chip_refused identity_provider_not_registered secret_guesses_used_up",
                    404: "claim_unknown card_unknown",
                    409: "replacement_under_way enrolment_of_other_card chip_key_differs chip_key_taken"
                    " ecard_not_bound_here secret_changed_meanwhile",
                    422: f"claim_expired link_released {_CLAIMABLE} {_ACTING} chip_answer_wrong chip_answer_replayed"
                    " chip_not_as_registered chip_proof_missing chip_proof_too_weak too_many_cards_elsewhere"
                    " enrolment_expired pin_wrong pin_locked pin_initial card_not_usable identity_proof_wrong"
                    " identity_proof_early identity_proof_expired identity_proof_of_other_person identity_proof_used"
                    " ecard_not_usable ecard_ended",
                    503: "claim_in_progress secrets_busy",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.CLAIM, signed=True),
        dependencies=[Depends(idempotent(issuer, signed))],
    )
    def prove_claim(
        claim_id: ClaimId,
        body: ClaimEvidence,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """Of many at once, in whichever way, one link comes to be, and all get it. Wrong evidence proves nothing and
        ends nothing; wrong PINs are counted."""
        done = linking.claiming.prove(claim_id, _brought(body), caller.caller, issuer.clock())
        issuer.wake.ring()
        return JSONResponse(claimed_answer(done))

    @router.get(
        KEYS_PATH,
        operation_id="get_encryption_keys",
        summary="Keys that personal data may be encrypted to",
        response_model=EncryptionKeys,
        responses=problems(503),
    )
    def get_encryption_keys() -> JSONResponse:
        """Encrypt to the first one. A new one comes every 30 days; the one before it opens for 30 days more."""
        keys = linking.unsealing.key_set(issuer.clock())
        return JSONResponse(keys, headers={"Cache-Control": "public, max-age=3600"})

    return router


def _named(issuer: Issuer, body: NewIdentification) -> tuple[str, str]:
    """Number and name, from wherever they stand."""
    match body.id_number, body.name, body.sealed:
        case str(number), str(name), None:
            return number, name
        case None, None, str(sealed):
            said = jose.parse_json(issuer.linking.unsealing.open(sealed, issuer.clock()), limit=2048, max_depth=2)
            if isinstance(said, dict) and set(said) == {"id_number", "name"}:
                number, name = said["id_number"], said["name"]
                if isinstance(number, str) and isinstance(name, str) and 0 < len(name) <= 100:
                    return number, name
            raise InvalidInput("bad_sealed_data", "want an object with id_number and name")
    raise InvalidInput("bad_search", "give id_number and name, or sealed")


def _device(body: ClaimDevice) -> DeviceAsked:
    return DeviceAsked(jose.parse_public_jwk(body.key.model_dump(exclude_none=True)), body.proof)


def _brought(body: ClaimEvidence) -> Evidence | Secret | str:
    match body.chip, body.pin, body.identity:
        case dict() as chip, None, None:
            return Evidence.from_json(document(chip))
        case None, str(pin), None:
            return Secret.typed(pin)
        case None, None, str(statement):
            return statement
    raise InvalidInput("bad_search", "give exactly one of chip, pin and identity")
