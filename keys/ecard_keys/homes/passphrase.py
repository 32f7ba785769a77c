"""Asking a person for the passphrase of a key file, where there is a person to ask."""

from __future__ import annotations

import getpass
import os
import sys

from ecard_card.errors import InvalidInput
from ecard_card.messages import language, text


def ask(*, twice: bool = False) -> bytes | None:
    """What is typed at the terminal, unseen; None where standard input is no terminal. `twice` for a new one.

    Raises `InvalidInput` `passphrases_differ`.
    """
    if not sys.stdin.isatty():
        return None
    spoken = language(os.environ.get("LC_ALL") or os.environ.get("LANG") or "")
    typed = getpass.getpass(text("passphrase_prompt", spoken) + " ")
    if twice and getpass.getpass(text("passphrase_prompt_again", spoken) + " ") != typed:
        raise InvalidInput("passphrases_differ", "the passphrases typed are not the same")
    return typed.encode()
