"""Doing once what many ask for at the same moment: one transaction, and one way to the database, for all of them.

Who asks alone waits for nobody: the first one to come works, those who come meanwhile are the next batch, and one of
them works for all. No timer gathers anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Generic, TypeVar

from ecard_card.errors import EcardError, Unavailable

Question = TypeVar("Question")
Answer = TypeVar("Answer")
#: Answered at one go. More do not make it cheaper, and each waits for the last.
MOST: Final = 32


@dataclass(frozen=True, slots=True)
class Asked(Generic[Question, Answer]):
    """One question of a batch, and where its answer or its error goes."""

    question: Question
    outcome: Future[Answer] = field(default_factory=Future, repr=False)


class Together(Generic[Question, Answer]):
    """`work` settles the outcome of each question of a batch, in order of arrival. What it leaves open when it raises
    ends with that error. Safe for threads."""

    def __init__(self, work: Callable[[Sequence[Asked[Question, Answer]]], None], most: int = MOST) -> None:
        self._work, self._most = work, most
        self._guard, self._working = Lock(), Lock()
        self._waiting: list[Asked[Question, Answer]] = []

    def ask(self, *questions: Question) -> list[Answer]:
        """The answer to each; raises the error of the first that has one."""
        asked: list[Asked[Question, Answer]] = [Asked(question) for question in questions]
        with self._guard:
            self._waiting += asked
        try:
            while not all(one.outcome.done() for one in asked):
                with self._working:
                    if not all(one.outcome.done() for one in asked):
                        self._next()
        except BaseException:  # whoever works for others and is cut short leaves no question behind: nobody would hear
            self._withdraw(asked)
            raise
        return [one.outcome.result() for one in asked]

    def _withdraw(self, asked: Sequence[Asked[Question, Answer]]) -> None:
        ours = set(map(id, asked))
        with self._guard:
            self._waiting = [one for one in self._waiting if id(one) not in ours]

    def _next(self) -> None:
        with self._guard:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        if not batch:
            return
        try:
            self._work(batch)
        except EcardError as error:
            _end(batch, error)
        except BaseException:  # ours to report; the others hear that it may or may not have been done
            _end(batch, Unavailable("outcome_unknown", "what was done for several at once was cut short"))
            raise


def all_or_each(
    work: Callable[[Sequence[Question]], Sequence[Answer]],
) -> Callable[[Sequence[Asked[Question, Answer]]], None]:
    """For `Together`, from `work` that answers all or, by raising, leaves nothing done. What several cannot have
    together each tries alone, so that each hears of its own fault and of no other's; but where the database is away, or
    what became of it is not known, all hear that."""

    def settle(batch: Sequence[Asked[Question, Answer]]) -> None:
        try:
            answers = work([one.question for one in batch])
        except Unavailable:
            raise
        except EcardError:
            if len(batch) == 1:
                raise
            for one in batch:
                _alone(work, one)
        else:
            for one, answer in zip(batch, answers, strict=True):
                one.outcome.set_result(answer)

    return settle


def _alone(work: Callable[[Sequence[Question]], Sequence[Answer]], one: Asked[Question, Answer]) -> None:
    try:
        (answer,) = work([one.question])
    except EcardError as error:
        one.outcome.set_exception(error)
    else:
        one.outcome.set_result(answer)


def _end(batch: Sequence[Asked[Question, Answer]], error: EcardError) -> None:
    for one in batch:
        if not one.outcome.done():
            one.outcome.set_exception(error)
