"""Routes of a card's life: losses, releases, replacements, cancellations, and the holder's word on the e-card.

Who is meant travels in the body, never in a path. A case is asked for by the id that its opening returned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card import messages
from ecard_issuer.assembly import Issuer
from ecard_issuer.life.answers import case_answer
from ecard_issuer.life.values import CaseKind, Outcome
from ecard_issuer.web.keys import Language
from ecard_issuer.web.life_models import (
    CancellationBody,
    CaseAnswer,
    CollectedBody,
    HolderLockBody,
    LossBody,
    ReleaseBody,
    ReplacementMadeBody,
    ReplacementOrder,
    UseConsentBody,
    WithdrawnBody,
)
from ecard_issuer.web.source_region import require_region
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

CaseId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="As the opening of the case returned it.")]
_SERVING = (Role.DESK, Role.HOTLINE, Role.CHANNEL)
_ORDERING = (Role.DESK, Role.CHANNEL)
_MAKING = (Role.DESK, Role.SOURCE)
_DESK = (Role.DESK,)
_MANDATES = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"
_WHO = "bad_search bad_id_number bad_name bad_acting channel_needed"


def life_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes of a card's life."""
    router = APIRouter(prefix="/v1", tags=["card life"])
    life, clock = issuer.life, issuer.clock
    serving, ordering = require_role(authenticate, *_SERVING), require_role(authenticate, *_ORDERING)
    making, desk = require_role(authenticate, *_MAKING), require_role(authenticate, *_DESK)

    def answer(outcome: Outcome, language: messages.Language, status: int = 201) -> JSONResponse:
        policy = life.office.policy_of(outcome.region, clock())
        return JSONResponse(case_answer(outcome, policy, language), status, headers={"Content-Language": language})

    def found(case_id: str, kind: CaseKind, caller: Caller, language: messages.Language) -> JSONResponse:
        return answer(life.office.find(case_id, kind, caller, clock()), language, 200)

    def of_case(case_id: str, caller: Caller) -> None:
        region = life.office.find(case_id, CaseKind.REPLACEMENT, caller, clock()).region
        require_region(issuer, caller, region)

    @router.post(
        "/losses",
        operation_id="report_loss",
        summary="Report a card lost",
        **_opening(_SERVING, {422: "card_change_impossible channel_not_permitted"}),
    )
    def report_loss(
        body: LossBody,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The card and its e-card stop at every counter. Reporting a lost card again is no mistake."""
        outcome = life.losses.report(body.kind, body.who(), body.asked(caller, body.request_id), clock())
        return answer(outcome, language)

    @router.get("/losses/{case_id}", operation_id="get_loss", summary="A loss", **_reading(_SERVING))
    def get_loss(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """As it is now: a temporary one may have ended."""
        return found(case_id, CaseKind.LOSS, caller, language)

    @router.post(
        "/releases",
        operation_id="release_loss",
        summary="A card was found",
        **_opening(
            _SERVING,
            {
                409: "replacement_under_way",
                422: "card_change_impossible release_not_permitted replacement_only channel_not_permitted",
            },
        ),
    )
    def release_loss(
        body: ReleaseBody,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """A temporary loss by the holder, where the region permits it; a formal one only where it says so."""
        return answer(life.losses.release(body.who(), body.asked(caller, body.request_id), clock()), language)

    @router.get("/releases/{case_id}", operation_id="get_release", summary="A release", **_reading(_SERVING))
    def get_release(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """Beside what card and e-card are now."""
        return found(case_id, CaseKind.RELEASE, caller, language)

    @router.post(
        "/replacements",
        operation_id="order_replacement",
        summary="Order a new card",
        **_opening(
            _ORDERING,
            {
                400: "changed_data_missing",
                409: "replacement_under_way",
                422: "card_change_impossible formal_loss_needed renewal_too_early channel_not_permitted",
            },
        ),
    )
    def order_replacement(
        body: ReplacementOrder,
        language: Language,
        caller: Caller = Depends(ordering),  # noqa: B008
    ) -> JSONResponse:
        """A lost card is cancelled now, any other when the new one is collected. The e-card waits, and is the same."""
        outcome = life.replacements.order(
            body.reason,
            body.who(),
            body.asked(caller, body.request_id),
            clock(),
            new_name=body.new_name,
            new_id_number=body.new_id_number,
        )
        return answer(outcome, language)

    @router.get(
        "/replacements/{case_id}",
        operation_id="get_replacement",
        summary="How far a new card is",
        **_reading((*_ORDERING, Role.SOURCE)),
    )
    def get_replacement(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(require_role(authenticate, *_ORDERING, Role.SOURCE)),  # noqa: B008
    ) -> JSONResponse:
        """Ordered, made, ready, collected."""
        return found(case_id, CaseKind.REPLACEMENT, caller, language)

    @router.post(
        "/replacements/{case_id}/made",
        operation_id="replacement_made",
        summary="The new card was made",
        **_step(
            _MAKING,
            {
                403: "region_not_of_source",
                404: "case_unknown card_unknown",
                409: "request_differs",
                422: "replacement_step_impossible replacement_needs_new_card replacement_of_other_holder"
                " replacement_by_cancelled_card",
            },
        ),
    )
    def replacement_made(
        case_id: CaseId,
        body: ReplacementMadeBody,
        language: Language,
        caller: Caller = Depends(making),  # noqa: B008
    ) -> JSONResponse:
        """Register it first."""
        of_case(case_id, caller)
        require_region(issuer, caller, issuer.register.get_card(body.card_ref).region)
        return answer(life.replacements.made(case_id, body.card_ref, caller, clock()), language, 200)

    @router.post(
        "/replacements/{case_id}/ready",
        operation_id="replacement_ready",
        summary="The new card waits for its holder",
        **_step(
            _MAKING,
            {403: "region_not_of_source", 404: "case_unknown", 422: "replacement_step_impossible"},
        ),
    )
    def replacement_ready(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(making),  # noqa: B008
    ) -> JSONResponse:
        """Tell the holder where."""
        of_case(case_id, caller)
        return answer(life.replacements.ready(case_id, caller, clock()), language, 200)

    @router.post(
        "/replacements/{case_id}/collected",
        operation_id="replacement_collected",
        summary="The new card was collected",
        **_step(
            _DESK,
            {
                400: "bad_acting",
                404: "case_unknown enrolment_unknown",
                409: "chip_already_bound enrolment_already_used",
                422: f"replacement_step_impossible enrolment_not_proven enrolment_expired {_MANDATES}",
            },
        ),
    )
    def replacement_collected(
        case_id: CaseId,
        body: CollectedBody,
        language: Language,
        caller: Caller = Depends(desk),  # noqa: B008
    ) -> JSONResponse:
        """The old card ends and the same e-card goes on with the new one, in one transaction."""
        asked = body.asked(caller)
        return answer(life.replacements.collect(case_id, body.enrolment_id, asked, clock()), language, 200)

    @router.post(
        "/replacements/{case_id}/withdrawn",
        operation_id="replacement_withdrawn",
        summary="No new card is wanted",
        **_step(
            _ORDERING,
            {
                400: "bad_acting channel_needed",
                404: "case_unknown",
                422: f"replacement_step_impossible {_MANDATES}",
            },
        ),
    )
    def replacement_withdrawn(
        case_id: CaseId,
        body: WithdrawnBody,
        language: Language,
        caller: Caller = Depends(ordering),  # noqa: B008
    ) -> JSONResponse:
        """A card that was cancelled for its loss stays so, and its e-card ends."""
        return answer(life.replacements.withdraw(case_id, body.asked(caller), clock()), language, 200)

    @router.post(
        "/cancellations",
        operation_id="cancel_card",
        summary="End a card and its e-card for good",
        **_opening(
            _DESK,
            {400: "proof_needed", 403: "death_at_a_desk", 422: "card_change_impossible channel_not_permitted"},
        ),
    )
    def cancel_card(
        body: CancellationBody,
        language: Language,
        caller: Caller = Depends(desk),  # noqa: B008
    ) -> JSONResponse:
        """Both at the same moment. After a death all cards of the person."""
        asked = body.asked(caller, body.request_id)
        return answer(life.cancellations.cancel(body.cause, body.who(), asked, body.proof, clock()), language)

    @router.get(
        "/cancellations/{case_id}", operation_id="get_cancellation", summary="A cancellation", **_reading(_DESK)
    )
    def get_cancellation(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(desk),  # noqa: B008
    ) -> JSONResponse:
        """Its proof stays sealed."""
        return found(case_id, CaseKind.CANCELLATION, caller, language)

    @router.post(
        "/holder-locks",
        operation_id="lock_ecard",
        summary="The holder shuts or opens their e-card",
        **_opening(_SERVING, {422: "card_change_impossible channel_not_permitted"}),
    )
    def lock_ecard(
        body: HolderLockBody,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """The card itself is not touched. A lock moves with the e-card to a new card."""
        return answer(life.words.lock(body.locked, body.who(), body.asked(caller, body.request_id), clock()), language)

    @router.get("/holder-locks/{case_id}", operation_id="get_holder_lock", summary="A lock", **_reading(_SERVING))
    def get_holder_lock(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """Beside what card and e-card are now."""
        return found(case_id, CaseKind.HOLDER_LOCK, caller, language)

    @router.post(
        "/consents",
        operation_id="consent_to_use",
        summary="The holder permits the e-card's use where the region asks them",
        **_opening(_SERVING, {422: "card_change_impossible consent_not_asked channel_not_permitted"}),
    )
    def consent_to_use(
        body: UseConsentBody,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """For the card's present status only: the next change of it ends the consent."""
        outcome = life.words.consent(body.given, body.who(), body.asked(caller, body.request_id), clock())
        return answer(outcome, language)

    @router.get("/consents/{case_id}", operation_id="get_consent", summary="A consent", **_reading(_SERVING))
    def get_consent(
        case_id: CaseId,
        language: Language,
        caller: Caller = Depends(serving),  # noqa: B008
    ) -> JSONResponse:
        """Beside what card and e-card are now."""
        return found(case_id, CaseKind.CONSENT, caller, language)

    return router


def _opening(roles: tuple[Role, ...], codes: Mapping[int, str]) -> dict[str, Any]:
    """What every route that opens a case says of itself, with the codes of its own."""
    usual = {400: _WHO, 403: "channel_not_yours", 404: "card_unknown", 409: "request_differs several_cards"}
    usual[422] = _MANDATES
    named = {status: f"{usual.get(status, '')} {codes.get(status, '')}".strip() for status in {**usual, **codes}}
    return _described(roles, named, 201)


def _step(roles: tuple[Role, ...], codes: Mapping[int, str]) -> dict[str, Any]:
    return _described(roles, {403: "channel_not_yours", **codes}, 200)


def _described(roles: tuple[Role, ...], codes: Mapping[int, str], status: int) -> dict[str, Any]:
    return {
        "status_code": status,
        "response_model": CaseAnswer,
        "responses": problems(400, 401, 403, 404, 409, 413, 415, 422, 503, codes=codes),
        "openapi_extra": needs(*roles),
    }


def _reading(roles: tuple[Role, ...]) -> dict[str, Any]:
    return {
        "response_model": CaseAnswer,
        "responses": problems(401, 403, 404, 422, 503, codes={404: "case_unknown"}),
        "openapi_extra": needs(*roles),
    }
