"""A whole test issuer for one developer: in a folder that goes with the process, with one admitted channel."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from ecard_card.errors import Unavailable
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.config import load
from ecard_keys.client_signer import ClientSigner
from ecard_verifier.callers import Role
from ecard_verifier.service import utc_now

_ACTOR: Final = "ecard mock"
_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
_KEY_NAME: Final = "channel-key.pem"


@dataclass(frozen=True, slots=True)
class Mock:
    """The issuer, not started, and what its developer needs to know."""

    issuer: Issuer
    app_id: str
    key_file: Path
    counter_token: str = field(repr=False)
    operator_token: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """What clients read: `ECardClient()` and the commands take it as it stands."""
        return {
            "ECARD_APP_ID": self.app_id,
            "ECARD_KEY_FILE": str(self.key_file),
            "ECARD_BASE_URL": self.issuer.identity.issuer,
            "ECARD_COUNTER_TOKEN": self.counter_token,
            "ECARD_OPERATOR_TOKEN": self.operator_token,
        }


def open_mock(
    folder: Path,
    port: int,
    *,
    key_file: Path | None = None,
    webhooks: Sequence[str] = (),
    origins: Sequence[str] = (),
    clock: Callable[[], datetime] = utc_now,
) -> Mock:
    """Everything in `folder`, but for a key of the developer's own in `key_file`, which is made where there is none.

    The channel has every scope, and the same app id each time. Raises what `build` raises, `InvalidInput`
    `bad_channel` for a webhook address or an origin that cannot be one, `Unavailable` `file_unreadable`.
    """
    settings = load(
        data_dir=folder,
        port=port,
        public_origin=f"http://127.0.0.1:{port}",
        regions=("000000",),
        test_mode=True,
        allow_test_chips=True,
        approvals_needed=0,
        partner_networks=_LOOPBACK,
    )
    issuer = build(settings, clock=clock)
    try:
        path = key_file or folder / _KEY_NAME
        app_id = _admit(issuer, _signer(path), webhooks, origins, clock())
        tokens = [
            issuer.operators.add(f"mock {role.value}", role, clock()).token for role in (Role.COUNTER, Role.OPERATOR)
        ]
    except BaseException:
        issuer.close()
        raise
    return Mock(issuer, app_id, path.absolute(), *tokens)


def _admit(issuer: Issuer, signer: ClientSigner, webhooks: Sequence[str], origins: Sequence[str], now: datetime) -> str:
    office = issuer.channels.office
    document = {
        "names": {"zh": "测试渠道", "en": "Test channel"},
        "legal_entity": "Nobody",
        "contact": "nobody@test.invalid",
        "kind": "other",
        "scopes": [scope.value for scope in Scope],
        "quotas": {"calls_per_minute": 60_000, "claims_per_day": 1_000_000},
        "redirect_uris": [],
        "webhook_urls": list(webhooks),
        "browser_origins": list(origins),
        "jwks": {"keys": [signer.public_jwk]},
        "jwks_uri": None,
        "certificates": [],
    }
    channel = office.apply("mock", office.registration(document), _ACTOR, now)
    return office.approve(channel.app_id, _ACTOR, now).app_id


def _signer(path: Path) -> ClientSigner:
    try:
        if path.exists():
            return ClientSigner.from_pem(path.read_bytes())
        signer = ClientSigner.generate()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(signer.to_pem())
    except OSError:
        raise Unavailable("file_unreadable", "the channel's key file cannot be read or made") from None
    return signer
