"""When a delivery is tried again, and what an answer means for it and for its stream. Pure.

An event that fails waits by itself, and the later news of its card wait behind it; other cards go on. When several
attempts in a row find no receiver at all, the stream as a whole waits and single events probe it, which does not count
as an attempt of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from ecard_issuer.partners.store import Attempt
from ecard_issuer.partners.streams import Delivery, DeliveryState, Stream, StreamStatus

#: Seconds between an attempt that failed and the next one; after the last of them a delivery is given up.
RETRIES: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: Failed attempts in a row after which nothing but a probe is sent.
BREAKER: Final = 3
#: Seconds between two probes at most, and how many there are before the stream is paused: three days.
LONGEST_PROBE: Final = 300
PROBES: Final = 864
#: The longest that a receiver may ask for by `Retry-After`, in seconds.
LONGEST_WAIT: Final = 86_400
_JITTER: Final = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. `result` is a short stable word or `http_` and the status.

    `blames_event`: the receiver is there and does not want this event. `gone`: it wants no event ever again.
    """

    taken: bool
    result: str
    retry_after: float | None = None
    blames_event: bool = False
    gone: bool = False


def wait(failed: int, jitter: float) -> timedelta | None:
    """How long to wait after so many failed attempts (at least 1): the schedule ± 20 %. None: give up.

    `jitter` is random in [0, 1): receivers that failed together are not tried again together.
    """
    if failed > len(RETRIES):
        return None
    return timedelta(seconds=RETRIES[failed - 1] * (1 - _JITTER + 2 * _JITTER * jitter))


def probe_wait(failures: int, jitter: float) -> timedelta | None:
    """How long a stream whose receiver seems away waits for its next probe: from 5 s, doubling to 5 min, ± 20 %.

    None: it was tried for three days.
    """
    tries = failures - BREAKER
    if tries >= PROBES:
        return None
    seconds = min(RETRIES[0] * 2 ** min(tries, 16), LONGEST_PROBE)
    return timedelta(seconds=seconds * (1 - _JITTER + 2 * _JITTER * jitter))


def judge(stream: Stream, delivery: Delivery, answer: Answer, now: datetime, jitter: float) -> Attempt:
    """What becomes of the delivery and its stream after `answer`."""
    was_away = stream.failures >= BREAKER
    if answer.taken:
        return Attempt(DeliveryState.DONE, answer.result, None, failures=0, recovered=was_away)
    if answer.gone:
        gone = StreamStatus.DISABLED
        return Attempt(DeliveryState.DEAD, answer.result, None, failures=0, status=gone, reason="receiver_gone")
    asked = None
    if answer.retry_after is not None:
        asked = now + timedelta(seconds=min(max(answer.retry_after, 0), LONGEST_WAIT))
    counts = answer.blames_event or not was_away  # else it says nothing of this event, which was only the probe
    pause = wait(delivery.attempts + 1, jitter) if counts else timedelta(0)
    state = DeliveryState.DEAD if pause is None else DeliveryState.WAITING
    next_at = None if pause is None else now + pause
    if answer.blames_event:
        return Attempt(state, answer.result, next_at, failures=0, recovered=was_away)
    failures = max(stream.failures + 1, BREAKER if asked else 0)
    attempt = Attempt(state, answer.result, next_at, failures=failures, counts=counts)
    if failures < BREAKER:
        return attempt
    probe = probe_wait(failures, jitter)
    if probe is None:
        return replace(attempt, status=StreamStatus.PAUSED, reason="receiver_unreachable")
    return replace(attempt, hold_until=max(now + probe, asked or now))


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that a `Retry-After` of whole seconds or an HTTP date (RFC 9110 §10.2.3) asks for; None for any other."""
    if value is None or len(value) > 64:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 9:
        return float(value)
    try:
        moment = datetime.strptime(value, "%a, %d %b %Y %H:%M:%S GMT")
    except ValueError:
        return None
    return max(0.0, (moment - now.replace(tzinfo=None)).total_seconds())
