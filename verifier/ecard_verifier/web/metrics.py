"""Metrics of a verifier in the Prometheus text format. Labels are outcomes, reasons, purposes and kinds of alarms: a
handful of each, and never a counter, a group or a person."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ecard_card.errors import EcardError
from ecard_verifier.counters.assembly import Counters


class CounterMetrics:
    """A collector for a registry. A store that does not answer is left out, with `ecard_counters_up` 0."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time, so that registering reads no store."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One family after the other."""
        judged = CounterMetricFamily(
            "ecard_verifications",
            "Verifications since this process began.",
            labels=["outcome", "reason", "purpose"],
        )
        for labels, count in sorted(self._counters.tally.counts().items()):
            judged.add_metric(list(labels), count)
        up = GaugeMetricFamily("ecard_counters_up", "1 if the store of counters answers.")
        admitted = GaugeMetricFamily("ecard_counters_admitted", "Counters with an admitted page.")
        alarms = GaugeMetricFamily("ecard_counter_alarms", "Alarms that nobody has acknowledged.", labels=["kind"])
        room = self._counters.administration
        try:
            count, waiting = room.doors.count_admitted(self._counters.service.now()), room.ledger.count_open()
        except EcardError:
            up.add_metric([], 0)
            return judged, up
        up.add_metric([], 1)
        admitted.add_metric([], count)
        for kind, number in waiting.items():
            alarms.add_metric([kind.value], number)
        return judged, up, admitted, alarms
