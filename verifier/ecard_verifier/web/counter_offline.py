"""Routes for a counter's page that will have no network: the bundle, the deltas since, what this counter may see."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from ecard_verifier.counter_bundles import CounterBundles
from ecard_verifier.counters.assembly import Counters
from ecard_verifier.counters.model import Standing
from ecard_verifier.policy import VerifierClass, policy_for
from ecard_verifier.web.base import problems
from ecard_verifier.web.counter_auth import admitted, page_needs

_OUT: Final = {401: "counter_not_admitted counter_revoked", 503: "published_unavailable"}
_PRIVATE: Final = "private, no-cache"

IfNoneMatch = Annotated[str, Header(alias="If-None-Match", max_length=1024, description="An ETag served before.")]
AcceptEncoding = Annotated[str, Header(alias="Accept-Encoding", max_length=1024, description="`gzip` is known.")]


class CounterRulesPurpose(BaseModel):
    """What a purpose demands, and what of the holder this counter's page may show for it."""

    purpose: str
    live: bool = Field(description="Without a network the outcome is at most `check`.")
    challenge: bool = Field(description="Without a network nothing is decided.")
    compare_name: bool = Field(description="A name must be compared: without a network at most `check`.")
    minimum_assurance: str
    page: dict[str, str] = Field(description="Each field by its mask.")


class CounterRulesPolicy(BaseModel):
    """How strict a check without a network is; times in seconds."""

    status_fresh: int
    status_usable: int
    minimum_assurance: str
    accept_test: bool


class CounterRulesDeniedKey(BaseModel):
    """A key that its issuer reported as stolen, whatever the trust list says of it."""

    thumbprint: str = Field(description="RFC 7638, SHA-256, in hex digits.")
    cut_off: int = Field(description="What it signed after this time is refused; 0: all that it ever signed.")


class CounterRules(BaseModel):
    """By what this counter's page judges alone."""

    audience: str | None
    policy: CounterRulesPolicy
    purposes: list[CounterRulesPurpose]
    denied_keys: list[CounterRulesDeniedKey] = Field(description="They only add up.")


class CounterDeltas(BaseModel):
    """The signed deltas after a place, and the place behind them."""

    deltas: list[str] = Field(description="In their order; ask again from `cursor` until there are none.")
    cursor: str
    rules: CounterRules


def counter_offline_router(counters: Counters, bundles: CounterBundles) -> APIRouter:
    """The two routes, for admitted pages."""
    router = APIRouter(prefix="/v1/counter", tags=["counter page"])
    page = Depends(admitted(counters))

    @router.get(
        "/bundle",
        operation_id="get_counter_bundle",
        summary="What a page needs to check codes alone",
        response_class=Response,
        responses={
            200: {"content": {"application/json": {}}, "description": "The bundle, of all issuers"},
            304: {"description": "Unchanged"},
            **problems(401, 422, 503, codes=_OUT),
        },
        openapi_extra=page_needs(),
    )
    def get_counter_bundle(
        if_none_match: IfNoneMatch = "", accept_encoding: AcceptEncoding = "", _: Standing = page
    ) -> Response:
        """The same for every counter. It is made anew when keys or lists changed; deltas lead on from it."""
        held = bundles.bundle()
        packed = "gzip" in accept_encoding.lower()
        etag = f'"{held.etag}{"-gzip" if packed else ""}"'
        headers = {"ETag": etag, "Cache-Control": _PRIVATE, "Vary": "Accept-Encoding"}
        if etag in (one.strip().removeprefix("W/") for one in if_none_match.split(",")):
            return Response(status_code=304, headers=headers)
        if packed:
            headers["Content-Encoding"] = "gzip"
        return Response(held.packed if packed else held.body, media_type="application/json", headers=headers)

    @router.get(
        "/deltas",
        operation_id="get_counter_deltas",
        summary="What has changed since",
        response_model=CounterDeltas,
        responses=problems(401, 404, 422, 503, codes={**_OUT, 404: "status_delta_gone"}),
        openapi_extra=page_needs(),
    )
    def get_counter_deltas(
        after: Annotated[str, Query(max_length=64, description="The `cursor` of the bundle, or of the last answer.")],
        standing: Standing = page,
    ) -> JSONResponse:
        """At most 500. 404: there is no way on from that place; fetch the bundle."""
        tokens, cursor = bundles.deltas(after)
        answer = CounterDeltas(deltas=list(tokens), cursor=cursor, rules=rules_of(counters, standing))
        return JSONResponse(answer.model_dump(), headers={"Cache-Control": "no-store"})

    return router


def rules_of(counters: Counters, standing: Standing) -> CounterRules:
    """What holds at this counter: the freshness of a verifier without a network, the service's own demands, and of the
    masks those of the group's level. Keys that were denied since the list are named, for the bundle does not know."""
    own, fresh = counters.service.policy, policy_for(VerifierClass.OFFLINE)
    purposes = [
        CounterRulesPurpose(
            purpose=purpose.purpose,
            live=purpose.live,
            challenge=purpose.challenge,
            compare_name=purpose.compare_name,
            minimum_assurance=purpose.minimum_assurance.label,
            page={name.value: mask.value for name, mask in purpose.levels[standing.group.level].page.items()},
        )
        for purpose in counters.desk.purposes_of(standing.group)
    ]
    policy = CounterRulesPolicy(
        status_fresh=fresh.status_fresh,
        status_usable=fresh.status_usable,
        minimum_assurance=own.minimum_assurance.label,
        accept_test=own.accept_test,
    )
    trust = counters.service.trust.current()
    denied = [
        CounterRulesDeniedKey(thumbprint=key.thumbprint.hex(), cut_off=key.cut_off or 0)
        for key in (trust.denied if trust is not None else ())
    ]
    return CounterRules(audience=standing.counter.audience, policy=policy, purposes=purposes, denied_keys=denied)
