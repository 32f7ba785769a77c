"""From a code to an ID token and an access token, and from that to what the site may know (OpenID Connect Core 1.0
§3.1.3, §5.3).

Each step looks at the card anew: a lost card's logins end at once, whatever was handed out before.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from hmac import compare_digest
from typing import Final, Protocol

from ecard_card import jose
from ecard_card.china import china_date
from ecard_card.errors import NotAllowed, NotFound, RuleViolation
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.ecards import Ecard
from ecard_issuer.login import rules
from ecard_issuer.login.attempts import LoginRow, LoginStore
from ecard_issuer.login.holder import Holders
from ecard_issuer.login.refusal import OauthRefusal
from ecard_issuer.login.scopes import claims_of
from ecard_issuer.login.signed import LoginSigner
from ecard_issuer.login.sites import Sites
from ecard_issuer.relying.claims import disclosed
from ecard_issuer.relying.records import AccessRow
from ecard_issuer.relying.services import RelyingService

#: The brochure's line that a login stands under on the person's own record.
LOGIN_LINE: Final = 66
_LOGIN_ID: Final = re.compile(r"[0-9a-f]{32}")
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_MAX: Final = 256


class AccessRecord(Protocol):
    """Where it is written that a site was told of a person."""

    def note(self, access: AccessRow) -> None: ...


class LoginTokens:
    """The use case."""

    def __init__(
        self,
        store: LoginStore,
        sites: Sites,
        holders: Holders,
        signer: LoginSigner,
        cards: CardDesk,
        record: AccessRecord,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._sites = sites
        self._holders = holders
        self._signer = signer
        self._cards = cards
        self._record = record
        self._random = random

    def redeem(self, client_id: str, given: Mapping[str, str], now: datetime) -> dict[str, object]:
        """The answer of the token endpoint for an authenticated client. A code is used up by whoever shows it, so that
        a stolen one can be tried once at most.

        Raises `OauthRefusal`; `EcardError` where signing or the register fails."""
        code, verifier = given.get("code", ""), given.get("code_verifier", "")
        login_id = code.partition(".")[0]
        if len(code) > _MAX or not _LOGIN_ID.fullmatch(login_id):
            raise _no_grant()
        login = self._store.redeem(login_id, rules.hashed(code), now)
        if (
            login is None
            or login.client_id != client_id
            or login.redirect_uri != given.get("redirect_uri")
            or not _VERIFIER.fullmatch(verifier)
            or not compare_digest(_challenge(verifier), login.challenge)
            or login.code_until is None
            or login.code_until <= now
        ):
            raise _no_grant()
        try:
            service, ecard = self._standing(login, now)
        except (NotFound, NotAllowed, RuleViolation):
            raise OauthRefusal("invalid_grant", "the card or the site may not be used any more") from None
        subject = self._subject(service, login)
        id_token = self._signer.id_token(login, subject, now)
        token = f"{login_id}.{self._random(32).hex()}"
        self._note(service, login, ecard, now)
        self._store.give_token(login_id, rules.hashed(token), now + rules.TOKEN_LIFE)
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": int(rules.TOKEN_LIFE.total_seconds()),
            "scope": " ".join(login.scopes),
            "id_token": id_token,
        }

    def userinfo(self, token: str, now: datetime) -> dict[str, object]:
        """What the site may know of who logged in. Raises `OauthRefusal` `invalid_token`, also once the card is lost,
        the link released or the site ended."""
        login_id = token.partition(".")[0]
        fits = len(token) <= _MAX and _LOGIN_ID.fullmatch(login_id) is not None
        login = self._store.find_login(login_id) if fits else None
        if (
            login is None
            or login.token_hash is None
            or login.token_until is None
            or not compare_digest(login.token_hash, rules.hashed(token))
            or login.token_until <= now
        ):
            raise _no_token()
        try:
            service, ecard = self._standing(login, now)
            identity = self._cards.identity(ecard.card, self._cards.people.get(login.holder_ref))
        except (NotFound, NotAllowed, RuleViolation):
            raise _no_token() from None
        claims = claims_of(login.scopes, service.claims)
        told = disclosed(claims, identity, ecard.card, china_date(now))
        return {"sub": self._subject(service, login), **told}

    def _standing(self, login: LoginRow, now: datetime) -> tuple[RelyingService, Ecard]:
        """Raises `NotFound`, `RuleViolation`, `NotAllowed` where the login has ended with its card, its link, its site
        or the app that it was confirmed in."""
        service, _ = self._sites.of_client(login.client_id, now)
        ecard = self._holders.behind(login.app_id, login.link_id, now)
        if ecard.ecard_id != login.ecard_id or ecard.card.holder_ref != login.holder_ref:
            raise RuleViolation("ecard_ended", "the link leads to another e-card now")
        return service, ecard

    def _subject(self, service: RelyingService, login: LoginRow) -> str:
        """The same reference as in the service's checks: one service, one name for a person, and no other has it."""
        return self._cards.references.pairwise(service.service_id, login.holder_ref)

    def _note(self, service: RelyingService, login: LoginRow, ecard: Ecard, now: datetime) -> None:
        holder = self._cards.people.get(login.holder_ref)
        said = {
            "service": service.service_id,
            "names": {"zh": service.name_zh, "en": service.name_en},
            "line": LOGIN_LINE,
            "business_type": "03",
            "claims": [claim.value for claim in claims_of(login.scopes, service.claims)],
            "way": "login",
            "ground": "own",
            "outcome": "permitted",
            "reason": "ok",
        }
        context = f"access/{holder.holder_ref}/{login.login_id}"
        sealed = self._cards.people.seal_of(holder).seal(json.dumps(said, ensure_ascii=False).encode(), context)
        self._record.note(AccessRow(holder.holder_ref, login.login_id, login.login_id, sealed, now))


def _challenge(verifier: str) -> str:
    """RFC 7636 §4.6."""
    return jose.b64url_encode(hashlib.sha256(verifier.encode()).digest())


def _no_grant() -> OauthRefusal:
    return OauthRefusal("invalid_grant", "no such code for this client, address and verifier, or used or over")


def _no_token() -> OauthRefusal:
    return OauthRefusal("invalid_token", "no such token, or its time is over, or its card may not be used", 401)
