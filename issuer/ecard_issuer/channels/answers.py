"""From channels to the answers of their routes and commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.channels.values import Channel, ChannelChange
from ecard_keys.client_keys import ClientKey
from ecard_verifier.verdict import rfc3339


def channel_answer(channel: Channel) -> dict[str, Any]:
    """A `ChannelAnswer`: everything that is registered."""
    return {
        "app_id": channel.app_id,
        "state": channel.state.value,
        "mode": _mode(channel.test),
        "applied_at": rfc3339(channel.applied_at),
        **channel.registration.to_json(),
    }


def own_answer(caller: ChannelCaller, channel: Channel, keys: Sequence[ClientKey]) -> dict[str, Any]:
    """An `OwnChannelAnswer`: what a channel may know of itself. `keys` are those known now."""
    whole = channel.registration.to_json()
    return {
        "app_id": caller.app_id,
        "names": whole["names"],
        "mode": _mode(caller.test),
        "scopes": whole["scopes"],
        "token_scopes": sorted(caller.scopes),
        "quotas": whole["quotas"],
        "key_ids": [key.kid for key in keys],
        "jwks_uri": channel.registration.jwks_uri,
        "redirect_uris": whole["redirect_uris"],
        "webhook_urls": whole["webhook_urls"],
        "browser_origins": whole["browser_origins"],
    }


def change_answer(change: ChannelChange) -> dict[str, Any]:
    """A `ChannelChangeAnswer`."""
    return {
        "number": change.number,
        "action": change.action,
        "state": change.state.value,
        "changed_by": change.changed_by,
        "reason": change.reason,
        "changed_at": rfc3339(change.changed_at),
        "registration": change.registration.to_json(),
    }


def _mode(test: bool) -> str:
    return "test" if test else "live"
