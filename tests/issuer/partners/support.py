"""An issuer with partners: a clock that is moved by hand, and receivers that do as they are told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecard_card import jose
from ecard_card.status import CardChange, CardStatus
from ecard_issuer.dispatch import dispatch_once
from ecard_issuer.event_desk import EventDesk
from ecard_issuer.partners.office import Wanted
from ecard_issuer.partners.opening import Partners, open_partners
from ecard_issuer.partners.schedule import Answer
from ecard_issuer.partners.streams import Method, Stream
from ecard_issuer.web.models import NewCard
from tests.issuer.service import Service, open_service

TAKEN = Answer(taken=True, result="http_202")
DOWN = Answer(taken=False, result="no_answer")
BROKEN = Answer(taken=False, result="http_500")
UNWANTED = Answer(taken=False, result="http_400", blames_event=True)
HOOK = "https://partner.example/hook"


@dataclass
class Receiver:
    """Keeps what it was sent. `answer` says what becomes of a message; by default it is taken."""

    answer: Callable[[Mapping[str, Any]], Answer] = lambda message: TAKEN
    heard: list[dict[str, Any]] = field(default_factory=list)  # what was taken
    tries: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def send(self, endpoint: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        message = claims(body.decode()) if b"." in body[:2000] and not body.startswith(b"{") else json.loads(body)
        self.tries.append(message)
        answer = self.answer(message)
        if answer.taken:
            self.heard.append(message)
            self.headers.append(headers)
        return answer

    def numbers(self) -> list[int]:
        return [number_of(message) for message in self.heard]


@dataclass
class Bureau:
    """One issuer whose worker is turned by hand."""

    service: Service
    partners: Partners
    receiver: Receiver
    serials: Iterable[int] = field(default_factory=lambda: iter(range(1, 10_000)))

    def forget(self) -> None:
        """No streams, and a receiver that has heard nothing and takes all."""
        for stream in self.partners.office.everyone():
            self.partners.office.delete(stream)
        self.receiver.answer = lambda message: TAKEN
        for kept in (self.receiver.heard, self.receiver.tries, self.receiver.headers):
            kept.clear()

    def serial(self) -> int:
        """Of a chip that was not used before."""
        return next(iter(self.serials))

    def card(self) -> str:
        """A registered card."""
        card = NewCard.model_validate(self.service.card_body(self.serial())).to_card()
        return self.service.issuer.cards.register(card, CardStatus.NORMAL, self.service.clock())

    def change(self, card_ref: str, *changes: CardChange) -> None:
        for change in changes:
            self.service.issuer.lifecycle.change(card_ref, change, self.service.clock())

    def flip(self, card_ref: str, times: int = 1) -> None:
        """Lost and found, alternately."""
        for _ in range(times):
            status = self.service.issuer.register.get_card(card_ref).status
            normal = status is CardStatus.NORMAL
            self.change(card_ref, CardChange.REPORT_LOSS if normal else CardChange.RELEASE)

    def dispatch(self) -> None:
        issuer = self.service.issuer
        desk = EventDesk(issuer.signing, issuer.keys, issuer.identity)
        while dispatch_once(issuer.register, desk, self.service.clock()):
            pass

    def turn(self) -> None:
        """Dispatch, file and send until nothing is due."""
        self.dispatch()
        for _ in range(1000):
            if not self.partners.worker.turn():
                return
        raise AssertionError("the worker finds no end")

    def stream(self, method: Method = Method.PUSH, partner: str = "bank", **wanted: Any) -> Stream:
        endpoint = None if method is Method.POLL else HOOK
        return self.partners.office.create(partner, Wanted(method, endpoint, **wanted), self.service.clock())

    def now(self, stream: Stream) -> Stream:
        """The stream as it stands."""
        return self.partners.office.any(stream.stream_id)


def open_bureau(folder: Path, database_url: str | None = None) -> Bureau:
    service = open_service(folder, database_url=database_url)
    receiver = Receiver()
    return Bureau(service, partners_of(service, receiver), receiver)


def partners_of(service: Service, receiver: Receiver) -> Partners:
    """As another process on the same register would have them, but for the way out."""
    issuer = service.issuer
    protector = issuer.people._protector
    opened = open_partners(issuer.engine, protector, issuer.signing, issuer.keys, (), service.clock, sender=receiver)
    opened.worker._jitter = lambda: 0.5
    return opened


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    found = jose.parse_json(jose.b64url_decode(token.split(".")[1]))
    assert isinstance(found, dict)
    return found


def number_of(message: Mapping[str, Any]) -> int:
    found: int = message["stream"]["seq"] if "stream" in message else message["data"]["number"]
    return found


def sequence_of(message: Mapping[str, Any]) -> int | None:
    """The card's sequence in a message of ours; None in any other."""
    members = message["data"] if "data" in message else next(iter(message["events"].values()))
    found: int | None = members.get("sequence")
    return found


def card_of(message: Mapping[str, Any]) -> str:
    return str(message["data"].get("card") if "data" in message else message["sub_id"]["id"])
