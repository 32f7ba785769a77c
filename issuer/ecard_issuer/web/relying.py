"""Routes of relying services: the catalogue, who may ask for what, and asking."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Path, Query
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema

from ecard_card.errors import NotFound
from ecard_issuer.answers import enrolment_answer, proven_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.relying.answers import (
    confirmation_answer,
    permission_answer,
    record_answer,
    services_answer,
)
from ecard_issuer.relying.catalogue import catalogue
from ecard_issuer.relying.claims import Claim
from ecard_issuer.relying.presence import terminal_of
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.enrolments import EVIDENCE, EnrolmentId, document
from ecard_issuer.web.models import EnrolmentAnswer, ProvenAnswer
from ecard_issuer.web.relying_models import (
    AccountQuery,
    CatalogueAnswer,
    CheckBody,
    ConfirmationAnswer,
    PermissionAnswer,
    QualificationBody,
    ServiceAnswer,
    ServiceBody,
    ServiceRecord,
    ServicesAnswer,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

ServiceId = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{1,62}[a-z0-9]$", description="The service's own id.")]
ConfirmationId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `confirmation_id`.")]
_PAGE: Final = 100
_CHANGE: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
CHECKING: Final = {
    400: "bad_relying_request bad_acting secret_not_six_digits",
    403: "secret_guesses_used_up",
    404: "relying_service_unknown enrolment_unknown login_unknown",
    409: "relying_request_differs",
    422: "relying_service_not_yet relying_service_ended line_not_served business_type_not_permitted"
    " claim_not_permitted card_of_other_authority service_region_differs level_too_low pin_needed"
    " enrolment_not_proven enrolment_expired login_too_old unreadable_code unknown_credential bad_signature"
    " bad_holder_signature"
    " code_expired wrong_audience expired suspended ended assurance_too_low replayed"
    " pin_wrong pin_locked pin_initial card_not_usable"
    " holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed",
    503: "secrets_busy",
}


def relying_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/relying`, `/v1/catalogue` and `/v1/confirmations`."""
    router = APIRouter(prefix="/v1", tags=["relying services"])
    router.include_router(_public())
    router.include_router(_registering(issuer, authenticate))
    router.include_router(_asking(issuer, authenticate))
    return router


def _public() -> APIRouter:
    router = APIRouter()

    @router.get(
        "/catalogue",
        operation_id="get_catalogue",
        summary="What people do on the strength of their card",
        response_model=CatalogueAnswer,
    )
    def get_catalogue() -> JSONResponse:
        """Every service of the programme, by its line, in both languages."""
        return JSONResponse(catalogue().to_json(), headers={"Cache-Control": "public, max-age=3600"})

    return router


def _registering(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    operator = require_role(authenticate, Role.OPERATOR)
    reader = require_role(authenticate, Role.RELYING)
    services = issuer.relying.services
    router = APIRouter(prefix="/relying")

    @router.get(
        "",
        operation_id="list_relying_services",
        summary="Relying services",
        response_model=ServicesAnswer,
        responses=problems(401, 403, 422, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_relying_services(
        after: Annotated[str, Query(max_length=64, description="The last id of the page before.")] = "",
    ) -> JSONResponse:
        """A hundred at once, in order of their ids; ended ones too."""
        return JSONResponse(services_answer(services.list(after, _PAGE), _PAGE))

    @router.put(
        "/{service_id}",
        operation_id="set_relying_service",
        summary="Register a relying service, or change what it may ask for",
        response_model=ServiceAnswer,
        responses={
            **NEEDS_APPROVAL,
            **problems(
                400,
                401,
                403,
                413,
                415,
                422,
                503,
                codes={
                    400: "bad_relying_service bad_login_registration catalogue_line_unknown",
                    422: "approval_not_usable approval_too_many_open",
                },
            ),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def set_relying_service(
        service_id: ServiceId,
        body: ServiceBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The whole of it each time; the same again changes nothing. Another operator has to agree."""
        saved = services.save(body.to_service(service_id), caller.name, issuer.clock())
        return JSONResponse(saved.to_json())

    @router.get(
        "/{service_id}",
        operation_id="get_relying_service",
        summary="A relying service",
        response_model=ServiceAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "relying_service_unknown"}),
        openapi_extra=needs(Role.RELYING),
    )
    def get_relying_service(
        service_id: ServiceId,
        caller: Caller = Depends(reader),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """For operators, and for the service itself."""
        of_caller = services.get(service_id) if caller.role is Role.OPERATOR else None
        return JSONResponse((of_caller or services.of_caller(service_id, caller)).to_json())

    @router.get(
        "/{service_id}/record",
        operation_id="get_relying_record",
        summary="Every decision about a relying service",
        response_model=ServiceRecord,
        responses=problems(401, 403, 404, 422, 503, codes={404: "relying_service_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def get_relying_record(service_id: ServiceId) -> JSONResponse:
        """Oldest first."""
        return JSONResponse(record_answer(services.changes(service_id)))

    @router.post(
        "/{service_id}/end",
        operation_id="end_relying_service",
        summary="End a relying service at once",
        response_model=ServiceAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "relying_service_unknown"}),
        openapi_extra=needs(Role.OPERATOR),
    )
    def end_relying_service(
        service_id: ServiceId,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Takes power away, so nobody else has to agree. Again changes nothing."""
        return JSONResponse(services.end(service_id, caller.name, issuer.clock()).to_json())

    return router


def _asking(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    relying = require_role(authenticate, Role.RELYING)
    office = issuer.relying
    router = APIRouter()

    @router.post(
        "/relying/{service_id}/readings",
        operation_id="begin_relying_reading",
        summary="Ask for a challenge for a card on the desk",
        status_code=201,
        response_model=EnrolmentAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "relying_service_unknown"}),
        openapi_extra=needs(Role.RELYING),
    )
    def begin_relying_reading(
        service_id: ServiceId,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The chip's answer to it proves the card to this service and to no other."""
        service = office.services.of_caller(service_id, caller)
        opened = issuer.enrolment.begin(terminal_of(service.service_id), issuer.clock())
        return JSONResponse(enrolment_answer(opened), 201)

    @router.post(
        "/relying/{service_id}/readings/{enrolment_id}/evidence",
        operation_id="send_relying_evidence",
        summary="Hand in what the chip answered",
        response_model=ProvenAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_chip_evidence",
                404: "relying_service_unknown enrolment_unknown card_unknown",
                409: "enrolment_already_used chip_key_differs chip_key_taken",
                422: "chip_answer_wrong chip_answer_replayed chip_not_as_registered chip_proof_missing"
                " chip_proof_too_weak enrolment_expired card_not_issuable",
            },
        ),
        openapi_extra=needs(Role.RELYING),
    )
    def send_relying_evidence(
        service_id: ServiceId,
        enrolment_id: EnrolmentId,
        body: Annotated[dict[str, Any], Body(), WithJsonSchema(EVIDENCE)],
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The authority judges; then the `enrolment_id` is the `reading_id` of a check."""
        service = office.services.of_caller(service_id, caller)
        if issuer.register.get_enrolment(enrolment_id).terminal_id != terminal_of(service.service_id):
            raise NotFound("enrolment_unknown", "no reading of this service has this id")
        evidence = Evidence.from_json(document(body))
        return JSONResponse(proven_answer(issuer.enrolment.complete(enrolment_id, evidence, issuer.clock())))

    @router.post(
        "/relying/{service_id}/checks",
        operation_id="check_for_service",
        summary="On the strength of this card: what may be known",
        response_model=PermissionAnswer,
        responses=problems(*_CHANGE, codes=CHECKING),
        openapi_extra=needs(Role.RELYING),
    )
    def check_for_service(
        service_id: ServiceId,
        body: CheckBody,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Judged by the register itself, as of now; a code is good for one request. Stands on the person's record."""
        return JSONResponse(permission_answer(office.desk.check(service_id, caller, body.to_ask(), issuer.clock())))

    @router.post(
        "/relying/{service_id}/accounts",
        operation_id="account_for_service",
        summary="The bank account of a person known from a check",
        response_model=PermissionAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                404: "relying_service_unknown relying_subject_unknown",
                409: "relying_request_differs",
                422: "relying_service_not_yet relying_service_ended line_not_served business_type_not_permitted"
                " claim_not_permitted",
            },
        ),
        openapi_extra=needs(Role.RELYING),
    )
    def account_for_service(
        service_id: ServiceId,
        body: AccountQuery,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """For payments without the person there, for as long as the service's permission stands after a check."""
        claim = Claim(body.claim)
        permission = office.desk.account(
            service_id,
            caller,
            body.subject,
            body.request_id,
            body.line,
            body.business_type,
            claim,
            issuer.clock(),
        )
        return JSONResponse(permission_answer(permission))

    @router.post(
        "/relying/{service_id}/confirmations",
        operation_id="confirm_qualification",
        summary="Confirm that somebody qualifies for a benefit",
        response_model=ConfirmationAnswer,
        responses=problems(*_CHANGE, codes=CHECKING | {400: CHECKING[400] + " bad_benefit"}),
        openapi_extra=needs(Role.RELYING),
    )
    def confirm_qualification(
        service_id: ServiceId,
        body: QualificationBody,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """One for each benefit and period: asking again in the same period gives the same one."""
        signed = office.qualification.confirm(service_id, caller, body.to_ask(), body.benefit, issuer.clock())
        return JSONResponse(confirmation_answer(signed))

    @router.get(
        "/confirmations/{confirmation_id}",
        operation_id="get_confirmation",
        summary="A confirmation that was made",
        response_model=ConfirmationAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "confirmation_unknown"}),
        openapi_extra=needs(Role.RELYING),
    )
    def get_confirmation(
        confirmation_id: ConfirmationId,
        caller: Caller = Depends(relying),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """For the service that it was given to, and for operators."""
        return JSONResponse(confirmation_answer(office.qualification.get(confirmation_id, caller)))

    return router
