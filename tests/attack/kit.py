"""What the attacks share: a second issuer on one trust list, tokens signed over any claims, and a measure of cost."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ecard_card import cose, jose, sd_jwt
from ecard_card.algorithm import Algorithm
from ecard_card.errors import EcardError
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.private_key import load_private_key
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList
from ecard_sdk.device import DeviceKey
from ecard_verifier.check import check
from ecard_verifier.verdict import Verdict
from tests.world import NOW, REGION, World, seconds

OTHER_ISSUER = "https://other.example"
OTHER_STATUS = "https://other.example/lists/{list}"


def other_world() -> World:
    """Another issuer with keys of its own."""
    return World(issuer=OTHER_ISSUER, status_uri=OTHER_STATUS)


def entry(world: World) -> IssuerEntry:
    return IssuerEntry(world.issuer, world.status_uri, ("000000",), world.records())


def trust_in(*entries: IssuerEntry) -> Trust:
    """A list that names these issuers in this order."""
    return Trust.of(TrustList(1, seconds(NOW) - 60, seconds(NOW + timedelta(days=7)), None, entries))


def judge(world: World, shown: str, **changes: object) -> Verdict:
    """`check` at `NOW` with current trust and statuses, but for `changes`."""
    arguments: dict[str, object] = {"trust": world.trust(), "statuses": world.statuses(), "now": NOW}
    return check(shown, **(arguments | changes))  # type: ignore[arg-type]


def jws(signer: EphemeralSigner, header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    """A compact JWS with exactly this header and these claims."""
    draft = jose.UnsignedJws(jose.compact_signing_input(header, claims))
    return draft.complete(signer.sign(signer.key_id, [draft.signing_input])[0])


def cose_message(
    signer: EphemeralSigner, headers: Mapping[int, object], payload: bytes, external_aad: bytes = b""
) -> bytes:
    """A COSE_Sign1 with exactly these headers."""
    protected = cose.encode_protected(headers)
    signature = signer.sign(signer.key_id, [cose.signing_input(protected, payload, external_aad)])[0]
    return cose.encode_sign1(protected, payload, signature)


def device_signer(device: DeviceKey) -> EphemeralSigner:
    """The device's key as a signer of anything: a rooted phone."""
    signer = EphemeralSigner("device")
    secret = device._private.private_numbers().private_value.to_bytes(32, "big")
    signer._private = load_private_key(Algorithm.ES256, secret, device.point)
    return signer


def vc_claims(world: World, device: DeviceKey, now: datetime = NOW) -> dict[str, object]:
    """Claims of an SD-JWT VC without anything hidden, as the world's issuer would sign them."""
    return {
        "iss": world.issuer,
        "vct": f"{world.issuer}/vct/social-security-card/1",
        "iat": seconds(now) - 86400,
        "exp": seconds(now) + 86400,
        "cnf": {"jwk": device.public_jwk},
        "status": {"status_list": {"idx": 7, "uri": world.status_uri.replace("{list}", "1")}},
        "chip_assurance": "challenge",
        "card_issuing_region": REGION,
    }


def vc_header(world: World) -> dict[str, object]:
    return {"alg": "ES256", "typ": "dc+sd-jwt", "kid": world.credential_key.key_id}


def shown_vc(device: DeviceKey, token: str, disclosures: tuple[str, ...] = ()) -> str:
    """An issuer-signed JWT of any content with the device's key binding."""
    presentation = "~".join((token, *disclosures, ""))
    draft = sd_jwt.key_binding_input(presentation, audience="a", nonce="n", issued_at=seconds(NOW))
    return draft.complete(device_signer(device).sign("device", [draft.signing_input])[0])


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time in milliseconds and the peak of Python's memory in megabytes."""

    milliseconds: float
    megabytes: float


def cost(action: Callable[[], object]) -> Cost:
    """What `action` costs; the best of three for the time, as the machine is shared. Its `EcardError` is expected.

    Collecting the garbage of all the tests before is none of its cost.
    """
    best = float("inf")
    gc.disable()
    try:
        for _ in range(3):
            start = time.process_time()
            _run(action)
            best = min(best, time.process_time() - start)
            if best < 0.05 or best > 0.3:  # cheap enough, or beyond doubt
                break
    finally:
        gc.enable()
    tracemalloc.start()
    try:
        _run(action)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return Cost(best * 1000, peak / 1e6)


def _run(action: Callable[[], object]) -> None:
    try:
        action()
    except EcardError:
        return
