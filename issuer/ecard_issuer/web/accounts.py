"""Routes of partner banks and of the bank accounts on cards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.responses import JSONResponse

from ecard_card.acting import IN_PERSON
from ecard_card.card import CardNumber, IdNumber
from ecard_issuer.accounts.values import AccountNumber, AccountRow, PartnerBank
from ecard_issuer.assembly import Issuer
from ecard_issuer.web.account_models import (
    AccountAnswer,
    AccountChangeAnswer,
    AccountChangeBody,
    ActivationBody,
    BankAnswer,
    BankBody,
    BanksAnswer,
    LoadBody,
)
from ecard_issuer.web.approval_models import NEEDS_APPROVAL
from ecard_issuer.web.cards import CardRef
from ecard_verifier.callers import Caller, Role
from ecard_verifier.verdict import rfc3339
from ecard_verifier.web.auth import Authenticate, require_role
from ecard_verifier.web.base import needs, problems

BankCode = Annotated[str, Path(pattern="^[A-Z0-9]{3,14}$", description="The bank's code.")]
_CHANGE = (400, 401, 403, 404, 409, 413, 415, 422, 503)


def accounts_router(issuer: Issuer, authenticate: Authenticate) -> APIRouter:
    """The routes under `/v1/banks`, `/v1/bank-accounts` and `/v1/cards/{card_ref}/bank-account`."""
    router = APIRouter(prefix="/v1", tags=["bank accounts"])
    operator = require_role(authenticate, Role.OPERATOR)
    partner = require_role(authenticate, Role.PARTNER)
    desk = require_role(authenticate, Role.DESK)
    accounts = issuer.relying.accounts

    @router.get(
        "/banks",
        operation_id="list_banks",
        summary="Partner banks",
        response_model=BanksAnswer,
        responses=problems(401, 403, 503),
        openapi_extra=needs(Role.OPERATOR),
        dependencies=[Depends(operator)],
    )
    def list_banks() -> JSONResponse:
        """In order of their codes."""
        return JSONResponse({"banks": [bank.to_json() for bank in accounts.banks()]})

    @router.put(
        "/banks/{bank_code}",
        operation_id="set_bank",
        summary="Register a partner bank, or change who calls for it",
        response_model=BankAnswer,
        responses={
            **NEEDS_APPROVAL,
            **problems(400, 401, 403, 413, 415, 422, 503, codes={400: "bad_partner_bank", 422: "approval_not_usable"}),
        },
        openapi_extra=needs(Role.OPERATOR),
    )
    def set_bank(
        bank_code: BankCode,
        body: BankBody,
        caller: Caller = Depends(operator),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Another operator has to agree; the same again changes nothing."""
        bank = PartnerBank(bank_code, body.caller, body.names.zh, body.names.en)
        return JSONResponse(accounts.save_bank(bank, caller.name, issuer.clock()).to_json())

    @router.post(
        "/bank-accounts",
        operation_id="load_bank_account",
        summary="A bank loads its account on a card",
        status_code=201,
        response_model=AccountAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_account_number bad_card_number bad_id_number",
                403: "not_this_bank",
                404: "card_unknown",
                409: "account_exists account_of_other_card account_event_differs",
            },
        ),
        openapi_extra=needs(Role.PARTNER),
    )
    def load_bank_account(
        body: LoadBody,
        caller: Caller = Depends(partner),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Not activated until the holder comes in person, or the bank says so. The same again changes nothing."""
        row = accounts.load(
            caller,
            body.bank_code,
            CardNumber(body.card_number),
            IdNumber(body.id_number),
            AccountNumber(body.account_number),
            body.event_id,
            issuer.clock(),
        )
        return JSONResponse(_answer(row), 201)

    @router.post(
        "/bank-accounts/changes",
        operation_id="change_bank_account",
        summary="A bank says what became of its account",
        response_model=AccountChangeAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_account_number",
                403: "not_this_bank",
                404: "account_unknown",
                409: "account_event_differs",
                422: "account_change_impossible",
            },
        ),
        openapi_extra=needs(Role.PARTNER),
    )
    def change_bank_account(
        body: AccountChangeBody,
        caller: Caller = Depends(partner),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """Only the bank itself, by its own rules. Nothing that happens to the card changes it."""
        number = AccountNumber(body.account_number)
        row, applied = accounts.change(caller, body.bank_code, number, body.state, body.event_id, issuer.clock())
        return JSONResponse(_answer(row) | {"applied": applied})

    @router.get(
        "/cards/{card_ref}/bank-account",
        operation_id="get_bank_account",
        summary="A card's bank account",
        response_model=AccountAnswer,
        responses=problems(401, 403, 404, 422, 503, codes={404: "account_unknown"}),
        openapi_extra=needs(Role.DESK),
        dependencies=[Depends(desk)],
    )
    def get_bank_account(card_ref: CardRef) -> JSONResponse:
        """Which bank, and its state; never the number."""
        return JSONResponse(_answer(accounts.of_card(card_ref)))

    @router.post(
        "/cards/{card_ref}/bank-account/activation",
        operation_id="activate_bank_account",
        summary="Activate the bank account in person",
        response_model=AccountChangeAnswer,
        responses=problems(
            *_CHANGE,
            codes={
                400: "bad_acting",
                404: "card_unknown account_unknown",
                409: "account_event_differs",
                422: "account_change_impossible holder_dead mandate_unknown mandate_not_yet mandate_ended"
                " mandate_out_of_scope guardian_needed",
            },
        ),
        openapi_extra=needs(Role.DESK),
    )
    def activate_bank_account(
        card_ref: CardRef,
        body: ActivationBody,
        caller: Caller = Depends(desk),  # noqa: B008 - how FastAPI is told
    ) -> JSONResponse:
        """By the holder or a guardian, at a desk; everything else an agent may do, this not."""
        acting = IN_PERSON if body.acting is None else body.acting.to_acting()
        row, applied = accounts.activate(caller, card_ref, acting, body.event_id, issuer.clock())
        return JSONResponse(_answer(row) | {"applied": applied})

    return router


def _answer(row: AccountRow) -> dict[str, object]:
    return {
        "card_ref": row.card_ref,
        "bank_code": row.bank_code,
        "state": row.state.value,
        "changed_at": rfc3339(row.changed_at),
    }
