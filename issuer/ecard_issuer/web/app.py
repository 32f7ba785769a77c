"""The issuer's application, alone or with a verifier in the same process."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from ecard_issuer.assembly import Issuer
from ecard_issuer.operators import Desk
from ecard_issuer.web.accounts import accounts_router
from ecard_issuer.web.agencies import agencies_router
from ecard_issuer.web.applying import applying_router
from ecard_issuer.web.applying_steps import steps_router
from ecard_issuer.web.approvals import answer_waiting, approvals_router
from ecard_issuer.web.cards import cards_router
from ecard_issuer.web.credentials import credentials_router
from ecard_issuer.web.enrolments import enrolments_router
from ecard_issuer.web.family import family_router
from ecard_issuer.web.feed import feed_router
from ecard_issuer.web.intake import SET_MEDIA_TYPE, intake_router
from ecard_issuer.web.keys import keys_router
from ecard_issuer.web.levels import holder_cards_router, levels_router
from ecard_issuer.web.life import life_router
from ecard_issuer.web.mandates import LARGER_BODIES, mandates_router
from ecard_issuer.web.partners import partner_streams_router, webhooks_router
from ecard_issuer.web.passwords import passwords_router
from ecard_issuer.web.pins import pins_router
from ecard_issuer.web.policies import policies_router
from ecard_issuer.web.privacy import privacy_router
from ecard_issuer.web.programme import programme_router
from ecard_issuer.web.public import health_router, public_router
from ecard_issuer.web.relying import relying_router
from ecard_issuer.web.service_points import service_points_router
from ecard_issuer.web.shared_signals import metadata_router, shared_signals_router
from ecard_issuer.web.statuses import statuses_router
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate
from ecard_verifier.web.base import Lifespan, new_api
from ecard_verifier.web.models import Ready

_ABOUT = (
    "Registers physical cards, proves their chips, issues e-cards bound to them one to one, and publishes their status."
    " Everything that changes or reads a person's data wants a bearer token; each route says of which roles."
    "\n\nLosses, replacements, cancelling, applications, mandates, PINs, family e-cards, relying services and partners'"
    " streams have routes of their own. What is sent again under the same id is done once."
    "\n\nTo issue an e-card: `POST /v1/cards` with the card; `POST /v1/enrolments` for a challenge; read the chip and"
    " let it answer; hand that in as evidence; then ask for the credential with the phone's public key and its proof."
    " The examples use synthetic data, which an issuer takes only with `ECARD_ALLOW_TEST_CHIPS=true`."
)


def authenticator(operators: Desk) -> Authenticate:
    """Bearer tokens of the register's callers."""

    def authenticate(token: str) -> Caller | None:
        row = operators.find(token)
        return None if row is None else Caller(row.name, Role(row.role))

    return authenticate


def create_app(
    issuer: Issuer,
    *,
    authenticate: Authenticate | None = None,
    verifier_ready: Callable[[], Ready] | None = None,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The application over `issuer`, which the caller (or `lifespan`) starts and stops."""
    known = authenticate or authenticator(issuer.operators)
    app = new_api(
        "e-card issuer",
        _ABOUT,
        media_types=("application/json", SET_MEDIA_TYPE),
        larger=LARGER_BODIES,
        lifespan=lifespan,
    )
    for router in (
        cards_router(issuer, known),
        applying_router(issuer, known),
        steps_router(issuer, known),
        agencies_router(issuer, known),
        mandates_router(issuer, known),
        enrolments_router(issuer, known),
        credentials_router(issuer, known),
        life_router(issuer, known),
        keys_router(issuer, known),
        approvals_router(issuer, known),
        policies_router(issuer, known),
        privacy_router(issuer, known),
        pins_router(issuer, known),
        passwords_router(issuer, known),
        levels_router(issuer, known),
        family_router(issuer, known),
        holder_cards_router(issuer, known),
        relying_router(issuer, known),
        accounts_router(issuer, known),
        service_points_router(issuer, known),
        programme_router(issuer, known),
        intake_router(issuer, known),
        feed_router(issuer, known),
        statuses_router(issuer),
        shared_signals_router(issuer, known),
        webhooks_router(issuer, known),
        partner_streams_router(issuer, known),
        metadata_router(issuer),
        public_router(issuer),
        health_router(issuer, verifier_ready),
    ):
        app.include_router(router)
    answer_waiting(app, issuer)
    return app
