from __future__ import annotations

import json

import pytest

from tests.card.support import VECTORS


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: str(path.stem))
def test_every_vector_says_where_it_is_from_and_what_to_expect(path) -> None:  # type: ignore[no-untyped-def]
    document = json.loads(path.read_text())
    assert document["about"]
    assert document["vectors"]
    for vector in document["vectors"]:
        assert vector["source"]
        assert "expect" in vector
