"""Damaged pictures of our codes: read right, or not at all; never as another code.

Every seventh of the corpus; all of it is `make bench ONLY=damaged_codes`.
"""

from __future__ import annotations

import pytest

from tests.qr import readers
from tests.qr.damage import OTHER, TEXTS, Damaged, corpus
from tests.qr.readers import Reading
from tests.require import needs_node

#: What an intact symbol stands: every one of them is read, at every size.
STOOD = {"whole", "mirrored", "inverted", "rotated", "corner_torn", "jpeg", "payment_beside", "two_codes"}
#: Of all pictures; 0.77 of the whole corpus are read.
FLOOR = 0.65


@pytest.fixture(scope="module")
def seen() -> list[tuple[Damaged, Reading, list[str]]]:
    node = needs_node()
    sample = list(corpus())[::7]
    images = [one.image for one in sample]
    by_page = readers.page(node, images)
    return list(zip(sample, by_page, map(readers.reference, images), strict=True))


def test_the_corpus_is_large_and_the_same_every_time() -> None:
    pictures = list(corpus())
    assert len({(one.form, one.size, one.damage, one.force) for one in pictures}) == len(pictures) == 864
    for one in pictures[::100]:
        assert one.image.tobytes() == one.image.tobytes()
    whole = [one.image.tobytes() for one in pictures if (one.form, one.size, one.force) == ("EC0", 3, 2)]
    assert len(set(whole)) == len(whole), "each damage does something of its own"


def test_no_picture_is_read_as_another_code(seen: list[tuple[Damaged, Reading, list[str]]]) -> None:
    for shown, page, reference in seen:
        assert readers.of_another([*page.texts, *reference], shown.texts) == [], shown
        if page.kind == "code":
            assert page.text in shown.texts, shown
        assert page.kind != "number", shown
        assert (page.kind == "two") == (shown.damage == "two_codes" and shown.form != "ECQ"), shown


def test_what_is_read_is_what_can_be_read(seen: list[tuple[Damaged, Reading, list[str]]]) -> None:
    missed = [shown for shown, page, _ in seen if shown.damage in STOOD and not set(shown.texts) <= set(page.texts)]
    assert missed == []
    read = sum(shown.texts[0] in page.texts for shown, page, _ in seen)
    by_reference = sum(shown.texts[0] in texts for shown, _, texts in seen)
    assert read >= FLOOR * len(seen)
    assert read >= 0.95 * by_reference


def test_another_code_would_be_noticed() -> None:
    assert readers.of_another([OTHER, TEXTS["EC1"]], (TEXTS["EC1"],)) == [OTHER]
    assert readers.of_another([TEXTS["ECQ"], "134567890123456789", TEXTS["EC1"][:-3]], (OTHER,)) == [TEXTS["ECQ"]]
