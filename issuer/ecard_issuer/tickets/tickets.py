"""The use case: a channel's back end asks for a ticket, its page opens a session with it, and shows codes meanwhile.

The page can make nothing out of nothing: every verb here begins with a ticket that a channel asked for, and what a
session may do is bounded by the link behind it, each time anew.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final

from ecard_card import device_proof
from ecard_card.errors import InvalidInput, NotAllowed, NotAuthenticated, RuleViolation
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.links.links import Code
from ecard_issuer.rows import CredentialRow
from ecard_issuer.tickets.numbers import NumberBook
from ecard_issuer.tickets.shown import ShownLinks, Standing, standing_of
from ecard_issuer.tickets.store import SessionStore
from ecard_issuer.tickets.values import (
    MOST_AHEAD,
    SESSION_LIFE,
    TICKET_LIFE,
    Ending,
    OpenedSession,
    ShowSession,
    Ticket,
    hash_of,
    session_of,
)
from ecard_keys.verify import load_public_key, verify_jws
from ecard_qr import payload
from ecard_qr.frame import OnlineFrame

_CODE_LIFE: Final = 60  # seconds
_KEPT: Final = timedelta(days=1)  # rows of tickets and sessions, for whoever asks what happened
_FORGOTTEN_AT_ONCE: Final = 500


class Tickets:
    """Every verb may raise `Unavailable`. `issuer` is the address that device proofs name; `origins_of` gives the
    origins that a channel registered for its pages; `admitted` raises for a channel that is not, or not now; `told`
    hears of a session that ended before its time."""

    def __init__(
        self,
        store: SessionStore,
        links: ShownLinks,
        origins_of: Callable[[str], Collection[str]],
        issuer: str,
        numbers: NumberBook,
        credential_of: Callable[[bytes], CredentialRow | None],
        admitted: Callable[[str], object],
        random: Callable[[int], str] = secrets.token_urlsafe,
        told: Callable[[str], None] = lambda session_id: None,
    ) -> None:
        self.store = store
        self._links = links
        self._origins_of = origins_of
        self.issuer = issuer
        self._numbers, self._credential_of = numbers, credential_of
        self._admitted = admitted
        self._random, self._told = random, told
        self._forget_at: datetime | None = None

    def issue(self, app_id: str, link_id: str, origin: str | None, now: datetime) -> Ticket:
        """A ticket for one page of `origin` (our own: `/h5/card`), or for a mini-program (None), to show this link;
        good once, for 30 s.

        Raises `NotFound` `link_unknown`; `RuleViolation` `link_released`, `page_not_registered`.
        """
        link = self._links.get(app_id, link_id)
        if link.ended_at is not None:
            raise RuleViolation("link_released", "this link was released")
        if origin not in (None, self.issuer) and origin not in self._origins_of(app_id):
            raise RuleViolation("page_not_registered", "the channel registered no such browser origin")
        secret = "et_" + self._random(32)
        session_id = session_of(secret)
        assert session_id is not None  # noqa: S101 - a ticket of our own making
        ends = now + TICKET_LIFE
        self.store.add(ShowSession(session_id, app_id, link_id, origin, now, ends))
        return Ticket(secret, ends)

    def redeem(self, secret: str, origin: str | None, now: datetime) -> OpenedSession:
        """Open the session that a ticket is good for. `origin` is what the browser said, None where nothing did.

        A ticket that comes a second time ends its session, and one from another page opens none: somebody else has
        it. Raises `NotAuthenticated` `ticket_unknown`, `ticket_expired`, `ticket_used`; `NotAllowed`
        `ticket_wrong_page`, `app_suspended`; `RuleViolation` `link_released`.
        """
        session_id = session_of(secret)
        session = self.store.find(session_id) if session_id is not None else None
        if session is None:
            raise NotAuthenticated("ticket_unknown", "no ticket of ours")
        if session.opened_at is not None:
            raise self._reused(session, now)
        if session.origin != origin:
            self.store.end(session.session_id, Ending.STRAY, now)
            raise NotAllowed("ticket_wrong_page", "made for another page; it is void now")
        if session.ended_at is not None:
            raise _used()
        if now >= session.redeem_by:
            raise NotAuthenticated("ticket_expired", "a ticket is good for 30 seconds")
        self._admitted(session.app_id)
        if self._links.get(session.app_id, session.link_id).ended_at is not None:
            raise RuleViolation("link_released", "this link was released")
        token, until = "es_" + self._random(32), now + SESSION_LIFE
        if not self.store.open(session.session_id, hash_of(token), now, until):
            raise self._reused(session, now)  # a rival was quicker: one of us is not the page
        return OpenedSession(replace(session, opened_at=now, expires_at=until, token_hash=hash_of(token)), token)

    def _reused(self, session: ShowSession, now: datetime) -> NotAuthenticated:
        self.store.end(session.session_id, Ending.REUSED, now)
        self._told(session.session_id)
        return _used()

    def session(self, session_id: str, token: str, origin: str | None, now: datetime) -> ShowSession:
        """The session that `token` speaks for. Raises `NotAuthenticated` `session_unknown`, `session_over`;
        `NotAllowed` `session_wrong_page`, `app_suspended` (its channel was suspended meanwhile)."""
        session = self.store.find(session_id)
        if session is None or session.token_hash is None or not compare_digest(session.token_hash, hash_of(token)):
            raise NotAuthenticated("session_unknown", "no session of this id and token")
        if not session.open(now):
            raise NotAuthenticated("session_over", "it ended, or ten minutes are over: open one with a new ticket")
        # A browser names the origin of a page to itself only where something is sent.
        if session.origin != (self.issuer if origin is None and session.origin == self.issuer else origin):
            raise NotAllowed("session_wrong_page", "opened by another page")
        self._admitted(session.app_id)
        if session.origin not in (None, self.issuer) and session.origin not in self._origins_of(session.app_id):
            raise NotAllowed("session_wrong_page", "its channel registers this page no more")
        return session

    def device(self, session: ShowSession, point: bytes, proof: str, now: datetime) -> IssuedCredential:
        """The credential of the link for a browser's own key (65 bytes), whose possession `proof` shows for this
        session; the same key again gets the same one. Raises `InvalidInput` `bad_device_proof` and as `parse` of it,
        and what `ShownLinks.issue_to` raises."""
        jws = device_proof.parse(proof, issuer=self.issuer, enrolment_id=session.session_id, now=int(now.timestamp()))
        if not verify_jws(jws, load_public_key(point)):
            raise InvalidInput("bad_device_proof", "not signed by the device key")
        issued = self._links.issue_to(self._links.get(session.app_id, session.link_id), point, now)
        self.store.shows(session.session_id, issued.status.uri, issued.status.index)
        return issued

    def codes(self, session: ShowSession, count: int, now: datetime) -> Sequence[Code]:
        """Codes made here, for a page without a key of its own: at most as many as the region lets a page hold ahead.
        Raises what `ShownLinks.codes` raises."""
        link = self._links.get(session.app_id, session.link_id)
        ahead = min(standing_of(self._links, link, now).ahead, MOST_AHEAD)
        return self._links.codes(link, min(count, ahead), now)

    def number(self, session: ShowSession, code: str, now: datetime) -> str:
        """Ten digits that stand for a short code of this e-card, which the page shows now, for as long as it is good.

        Raises `InvalidInput` `code_not_of_this_card`, what `payload.parse` raises; `Unavailable` `numbers_unavailable`
        where too many are out.
        """
        frame = payload.parse(code)
        link = self._links.get(session.app_id, session.link_id)
        row = self._credential_of(frame.credential_id) if isinstance(frame, OnlineFrame) else None
        age = now.timestamp() - frame.issued_at
        if row is None or row.ecard_id != link.ecard_id or not -_CODE_LIFE <= age < _CODE_LIFE:
            raise InvalidInput("code_not_of_this_card", "not a short code of this e-card, of now")
        until = now + timedelta(seconds=_CODE_LIFE - age)
        return self._numbers.give(session.session_id, code, min(until, now + TICKET_LIFE * 2), now)

    def standing(self, session: ShowSession, now: datetime) -> Standing:
        """Whether the e-card may be shown now, and why not."""
        return standing_of(self._links, self._links.get(session.app_id, session.link_id), now)

    def upkeep(self, now: datetime) -> None:
        """Forget what is a day old; looks once a minute."""
        if self._forget_at is None or now >= self._forget_at:
            gone = self.store.forget(now - _KEPT, _FORGOTTEN_AT_ONCE)
            self._forget_at = now if gone == _FORGOTTEN_AT_ONCE else now + timedelta(minutes=1)


def _used() -> NotAuthenticated:
    return NotAuthenticated("ticket_used", "a ticket is good once; its session has ended")
