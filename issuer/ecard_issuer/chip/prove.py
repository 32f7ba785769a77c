"""Asking a chip to answer a challenge that the server chose. The desk sends and relays; it judges nothing."""

from __future__ import annotations

from typing import Final

from ecard_card.errors import ChipFault, InvalidInput
from ecard_issuer.chip import apdu, tlv
from ecard_issuer.chip.apdu import Command
from ecard_issuer.chip.evidence import DIGEST_BYTES, Answer, split_challenge
from ecard_issuer.chip.profiles import environment
from ecard_issuer.chip.read import select_environment
from ecard_issuer.chip.reader import ChipReader
from ecard_issuer.chip.reading import Reading

_DYNAMIC_TEMPLATE: Final = 0x7C  # SP 800-73-4 part 2, table 7
_TEMPLATE_RESPONSE: Final = 0x82
_TEMPLATE_CHALLENGE: Final = 0x81


def prove_chip(reader: ChipReader, reading: Reading, digest: bytes) -> Answer:
    """Let the chip answer `digest` (`Challenge.digest()`): a signature if it has a certificate, else its card key.

    Raises `ChipFault`: `chip_algorithm_unsupported` (the profile knows no recipe for this
    chip), `chip_unknown` (its application is gone), `chip_refused` with the status word, `chip_answer_malformed`,
    `chip_answer_truncated`, or what the reader raises; `InvalidInput` `bad_chip_challenge` for another length than 32.
    """
    if len(digest) != DIGEST_BYTES:
        raise InvalidInput("bad_chip_challenge", "a challenge digest has 32 bytes")
    if reading.certificate is not None:
        return Answer(digest, _sign(reader, digest))
    if reading.recipe is None:
        raise ChipFault("chip_algorithm_unsupported", "no recipe is known for this chip's algorithm")
    return Answer(digest, _answer_with_card_key(reader, digest))


def sign_command(digest: bytes) -> Command:
    """GENERAL AUTHENTICATE with the card authentication key (9E, needs no PIN) over a digest of 32 bytes."""
    piv = environment("piv")
    template = tlv.encode(_TEMPLATE_RESPONSE, b"") + tlv.encode(_TEMPLATE_CHALLENGE, digest)
    data = tlv.encode(_DYNAMIC_TEMPLATE, template)
    return Command(0x00, apdu.INS_GENERAL_AUTHENTICATE, piv.key_algorithm, piv.key_reference, data, 256)


def _sign(reader: ChipReader, digest: bytes) -> bytes:
    if select_environment(reader, environment("piv"), read_all=True) is None:
        raise ChipFault("chip_unknown", "the application that holds the signing key is not there any more")
    data = apdu.expect_ok(apdu.exchange(reader, sign_command(digest)), "GENERAL AUTHENTICATE")
    return tlv.require(data, _DYNAMIC_TEMPLATE, _TEMPLATE_RESPONSE)


def _answer_with_card_key(reader: ChipReader, digest: bytes) -> bytes:
    # SELECT again first: an authentication starts from a known state.
    if select_environment(reader, environment("ssse"), read_all=False) is None:
        raise ChipFault("chip_unknown", "the social security environment is not there any more")
    command = apdu.internal_authenticate(*split_challenge(digest))
    return apdu.expect_ok(apdu.exchange(reader, command), "INTERNAL AUTHENTICATION")
