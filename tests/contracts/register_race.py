"""Tasks that start in the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from ecard_card.errors import EcardError


def race(*tasks: Callable[[], object]) -> Counter[str]:
    """Start all tasks in the same moment; count how they ended: `won`, or the code of the refusal."""
    start = Barrier(len(tasks))

    def run(task: Callable[[], object]) -> str:
        start.wait(10)
        try:
            task()
        except EcardError as error:
            return error.code
        return "won"

    with ThreadPoolExecutor(len(tasks)) as pool:
        return Counter(pool.map(run, tasks))
