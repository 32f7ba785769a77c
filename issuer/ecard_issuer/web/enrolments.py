"""Routes of enrolment and issuing: challenge, evidence, credential."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path
from fastapi.responses import JSONResponse
from pydantic import WithJsonSchema

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import InvalidInput
from ecard_issuer.answers import credential_answer, enrolment_answer, examined_answer, proven_answer
from ecard_issuer.assembly import Issuer
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.web.models import (
    ChipCheckAnswer,
    CredentialAnswer,
    CredentialBody,
    EnrolmentAnswer,
    EnrolmentBody,
    ProvenAnswer,
)
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

EnrolmentId = Annotated[
    str, Path(pattern="^[0-9a-f]{1,64}$", description="The `enrolment_id` that `POST /v1/enrolments` gave.")
]

_CHANGE = (400, 401, 403, 404, 409, 413, 415, 422, 503)  # how a change of something that is named may be refused
_HEX = {"type": "string", "pattern": "^([0-9A-F]{2})*$"}
_RECORDS = {"type": "object", "maxProperties": 32, "additionalProperties": _HEX}
#: For the API's description; what counts is `Evidence.from_json`. Binary values are upper-case hex.
EVIDENCE: dict[str, object] = {
    "type": "object",
    "title": "Evidence",
    "description": "A document of format ecard-chip-evidence/1, at most 16384 bytes: `reading` with or without"
    " `answer`, or `declared` alone. Binary values are upper-case hex. `ecard chip read --json` prints one without an"
    " answer, as in the example: level `read`. Step by step: `docs/formats/chip-evidence.md` in the sources.",
    "additionalProperties": False,
    "required": ["format"],
    "properties": {
        "format": {"const": "ecard-chip-evidence/1"},
        "reading": {
            "type": "object",
            "description": "What was read. Either this or `declared`.",
            "required": ["atr", "fci", "issuer_records"],
            "additionalProperties": False,
            "properties": {
                "atr": _HEX | {"maxLength": 66, "description": "The whole answer to reset."},
                "fci": _HEX | {"maxLength": 512, "description": "The answer to SELECT; empty if the chip has none."},
                "issuer_records": _RECORDS | {"description": "EF05: tag (two hex digits) to value; `{}` if none."},
                "holder_records": _RECORDS | {"description": "EF06 alike; absent where the chip keeps it closed."},
                "certificate": _HEX | {"maxLength": 8192, "description": "DER X.509 certificate of an on-chip key."},
            },
        },
        "answer": {
            "type": "object",
            "description": "What the chip answered; absent where it was only read.",
            "required": ["challenge", "data"],
            "additionalProperties": False,
            "properties": {
                "challenge": _HEX
                | {"minLength": 64, "maxLength": 64, "description": "The enrolment's, in upper case."},
                "data": _HEX
                | {
                    "maxLength": 512,
                    "description": "Shared card key: 8 bytes, for R1 and R2, which are the challenge's first 16 bytes."
                    " On-chip key: DER ECDSA signature over the challenge's 32 bytes, not hashed again.",
                },
            },
        },
        "declared": {
            "type": "string",
            "description": "An identification code that somebody typed, instead of `reading` and `answer`.",
        },
    },
    "examples": [
        {
            "format": "ecard-chip-evidence/1",
            "reading": {
                "atr": "3B6D000000544553548600000000000FE7",
                "fci": "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA5098801019F0C03860101",
                "issuer_records": {
                    "01": "000000D15600000500000FE700000000",
                    "02": "31",
                    "03": "312E3030",
                    "04": "000000000000000000000000",
                    "05": "20240102",
                    "06": "20340102",
                    "07": "544553543430373134",
                },
            },
        }
    ],
}


def enrolments_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/enrolments`."""
    operator = [Depends(require_role(authenticate, Role.OPERATOR))]
    at_desk = require_role(authenticate, Role.DESK)
    desk = [Depends(at_desk)]
    router = APIRouter(prefix="/v1/enrolments", tags=["enrolment"])

    @router.post(
        "",
        operation_id="begin_enrolment",
        summary="Ask for a challenge",
        status_code=201,
        response_model=EnrolmentAnswer,
        responses=problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_chip_challenge"}),
        dependencies=desk,
        openapi_extra=needs(Role.DESK),
    )
    def begin_enrolment(body: EnrolmentBody) -> JSONResponse:
        """The desk hands the challenge to the chip; it is good once and for a few minutes."""
        return JSONResponse(enrolment_answer(issuer.enrolment.begin(body.terminal_id, issuer.clock())), 201)

    @router.post(
        "/{enrolment_id}/evidence",
        operation_id="send_evidence",
        summary="Hand in what the chip answered",
        response_model=ProvenAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_chip_evidence",
                403: "test_chip_refused",
                404: "enrolment_unknown card_unknown",
                409: "enrolment_already_used chip_key_differs chip_key_taken",
                422: "chip_answer_wrong chip_answer_replayed chip_not_as_registered chip_proof_missing"
                " chip_proof_too_weak too_many_cards_elsewhere enrolment_expired card_not_issuable",
            },
        ),
        openapi_extra=needs(Role.DESK),
    )
    def send_evidence(
        enrolment_id: EnrolmentId,
        body: Annotated[dict[str, Any], Body(), WithJsonSchema(EVIDENCE)],
        caller: Caller = Depends(at_desk),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """The service judges; the desk decides nothing. A wrong answer proves nothing and consumes nothing.

        What a chip gives away can be written down, so from a desk's token an answer of the chip itself is wanted."""
        evidence = Evidence.from_json(document(body))
        least = ChipAssurance.DECLARED if caller.role is Role.OPERATOR else ChipAssurance.CHALLENGE
        proven = issuer.enrolment.complete(enrolment_id, evidence, issuer.clock(), least=least)
        return JSONResponse(proven_answer(proven))

    @router.post(
        "/{enrolment_id}/check",
        operation_id="check_chip",
        summary="Compare a card with its e-card",
        response_model=ChipCheckAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_chip_evidence",
                403: "test_chip_refused",
                404: "enrolment_unknown card_unknown",
                409: "chip_key_differs",
                422: "chip_answer_wrong chip_answer_replayed chip_not_as_registered chip_proof_missing"
                " chip_challenge_expired",
            },
        ),
        dependencies=desk,
        openapi_extra=needs(Role.DESK),
    )
    def check_chip(
        enrolment_id: EnrolmentId,
        body: Annotated[dict[str, Any], Body(), WithJsonSchema(EVIDENCE)],
    ) -> JSONResponse:
        """Is this chip the one that the e-card is bound to, and what do both amount to now? Takes the evidence of any
        card, also of a lost one, and changes nothing."""
        now = issuer.clock()
        examined = issuer.enrolment.examine(enrolment_id, Evidence.from_json(document(body)), now)
        return JSONResponse(examined_answer(issuer.register, examined, now))

    @router.post(
        "/{enrolment_id}/credentials",
        operation_id="issue_credential",
        summary="Issue the e-card to a device",
        status_code=201,
        response_model=CredentialAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_device_proof bad_jws bad_jwk bad_public_key",
                404: "enrolment_unknown",
                409: "chip_already_bound enrolment_already_used issuance_in_progress ecard_not_bound_here",
                422: "enrolment_not_proven enrolment_expired card_not_issuable",
            },
        ),
        dependencies=operator,
        openapi_extra=needs(Role.OPERATOR),
    )
    def issue_credential(enrolment_id: EnrolmentId, body: CredentialBody) -> JSONResponse:
        """Repeating a request whose answer was lost gives the same credential to the same device key."""
        point = jose.parse_public_jwk(body.device_key.model_dump(exclude_none=True))
        issued = issuer.issuing.issue(enrolment_id, point, body.proof, issuer.clock(), ecard_id=body.ecard_id)
        issuer.wake.ring()
        return JSONResponse(credential_answer(issued), 201)

    return router


def document(body: dict[str, Any]) -> bytes:
    try:
        return jose.dump_json(body)
    except (ValueError, RecursionError):
        raise InvalidInput("bad_chip_evidence", "not evidence of format ecard-chip-evidence/1") from None
