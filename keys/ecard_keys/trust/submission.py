"""An issuer's submission to a trust list that is made elsewhere: its entry, signed by the keys that it names.

Each key that may still sign proves that the issuer holds it (proof of possession); whether the issuer is who it says
is for the people of the ceremony. JWS in JSON General Serialization (RFC 7515 §7.2.1). `docs/formats/ceremony.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ecard_card import jose
from ecard_card.errors import CheckFailed, InvalidInput
from ecard_keys.key import KeyRecord, KeyState
from ecard_keys.trust import content as trust_content
from ecard_keys.trust.content import IssuerEntry, TrustList, canonical_json
from ecard_keys.trust.root_signature import MAX_DOCUMENT, take_apart
from ecard_keys.trust.trust_list import SKEW
from ecard_keys.verify import load_public_key, verify

SUBMISSION_TYPE: Final = "ecard-issuer+jwt"
LIFE: Final = 30 * 86_400  # seconds; an old one could bring back keys that have been replaced

#: Signs a message with the key of a record.
Sign = Callable[[KeyRecord, bytes], bytes]


def make_submission(entry: IssuerEntry, sign: Sign, now: int) -> bytes:
    """The signed entry. Raises `InvalidInput` `bad_submission` for one without a key that may sign, and what `sign`
    raises."""
    payload = _payload(entry, now)
    encoded = jose.b64url_encode(payload)
    signatures = []
    for record in _provable(entry, now):
        protected = _protected(record)
        made = sign(record, f"{protected}.{encoded}".encode())
        signatures.append({"protected": protected, "signature": jose.b64url_encode(made)})
    data = canonical_json({"payload": encoded, "signatures": signatures})
    read_submission(data, now)
    return data


def read_submission(data: bytes, now: int) -> IssuerEntry:
    """The entry, when every key of it that may sign has signed it, at most 30 days ago.

    Raises `InvalidInput` `bad_submission` (form; something in it that this version does not understand; no key),
    `CheckFailed` `submission_unproven` (a key did not sign), `submission_out_of_date`.
    """
    try:
        taken = take_apart(data)
        payload = jose.b64url_decode(taken.payload)
        content = trust_content.decode(payload, limit=MAX_DOCUMENT)
    except InvalidInput as error:
        raise InvalidInput("bad_submission", error.detail) from None
    if content.skipped or len(content.issuers) != 1 or _payload(content.issuers[0], content.issued_at) != payload:
        raise InvalidInput("bad_submission", "not one issuer's entry in the form of this version")
    entry = content.issuers[0]
    provable = _provable(entry, content.issued_at)
    if not provable:
        raise InvalidInput("bad_submission", "no key of this entry may sign")
    given = {(protected, signature) for protected, signature in taken.signatures}
    for record in provable:
        if not any(_holds(record, protected, taken.payload, signature) for protected, signature in given):
            raise CheckFailed("submission_unproven", f"key {record.kid} did not sign the submission")
    if not content.issued_at - SKEW <= now < content.expires_at:
        raise CheckFailed("submission_out_of_date", "dated ahead, or more than 30 days old")
    return entry


def _provable(entry: IssuerEntry, now: int) -> tuple[KeyRecord, ...]:
    """A stolen key proves nothing, and one that is retired need not exist any more; but neither may be one whose
    signatures of tomorrow would stand."""
    return tuple(record for record in entry.keys if _may_sign(record, now))


def _may_sign(record: KeyRecord, now: int) -> bool:
    match record.state:
        case KeyState.NEXT | KeyState.ACTIVE:
            return True
        case KeyState.VERIFY_ONLY:
            return record.retired_from is not None and record.retired_from > now
        case KeyState.COMPROMISED:
            return (record.compromised_from or 0) > now
        case _:
            return False


def _payload(entry: IssuerEntry, now: int) -> bytes:
    """The form of a trust list with one issuer, version 1: one writer and one reader for an entry. Its `typ` keeps it
    from ever being one."""
    return trust_content.encode(TrustList(1, now, now + LIFE, None, (entry,)))


def _holds(record: KeyRecord, protected: str, payload: str, signature: str) -> bool:
    if protected != _protected(record):
        return False
    try:
        raw = jose.b64url_decode(signature)
        key = load_public_key(record.public, record.algorithm, record.user_id)
    except InvalidInput:
        return False
    return verify(key, f"{protected}.{payload}".encode(), raw)


def _protected(record: KeyRecord) -> str:
    header = {"alg": record.algorithm, "kid": record.kid, "typ": SUBMISSION_TYPE}
    return jose.b64url_encode(canonical_json(header))
