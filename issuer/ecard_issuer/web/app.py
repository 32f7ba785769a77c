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
from ecard_issuer.web.card_page import card_page_router
from ecard_issuer.web.cards import cards_router
from ecard_issuer.web.channel_auth import TOKEN_PATH, challenge_channels
from ecard_issuer.web.channel_events import channel_events_router
from ecard_issuer.web.channels import channels_router
from ecard_issuer.web.claims import claims_router
from ecard_issuer.web.component import component_router
from ecard_issuer.web.conventions.install import install_conventions
from ecard_issuer.web.credentials import credentials_router
from ecard_issuer.web.desk_page import desk_page_router
from ecard_issuer.web.enrolments import enrolments_router
from ecard_issuer.web.family import family_router
from ecard_issuer.web.feed import feed_router
from ecard_issuer.web.feed_snapshot import feed_snapshot_router
from ecard_issuer.web.holder_facts import holder_facts_router
from ecard_issuer.web.intake import SET_MEDIA_TYPE, intake_router
from ecard_issuer.web.keys import keys_router
from ecard_issuer.web.levels import holder_cards_router, levels_router
from ecard_issuer.web.life import life_router
from ecard_issuer.web.link_desk import holder_links_router, identity_providers_router
from ecard_issuer.web.link_devices import link_devices_router
from ecard_issuer.web.link_losses import link_losses_router
from ecard_issuer.web.links import links_router
from ecard_issuer.web.login import login_router
from ecard_issuer.web.login_endpoints import login_endpoints_router
from ecard_issuer.web.login_requests import login_requests_router
from ecard_issuer.web.mandates import LARGER_BODIES, mandates_router
from ecard_issuer.web.numbers import numbers_router
from ecard_issuer.web.oauth import oauth_router
from ecard_issuer.web.partners import partner_streams_router, webhooks_router
from ecard_issuer.web.passwords import passwords_router
from ecard_issuer.web.pins import pins_router
from ecard_issuer.web.policies import policies_router
from ecard_issuer.web.privacy import privacy_router
from ecard_issuer.web.programme import programme_router
from ecard_issuer.web.public import health_router, public_router
from ecard_issuer.web.relying import relying_router
from ecard_issuer.web.service_points import service_points_router
from ecard_issuer.web.session_cors import SessionCors
from ecard_issuer.web.sessions import sessions_router
from ecard_issuer.web.settlements import settlements_router
from ecard_issuer.web.shared_signals import metadata_router, shared_signals_router
from ecard_issuer.web.statuses import statuses_router
from ecard_issuer.web.testmode import testmode_router
from ecard_issuer.web.tickets import tickets_router
from ecard_issuer.web.wallet_authorize import wallet_authorize_router
from ecard_issuer.web.wallet_edge import WALLET_FORMS
from ecard_issuer.web.wallet_endpoints import wallet_endpoints_router
from ecard_issuer.web.wallet_metadata import wallet_metadata_router
from ecard_issuer.web.wallets import wallets_router
from ecard_verifier.callers import Caller, Role
from ecard_verifier.web.auth import Authenticate
from ecard_verifier.web.base import Lifespan, adopt, new_api
from ecard_verifier.web.counter_page import COUNTER_LARGER
from ecard_verifier.web.models import Ready
from ecard_verifier.web.presentations import PRESENTATION_FORMS

#: The OpenID provider's.
LOGIN_FORMS = ("/login/authorize", "/login/token", "/login/userinfo", "/login/wait/[0-9a-f]{32}/cancel")
#: Paths, as patterns, whose bodies are forms.
FORMS = (TOKEN_PATH, *WALLET_FORMS, *LOGIN_FORMS, *PRESENTATION_FORMS)

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
    repeating: Authenticate | None = None,
    verifier_ready: Callable[[], Ready] | None = None,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The application over `issuer`, which the caller (or `lifespan`) starts and stops. `repeating` knows all whose
    requests are done once by a key, where routes for callers that `authenticate` does not know are added later."""
    known = authenticate or authenticator(issuer.operators)
    app = new_api(
        "e-card issuer",
        _ABOUT,
        media_types=("application/json", SET_MEDIA_TYPE),
        larger={**LARGER_BODIES, **COUNTER_LARGER},
        forms=FORMS,
        lifespan=lifespan,
    )
    install_conventions(app, issuer, repeating or known)
    for router in (  # routes are looked for in this order: first where many requests go
        wallet_endpoints_router(issuer),
        wallets_router(issuer, known),
        oauth_router(issuer),
        login_router(issuer),
        login_endpoints_router(issuer),
        login_requests_router(issuer),
        channels_router(issuer, known),
        claims_router(issuer),
        links_router(issuer),
        link_losses_router(issuer),
        link_devices_router(issuer),
        holder_links_router(issuer, known),
        identity_providers_router(issuer, known),
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
        settlements_router(issuer, known),
        accounts_router(issuer, known),
        service_points_router(issuer, known),
        programme_router(issuer, known),
        intake_router(issuer, known),
        feed_router(issuer, known),
        feed_snapshot_router(issuer, known),
        statuses_router(issuer),
        shared_signals_router(issuer, known),
        webhooks_router(issuer, known),
        partner_streams_router(issuer, known),
        metadata_router(issuer),
        wallet_metadata_router(issuer),
        wallet_authorize_router(issuer),
        public_router(issuer),
        component_router(),
        channel_events_router(issuer),
        *(() if issuer.test_mode.desk is None else (testmode_router(issuer, issuer.test_mode.desk),)),
        card_page_router(issuer),
        desk_page_router(issuer),
        tickets_router(issuer),
        sessions_router(issuer),
        numbers_router(issuer, known),
        holder_facts_router(issuer, known),
        health_router(issuer, verifier_ready),
    ):
        adopt(app, router)
    app.add_middleware(SessionCors, known=issuer.showing.origins)
    answer_waiting(app, issuer)
    challenge_channels(app)
    return app
