"""Links of channels, made the way they are made: a person with a card, identified and claimed by its chip."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ecard_card import jose
from ecard_card.acting import Act, Acting, Ground
from ecard_card.card import Holder, HolderProof, IdNumber
from ecard_card.errors import Conflict
from ecard_card.status import CardStatus
from ecard_issuer.chip.evidence import Evidence
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.links.claiming import Claimed, DeviceAsked, OpenClaim
from ecard_issuer.links.identity_statement import subject_hash
from ecard_issuer.links.providers import IdentityProvider
from ecard_issuer.links.values import ClaimRow
from ecard_issuer.mandates.values import AgentRelation, Form, MandateCause, NewMandate, Proof
from ecard_issuer.pins.secret import Secret
from ecard_issuer.web.models import NewCard
from ecard_sdk.device import DeviceKey
from ecard_verifier.callers import Caller, Role
from ecard_verifier.check import check
from ecard_verifier.policy import ONLINE_POLICY, Policy
from ecard_verifier.statuses import StatusReading
from ecard_verifier.verdict import Verdict
from tests.issuer.service import ORIGIN, Service

CONSENT = "ecard-claim-2026-1"


@dataclass(frozen=True)
class Person:
    """Somebody with synthetic card `serial`."""

    serial: int
    card_ref: str
    id_number: IdNumber
    name: str


def app_of(channel: Any) -> Caller:
    """The caller of a channel: an `AdmittedChannel`, or simply an app id."""
    return Caller(getattr(channel, "app_id", channel), Role.CHANNEL)


def person(service: Service, serial: int = 1) -> Person:
    """Registers synthetic card `serial`, unless it is."""
    data, body = synthetic(serial), NewCard.model_validate(service.card_body(serial))
    card = body.to_card()
    try:
        service.issuer.cards.register(card, CardStatus.NORMAL, service.clock())
    except Conflict as conflict:
        if conflict.code != "card_exists":
            raise
    ref = service.issuer.people.references.card(card.chip.identification_code)
    return Person(serial, ref, IdNumber(data.id_number), data.name)


def identified(service: Service, channel: Any, serial: int = 1) -> str:
    """The id of an identification of that person in that channel."""
    who = person(service, serial)
    found = service.issuer.linking.identifying.identify(who.id_number, who.name, app_of(channel), service.clock())
    return found.row.identification_id


def opened(
    service: Service,
    channel: Any,
    serial: int = 1,
    proof: HolderProof = HolderProof.CHIP,
    *,
    device: DeviceKey | None = None,
    **more: Any,
) -> OpenClaim:
    """A claim of the e-card of card `serial` that waits for its evidence."""
    issuer, now = service.issuer, service.clock()
    nonce = identified(service, channel, serial)
    asked = None
    if device is not None:
        asked = DeviceAsked(device.point, device.proof(issuer.identity.issuer, nonce, now))
    handle = issuer.linking.identifying.handle(nonce, person(service, serial).card_ref)
    return issuer.linking.claiming.open(nonce, handle, proof, CONSENT, app_of(channel), now, device=asked, **more)


def claim(service: Service, channel: Any, serial: int = 1, *, device: DeviceKey | None = None) -> Claimed:
    """Identify the person of card `serial` and claim their e-card by its chip."""
    waiting = opened(service, channel, serial, device=device)
    return prove(service, channel, waiting, evidence(service, serial, waiting.challenge or b""))


def mandated(service: Service, serial: int = 1) -> Acting:
    """An agent's mandate for a day to claim the e-card of the person of card `serial`."""
    now, who, agent = service.clock(), person(service, serial), synthetic(serial + 500)
    wish = NewMandate(
        holder=Holder(who.id_number, who.name),
        agent=Holder(IdNumber(agent.id_number), agent.name),
        ground=Ground.MANDATE,
        cause=MandateCause.ELDERLY,
        relation=AgentRelation.AGENT,
        acts=frozenset({Act.CLAIM_ECARD}),
        starts_at=now,
        ends_at=now + timedelta(days=1),
        proof=Proof(Form.WRITTEN, "letter 7", now),
        region="000000",
    )
    return Acting(Ground.MANDATE, service.issuer.acting.grant(secrets.token_hex(8), wish, "desk", now).mandate_id)


def prove(service: Service, channel: Any, waiting: OpenClaim, brought: Evidence | Secret | str) -> Claimed:
    """Brings a claim's evidence."""
    return service.issuer.linking.claiming.prove(waiting.row.claim_id, brought, app_of(channel), service.clock())


def claimed(service: Service, channel: Any, serial: int = 1, *, device: DeviceKey | None = None) -> str:
    """The `link_id` of `channel` (an `AdmittedChannel` or an app id) with the e-card of synthetic card `serial`."""
    return claim(service, channel, serial, device=device).link.link_id


def evidence(service: Service, serial: int, challenge: bytes) -> Evidence:
    """What the chip of that card answers."""
    return Evidence.from_json(jose.dump_json(service.evidence(serial, challenge)))


@dataclass(frozen=True)
class _Counter:
    """What a counter looks up, straight from the register."""

    service: Service

    def read(self, uri: str, index: int) -> StatusReading:
        value = self.service.issuer.register.status_value(int(uri.rpartition("/")[2]), index)
        return StatusReading(int(value or 0), int(self.service.clock().timestamp()), None)

    def get(self, credential_id: bytes, /) -> bytes | None:
        row = self.service.issuer.register.find_credential(credential_id)
        return None if row is None else row.cwt


def judged(service: Service, code: str, policy: Policy = ONLINE_POLICY) -> Verdict:
    """What a counter that is online would be told of a code now."""
    now, counter = service.clock(), _Counter(service)
    trust = service.issuer.keys.trust(now)
    return check(code, trust, counter, now, policy, credentials=counter)


@dataclass(frozen=True)
class IdentityService:
    """A service that looks at faces, with its own key."""

    provider_id: str = "https://face.example"
    key: DeviceKey = field(default_factory=DeviceKey.generate)

    @property
    def provider(self) -> IdentityProvider:
        """What operators register."""
        return IdentityProvider(self.provider_id, "Face Example", ("face",), ({**self.key.public_jwk, "kid": "k1"},))

    def statement(self, claim: ClaimRow, number: IdNumber, now: datetime, **changed: Any) -> str:
        """About a person, for a claim; `changed` replaces members, None leaves them out."""
        seconds = int(now.timestamp())
        claims = {
            "iss": self.provider_id,
            "aud": ORIGIN,
            "nonce": claim.nonce,
            "jti": secrets.token_hex(8),
            "iat": seconds,
            "exp": seconds + 300,
            "method": "face",
            "sub_hash": subject_hash(claim.nonce, number),
        } | changed
        head = {"alg": "ES256", "typ": "ecard-identity-proof+jwt", "kid": "k1"}
        said = {name: value for name, value in claims.items() if value is not None}
        return str(self.key._complete(jose.UnsignedJws(jose.compact_signing_input(head, said))))
