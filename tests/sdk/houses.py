"""Where the contract is tried: the fake, and the real application in test mode, each under a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from unittest.mock import patch

import httpx2
from fastapi import FastAPI
from starlette.testclient import TestClient

from ecard_issuer.assembly import Issuer
from ecard_issuer.testmode.mock import Mock, open_mock
from ecard_issuer.testmode.people import MAGIC_PEOPLE
from ecard_issuer.web.embedded import embed
from ecard_keys.client_signer import ClientSigner
from ecard_sdk import AsyncECardClient, ECardClient
from ecard_sdk.testing import FakeECard
from tests.issuer.channel_kit import admitted, registration
from tests.issuer.reissuing import promote
from tests.issuer.service import Clock, Service
from tests.issuer.template import place_register

PORT = 8423
#: The first of the magic people of test mode, who is the fake's first person too.
ID_NUMBER, NAME, PIN = "00009919900101001X", "测试一", "158369"


class House(Protocol):
    """An authority with the people of test mode."""

    clock: Clock
    origin: str

    def client(self) -> ECardClient:
        """A client of a newly admitted app."""
        ...

    def async_client(self) -> AsyncECardClient:
        """The same, asynchronous."""
        ...

    def settle(self) -> None:
        """What happened is told by now."""
        ...

    def replace_key(self) -> None:
        """The authority's key is another one, and every credential is made anew."""
        ...


@dataclass
class FakeHouse:
    """`FakeECard`."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.fake = FakeECard(clock=self.clock)
        self.origin = self.fake.origin

    def client(self) -> ECardClient:
        return self.fake.client()

    def async_client(self) -> AsyncECardClient:
        return self.fake.async_client()

    def settle(self) -> None:
        pass

    def replace_key(self) -> None:
        for person in self.fake.authority.people.values():
            self.fake.authority.replace_credentials(person)


class RealHouse:
    """What `ecard mock` serves, asked in-process."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        place_register(folder)
        self.mock: Mock = open_mock(folder, PORT, clock=self.clock)
        self.issuer: Issuer = self.mock.issuer
        with patch("ecard_issuer.testmode.cards.MAGIC_PEOPLE", {1: MAGIC_PEOPLE[1]}):  # nobody else is asked for
            self.issuer.test_mode.seed(self.clock())
        self.origin = self.issuer.identity.issuer
        self.app: FastAPI = embed(self.issuer).app

    def client(self) -> ECardClient:
        http = TestClient(self.app, raise_server_exceptions=False)
        return ECardClient(**self._admitted(), http_client=http)

    def async_client(self) -> AsyncECardClient:
        http = httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app))
        return AsyncECardClient(**self._admitted(), http_client=http)

    def settle(self) -> None:
        self.issuer.dispatcher.turn()
        self.issuer.channel_events.worker.turn()

    def replace_key(self) -> None:
        old = promote(Service(self.issuer, self.clock, None))  # type: ignore[arg-type]  # as below
        self.issuer.reissue.run(old, self.clock, pause=self.clock.advance)

    def _admitted(self) -> dict[str, Any]:
        signer = ClientSigner.generate()
        service = Service(self.issuer, self.clock, None)  # type: ignore[arg-type]  # its chips are not asked
        channel = admitted(service, registration(signer))
        own = {"private_key": signer.private, "base_url": self.origin, "clock": self.clock}
        return {"app_id": channel.app_id, **own}
