"""Scan to log in (扫码登录): from a site's request to the browser's return, by the rules of RFC 10027 (BCP 247).

Two sides that never learn each other's id. The browser has a secret of its own, from which alone its QR codes come,
and which alone collects; the phone has a request, made by its scan. One scan, one number, one confirmation: whatever
comes twice or wrong ends the attempt.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from hmac import compare_digest
from typing import Final

from ecard_card.acting import IN_PERSON, Act
from ecard_card.card import ChipAssurance
from ecard_card.errors import CheckFailed, Conflict, NotFound, RuleViolation
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.channels.values import Registration
from ecard_issuer.ecards import Ecard
from ecard_issuer.login import rules
from ecard_issuer.login.assurance import Acr, Proven, told
from ecard_issuer.login.attempts import ENDED, AttemptRow, AttemptState, LoginRow, LoginStore, QrRow, RequestRow
from ecard_issuer.login.authorize import AuthorizationRequest
from ecard_issuer.login.desktop import Desktop
from ecard_issuer.login.holder import Holders
from ecard_issuer.login.registration import LoginRegistration
from ecard_issuer.login.scopes import claims_of
from ecard_issuer.login.signed import Described, LoginSigner
from ecard_issuer.login.sites import Sites, answer_to
from ecard_issuer.pins.secret import Secret
from ecard_issuer.relying.rules import require_level, require_region
from ecard_issuer.relying.services import RelyingService
from ecard_verifier.callers import Caller

#: How long a login is remembered: longer than its presence, its code and its token are good.
LOGIN_KEPT: Final = rules.PRESENCE_LIFE + rules.COLLECT_LIFE + rules.CODE_LIFE + rules.TOKEN_LIFE


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt, and the secret that its browser keeps as a cookie."""

    transaction_id: str
    browser_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the page shows now. `state` is `expired` for an attempt whose time is over. `version` changes whenever the
    page has something new to show; `qr` is there while the code is, `app` and `number` once a phone has scanned it.
    `back` is the site's address with an answer: the code, where the login was confirmed, or an error."""

    state: str
    version: str
    service: RelyingService
    host: str
    language: str
    app: Registration | None = None
    qr: str | None = field(default=None, repr=False)
    number: str | None = field(default=None, repr=False)
    back: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the app gets: the description of the request, signed for it alone."""

    request_id: str
    signed: str = field(repr=False)
    until: datetime


class LoginDesk:
    """The use case. `level_of` gives the issue level of an e-card, 1 or 2, `app_of` an app as it was
    admitted; `issuer` is the configured origin."""

    def __init__(
        self,
        store: LoginStore,
        sites: Sites,
        holders: Holders,
        signer: LoginSigner,
        acting: ActingRules,
        issuer: str,
        *,
        level_of: Callable[[str, datetime], int],
        app_of: Callable[[str], Registration],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._sites = sites
        self._holders = holders
        self._signer = signer
        self._acting = acting
        self._issuer = issuer
        self._level_of = level_of
        self._app_of = app_of
        self._random = random

    def begin(
        self, request: AuthorizationRequest, desktop: Desktop, language: str, browser: str | None, now: datetime
    ) -> Begun:
        """Open an attempt for a browser: the one whose secret `browser` is, or a new one."""
        secret = browser or self._random(32).hex()
        attempt = AttemptRow(
            transaction_id=self._random(16).hex(),
            browser_hash=rules.hashed(secret),
            client_id=request.site.client_id,
            redirect_uri=request.site.redirect_uri,
            scopes=request.scopes,
            oauth_state=request.state,
            nonce=request.nonce,
            challenge=request.challenge,
            acr=request.acr.value,
            asked=request.asked,
            region=desktop.region,
            address=desktop.address,
            device=desktop.device,
            language=language,
            created_at=now,
            until=now + rules.ATTEMPT_LIFE,
            state=AttemptState.OPEN,
            turn=0,
            turned_at=now,
        )
        self._store.begin(attempt)
        return Begun(attempt.transaction_id, secret)

    def see(self, transaction_id: str, browser: str, now: datetime) -> Seen:
        """What the browser that began this attempt is shown. Changes nothing. Raises `NotFound` `login_unknown` for
        every other browser, `RuleViolation` `login_site_unknown`."""
        return self._seen(self._own(transaction_id, browser), browser, now)

    def turn(self, transaction_id: str, browser: str, now: datetime) -> Seen:
        """As `see`; besides, the next QR code where one is due, and for a confirmed login the way back with its code,
        once."""
        attempt = self._own(transaction_id, browser)
        if self._due(attempt, now):
            token = rules.qr_token(browser, transaction_id, attempt.turn + 1)
            qr = QrRow(rules.hashed(token), transaction_id, min(now + rules.QR_LIFE, attempt.until))
            self._store.turn(attempt, qr, now)
            attempt = self._own(transaction_id, browser)
        if attempt.state is AttemptState.CONFIRMED and now < attempt.until:
            self._sites.of_client(attempt.client_id, now)
            code = f"{attempt.login_id}.{self._random(32).hex()}"
            login = self._store.collect(transaction_id, rules.hashed(code), now + rules.CODE_LIFE)
            if login is not None:
                back = self._back(attempt, code=code)
                return replace(self._seen(attempt, browser, now), state="collected", back=back)
            attempt = self._own(transaction_id, browser)
        return self._seen(attempt, browser, now)

    def cancel(self, transaction_id: str, browser: str, now: datetime) -> str:
        """End an attempt at the desktop; the way back to the site. Raises as `see`."""
        attempt = self._own(transaction_id, browser)
        self._store.end(transaction_id, AttemptState.CANCELLED)
        return self._back(attempt, error="access_denied")

    def scan(self, app_id: str, link_id: str, scanned: str, now: datetime) -> Scanned:
        """Give the attempt whose QR code was scanned to this link of this app.

        A code that is scanned again ends the attempt for both: one of the two phones is not where the desktop is.
        Raises `NotFound` `login_qr_unknown`, `link_unknown`; `RuleViolation` `login_qr_expired`, `login_site_unknown`,
        `ecard_not_usable`, `ecard_ended`, `service_region_differs`, `level_too_low`, and what `ActingRules` raise;
        `Conflict` `login_qr_used`.
        """
        token = rules.token_of(scanned, self._issuer)
        qr = None if token is None else self._store.find_qr(rules.hashed(token))
        attempt = None if qr is None else self._store.attempt(qr.transaction_id)
        if qr is None or attempt is None:
            raise NotFound("login_qr_unknown", "not a login code of this authority, or one that is long over")
        if now >= qr.until or (attempt.state is AttemptState.OPEN and now >= attempt.until):
            raise RuleViolation("login_qr_expired", "scan the code that the page shows now")
        if attempt.state is not AttemptState.OPEN:
            raise self._twice(attempt)
        ecard = self._holders.behind(app_id, link_id, now)
        service, registration = self._admitted(attempt, ecard, now)
        request = RequestRow(self._random(16).hex(), attempt.transaction_id, app_id, link_id, now + rules.REQUEST_LIFE)
        number, choices = rules.numbers(self._random)
        said = Described(
            app_id=app_id,
            request_id=request.request_id,
            client_id=attempt.client_id,
            name_zh=service.name_zh,
            name_en=service.name_en,
            host=registration.host,
            region=attempt.region,
            address=attempt.address,
            device=attempt.device,
            acr=attempt.acr,
            claims=[claim.value for claim in claims_of(attempt.scopes, service.claims)],
            numbers=choices,
        )
        signed = self._signer.request(said, request.until, now)  # before the scan counts: a repetition would end it
        if not self._store.scan(request, number):
            raise self._twice(attempt)
        return Scanned(request.request_id, signed, request.until)

    def confirm(
        self,
        caller: Caller,
        request_id: str,
        number: str,
        now: datetime,
        *,
        proof: str | None = None,
        password: Secret | None = None,
    ) -> AttemptState:
        """The holder agreed and chose a number. The same again changes nothing.

        Raises `NotFound` `login_request_unknown`, `link_unknown`; `Conflict` `login_request_ended`; `RuleViolation`
        `login_request_expired`, `login_proof_missing`, `login_proof_too_weak`, and as `scan` of site and card;
        `CheckFailed` `login_number_wrong`, which ends the attempt; and what `Holders.prove` raises.
        """
        request, attempt = self._requested(caller.name, request_id)
        if attempt.state in (AttemptState.CONFIRMED, AttemptState.COLLECTED):
            return AttemptState.CONFIRMED
        if attempt.state is not AttemptState.SCANNED:
            raise _ended()
        if now >= request.until:
            raise RuleViolation("login_request_expired", "the holder took too long; scan again")
        if not compare_digest(number.encode("utf-8", "replace"), (attempt.number or "").encode()):
            self._store.end(attempt.transaction_id, AttemptState.KILLED)
            raise CheckFailed("login_number_wrong", "not the number that the desktop shows; this login has ended")
        ecard = self._holders.behind(caller.name, request.link_id, now)
        service, _ = self._admitted(attempt, ecard, now)
        proven = self._holders.prove(
            ecard,
            proof=proof,
            password=password,
            number=number,
            client_id=attempt.client_id,
            request_id=request_id,
            caller=caller,
            now=now,
        )
        reached = _reached(proven, service, attempt)
        login = LoginRow(
            login_id=self._random(16).hex(),
            holder_ref=ecard.card.holder_ref,
            ecard_id=ecard.ecard_id,
            app_id=caller.name,
            link_id=request.link_id,
            service_id=service.service_id,
            client_id=attempt.client_id,
            redirect_uri=attempt.redirect_uri,
            challenge=attempt.challenge,
            nonce=attempt.nonce,
            scopes=attempt.scopes,
            acr=told(reached, attempt.asked).value,
            amr=proven.amr,
            chip_assurance=(ChipAssurance.DECLARED if proven.device is None else proven.device.assurance).label,
            at=now,
            until=now + LOGIN_KEPT,
        )
        if not self._store.confirm(request, login, now + rules.COLLECT_LIFE):
            raise _ended()
        return AttemptState.CONFIRMED

    def deny(self, caller: Caller, request_id: str, now: datetime) -> AttemptState:
        """The holder did not agree. The same again changes nothing. Raises `NotFound` `login_request_unknown`,
        `Conflict` `login_request_ended` where the desktop has gone on already."""
        _, attempt = self._requested(caller.name, request_id)
        if attempt.state is AttemptState.COLLECTED:
            raise _ended()
        self._store.end(attempt.transaction_id, AttemptState.DENIED)
        return AttemptState.DENIED

    def _own(self, transaction_id: str, browser: str) -> AttemptRow:
        attempt = self._store.attempt(transaction_id)
        if attempt is None or not compare_digest(attempt.browser_hash, rules.hashed(browser)):
            raise NotFound("login_unknown", "no login of this browser has this id")
        return attempt

    def _requested(self, app_id: str, request_id: str) -> tuple[RequestRow, AttemptRow]:
        request = self._store.find_request(request_id)
        attempt = None if request is None else self._store.attempt(request.transaction_id)
        if request is None or attempt is None or request.app_id != app_id or attempt.request_id != request_id:
            raise NotFound("login_request_unknown", "no login request of this app has this id")
        return request, attempt

    def _admitted(self, attempt: AttemptRow, ecard: Ecard, now: datetime) -> tuple[RelyingService, LoginRegistration]:
        """The site, if this e-card may be used there now."""
        service, registration = self._sites.of_client(attempt.client_id, now)
        require_region(service, ecard.card.region)
        require_level(service.level, self._level_of(ecard.ecard_id, now))
        self._acting.require(IN_PERSON, ecard.card.holder_ref, Act.USE_SERVICE, now)
        return service, registration

    def _twice(self, attempt: AttemptRow) -> Conflict:
        self._store.end(attempt.transaction_id, AttemptState.KILLED)
        return Conflict("login_qr_used", "this code was scanned before; the login has ended for both")

    @staticmethod
    def _due(attempt: AttemptRow, now: datetime) -> bool:
        """Whether the page lacks a code that it should show."""
        fresh = attempt.turn > 0 and now < attempt.turned_at + rules.QR_TURN
        return attempt.state is AttemptState.OPEN and now < attempt.until and not fresh

    def _seen(self, attempt: AttemptRow, browser: str, now: datetime) -> Seen:
        service, registration = self._sites.of_client(attempt.client_id, now)
        over = attempt.state not in ENDED and now >= attempt.until
        state = "expired" if over else attempt.state.value
        version = f"{state}-{attempt.turn + self._due(attempt, now)}"
        app = None if attempt.app_id is None else self._app_of(attempt.app_id)
        seen = Seen(state, version, service, registration.host, attempt.language, app)
        if over or attempt.state in ENDED:
            answered = attempt.state is AttemptState.COLLECTED
            return replace(seen, back=None if answered else self._back(attempt, error="access_denied"))
        if attempt.state is AttemptState.OPEN and attempt.turn:
            token = rules.qr_token(browser, attempt.transaction_id, attempt.turn)
            return replace(seen, qr=rules.qr_text(self._issuer, token))
        return replace(seen, number=attempt.number)

    def _back(self, attempt: AttemptRow, *, code: str | None = None, error: str | None = None) -> str:
        """The site's address with the answer; `iss` keeps it from being taken for another provider's (RFC 9207)."""
        said = {"code": code, "error": error, "state": attempt.oauth_state, "iss": self._issuer}
        return answer_to(attempt.redirect_uri, said)


def _reached(proven: Proven, service: RelyingService, attempt: AttemptRow) -> Acr:
    """What was reached, if it is enough. Raises `RuleViolation` `login_proof_too_weak`."""
    reached = proven.acr
    weak = reached is None or reached.rank < Acr(attempt.acr).rank
    if reached is None or weak or (proven.device is not None and proven.device.assurance < service.proof):
        raise RuleViolation("login_proof_too_weak", f"this site wants {attempt.acr}")
    return reached


def _ended() -> Conflict:
    return Conflict("login_request_ended", "denied, ended at the desktop, or scanned by another phone")
