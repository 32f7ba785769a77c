"""ML-DSA-65 in the page against OpenSSL: what holds, holds there too, and nothing else does."""

from __future__ import annotations

import hashlib
import random

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

from ecard_keys.verify import verify
from tests.verifier.offline.node import Request, ask

Z_START, HINTS = 48, 48 + 5 * 640
OMEGA = 55


def request(key: bytes, message: bytes, signature: bytes) -> Request:
    return {"kind": "mlDsa", "key": key.hex(), "message": message.hex(), "signature": signature.hex()}


def test_shake_is_that_of_the_standard() -> None:
    rng = random.Random(1)  # noqa: S311
    lengths = [0, 1, 135, 136, 137, 167, 168, 169, 500]
    cases = [(bits, rng.randbytes(length), out) for bits in (128, 256) for length in lengths for out in (1, 32, 400)]
    answers = ask([{"kind": "shake", "bits": bits, "data": data.hex(), "length": out} for bits, data, out in cases])
    for (bits, data, out), answer in zip(cases, answers, strict=True):
        made = hashlib.shake_128(data) if bits == 128 else hashlib.shake_256(data)
        assert answer == made.hexdigest(out)


def bent(signature: bytes, rng: random.Random) -> bytes:
    """A signature in which one part is otherwise: challenge, response, hints, or the length."""
    data = bytearray(signature)
    ends = list(data[-6:])
    match rng.randrange(8):
        case 0:
            data[rng.randrange(Z_START)] ^= 1 << rng.randrange(8)
        case 1:
            data[rng.randrange(Z_START, HINTS)] ^= 1 << rng.randrange(8)
        case 2:
            data[rng.randrange(HINTS, len(data) - 6)] ^= 1 << rng.randrange(8)
        case 3:
            data[-1 - rng.randrange(6)] ^= 1 << rng.randrange(8)
        case 4:  # two hints exchanged: the same hints in another spelling
            data[HINTS], data[HINTS + 1] = data[HINTS + 1], data[HINTS]
        case 5:  # a hint behind the last that counts
            if ends[-1] < OMEGA:
                data[HINTS + ends[-1]] = 1
        case 6:  # a response at the very bound
            data[Z_START : Z_START + 3] = bytes(3)
        case _:
            return bytes(data[: rng.randrange(len(data))]) if rng.random() < 0.5 else bytes(data) + b"\0"
    return bytes(data)


def test_signatures_are_judged_as_openssl_does() -> None:
    rng = random.Random(2)  # noqa: S311
    requests, expected = [], []
    for round_ in range(60):
        private = MLDSA65PrivateKey.generate()
        key, message = private.public_key().public_bytes_raw(), rng.randbytes(round_ * 7)
        honest = private.sign(message)
        other = MLDSA65PrivateKey.generate().public_key().public_bytes_raw()
        cases = [(key, message, honest), (key, message, bent(honest, rng)), (key, message, bent(honest, rng))]
        cases.append((other, message, honest) if round_ % 2 else (key, message + b"x", honest))
        if round_ % 10 == 0:
            cases.append((key, message, private.sign(message, b"a context")))
        for case in cases:
            requests.append(request(*case))
            expected.append(verify(MLDSA65PublicKey.from_public_bytes(case[0]), case[1], case[2]))
    assert ask(requests) == expected
    assert expected.count(True) >= 60
