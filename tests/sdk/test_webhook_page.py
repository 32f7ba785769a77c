"""`docs/webhooks.md`: the reading that it shows does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from ecard_issuer.partners.webhook_signature import secret_text, signed_headers
from ecard_verifier.service import utc_now
from tests.sdk.test_webhooks import CARD, KEYS, body_of

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"


def test_the_snippet_reads_repeated_and_late_events_rightly() -> None:
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    code = compile(snippet, str(PAGE), "exec")
    kept: dict[str, object] = {"seen": set(), "latest": {}, "statuses": {}, "secrets": [secret_text(KEYS)]}
    lost, found = CARD, CARD | {"sequence": 8, "event": "release", "status": "valid", "card_status": 1}
    for name, data in (("msg_a", lost), ("msg_a", lost), ("msg_b", found), ("msg_c", lost | {"sequence": 6})):
        body = body_of("card.status_changed", data)
        headers = signed_headers(body, name, int(utc_now().timestamp()), (KEYS,))
        exec(code, kept | {"body": body, "headers": headers})  # noqa: S102 - the page's own words
    assert kept["statuses"] == {"ca" * 16: "valid"}
    assert kept["seen"] == {"msg_a", "msg_b", "msg_c"}
