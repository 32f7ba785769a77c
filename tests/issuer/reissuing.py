"""Cards issued under a key that is then left behind, and jobs that make them anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from ecard_card import cwt
from ecard_card.credential import card_type
from ecard_issuer.draft import Drafter, Profile
from ecard_issuer.reissue import Reissue
from ecard_issuer.rows import CredentialRow
from ecard_issuer.states import CredentialState
from ecard_keys.desk.desk import SigningDesk, SigningProfile
from ecard_keys.key import KeyPurpose
from tests import provinces
from tests.issuer.service import Service
from tests.provinces import Holding

REGION = "330100"
ACTOR = "first admin"


def issue(service: Service, count: int, first: int = 1) -> list[Holding]:
    return [
        provinces.issue(service.issuer, REGION, serial, service.authority, service.clock())
        for serial in range(first, first + count)
    ]


def active(service: Service) -> str:
    return service.issuer.keys.active(KeyPurpose.CREDENTIAL).kid


def promote(service: Service) -> str:
    """Another key signs from now on; returns the one that did."""
    old, issuer = active(service), service.issuer
    kid = issuer.key_office.create(KeyPurpose.CREDENTIAL, service.clock()).kid
    issuer.key_office.promote(kid, ACTOR, service.clock(), despite_lead=True)
    return old


def compromise(service: Service, cut_off: datetime | None = None) -> str:
    """The active key is declared stolen; returns it."""
    old = active(service)
    service.issuer.key_office.compromise(old, cut_off, ACTOR, service.clock())
    return old


def id_of(holding: Holding) -> bytes:
    return cwt.parse(holding.compact).credential_id


def credentials(service: Service, holding: Holding) -> tuple[CredentialRow, CredentialRow | None]:
    """What the holder has, and its successor."""
    register = service.issuer.register
    old = register.find_credential(id_of(holding))
    assert old is not None
    return old, None if old.replaced_by is None else register.find_credential(old.replaced_by)


def replaced_once(service: Service, holdings: Sequence[Holding]) -> bool:
    """Every holder's credential has one live successor under the active key, and there is nothing else."""
    kid = active(service)
    for holding in holdings:
        _, new = credentials(service, holding)
        rows = service.issuer.register.credentials_of(holding.card_ref)
        if new is None or len(rows) != 2 or (new.key_id, new.state) != (kid, CredentialState.LIVE):
            return False
    return True


class Breaking:
    """A signing desk that fails, or does something else first, at a request of one's choice (counted from 0)."""

    def __init__(self, inner: SigningDesk, at: int, act: Callable[[], object]) -> None:
        self._inner, self._at, self._act = inner, at, act
        self.requests = 0

    def sign(self, profile: SigningProfile, key_id: str, drafts: Sequence[bytes], now: datetime) -> list[bytes]:
        self.requests += 1
        if self.requests - 1 == self._at:
            self._act()
        return self._inner.sign(profile, key_id, drafts, now)


def job(
    service: Service, *, signing: SigningDesk | None = None, reached: Callable[[str], None] = lambda step: None
) -> Reissue:
    """As the service's own, with a hand in its steps."""
    issuer = service.issuer
    name, template = issuer.identity.issuer, issuer.identity.status_uri
    profile = Profile(name, card_type(name), template, timedelta(days=365))
    return Reissue(
        issuer.register,
        issuer.keys,
        signing or issuer.signing,
        Drafter(profile, issuer.cards),
        owner="job",
        settle=lambda at: issuer.issuing.settle(at, everything=False),
        reached=reached,
    )
