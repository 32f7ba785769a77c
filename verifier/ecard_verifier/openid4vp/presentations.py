"""A presentation from beginning to end: asked for, fetched by a wallet once, answered once, decided, told to who asked.

Two secrets never meet: the wallet's side has the `reference` in the request's address, the service that asked has the
`presentation_id`. Whoever has one cannot find the other. A `return_url` binds the answer to a browser: its wallet is
sent back there with a code, and without that code the verdict is not told (RFC 10027, session fixation).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from ecard_card import jose
from ecard_card.card import ChipAssurance
from ecard_card.errors import CheckFailed, Conflict, EcardError, InvalidInput, NotAllowed, NotFound, Unavailable
from ecard_keys.certified_keys import CertifiedKeys
from ecard_keys.protect import open_, seal
from ecard_keys.response_key import ResponseKey
from ecard_verifier.openid4vp.foreign_check import ForeignCheck
from ecard_verifier.openid4vp.pending import Pending, own_reference
from ecard_verifier.openid4vp.query import ECARD, Wanted, dcql_query, transaction_data
from ecard_verifier.openid4vp.request import (
    WALLET_SCHEME,
    ByBrowser,
    ByPost,
    client_id,
    request_object,
    wallet_link,
)
from ecard_verifier.openid4vp.response import Answer, read_form
from ecard_verifier.openid4vp.store import (
    ANSWERED,
    DECIDED,
    DECLINED,
    FETCHED,
    WAITING,
    PresentationStore,
    Row,
    sealing_key,
)
from ecard_verifier.openid4vp.telling import facts_of, with_claims
from ecard_verifier.openid4vp.wish import Opened, Wish
from ecard_verifier.service import Asked, VerificationService
from ecard_verifier.trust_source import TrustProvider
from ecard_verifier.verdict import Verdict, outcome_of, rfc3339

#: Seconds: until a wallet has to have fetched the request; to have answered it; that a verdict is kept.
FETCH_LIFE: Final = 120
ANSWER_LIFE: Final = 300
VERDICT_LIFE: Final = 900
MOST_CODES: Final = 3
REQUEST_PATH: Final = "/openid4vp/request"
RESPONSE_PATH: Final = "/openid4vp/response"
WALLET_PATH: Final = "/openid4vp/wallet"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_CLIENT: Final = re.compile(r"x509_hash:[A-Za-z0-9_-]{43}")
_ASKED, _VERDICT = b"asked", b"verdict"


class Presentations:
    """Safe from several threads. `base` is the verifier's own https address, as wallets reach it."""

    def __init__(
        self,
        verification: VerificationService,
        trust: TrustProvider,
        keys: CertifiedKeys,
        store: PresentationStore,
        others: Mapping[str, ForeignCheck],
        clock: Callable[[], datetime],
        *,
        base: str,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._verification, self._trust, self._keys, self._store = verification, trust, keys, store
        self._others, self._clock, self._base, self._random = dict(others), clock, base.rstrip("/"), random_bytes

    def open(self, wish: Wish, caller: str) -> Opened:
        """Ask for a presentation in the name of `caller`.

        Raises `InvalidInput` `bad_claims`, `other_issuer_unknown`, `bad_transaction_data`;
        `Unavailable` `no_request_key`, `trust_missing`, and those of the store.
        """
        now = self._clock()
        seconds = int(now.timestamp())
        wanted = self._wanted(wish.claims, wish.others)
        key = self._keys.active(now)
        client = client_id(key)
        presentation_id = f"pre_{self._token()}"
        reference = own_reference(presentation_id) if wish.origins else self._token()
        pending = Pending(
            presentation_key=sealing_key(presentation_id, _VERDICT),
            response_secret=ResponseKey.generate().secret,
            code=None if wish.return_url is None else self._token(),
            nonce=self._token(),
            state=self._token(),
            key_id=key.key_id,
            client=client,
            claims=wish.claims,
            others=wish.others,
            transaction=transaction_data(wish.transaction, wanted),
            facts={name.value: mask.value for name, mask in wish.facts.items()},
            minimum=None if wish.minimum_assurance is None else wish.minimum_assurance.label,
            purpose=wish.purpose,
            return_url=wish.return_url,
            origins=wish.origins,
            made_at=seconds,
        )
        self._issuers()
        sealed = seal(sealing_key(reference, _ASKED), pending.write(), context=_ASKED, random=self._random)
        self._store.add(reference, presentation_id, caller, sealed, pending.code, seconds + ANSWER_LIFE, seconds)
        if wish.origins:
            ends = datetime.fromtimestamp(seconds + ANSWER_LIFE, UTC)
            return Opened(presentation_id, ends, request=self.request(reference))
        request_uri = f"{self._base}{REQUEST_PATH}/{reference}"
        return Opened(
            presentation_id,
            datetime.fromtimestamp(seconds + FETCH_LIFE, UTC),
            request_uri,
            wallet_link(WALLET_SCHEME, client, request_uri),
            wallet_link(f"{self._base}{WALLET_PATH}", client, request_uri),
        )

    def request(self, reference: str, wallet_nonce: str | None = None) -> str:
        """The signed request object, once.

        Raises `NotFound` `presentation_request_unknown`, `Conflict` `presentation_request_used` or
        `presentation_over`, `InvalidInput` `bad_wallet_nonce`.
        """
        row, pending, seconds = self._pending(reference)
        if row.state != WAITING:
            raise _used()
        if seconds > pending.made_at + FETCH_LIFE:
            raise _over()
        try:
            key = self._keys.get(pending.key_id)
        except NotFound:
            raise _over() from None
        unsigned = request_object(
            key,
            ByBrowser(pending.origins)
            if pending.origins
            else ByPost(f"{self._base}{RESPONSE_PATH}/{reference}", pending.state),
            nonce=pending.nonce,
            query=dcql_query(self._wanted(pending.claims, pending.others), self._issuers()),
            transaction_data=pending.transaction,
            response_key=ResponseKey.load(pending.response_secret),
            issued_at=pending.made_at,
            expires_at=row.expires_at,
            wallet_nonce=wallet_nonce,
        )
        if not self._store.move(reference, WAITING, FETCHED):
            raise _used()
        return unsigned.complete(self._keys.sign(pending.key_id, unsigned.signing_input))

    def respond(self, reference: str, form: Mapping[str, str]) -> str | None:
        """Take a wallet's answer; gives where to send its browser, if anywhere.

        Whatever cannot be opened with this request's own key leaves the request as it was: it came from somebody who
        does not know it. What opens is used up, and judged; its verdict is for who asked, and no word of it goes back.
        Raises `NotFound` `presentation_request_unknown`, `Conflict` `response_replayed` or `presentation_over`, and
        what `read_form` raises.
        """
        row, pending, seconds = self._pending(reference)
        if row.state == WAITING:
            raise Conflict("presentation_request_unfetched", "nobody has fetched the request that this answers")
        answer = read_form(form, ResponseKey.load(pending.response_secret), pending.state)
        if not self._store.move(reference, FETCHED, ANSWERED):
            raise _replayed()
        if isinstance(answer, str):
            content: dict[str, Any] = {"wallet_error": answer}
        else:
            name, verdict = self._judge(pending, answer, row.caller)
            facts = facts_of(verdict, pending.facts) if name == ECARD else {}
            if pending.facts and name == ECARD:
                verdict = replace(verdict, claims={})
            content = {"credential": name, "decided_at": rfc3339(self._clock()), **verdict.to_json(), "facts": facts}
        state = DECLINED if isinstance(answer, str) else DECIDED
        text = jose.dump_json({"purpose": pending.purpose, **content})
        sealed = seal(pending.presentation_key, text, context=_VERDICT, random=self._random)
        self._store.decide(reference, state, sealed, seconds + VERDICT_LIFE)
        if pending.return_url is None or pending.code is None:
            return None
        return f"{pending.return_url}{'&' if '?' in pending.return_url else '?'}" + urlencode(
            {"response_code": pending.code}
        )

    def carried(self, presentation_id: str, caller: str, response: str) -> dict[str, Any]:
        """The verdict on an answer that the page of `caller` got from the browser (appendix A.4).

        Raises `NotFound` `presentation_unknown`, also for one that was not asked through a browser; and as `respond`.
        """
        self._row(presentation_id, caller)
        try:
            self.respond(own_reference(presentation_id), {"response": response})
        except NotFound:
            raise NotFound("presentation_unknown", "no such presentation through a browser") from None
        return self.result(presentation_id, caller)

    def result(self, presentation_id: str, caller: str) -> dict[str, Any]:
        """The state and, once it is decided and its browser is back, the verdict.

        Raises `NotFound` `presentation_unknown`: never made, made by another caller, or over.
        """
        row = self._row(presentation_id, caller)
        if row.verdict is None or row.code is not None:
            return {"presentation_id": presentation_id, "state": row.state}
        content = jose.parse_json(
            open_(sealing_key(presentation_id, _VERDICT), row.verdict, context=_VERDICT), limit=1 << 20
        )
        members = content if isinstance(content, dict) else {}
        return {"presentation_id": presentation_id, "state": row.state, **members}

    def complete(self, presentation_id: str, caller: str, response_code: str) -> dict[str, Any]:
        """As `result`, for the browser that came back with `response_code` to the session that this presentation was
        made in. Raises `NotAllowed` `response_code_wrong` for the code of another, a used one, and after three."""
        self._row(presentation_id, caller)
        if not self._store.try_code(presentation_id, response_code, MOST_CODES):
            raise NotAllowed("response_code_wrong", "not the code of this presentation, or no longer")
        return self.result(presentation_id, caller)

    def link_of(self, client: str, request_uri: str) -> str | None:
        """The link for any wallet, of the two members of our https link; None for what is none of ours."""
        ours = request_uri.startswith(f"{self._base}{REQUEST_PATH}/") and _REFERENCE.fullmatch(request_uri[-43:])
        return wallet_link(WALLET_SCHEME, client, request_uri) if ours and _CLIENT.fullmatch(client) else None

    def close(self) -> None:
        """Give the file back."""
        self._store.close()

    def _judge(self, pending: Pending, answer: Answer, caller: str) -> tuple[str | None, Verdict]:
        """Which credential it was, and the verdict; an answer of a bad form has one too."""
        asked = Asked(pending.nonce, pending.transaction)
        try:
            state = None if pending.origins else pending.state
            name, text = answer.presented(state, (ECARD, *pending.others))
            if name != ECARD:
                check = self._others.get(name)
                if check is None:  # the file has changed since
                    raise CheckFailed("other_issuer_unknown", "no longer an issuer that this verifier trusts")
                trust = self._trust.current()
                return name, check(text, trust, self._clock(), audience=pending.client, asked=asked)
        except EcardError as error:
            return None, Verdict(outcome_of(error), error.code, ())
        minimum = None if pending.minimum is None else ChipAssurance.from_label(pending.minimum)
        judged = self._verification.verify(
            text, counter=caller, audience=pending.client, minimum_assurance=minimum, asked=asked
        ).verdict
        return name, with_claims(judged, pending.claims, keep=bool(pending.facts))

    def _pending(self, reference: str) -> tuple[Row, Pending, int]:
        seconds = int(self._clock().timestamp())
        row = self._store.find(reference)
        if row is None:
            raise NotFound("presentation_request_unknown", "there is no such request")
        if row.state not in (WAITING, FETCHED):
            raise _replayed()
        if seconds > row.expires_at:
            raise _over()
        return row, Pending.read(open_(sealing_key(reference, _ASKED), row.asked, context=_ASKED)), seconds

    def _row(self, presentation_id: str, caller: str) -> Row:
        row = self._store.find_presentation(presentation_id)
        seconds = int(self._clock().timestamp())
        if row is None or row.caller != caller or seconds > row.kept_until:
            raise NotFound("presentation_unknown", "no such presentation of this caller")
        return row

    def _wanted(self, claims: tuple[str, ...], others: tuple[str, ...]) -> Wanted:
        unknown = [name for name in others if name not in self._others]
        if unknown or len(set(others)) != len(others):
            raise InvalidInput("other_issuer_unknown", "the operator's file has no such issuer, or it is named twice")
        return Wanted(claims, tuple(self._others[name].issuer for name in others))

    def _issuers(self) -> tuple[str, ...]:
        trust = self._trust.current()
        if trust is None or not trust.issuers:
            raise Unavailable("trust_missing", "without a trust list nobody knows which cards to ask for")
        return tuple(entry.issuer for entry in trust.issuers)

    def _token(self) -> str:
        return jose.b64url_encode(self._random(32))


def _used() -> Conflict:
    return Conflict("presentation_request_used", "the request was fetched before; it is given out once")


def _over() -> Conflict:
    return Conflict("presentation_over", "the request is over")


def _replayed() -> Conflict:
    return Conflict("response_replayed", "the request was answered before; its nonce is good once")
