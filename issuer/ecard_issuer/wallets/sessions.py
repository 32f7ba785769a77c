"""Who calls a protected endpoint: an access token, and the DPoP key where the token is bound to one."""

from __future__ import annotations

from datetime import datetime

from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.tokens import read_opener, same
from ecard_issuer.wallets.values import SessionRow


class Sessions:
    """Finds the session of a token."""

    def __init__(self, store: WalletStore) -> None:
        self._store = store

    def behind(self, token: str, jkt: str | None, now: datetime) -> SessionRow:
        """The session of an access token. `jkt` is the thumbprint of the key whose DPoP proof came along for this
        token, None where the token came as a bearer's.

        Raises `WalletRefusal` `invalid_token` (RFC 6750 §3.1, RFC 9449 §7.1).
        """
        opener = read_opener(token)
        session = None if opener is None else self._store.find_session(opener.row_id)
        if opener is None or session is None or not same(session.token_hash, opener.hash):
            raise WalletRefusal("invalid_token", "no such access token", status=401)
        if session.expires_at <= now:
            raise WalletRefusal("invalid_token", "the access token is over", status=401)
        if session.jkt != jkt:
            raise WalletRefusal("invalid_token", "the token is bound to another DPoP key, or to none", status=401)
        return session
