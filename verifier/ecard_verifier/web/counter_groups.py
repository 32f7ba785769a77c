"""Routes of groups and their tokens: for operators, and within a group for its own manager."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from ecard_verifier.callers import Caller, Role
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.office import Who
from ecard_verifier.purposes.purposes import Level
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems
from ecard_verifier.web.counter_management_models import (
    GroupAnswer,
    GroupBody,
    GroupsAnswer,
    GroupTokenBody,
    GroupTokensAnswer,
    NewGroupTokenAnswer,
    group_answer,
    token_answer,
)
from ecard_verifier.web.counter_management_parts import READ, WRITE, After

GroupId = Annotated[str, Path(pattern="^[a-z0-9_]{1,40}$", description="Which group.")]
TokenName = Annotated[str, Path(min_length=1, max_length=64, description="Which token.")]


def groups_router(counters: Counters, authenticate: Authenticate) -> APIRouter:
    office, clock = counters.administration.office, counters.service.now
    router = APIRouter(prefix="/v1/groups", tags=["merchants"])
    operator, manager = Depends(require_role(authenticate)), Depends(require_role(authenticate, Role.MERCHANT))

    @router.post(
        "",
        operation_id="create_group",
        summary="Make a group",
        response_model=GroupAnswer,
        status_code=201,
        responses=problems(*WRITE, codes={400: "bad_counter_name bad_daily_limit", 404: "purpose_unknown"}),
        openapi_extra=needs(),
    )
    def create_group(body: GroupBody, caller: Caller = operator) -> GroupAnswer:
        """Its level and purposes decide what its counters may see."""
        group = office.add_group(body.name, Level(body.level), body.purposes, body.daily_limit, clock())
        return group_answer(group)

    @router.get(
        "",
        operation_id="list_groups",
        summary="The groups",
        response_model=GroupsAnswer,
        responses=problems(401, 403, 422),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_groups(after: After = "", caller: Caller = manager) -> GroupsAnswer:
        """A manager sees their own."""
        return GroupsAnswer(groups=[group_answer(group) for group in office.groups(Who.of(caller), after)])

    @router.get(
        "/{group_id}",
        operation_id="show_group",
        summary="One group",
        response_model=GroupAnswer,
        responses=problems(*READ, codes={404: "group_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def show_group(group_id: GroupId, caller: Caller = manager) -> GroupAnswer:
        """A manager sees their own."""
        return group_answer(office.group(Who.of(caller), group_id))

    @router.post(
        "/{group_id}/revoke",
        operation_id="revoke_group",
        summary="End a group",
        response_model=GroupAnswer,
        responses=problems(*READ, codes={404: "group_unknown"}),
        openapi_extra=needs(),
    )
    def revoke_group(group_id: GroupId, caller: Caller = operator) -> GroupAnswer:
        """Its counters and tokens are out at their next request. There is no way back."""
        return group_answer(office.revoke_group(Who.of(caller), group_id, clock()))

    @router.post(
        "/{group_id}/tokens",
        operation_id="create_group_token",
        summary="A token for a manager or a system",
        response_model=NewGroupTokenAnswer,
        status_code=201,
        responses=problems(
            *WRITE,
            codes={400: "bad_operator_name", 404: "group_unknown", 409: "token_exists", 422: "group_revoked"},
        ),
        openapi_extra=needs(Role.MERCHANT),
    )
    def create_group_token(body: GroupTokenBody, group_id: GroupId, caller: Caller = manager) -> NewGroupTokenAnswer:
        """An operator makes those of managers; a manager those of the systems behind the counters."""
        token, text = office.add_token(Who.of(caller), group_id, body.name, Role(body.role), clock())
        return NewGroupTokenAnswer(**token_answer(token).model_dump(), token=text)

    @router.get(
        "/{group_id}/tokens",
        operation_id="list_group_tokens",
        summary="The tokens of a group",
        response_model=GroupTokensAnswer,
        responses=problems(*READ, codes={404: "group_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def list_group_tokens(group_id: GroupId, caller: Caller = manager) -> GroupTokensAnswer:
        """Without their texts, which are not kept."""
        return GroupTokensAnswer(tokens=[token_answer(token) for token in office.tokens(Who.of(caller), group_id)])

    @router.delete(
        "/{group_id}/tokens/{name}",
        operation_id="revoke_group_token",
        summary="Take a token back",
        status_code=204,
        responses=problems(*READ, codes={404: "group_unknown token_unknown"}),
        openapi_extra=needs(Role.MERCHANT),
    )
    def revoke_group_token(group_id: GroupId, name: TokenName, caller: Caller = manager) -> None:
        """Whoever has it is out at the next request."""
        office.drop_token(Who.of(caller), group_id, name)

    return router
