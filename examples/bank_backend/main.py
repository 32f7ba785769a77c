"""A bank's back end: link a customer's e-card, show its code, hear of its loss, release it.

uvicorn --app-dir examples/bank_backend main:app, with ECARD_APP_ID, ECARD_KEY_FILE, ECARD_BASE_URL, and
ECARD_WEBHOOK_SECRETS: what `client.webhooks.rotate_secret` gave, two of them while one takes over from the other.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr

from ecard_sdk import AsyncECardClient, ECardError, webhooks
from ecard_sdk.webhooks import LinkChanged


@dataclass
class Bank:
    """What a bank keeps; a database in earnest. Of a person's e-card it keeps the link's id, and nothing else."""

    links: dict[str, str] = field(default_factory=dict)  # customer → link
    hidden: set[str] = field(default_factory=set)  # links whose code is not offered now
    seen: set[str] = field(default_factory=set)  # webhooks that came before


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncECardClient.from_env() as ecard:
        app.state.ecard, app.state.bank = ecard, Bank()
        yield


app = FastAPI(title="Example bank", lifespan=lifespan)


def ecard_of(request: Request) -> AsyncECardClient:
    ecard: AsyncECardClient = request.app.state.ecard
    return ecard


def bank_of(request: Request) -> Bank:
    bank: Bank = request.app.state.bank
    return bank


Ecard = Annotated[AsyncECardClient, Depends(ecard_of)]
Books = Annotated[Bank, Depends(bank_of)]


class Holder(BaseModel):
    """What the customer typed in the app."""

    id_number: SecretStr
    name: SecretStr
    pin: SecretStr


@app.post("/customers/{customer}/ecard", status_code=201)
async def link(customer: str, holder: Holder, ecard: Ecard, bank: Books) -> dict[str, str]:
    """领取: the card's PIN proves the customer."""
    person = await ecard.identify(id_number=holder.id_number.get_secret_value(), name=holder.name.get_secret_value())
    claim = await ecard.claims.begin(person, person.cards[0], "pin", consent="bank-terms-2026-1")
    claimed = await ecard.claims.evidence(claim, pin=holder.pin.get_secret_value())
    bank.links[customer] = claimed.link_id
    return {"level": str(claimed.level)}


@app.get("/customers/{customer}/code")
async def code(customer: str, ecard: Ecard, bank: Books) -> Response:
    """展码: for the app to draw. It asks again when `good_until` is near."""
    link_id = bank.links.get(customer)
    if link_id is None or link_id in bank.hidden:
        return JSONResponse({"shown": False}, 404)
    (made,) = await ecard.links.codes(link_id)
    answer = {"shown": True, "code": made.code, "good_until": made.good_until.isoformat()}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@app.delete("/customers/{customer}/ecard", status_code=204)
async def release(customer: str, ecard: Ecard, bank: Books) -> None:
    """解除关联."""
    link_id = bank.links.pop(customer, None)
    if link_id is not None:
        await ecard.links.release(link_id)


@app.post("/hooks", status_code=204)
async def hook(request: Request, bank: Books) -> None:
    """What the authority tells. A signature is checked before anything is believed; a repetition changes nothing."""
    secrets = os.environ["ECARD_WEBHOOK_SECRETS"].split()
    event = webhooks.unwrap(await request.body(), request.headers, secrets)
    if event.id in bank.seen:
        return
    bank.seen.add(event.id)
    if isinstance(event.body, LinkChanged):
        change = bank.hidden.discard if event.body.status == "valid" else bank.hidden.add
        change(event.body.link_id)


@app.exception_handler(ECardError)
async def refused(_: Request, error: ECardError) -> JSONResponse:
    """What the app tells the customer: the title is for people; the request id is for support."""
    status = 503 if error.retryable else 422
    body = {"code": error.code, "message": error.message, "request_id": error.request_id}
    return JSONResponse(body, status)
