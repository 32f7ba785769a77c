"""`POST /v1/holder-facts`: a verifier asks what may be seen of the holder of a code that is shown to it."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, StrictStr

from ecard_issuer.assembly import Issuer
from ecard_issuer.holder_facts import facts_of
from ecard_issuer.web.sessions_models import Strict
from ecard_verifier.callers import Caller, Role
from ecard_verifier.counters.holder_facts import FACTS_PATH
from ecard_verifier.purposes import purposes
from ecard_verifier.purposes.masking import Mask
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

FieldName = Literal["name", "id_number", "card_number", "birth_year", "region"]
MaskName = Literal["one-end", "3+4", "6+4", "full"]


class HolderFactsBody(Strict):
    """The code as it was shown, and what is wanted of its holder."""

    code: StrictStr = Field(max_length=4096)
    audience: StrictStr | None = Field(None, max_length=100, description="What the verifier is called in codes.")
    answers: StrictStr | None = Field(None, max_length=22, description="The digest of the challenge that it answers.")
    facts: dict[FieldName, list[MaskName]] = Field(min_length=1, max_length=5)


class HolderFactsAnswer(BaseModel):
    """Each fact under each mask asked for; null where it is not known, or not told to this verifier."""

    facts: dict[FieldName, dict[MaskName, str | None]]


def holder_facts_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The one route."""
    router = APIRouter(tags=["verification"])

    @router.post(
        FACTS_PATH,
        operation_id="show_holder_facts",
        summary="What may be seen of who shows a code",
        response_model=HolderFactsAnswer,
        responses=problems(
            *(400, 401, 403, 413, 415, 422),
            codes={400: "unreadable_code", 422: "code_expired suspended ended card_of_other_authority"},
        ),
        openapi_extra=needs(Role.VERIFIER),
    )
    def show_holder_facts(
        body: HolderFactsBody,
        caller: Caller = Depends(require_role(authenticate, Role.VERIFIER)),  # noqa: B008 - how FastAPI is told
    ) -> HolderFactsAnswer:
        """Right after a verdict, while the code lives: it is judged here again. Whole names and numbers are told to
        the verifiers named in the setting `full_facts_to` only; others get masked ones."""
        wanted = {purposes.Field(name): [Mask(mask) for mask in masks] for name, masks in body.facts.items()}
        full = caller.name in issuer.settings.full_facts_to
        found = facts_of(
            issuer, body.code, body.audience, wanted, issuer.clock(), by=caller.name, full=full, answers=body.answers
        )
        told = {field.value: {mask.value: value for mask, value in masks.items()} for field, masks in found.items()}
        return HolderFactsAnswer.model_validate({"facts": told})

    return router
