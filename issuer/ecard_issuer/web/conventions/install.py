"""All of it made part of an application."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from ecard_issuer.issuer import Issuer
from ecard_issuer.web.conventions.idempotency import install_idempotency
from ecard_issuer.web.conventions.notes import install_answering
from ecard_issuer.web.conventions.openapi import describe
from ecard_issuer.web.conventions.rates import address_limit


def install_conventions(app: FastAPI, issuer: Issuer) -> None:
    """Before any router is included, and after every other middleware."""
    app.router.dependencies.append(Depends(address_limit(issuer)))
    app.state.describing.append(describe)
    install_idempotency(app)
    install_answering(app, issuer.conventions.idempotency)
