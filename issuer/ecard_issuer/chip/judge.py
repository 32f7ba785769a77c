"""The judgement on a chip's evidence: which proof level it carries, and for which chip.

The level follows from the evidence alone. An answer that was given and does not hold is a fault and never a lower
level: a desk that sends one has a broken chip, or a clone, in its reader.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ecard_card.card import Chip, ChipAssurance
from ecard_card.errors import ChipFault, InvalidInput, NotAllowed, Unavailable
from ecard_issuer.chip.certificate import ChipCertificate
from ecard_issuer.chip.evidence import Answer, Challenge, Evidence, split_challenge
from ecard_issuer.chip.profiles import TEST_PREFIX
from ecard_issuer.chip.reading import Reading
from ecard_keys.chip_key import ChipAnswer, ChipKeyHolder, open_statement

#: Seconds from the server's challenge to the chip's answer, and the tolerance for a clock that runs behind.
MAX_AGE: Final = 300
SKEW: Final = 60


@dataclass(frozen=True, slots=True)
class Anchor:
    """A CA whose chip certificates are accepted; `test:` before its `name` marks an authority of simulated chips.

    `certificate` is DER. Raises `InvalidInput` `bad_chip_anchor` where it is no certificate.
    """

    name: str
    certificate: bytes = field(repr=False)

    def __post_init__(self) -> None:
        try:
            x509.load_der_x509_certificate(self.certificate)
        except (ValueError, TypeError):
            raise InvalidInput("bad_chip_anchor", "the anchor is not a DER certificate") from None

    @property
    def is_test(self) -> bool:
        return self.name.startswith(TEST_PREFIX)


@dataclass(frozen=True, slots=True)
class Anchors:
    """Whom a service believes about chips. `allow_test` is for the demo and tests; production leaves it False.

    `statement_keys` maps a key id to the SEC1 point of a key that signs chip statements.
    """

    certificates: tuple[Anchor, ...] = ()
    statement_keys: Mapping[str, bytes] = field(default_factory=dict)
    allow_test: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the evidence proves.

    `key_reference` names the key that answered (32 bytes, None below `challenge`): the register raises a clone alarm
    where one identification code comes with two of them, or one of them with two codes. `statement` is the key
    holder's signed word on a `challenge` chip.
    """

    assurance: ChipAssurance
    chip: Chip
    key_reference: bytes | None = field(default=None, repr=False)
    statement: str | None = field(default=None, repr=False)


def judge(
    evidence: Evidence,
    challenge: Challenge | None,
    anchors: Anchors,
    key_holder: ChipKeyHolder | None,
    now: datetime,
    *,
    max_age: int = MAX_AGE,
) -> Judgement:
    """The proof level that `evidence` carries, in answer to the `challenge` that this server chose.

    1. a code that was only declared is `declared`;
    2. the reading must be whole, its certificate (if any) issued by an anchor, and no test chip unless allowed;
    3. a reading without an answer is `read`;
    4. an answer must be to this challenge, and in time;
    5. a signature under the certificate is `signature`; an answer that the key holder states genuine is `challenge`.

    Raises `ChipFault`: `chip_certificate_untrusted`, `chip_certificate_expired`, `chip_challenge_missing`,
    `chip_challenge_expired`, `chip_answer_replayed`, `chip_answer_wrong`, `chip_answer_truncated`,
    `chip_answer_malformed`, `chip_algorithm_unsupported`, `chip_statement_invalid`, and what `Reading` raises;
    `NotAllowed` `test_chip_refused`; `Unavailable` `chip_key_holder_unavailable`.
    """
    if evidence.declared is not None:
        return Judgement(ChipAssurance.DECLARED, Chip(evidence.declared, "declared"))
    reading = evidence.reading
    if reading is None:
        raise InvalidInput("bad_chip_evidence", "neither a declared code nor a reading")
    certificate = reading.chip_certificate
    profile = reading.profile
    _refuse_test(profile.is_test, anchors)
    if certificate is not None:
        _check_certificate(certificate, anchors, now)
    chip = Chip(reading.identification_code, profile.id, None if certificate is None else certificate.public_key_der)
    _ = reading.atr_historical
    if evidence.answer is None:
        return Judgement(ChipAssurance.READ, chip)
    digest = _check_challenge(evidence.answer, challenge, now, max_age)
    if certificate is not None:
        _check_signature(certificate, digest, evidence.answer.data)
        return Judgement(ChipAssurance.SIGNATURE, chip, hashlib.sha256(certificate.public_key_der).digest())
    return _judge_shared_key(reading, chip, digest, evidence.answer.data, anchors, key_holder, now)


def shared_key_reference(identification_code: str, atr_historical: bytes) -> bytes:
    """Names the card key of a shared-key chip by all that it is diversified from (region and T8..TD); 32 bytes.

    The diversification authenticates the chip's serial in the ATR and not the identification code beyond its region:
    only the register, which knows both of one card (卡复位信息, AAZ507), can see that they belong together.
    """
    material = f"ecard-chip-key-1|{identification_code[:6]}|".encode() + atr_historical[7:13]
    return hashlib.sha256(material).digest()


def _refuse_test(is_test: bool, anchors: Anchors) -> None:
    if is_test and not anchors.allow_test:
        raise NotAllowed("test_chip_refused", "a simulated chip, where only genuine ones are accepted")


def _check_certificate(certificate: ChipCertificate, anchors: Anchors, now: datetime) -> None:
    for anchor in anchors.certificates:
        if certificate.check_issued_by(anchor.certificate, now):
            return _refuse_test(anchor.is_test, anchors)
    raise ChipFault("chip_certificate_untrusted", "no anchor issued the chip's certificate")


def _check_challenge(answer: Answer, challenge: Challenge | None, now: datetime, max_age: int) -> bytes:
    if challenge is None:
        raise ChipFault("chip_challenge_missing", "an answer was given and no challenge of ours is open")
    age = now.timestamp() - challenge.issued_at
    if not -SKEW <= age <= max_age:
        raise ChipFault("chip_challenge_expired", "the challenge is too old, or from the future")
    digest = challenge.digest()
    if not hmac.compare_digest(answer.challenge, digest):
        raise ChipFault("chip_answer_replayed", "the answer is to another challenge")
    return digest


def _check_signature(certificate: ChipCertificate, digest: bytes, signature: bytes) -> None:
    try:
        decode_dss_signature(signature)
    except ValueError:
        raise ChipFault("chip_answer_truncated", "the signature is not a whole DER ECDSA-Sig-Value") from None
    try:
        certificate.public_key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
    except InvalidSignature:
        raise ChipFault("chip_answer_wrong", "the signature over the challenge does not hold") from None


def _judge_shared_key(
    reading: Reading,
    chip: Chip,
    digest: bytes,
    data: bytes,
    anchors: Anchors,
    key_holder: ChipKeyHolder | None,
    now: datetime,
) -> Judgement:
    recipe = reading.recipe
    if recipe is None:
        raise ChipFault("chip_algorithm_unsupported", "no recipe is known for this chip's algorithm")
    _refuse_test(recipe.startswith(TEST_PREFIX), anchors)
    if key_holder is None:
        raise Unavailable("chip_key_holder_unavailable", "no key holder is configured to judge the answer")
    r1, r2 = split_challenge(digest)
    code = chip.identification_code.text
    asked = ChipAnswer(code, reading.atr_historical, recipe, r1, r2, data)
    statement = open_statement(key_holder.judge(asked, now=now).token, asked, anchors.statement_keys)
    _refuse_test(statement.holder.startswith(TEST_PREFIX), anchors)
    if not statement.genuine:
        raise ChipFault("chip_answer_wrong", "the key holder states that the answer is not this chip's")
    reference = shared_key_reference(code, reading.atr_historical)
    return Judgement(ChipAssurance.CHALLENGE, chip, reference, statement.token)
