"""The fake's routes: what each wants, and what it answers. Bodies are as strict as the real ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import httpx2

from ecard_card import device_proof, jose
from ecard_card.credential import Credential
from ecard_card.errors import EcardError
from ecard_keys.verify import load_public_key, verify_jws
from ecard_sdk.channel_models import CardWord, EventType, Proof
from ecard_sdk.testing.authority import PIN, FakeEvent, FakeLink, Pending
from ecard_sdk.testing.gate import Fault

if TYPE_CHECKING:
    from ecard_sdk.testing.fake import FakeECard

SCOPES: Final = ("ecard:claim", "ecard:show", "ecard:read", "ecard:loss", "ecard:family", "ecard:login")

Body = Mapping[str, Any]
Answer = tuple[int, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `work` gets the fake, the app's id, the body, the query and the parts of the path."""

    method: str
    path: re.Pattern[str]
    scope: str
    signed: bool
    work: Callable[..., Answer]


def route(request: httpx2.Request) -> tuple[Route, tuple[str, ...]]:
    """The route of a request and the parts of its path. Raises `Fault` 404."""
    for found in ROUTES:
        match = found.path.fullmatch(request.url.path)
        if found.method == request.method and match:
            return found, match.groups()
    raise Fault(404, "not_found")


def _identify(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str]) -> Answer:
    said = fake.encryption.opened(body["sealed"]) if "sealed" in body else body
    _members(body, *(["sealed"] if "sealed" in body else ["id_number", "name"]))
    _members(said, "id_number", "name")
    person = fake.authority.people.get(said["id_number"])
    if person is None or person.name != said["name"]:
        raise Fault(422, "holder_not_identified", "nobody of this number and name has a card here")
    pending = Pending(app_id, person, fake.authority.until())
    identification_id = fake.new_id()
    fake.authority.identifications[identification_id] = pending
    own = [link for link in fake.authority.links.values() if link.person is person]
    proofs = [str(proof) for proof in person.proofs] if person.status is CardWord.VALID else []
    card = {
        "card": identification_id[::-1],
        "region": person.region,
        "card_number": "*****001X",
        "claimable": bool(proofs),
        "proofs": proofs,
        "has_ecard": bool(own),
        "linked": any(link.app_id == app_id and link.ended_at is None for link in own),
    }
    return 201, {"identification_id": identification_id, "expires_at": _when(pending.expires_at), "cards": [card]}


def _begin(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str]) -> Answer:
    _members(body, "identification_id", "card", "proof", "consent", optional=("device", "acting"))
    known = fake.authority.identifications.get(str(body["identification_id"]))
    if known is None or known.app_id != app_id:
        raise Fault(404, "identification_unknown", "this channel has no such identification")
    if known.expires_at <= fake.clock():
        raise Fault(422, "identification_expired", "identify the holder again")
    if body["card"] != str(body["identification_id"])[::-1]:
        raise Fault(404, "card_handle_unknown", "this identification offered no such card")
    if known.person.status is not CardWord.VALID:
        raise Fault(422, "card_not_issuable", "the card's status forbids it")
    if body["proof"] not in known.person.proofs:
        raise Fault(422, "holder_proof_not_permitted", "this region permits no claim by that")
    point = _device(fake, body)
    pending = Pending(app_id, known.person, fake.authority.until(), Proof(body["proof"]), point)
    claim_id = fake.new_id()
    fake.authority.claims[claim_id] = pending
    return 201, {
        "claim_id": claim_id,
        "proof": str(pending.proof),
        "challenge": fake.new_id() + fake.new_id() if pending.proof is Proof.CHIP else None,
        "nonce": fake.new_id() if pending.proof is Proof.IDENTITY else None,
        "expires_at": _when(pending.expires_at),
    }


def _device(fake: FakeECard, body: Body) -> bytes | None:
    device = body.get("device")
    if device is None:
        return None
    _members(device, "key", "proof")
    return _proven(fake, device["key"], device["proof"], str(body["identification_id"]))


def _proven(fake: FakeECard, jwk: Mapping[str, str] | bytes, said: object, nonce: str) -> bytes:
    """The device key (a JWK, or 65 bytes) that a proof was signed by."""
    try:
        point = jwk if isinstance(jwk, bytes) else jose.parse_public_jwk(jwk)
        now = int(fake.clock().timestamp())
        proof = device_proof.parse(str(said), issuer=fake.origin, enrolment_id=nonce, now=now)
        if verify_jws(proof, load_public_key(point)):
            return point
    except EcardError as error:
        raise Fault(400, "bad_device_proof", error.detail) from None
    raise Fault(400, "bad_device_proof", "not signed by the device key")


def _add_device(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, "device_key", "proof")
    link = fake.authority.usable(app_id, link_id)
    point = _proven(fake, body["device_key"], body["proof"], link_id)
    return 201, _credential(fake, fake.authority.credential(link, point))


def _successor(
    fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str, credential_id: str
) -> Answer:
    _members(body, "proof")
    link = fake.authority.link(app_id, link_id)
    if link.ended_at is not None:
        raise Fault(422, "link_released", "this link was released")
    point, newest = fake.authority.successor(link, bytes.fromhex(credential_id))
    _proven(fake, point, body["proof"], credential_id)
    if newest is None:
        raise Fault(409, "credential_not_replaced", "this credential has no successor")
    return 200, _credential(fake, newest)


def _credential(fake: FakeECard, issued: tuple[Credential, bytes]) -> dict[str, object]:
    credential, compact = issued
    return {
        "credential_id": credential.credential_id.hex(),
        "expires_at": _when(datetime.fromtimestamp(credential.expires_at, fake.clock().tzinfo)),
        "cwt": jose.b64url_encode(compact),
        "sd_jwt": "eyJ.eyJ.sig~",
        "chip_assurance": "declared",
    }


def _evidence(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], claim_id: str) -> Answer:
    claim = fake.authority.claims.get(claim_id)
    if claim is None or claim.app_id != app_id:
        raise Fault(404, "claim_unknown", "this channel has no such claim")
    if claim.expires_at <= fake.clock():
        raise Fault(422, "claim_expired", "this claim is too old")
    _members(body, optional=("pin", "chip", "identity"))
    if list(body) != [claim.proof]:
        raise Fault(400, "claim_evidence_differs", f"this claim wants evidence of {claim.proof}")
    if claim.proof is Proof.PIN and body["pin"] != PIN:
        raise Fault(422, "pin_wrong", "not the PIN")
    link = fake.authority.make_link(app_id, claim.person)
    answer: dict[str, object] = {
        "link_id": link.link_id,
        "level": 1,
        "holder_proof": str(claim.proof),
        "claimed_at": _when(link.claimed_at),
        "credential": None,
    }
    if claim.device_point is not None:
        answer["credential"] = _credential(fake, fake.authority.credential(link, claim.device_point))
    return 200, answer


def _list(fake: FakeECard, app_id: str, _: Body, query: Mapping[str, str]) -> Answer:
    own = sorted((link for link in fake.authority.links.values() if link.app_id == app_id), key=lambda one: one.link_id)
    limit, after = int(query.get("limit", "50")), query.get("cursor", "")
    rest = [link for link in own if link.link_id > after]
    following = rest[limit - 1].link_id if len(rest) > limit else None
    return 200, {"data": [_link(link) for link in rest[:limit]], "next_cursor": following}


def _get(fake: FakeECard, app_id: str, _: Body, __: Mapping[str, str], link_id: str) -> Answer:
    return 200, _link(fake.authority.link(app_id, link_id))


def _codes(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, optional=("count", "business_type", "password"))
    link, count = fake.authority.usable(app_id, link_id), body.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= 60:
        raise Fault(422, "invalid_request")
    if count > link.person.codes_ahead:
        raise Fault(422, "codes_ahead_not_permitted", f"the region permits {link.person.codes_ahead} at a time")
    if body.get("business_type", "03") in ("02", "04"):
        if link.person.level < 2:
            raise Fault(422, "ecard_level_too_low", "payment is not open")
        _password(link, body.get("password"))
    return 201, {"codes": fake.authority.codes(link, count)}


def _release(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, optional=("everywhere", "password"))
    link, others = fake.authority.link(app_id, link_id), 0
    if body.get("everywhere"):
        _password(link, body.get("password"))
        others = fake.authority.release_others(link)
    fake.authority.release(link)
    return 200, {"link_id": link.link_id, "ended_at": _when(link.ended_at), "end": link.end, "others": others}


def _events(fake: FakeECard, app_id: str, _: Body, query: Mapping[str, str]) -> Answer:
    log, after, limit = fake.authority.events.get(app_id, []), int(query.get("cursor", 0)), int(query.get("limit", 50))
    if after > len(log):
        raise Fault(400, "bad_cursor", "a cursor is one that an answer gave")
    shown = log[after : after + limit]
    cursor = str(shown[-1].number if shown else after)
    more = cursor if after + limit < len(log) else None
    return 200, {"data": [_event(event) for event in shown], "cursor": cursor, "next_cursor": more}


def _event(event: FakeEvent) -> dict[str, object]:
    return {
        "id": event.event_id,
        "number": event.number,
        "type": str(event.type),
        "occurred_at": _when(event.occurred_at),
        "link_id": event.link.link_id,
        "status": str(event.status),
    }


def _password(link: FakeLink, given: object) -> None:
    if given is None:
        raise Fault(422, "ecard_password_needed", "the e-card password is asked for")
    if link.person.password is None:
        raise Fault(422, "ecard_password_not_set", "no password was chosen yet")
    if given != link.person.password:
        raise Fault(422, "ecard_password_wrong", "not the password")


def _set_password(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, "password", optional=("old_password", "card_pin", "acting", "event_id"))
    link = fake.authority.usable(app_id, link_id)
    if not re.fullmatch("[0-9]{6}", str(body["password"])):
        raise Fault(400, "secret_not_six_digits", "six digits")
    if "old_password" in body:
        _password(link, body["old_password"])
    elif link.person.password is not None:
        raise Fault(409, "ecard_password_exists", "one was chosen: change it")
    fake.authority.set_password(link.person, str(body["password"]))
    return 200, {"link_id": link_id, "at": _when(fake.clock())}


def _open_payment(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, "password", "consent", optional=("acting",))
    link = fake.authority.usable(app_id, link_id)
    _password(link, body["password"])
    fake.authority.set_level(link.person, 2)
    return 200, {"link_id": link_id, "level": 2}


def _close_payment(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, optional=("acting",))
    fake.authority.set_level(fake.authority.usable(app_id, link_id).person, 1)
    return 200, {"link_id": link_id, "level": 1}


def _loss(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str, found: str = "") -> Answer:
    _members(body, "request_id", optional=("way", "acting"))
    link = fake.authority.link(app_id, link_id)
    if link.ended_at is not None:
        raise Fault(422, "link_released", "this link was released")
    wanted = CardWord.VALID if found else CardWord.SUSPENDED
    applied = link.person.status is not wanted
    if link.person.status is CardWord.INVALID:
        raise Fault(422, "ecard_ended", "the card was cancelled")
    if applied:
        fake.authority.change(link.person, EventType.CARD_FOUND if found else EventType.CARD_LOST)
    return 200, {
        "link_id": link_id,
        "case_id": fake.new_id(),
        "applied": applied,
        "status": str(wanted),
        "opened_at": _when(fake.clock()),
        "ends_at": None,
        "ends_by": None,
    }


def _found(fake: FakeECard, app_id: str, body: Body, query: Mapping[str, str], link_id: str) -> Answer:
    return _loss(fake, app_id, body, query, link_id, "found")


def _relatives(fake: FakeECard, app_id: str, _: Body, __: Mapping[str, str], link_id: str) -> Answer:
    link = fake.authority.usable(app_id, link_id)
    shown = [
        {
            "relative_id": relative_id,
            "relation": "child",
            "name": "*" + person.name[-1],
            "region": person.region,
            "by_guardian": True,
            "until": None,
        }
        for relative_id, person in link.person.relatives.items()
    ]
    return 200, {"data": shown}


def _relative_code(
    fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str, relative_id: str
) -> Answer:
    _members(body)
    link = fake.authority.usable(app_id, link_id)
    if relative_id not in link.person.relatives:
        raise Fault(404, "relative_unknown", "nobody of this link")
    return 201, fake.authority.codes(link, 1)[0]


def _webhooks(fake: FakeECard, app_id: str, _: Body, __: Mapping[str, str]) -> Answer:
    webhook_id = fake.webhooks.webhook_id(app_id)
    url = "https://app.example/hooks"
    return 200, {"data": [{"webhook_id": webhook_id, "url": url, "status": "enabled", "reason": ""}]}


def _webhook_secret(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], webhook_id: str) -> Answer:
    _members(body)
    if fake.webhooks.webhook_id(app_id) != webhook_id:
        raise Fault(404, "partner_stream_unknown", "no webhook of this app")
    secret, public = fake.webhooks.rotate(app_id)
    return 200, {"webhook_id": webhook_id, "secret": secret, "public_key": public}


def _ticket(fake: FakeECard, app_id: str, body: Body, _: Mapping[str, str], link_id: str) -> Answer:
    _members(body, optional=("origin",))
    fake.authority.usable(app_id, link_id)
    return 201, {"ticket": "et_" + jose.b64url_encode(fake.new_id().encode()), "expires_at": _when(fake.clock())}


def _link(link: FakeLink) -> dict[str, object]:
    return {
        "link_id": link.link_id,
        "level": link.person.level,
        "status": str(link.person.status),
        "usable": link.usable,
        "holder_proof": "pin",
        "region": link.person.region,
        "name": "*" + link.person.name[-1],
        "card_number": "*****001X",
        "password_set": link.person.password is not None,
        "codes_ahead": link.person.codes_ahead,
        "claimed_at": _when(link.claimed_at),
        "ended_at": _when(link.ended_at),
        "end": link.end,
    }


def _members(body: Body, *needed: str, optional: tuple[str, ...] = ()) -> None:
    if not set(needed) <= set(body) <= {*needed, *optional}:
        raise Fault(422, "invalid_request", "a member is missing, or one that is not known")


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _of(method: str, path: str, scope: str, work: Callable[..., Answer], *, signed: bool = False) -> Route:
    return Route(method, re.compile(path.replace("{id}", "([0-9a-f]{32})")), scope, signed, work)


ROUTES: Final = (
    _of("POST", "/v1/identifications", "ecard:claim", _identify),
    _of("POST", "/v1/claims", "ecard:claim", _begin),
    _of("POST", "/v1/claims/{id}/evidence", "ecard:claim", _evidence, signed=True),
    _of("GET", "/v1/links", "ecard:read", _list),
    _of("GET", "/v1/links/{id}", "ecard:read", _get),
    _of("POST", "/v1/links/{id}/codes", "ecard:show", _codes),
    _of("POST", "/v1/links/{id}/tickets", "ecard:show", _ticket),
    _of("POST", "/v1/links/{id}/credentials", "ecard:show", _add_device),
    _of("POST", "/v1/links/{id}/credentials/{id}/successor", "ecard:show", _successor),
    _of("GET", "/v1/events", "ecard:read", _events),
    _of("GET", "/v1/events/webhooks", "ecard:read", _webhooks),
    _of("POST", "/v1/events/webhooks/{id}/secret", "ecard:read", _webhook_secret),
    _of("POST", "/v1/links/{id}/password", "ecard:claim", _set_password, signed=True),
    _of("POST", "/v1/links/{id}/payment", "ecard:claim", _open_payment, signed=True),
    _of("POST", "/v1/links/{id}/payment/close", "ecard:claim", _close_payment, signed=True),
    _of("POST", "/v1/links/{id}/losses", "ecard:loss", _loss, signed=True),
    _of("POST", "/v1/links/{id}/losses/release", "ecard:loss", _found, signed=True),
    _of("GET", "/v1/links/{id}/relatives", "ecard:family", _relatives),
    _of("POST", "/v1/links/{id}/relatives/{id}/codes", "ecard:family", _relative_code),
    _of("POST", "/v1/links/{id}/release", "ecard:claim", _release, signed=True),
)
