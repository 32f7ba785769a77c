"""A feed that was written before it knew its cards learns them from its outbox rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from ecard_issuer.migrations import migrate
from ecard_issuer.register.engine import reading, writing
from tests.issuer.register.test_schema import KINDS, _at


@pytest.mark.parametrize("kind", KINDS)
def test_old_feed_rows_get_their_card(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    engine = _at("0005", kind, request, tmp_path)
    moment = "2026-11-23 10:00:00+00" if kind == "postgresql" else "2026-11-23 10:00:00.000000"
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO feed_head VALUES ('0', 3)"))
        for seq, card_ref in ((1, "aa"), (2, "bb"), (3, "aa")):
            connection.execute(
                text(
                    "INSERT INTO outbox (card_ref, outbox_id, ordinal, kind, body, created_at)"
                    " VALUES (:card_ref, :row, :seq, 'status', '{}', :moment)"
                ),
                {"card_ref": card_ref, "row": f"row{seq}", "seq": seq, "moment": moment},
            )
            connection.execute(
                text("INSERT INTO feed VALUES ('0', :seq, :row, 0, 't', :moment)"),
                {"row": f"row{seq}", "seq": seq, "moment": moment},
            )
    migrate(engine)
    with reading(engine) as connection:
        assert connection.execute(text("SELECT seq, card_ref FROM feed ORDER BY seq")).all() == [
            (1, "aa"),
            (2, "bb"),
            (3, "aa"),
        ]
    engine.dispose()
