"""Routes of a channel's links: their state, password and payment, codes, losses, relatives, and their end."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card.errors import RuleViolation
from ecard_issuer.assembly import Issuer
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.links.answers import code_answer, codes_answer, link_answer, relatives_answer
from ecard_issuer.links.links import caller_of
from ecard_issuer.links.values import Link
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.channel_auth import channel_problems, needs_scope, require_channel
from ecard_issuer.web.conventions.idempotency import idempotent, with_once
from ecard_issuer.web.conventions.pages import Page, paged
from ecard_issuer.web.link_models import (
    CloseLinkPayment,
    CodeAnswer,
    CodesAnswer,
    LevelOfLink,
    LinkAnswer,
    LinkPassword,
    LinksPage,
    NewCodes,
    NewRelativeCode,
    OpenLinkPayment,
    PasswordSet,
    RelativesAnswer,
    ReleasedAnswer,
    ReleaseLink,
)
from ecard_verifier.verdict import rfc3339

LinkId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="The `link_id` that the claim gave.")]
RelativeId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="A `relative_id` of this link.")]
_READ: Final = (400, 401, 403, 404, 422, 503)
CHANGE: Final = (400, 401, 403, 404, 409, 413, 415, 422, 503)
ACTING: Final = "holder_dead mandate_unknown mandate_not_yet mandate_ended mandate_out_of_scope guardian_needed"
_USE: Final = "link_released ecard_ended ecard_not_usable"
_PASSWORD: Final = "ecard_password_wrong ecard_password_locked ecard_password_not_set"  # noqa: S105
_CHOICE: Final = "secret_is_initial secret_in_sequence secret_repeats secret_from_id_number secret_unchanged"


def links_router(issuer: Issuer) -> APIRouter:
    """The routes under `/v1/links`, but for losses."""
    router = APIRouter(prefix="/v1", tags=["links"])
    router.include_router(_reading(issuer))
    router.include_router(_ending(issuer))
    router.include_router(_holders_word(issuer))
    router.include_router(_showing(issuer))
    return router


def _reading(issuer: Issuer) -> APIRouter:
    router, links = APIRouter(), issuer.links
    reader = require_channel(issuer, Scope.READ)
    pages = paged(issuer, reader)

    @router.get(
        "/links",
        operation_id="list_links",
        summary="This app's links",
        response_model=LinksPage,
        responses=channel_problems(*_READ, codes={400: "bad_cursor"}),
        openapi_extra=needs_scope(Scope.READ),
    )
    def list_links(
        caller: ChannelCaller = Depends(reader),  # noqa: B008 - how FastAPI is told
        page: Page = Depends(pages),  # noqa: B008
    ) -> JSONResponse:
        """In no order that means anything; those that ended too."""
        after, now = page.after[0] if page.after else "", issuer.clock()
        rows = links.of_channel(caller.app_id, after=after, limit=page.limit + 1)
        return page.answer(rows, lambda link: link_answer(links.state(link, now)), lambda link: (link.link_id,))

    @router.get(
        "/links/{link_id}",
        operation_id="get_link",
        summary="A link as it is now",
        response_model=LinkAnswer,
        responses=channel_problems(*_READ, codes={404: "link_unknown"}),
        openapi_extra=needs_scope(Scope.READ),
    )
    def get_link(
        link_id: LinkId,
        caller: ChannelCaller = Depends(reader),  # noqa: B008
    ) -> JSONResponse:
        """Level, status, and how the holder was proven. Of one that ended: when and why, and no more of the e-card."""
        return JSONResponse(link_answer(links.state(links.get(caller.app_id, link_id), issuer.clock())))

    return router


def _ending(issuer: Issuer) -> APIRouter:
    router, links = APIRouter(), issuer.links
    signed = require_channel(issuer, Scope.CLAIM, signed=True)

    @router.post(
        "/links/{link_id}/release",
        operation_id="release_link",
        summary="Release a link (解除关联)",
        response_model=ReleasedAnswer,
        responses=channel_problems(
            *CHANGE,
            signed=True,
            codes=with_once(
                {
                    400: "secret_not_six_digits",
                    403: "secret_guesses_used_up",
                    404: "link_unknown",
                    422: f"ecard_password_needed {_PASSWORD} {_USE}",
                    503: "secrets_busy",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.CLAIM, signed=True),
        dependencies=[Depends(idempotent(issuer, signed))],
    )
    def release_link(
        link_id: LinkId,
        body: ReleaseLink,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """This app's credentials of the link end at every counter, and the key that was kept for it is destroyed.
        Other apps' links stay, unless the holder says `everywhere` and proves it by their e-card password."""
        now, link = issuer.clock(), links.get(caller.app_id, link_id)
        others = _release_others(issuer, link, body) if body.everywhere else 0
        ended = links.release(link, now)
        issuer.wake.ring()
        at = rfc3339(ended.ended_at or now)
        return JSONResponse({"link_id": link_id, "ended_at": at, "end": ended.end, "others": others})

    return router


def _release_others(issuer: Issuer, link: Link, body: ReleaseLink) -> int:
    if body.password is None:
        raise RuleViolation("ecard_password_needed", "releasing all apps takes the e-card password")
    links, now = issuer.links, issuer.clock()
    links.usable(link, now)
    issuer.holders.passwords.verify(link.ecard_id, Secret.typed(body.password), caller_of(link), now)
    return len(links.release_everywhere(link.ecard_id, now, by=link)) - 1


def _holders_word(issuer: Issuer) -> APIRouter:
    """What the holder says of their e-card: password and payment."""
    router, links, holders = APIRouter(), issuer.links, issuer.holders
    signed = require_channel(issuer, Scope.CLAIM, signed=True)
    once = [Depends(idempotent(issuer, signed))]

    @router.post(
        "/links/{link_id}/password",
        operation_id="set_link_password",
        summary="Choose or change the e-card password",
        response_model=PasswordSet,
        responses=channel_problems(
            *CHANGE,
            signed=True,
            codes=with_once(
                {
                    400: "secret_not_six_digits bad_acting",
                    403: "secret_guesses_used_up",
                    404: "link_unknown",
                    409: "ecard_password_exists secret_event_differs secret_changed_meanwhile",
                    422: f"link_released ecard_ended secrets_equal {_CHOICE} {_PASSWORD} {ACTING}",
                    503: "secrets_busy",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.CLAIM, signed=True),
        dependencies=once,
    )
    def set_link_password(
        link_id: LinkId,
        body: LinkPassword,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """One password in all apps: a change here holds everywhere at once."""
        now, ecard_id = issuer.clock(), _ecard_of(issuer, caller, link_id)
        pin = None if body.card_pin is None else Secret.typed(body.card_pin)
        chosen, who, event = Secret.typed(body.password), body.who, body.event_id
        if body.old_password is None:
            done = holders.passwords.set(ecard_id, chosen, caller.caller, now, acting=who, event_id=event, card_pin=pin)
        else:
            old = Secret.typed(body.old_password)
            done = holders.passwords.change(
                ecard_id, old, chosen, caller.caller, now, acting=who, event_id=event, card_pin=pin
            )
        links.password_changed(done, now)
        issuer.wake.ring()
        return JSONResponse({"link_id": link_id, "at": rfc3339(done.at)})

    @router.post(
        "/links/{link_id}/payment",
        operation_id="open_link_payment",
        summary="Open payment and settlement (二级签发)",
        response_model=LevelOfLink,
        responses=channel_problems(
            *CHANGE,
            signed=True,
            codes=with_once(
                {
                    400: "secret_not_six_digits bad_acting bad_consent",
                    403: "secret_guesses_used_up",
                    404: "link_unknown",
                    409: "secret_changed_meanwhile",
                    422: f"{_USE} {_PASSWORD} {ACTING}",
                    503: "secrets_busy",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.CLAIM, signed=True),
        dependencies=once,
    )
    def open_link_payment(
        link_id: LinkId,
        body: OpenLinkPayment,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """With a consent of its own and the e-card password. The level is the e-card's: it holds in all apps."""
        now, ecard_id = issuer.clock(), _ecard_of(issuer, caller, link_id)
        password = Secret.typed(body.password)
        opening = holders.levels.open(ecard_id, password, body.consent, caller.caller, now, acting=body.who)
        links.level_changed(opening, now)
        issuer.wake.ring()
        return JSONResponse({"link_id": link_id, "level": 2})

    @router.post(
        "/links/{link_id}/payment/close",
        operation_id="close_link_payment",
        summary="Close payment and settlement",
        response_model=LevelOfLink,
        responses=channel_problems(
            *CHANGE,
            signed=True,
            codes=with_once({400: "bad_acting", 404: "link_unknown", 422: f"link_released ecard_ended {ACTING}"}),
        ),
        openapi_extra=needs_scope(Scope.CLAIM, signed=True),
        dependencies=once,
    )
    def close_link_payment(
        link_id: LinkId,
        body: CloseLinkPayment,
        caller: ChannelCaller = Depends(signed),  # noqa: B008
    ) -> JSONResponse:
        """Identity use goes on. Closed before, it stays so."""
        now, ecard_id = issuer.clock(), _ecard_of(issuer, caller, link_id)
        state = holders.levels.close(ecard_id, caller.caller, now, acting=body.who)
        if state.opening is not None:
            links.level_changed(state.opening, now)
            issuer.wake.ring()
        return JSONResponse({"link_id": link_id, "level": int(state.level)})

    return router


def _ecard_of(issuer: Issuer, caller: ChannelCaller, link_id: str) -> str:
    """The id of a live link's e-card."""
    return issuer.links.ecard(issuer.links.get(caller.app_id, link_id), issuer.clock()).ecard_id


def _showing(issuer: Issuer) -> APIRouter:
    router, links = APIRouter(), issuer.links
    shower, family = require_channel(issuer, Scope.SHOW), require_channel(issuer, Scope.FAMILY)

    @router.post(
        "/links/{link_id}/codes",
        operation_id="make_link_codes",
        summary="Codes to be shown (展码)",
        status_code=201,
        response_model=CodesAnswer,
        responses=channel_problems(
            *CHANGE,
            codes=with_once(
                {
                    400: "bad_code_count secret_not_six_digits",
                    403: "secret_guesses_used_up",
                    404: "link_unknown",
                    409: "secret_changed_meanwhile",
                    422: f"{_USE} codes_ahead_not_permitted ecard_level_too_low ecard_password_needed {_PASSWORD}",
                    503: "secrets_busy",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.SHOW),
        dependencies=[Depends(idempotent(issuer, shower))],
    )
    def make_link_codes(
        link_id: LinkId,
        body: NewCodes,
        caller: ChannelCaller = Depends(shower),  # noqa: B008
    ) -> JSONResponse:
        """Each is good for 60 seconds, and once; any counter that is online reads it. More than one at a time only
        where the region permits it: the later ones are for when the phone has no network."""
        link = links.get(caller.app_id, link_id)
        password = None if body.password is None else Secret.typed(body.password)
        made = links.codes(link, body.count, issuer.clock(), business=body.business_type, password=password)
        issuer.wake.ring()
        return JSONResponse(codes_answer(made), 201)

    @router.get(
        "/links/{link_id}/relatives",
        operation_id="list_link_relatives",
        summary="Whose e-cards the holder may show (亲情服务)",
        response_model=RelativesAnswer,
        responses=channel_problems(*_READ, codes={404: "link_unknown", 422: _USE}),
        openapi_extra=needs_scope(Scope.FAMILY),
    )
    def list_link_relatives(
        link_id: LinkId,
        caller: ChannelCaller = Depends(family),  # noqa: B008
    ) -> JSONResponse:
        """Those only whose consent, or whose guardianship, holds now."""
        link = links.get(caller.app_id, link_id)
        return JSONResponse(relatives_answer(issuer.linking.relatives.of(link, issuer.clock())))

    @router.post(
        "/links/{link_id}/relatives/{relative_id}/codes",
        operation_id="make_relative_code",
        summary="A code of a relative's e-card",
        status_code=201,
        response_model=CodeAnswer,
        responses=channel_problems(
            *CHANGE,
            codes=with_once(
                {
                    403: "family_not_permitted",
                    404: "link_unknown relative_unknown ecard_unknown",
                    409: "family_showing_differs",
                    422: f"{_USE} family_viewer_without_ecard",
                }
            ),
        ),
        openapi_extra=needs_scope(Scope.FAMILY),
        dependencies=[Depends(idempotent(issuer, family))],
    )
    def make_relative_code(
        link_id: LinkId,
        relative_id: RelativeId,
        body: NewRelativeCode,
        caller: ChannelCaller = Depends(family),  # noqa: B008
    ) -> JSONResponse:
        """That it was shown stands on the record of both."""
        link = links.get(caller.app_id, link_id)
        made = issuer.linking.relatives.code(link, relative_id, issuer.clock())
        issuer.wake.ring()
        return JSONResponse(code_answer(made), 201)

    return router
