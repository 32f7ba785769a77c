"""All of it made part of an application."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from ecard_issuer.issuer import Issuer
from ecard_issuer.web.conventions.idempotency import install_idempotency
from ecard_issuer.web.conventions.notes import install_answering
from ecard_issuer.web.conventions.openapi import describe
from ecard_issuer.web.conventions.rates import address_limit
from ecard_issuer.web.conventions.repeats import describe_repeats, done_once
from ecard_verifier.web.auth import Authenticate


def install_conventions(app: FastAPI, issuer: Issuer, authenticate: Authenticate) -> None:
    """Before any router is included, and after every other middleware. `authenticate` knows the callers with roles."""
    app.router.dependencies.append(Depends(address_limit(issuer)))
    app.router.dependencies.append(Depends(done_once(issuer, authenticate)))
    app.state.describing += (describe_repeats, describe)
    install_idempotency(app)
    install_answering(app, issuer.conventions.idempotency)
