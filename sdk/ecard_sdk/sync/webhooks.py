# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""The app's webhooks: their secrets, and what arrives."""

from __future__ import annotations

from ecard_sdk import webhooks
from ecard_sdk.channel_models import each
from ecard_sdk.core.call import Call, reference
from ecard_sdk.events_models import Webhook, WebhookSecret
from ecard_sdk.sync.run import Run


class Webhooks:
    """`unwrap` needs nothing of the client: a receiver without one calls `ecard_sdk.webhooks.unwrap`."""

    unwrap = staticmethod(webhooks.unwrap)

    def __init__(self, run: Run) -> None:
        self._run = run

    def list(self) -> tuple[Webhook, ...]:
        """One for each address of the app's registration."""
        return self._run(Call("GET", "/v1/events/webhooks", lambda reply: each(reply, "data", Webhook)))

    def rotate_secret(self, webhook_id: str, *, idempotency_key: str | None = None) -> WebhookSecret:
        """A new secret, told this once; also the first one. The one before it still signs beside it."""
        path = f"/v1/events/webhooks/{reference(webhook_id)}/secret"
        return self._run(Call("POST", path, WebhookSecret.of, {}, changes=True, idempotency_key=idempotency_key))
