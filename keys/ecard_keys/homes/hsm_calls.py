"""The four functions of a PKCS#11 module that we call ourselves, through its own function list.

`pkcs11.lib()` (python-pkcs11 0.10.1) initialises with NULL, which promises the module a single thread (SoftHSM 2.6.1
then crashes when two call), finalises with the interpreter's lock held and again at exit, and refuses a module that
somebody else has initialised. `Token.open(user_pin=...)` leaves a session behind when the login fails, and closing
what it opens logs out every other session of the process. What state a session is in, it does not tell.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

#: Answers (PKCS#11 v3.1, pkcs11t.h).
OK = 0
USER_ALREADY_LOGGED_IN = 0x100
ALREADY_INITIALIZED = 0x191


_CKF_OS_LOCKING_OK = 2
_CKU_USER = 1
_CKS_RW_USER_FUNCTIONS = 3
_ULONG = ctypes.c_ulong


class _InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS (v3.1 §3.7): no mutex functions of ours, the system's may be used."""

    _fields_ = [
        ("create", ctypes.c_void_p),
        ("destroy", ctypes.c_void_p),
        ("lock", ctypes.c_void_p),
        ("unlock", ctypes.c_void_p),
        ("flags", _ULONG),
        ("reserved", ctypes.c_void_p),
    ]


class _SessionInfo(ctypes.Structure):
    """CK_SESSION_INFO (v3.1 §3.3)."""

    _fields_ = [("slot", _ULONG), ("state", _ULONG), ("flags", _ULONG), ("device_error", _ULONG)]


class Calls:
    """A loaded module, never unloaded again. Each method runs without the interpreter's lock.

    Raises `OSError` (no shared library), `AttributeError` or `ValueError` (a library, and no PKCS#11 module).
    """

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        # CK_FUNCTION_LIST: the version, padded to one pointer, then the functions in the order of v3.1 §5.1.
        functions = ctypes.POINTER(ctypes.c_void_p * 20)()
        if library.C_GetFunctionList(ctypes.byref(functions)) != OK or not functions:
            raise ValueError("no function list")
        self._library = library
        self._initialize = _function(functions.contents[1], ctypes.c_void_p)
        self._finalize = _function(functions.contents[2], ctypes.c_void_p)
        self._session_info = _function(functions.contents[16], _ULONG, ctypes.c_void_p)
        self._login = _function(functions.contents[19], _ULONG, _ULONG, ctypes.c_char_p, _ULONG)

    def initialize(self) -> int:
        """The answer (CK_RV) of C_Initialize, allowing the module to use the system's locks."""
        arguments = _InitializeArgs(flags=_CKF_OS_LOCKING_OK)
        return int(self._initialize(ctypes.addressof(arguments)))

    def finalize(self) -> int:
        """The answer of C_Finalize, which ends every session of the process in this module."""
        return int(self._finalize(None))

    def login(self, session: int, pin: str) -> int:
        """The answer of C_Login as the normal user."""
        secret = pin.encode(errors="surrogateescape")
        return int(self._login(session, _CKU_USER, secret, len(secret)))

    def logged_in(self, session: int) -> bool:
        """Whether C_GetSessionInfo says that a session lives and is the logged-in user's."""
        info = _SessionInfo()
        return bool(self._session_info(session, ctypes.addressof(info)) == OK and info.state == _CKS_RW_USER_FUNCTIONS)


def _function(address: int | None, *arguments: Any) -> Any:
    if not address:
        raise ValueError("the module's function list has a hole")
    return ctypes.CFUNCTYPE(_ULONG, *arguments)(address)
