"""SM2 and SM3 by the system's libcrypto (OpenSSL 3) through its EVP interface: `cryptography` offers no SM2.

Every object lives for one call only and is freed in it, so nothing is shared between threads. libcrypto keeps errors
in a queue per thread, which Python's `ssl` reads too: ours are cleared before they are left there.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import sys
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from typing import Final

from cryptography.hazmat.primitives.asymmetric import utils

from ecard_card.errors import Unavailable

_PUBLIC, _KEY_PAIR = 0x86, 0x87  # EVP_PKEY_PUBLIC_KEY, EVP_PKEY_KEYPAIR of <openssl/evp.h>
_UNSIGNED, _TEXT, _OCTETS = 2, 4, 5  # OSSL_PARAM types of <openssl/core.h>
_DER_SIZE: Final = 72  # of a signature: two integers of at most 33 bytes, three headers


class _Param(ctypes.Structure):
    """OSSL_PARAM."""

    _fields_ = (
        ("key", c_char_p),
        ("data_type", c_uint),
        ("data", c_void_p),
        ("data_size", c_size_t),
        ("return_size", c_size_t),
    )


#: Result and arguments of each function used.
_FUNCTIONS: Final[dict[str, tuple[object, tuple[object, ...]]]] = {
    "ERR_clear_error": (None, ()),
    "EVP_MD_fetch": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_Digest": (c_int, (c_char_p, c_size_t, c_char_p, POINTER(c_uint), c_void_p, c_void_p)),
    "EVP_PKEY_CTX_new_from_name": (c_void_p, (c_void_p, c_char_p, c_char_p)),
    "EVP_PKEY_CTX_new_from_pkey": (c_void_p, (c_void_p, c_void_p, c_char_p)),
    "EVP_PKEY_CTX_free": (None, (c_void_p,)),
    "EVP_PKEY_fromdata_init": (c_int, (c_void_p,)),
    "EVP_PKEY_fromdata": (c_int, (c_void_p, POINTER(c_void_p), c_int, POINTER(_Param))),
    "EVP_PKEY_free": (None, (c_void_p,)),
    "EVP_PKEY_keygen_init": (c_int, (c_void_p,)),
    "EVP_PKEY_generate": (c_int, (c_void_p, POINTER(c_void_p))),
    "EVP_PKEY_get_bn_param": (c_int, (c_void_p, c_char_p, POINTER(c_void_p))),
    "EVP_PKEY_get_octet_string_param": (c_int, (c_void_p, c_char_p, c_char_p, c_size_t, POINTER(c_size_t))),
    "BN_bn2binpad": (c_int, (c_void_p, c_char_p, c_int)),
    "BN_clear_free": (None, (c_void_p,)),
    "EVP_PKEY_sign_init": (c_int, (c_void_p,)),
    "EVP_PKEY_sign": (c_int, (c_void_p, c_char_p, POINTER(c_size_t), c_char_p, c_size_t)),
    "EVP_PKEY_verify_init": (c_int, (c_void_p,)),
    "EVP_PKEY_verify": (c_int, (c_void_p, c_char_p, c_size_t, c_char_p, c_size_t)),
}


class OpenSsl:
    """A `Backend` of `sm2`. Raises `OSError` or `AttributeError` without a libcrypto of version 3, `Unavailable`
    `algorithm_unavailable` for one that was built without SM2 or SM3."""

    def __init__(self) -> None:
        self._lib = _load()
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        self._sm3 = self._lib.EVP_MD_fetch(None, b"SM3", None)  # lives as long as the process does
        self._require(self._sm3)

    def sm3(self, data: bytes) -> bytes:
        digest = ctypes.create_string_buffer(32)
        self._require(self._lib.EVP_Digest(data, len(data), digest, None, self._sm3, None) == 1)
        return digest.raw

    def generate(self) -> tuple[bytes, bytes]:
        with self._context(self._lib.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)) as context:
            self._require(self._lib.EVP_PKEY_keygen_init(context) == 1)
            handle = c_void_p()
            made = self._lib.EVP_PKEY_generate(context, byref(handle)) == 1
            with self._freeing(handle):
                self._require(made)
                return self._scalar(handle), self._point(handle)

    def sign(self, secret: bytes, point: bytes, digest: bytes) -> bytes:
        with self._key(point, secret) as key, self._using(key) as context:
            self._require(self._lib.EVP_PKEY_sign_init(context) == 1)
            der, size = ctypes.create_string_buffer(_DER_SIZE), c_size_t(_DER_SIZE)
            self._require(self._lib.EVP_PKEY_sign(context, der, byref(size), digest, len(digest)) == 1)
        r, s = utils.decode_dss_signature(der.raw[: size.value])
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def verify(self, point: bytes, digest: bytes, signature: bytes) -> bool:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        der = utils.encode_dss_signature(r, s)
        with self._key(point) as key, self._using(key) as context:
            self._require(self._lib.EVP_PKEY_verify_init(context) == 1)
            holds: bool = self._lib.EVP_PKEY_verify(context, der, len(der), digest, len(digest)) == 1
        if not holds:
            self._lib.ERR_clear_error()
        return holds

    @contextlib.contextmanager
    def _key(self, point: bytes, secret: bytes | None = None) -> Iterator[c_void_p]:
        """An EVP_PKEY of the curve, for this call."""
        numbers = [_param(b"group", _TEXT, b"SM2"), _param(b"pub", _OCTETS, point)]
        native = ctypes.create_string_buffer(32)
        if secret is not None:
            native.raw = int.from_bytes(secret, "big").to_bytes(32, sys.byteorder)
            numbers.append(_Param(b"priv", _UNSIGNED, ctypes.cast(native, c_void_p), 32, 0))
        parameters = (_Param * (len(numbers) + 1))(*numbers)
        handle = c_void_p()
        try:
            with self._context(self._lib.EVP_PKEY_CTX_new_from_name(None, b"SM2", None)) as context:
                self._require(self._lib.EVP_PKEY_fromdata_init(context) == 1)
                selection = _PUBLIC if secret is None else _KEY_PAIR
                made = self._lib.EVP_PKEY_fromdata(context, byref(handle), selection, parameters) == 1
        finally:
            ctypes.memset(native, 0, 32)
        with self._freeing(handle):
            self._require(made)
            yield handle

    @contextlib.contextmanager
    def _freeing(self, handle: c_void_p) -> Iterator[None]:
        try:
            yield
        finally:
            self._lib.EVP_PKEY_free(handle)  # of NULL it does nothing

    def _using(self, key: c_void_p) -> contextlib.AbstractContextManager[int]:
        return self._context(self._lib.EVP_PKEY_CTX_new_from_pkey(None, key, None))

    @contextlib.contextmanager
    def _context(self, context: int | None) -> Iterator[int]:
        self._require(context)
        try:
            yield context or 0
        finally:
            self._lib.EVP_PKEY_CTX_free(context)

    def _scalar(self, key: c_void_p) -> bytes:
        number = c_void_p()
        self._require(self._lib.EVP_PKEY_get_bn_param(key, b"priv", byref(number)) == 1)
        try:
            secret = ctypes.create_string_buffer(32)
            self._require(self._lib.BN_bn2binpad(number, secret, 32) == 32)
            return secret.raw
        finally:
            self._lib.BN_clear_free(number)

    def _point(self, key: c_void_p) -> bytes:
        point, size = ctypes.create_string_buffer(65), c_size_t()
        taken = self._lib.EVP_PKEY_get_octet_string_param(key, b"pub", point, 65, byref(size))
        self._require(taken == 1 and size.value == 65)
        return point.raw

    def _require(self, done: object) -> None:
        if not done:
            self._lib.ERR_clear_error()
            raise Unavailable("algorithm_unavailable", "the system's libcrypto does not compute SM2")


def _load() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libcrypto.so.3")
    except OSError:
        name = ctypes.util.find_library("crypto")  # other systems name it otherwise
        if name is None:
            raise
        return ctypes.CDLL(name)


def _param(key: bytes, kind: int, content: bytes) -> _Param:
    # A pointer into `content`, which the caller keeps until the call has read it.
    return _Param(key, kind, ctypes.cast(c_char_p(content), c_void_p), len(content), 0)
