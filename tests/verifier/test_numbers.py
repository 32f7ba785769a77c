"""Ten digits at a counter: what is one, and how a verifier asks what it stands for."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from ecard_card.errors import NotAllowed, NotFound, Unavailable
from ecard_verifier.numbers import HttpNumbers, as_number
from tests.contracts.register_world import refused

Answer = Callable[[httpx2.Request], httpx2.Response]


@pytest.mark.parametrize("text", ["0123456789", "01234 56789", " 0123-456-789\r\n", "０１２３４５６７８９"])
def test_ten_digits_are_a_number_however_they_are_typed(text: str) -> None:
    assert as_number(text) == "0123456789"


@pytest.mark.parametrize("text", ["", "123456789", "01234567890", "EC0:0123456789", "٠١٢٣٤٥٦٧٨٩", "1" + " " * 80])
def test_anything_else_is_none(text: str) -> None:
    assert as_number(text) is None


def asking(*answers: httpx2.Response | Exception) -> HttpNumbers:
    told = iter(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        assert request.headers["authorization"] == "Bearer token"
        assert b"0123456789" in request.content
        assert "0123456789" not in str(request.url)
        answer = next(told)
        if isinstance(answer, Exception):
            raise answer
        return answer

    issuers = [(f"https://issuer-{place}.example/", "token") for place in range(len(answers))]
    return HttpNumbers(issuers, transport=httpx2.MockTransport(handle))


KNOWN = httpx2.Response(200, json={"code": "EC0:A"})
UNKNOWN = httpx2.Response(404, json={"code": "number_unknown"})
BARRED = httpx2.Response(403, json={"code": "number_guesses_used_up"})


def test_each_issuer_is_asked_until_one_knows() -> None:
    assert asking(UNKNOWN, KNOWN).code_of("0123456789", "till") == "EC0:A"
    with refused(NotFound, "number_unknown"):
        asking(UNKNOWN, UNKNOWN).code_of("0123456789", "till")
    with refused(NotAllowed, "number_guesses_used_up"):
        asking(BARRED).code_of("0123456789", "till")


@pytest.mark.parametrize(
    "answer",
    [httpx2.ConnectError("away"), httpx2.Response(500), httpx2.Response(200, json={"code": 7}), httpx2.Response(404)],
)
def test_not_to_know_is_not_to_know_that_there_is_none(answer: httpx2.Response | Exception) -> None:
    with refused(Unavailable, "numbers_unavailable"):
        asking(answer, UNKNOWN).code_of("0123456789", "till")
    assert asking(answer, KNOWN).code_of("0123456789", "till") == "EC0:A"
