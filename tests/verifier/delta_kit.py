"""Deltas that a `World`'s issuer would sign, and an offline verifier that takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ecard_card import jose, status_delta
from ecard_card.status import EcardStatus
from ecard_card.status_delta import FIRST, Change, StatusDelta, digest_of
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import Bundle, make_bundle, open_bundle
from ecard_verifier.check import check
from ecard_verifier.policy import Policy
from ecard_verifier.statuses import StatusReading
from ecard_verifier.verdict import Verdict
from tests.world import ISSUER, NOW, World, seconds

#: The events that the lists of a fresh bundle know of.
POSITION = 100
LIST = 1


@dataclass
class Chain:
    """An issuer's deltas, one after the other."""

    world: World
    number: int = 0
    upto: int = POSITION
    previous: str = FIRST
    at: datetime = NOW

    def next(
        self, *changes: tuple[int, EcardStatus], events: int | None = None, after_seconds: float = 30, **about: object
    ) -> str:
        """The next delta, which becomes the chain's last."""
        token, delta = self.made(*changes, events=events, after_seconds=after_seconds, **about)  # type: ignore[arg-type]
        self.number, self.upto = delta.number, delta.upto
        self.previous = digest_of(token.rpartition(".")[0].encode())
        self.at += timedelta(seconds=after_seconds)
        return token

    def made(
        self,
        *changes: tuple[int, EcardStatus],
        events: int | None = None,
        after_seconds: float = 30,
        signer: EphemeralSigner | None = None,
        **about: object,
    ) -> tuple[str, StatusDelta]:
        """A delta that could be the next; the chain stays as it is."""
        at = seconds(self.at + timedelta(seconds=after_seconds))
        entries: tuple[Change, ...] = tuple(sorted((LIST, index, int(value)) for index, value in changes))
        delta = StatusDelta(
            issuer=ISSUER,
            issued_at=at,
            expires_at=at + 86_400,
            number=self.number + 1,
            after=self.upto,
            upto=self.upto + (len(entries) if events is None else events),
            previous=self.previous,
            as_of=at,
            trust_list=1,
            changes=entries,
        )
        delta = replace(delta, **about)  # type: ignore[arg-type]
        return signed(delta, signer or self.world.status_key), delta


def signed(delta: StatusDelta, signer: EphemeralSigner) -> str:
    """Signed whatever it says, so that a verifier has something to refuse."""
    header = {"alg": signer.algorithm.value, "kid": signer.key_id, "typ": status_delta.TYP}
    draft = jose.UnsignedJws(jose.compact_signing_input(header, delta.claims()))
    return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])


def bundle_of(
    world: World,
    values: dict[int, EcardStatus] | None = None,
    *,
    position: int | None = POSITION,
    issued_at: datetime = NOW,
) -> bytes:
    token = world.status_token(values, position=position, issued_at=issued_at)
    return make_bundle(world.root, world.trust_document(), [token], made_at=issued_at)


def opened(world: World, values: dict[int, EcardStatus] | None = None, now: datetime = NOW) -> Bundle:
    return open_bundle(bundle_of(world, values), now, world.root)


def reading(world: World, bundle: Bundle, index: int) -> StatusReading:
    return bundle.statuses.read(world.status_uri.replace("{list}", str(LIST)), index)


def judged(world: World, bundle: Bundle, now: datetime, index: int = 7, policy: Policy | None = None) -> Verdict:
    """An honest code of the card at `index`, judged at `now`."""
    device = DeviceKey.generate()
    credential = world.credential(device)
    credential = replace(credential, status=replace(credential.status, index=index))
    code = device.offline_code(world.compact(credential), now)
    return check(code, bundle.trust, bundle.statuses, now, policy or Policy())
