"""Metrics of what partners are told: attempts, backlog, age, dead letters. By method, never by partner or card."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ecard_card.errors import EcardError
from ecard_issuer.assembly import Issuer
from ecard_issuer.partners.streams import Method, StreamStatus

RESULTS = ("delivered", "failed", "dead")


class PartnerFamilies:
    """The families, filled issuer by issuer."""

    def __init__(self) -> None:
        labels = ["issuer", "method"]
        self.attempts = CounterMetricFamily(
            "ecard_partner_deliveries",
            "Attempts to deliver since this process began, by what became of the delivery.",
            labels=["issuer", "result"],
        )
        self.waiting = GaugeMetricFamily(
            "ecard_partner_backlog", "Deliveries that wait for their receiver.", labels=labels
        )
        self.lag = GaugeMetricFamily(
            "ecard_partner_feed_lag",
            "Events of the feed beyond the slowest stream's cursor; up to 500 are usual.",
            labels=labels,
        )
        self.oldest = GaugeMetricFamily(
            "ecard_partner_oldest_undelivered_seconds", "How long the oldest delivery waits.", labels=labels
        )
        self.dead = GaugeMetricFamily("ecard_partner_dead_letters", "Deliveries that were given up.", labels=labels)
        self.halted = GaugeMetricFamily(
            "ecard_partner_streams_halted", "Streams that are paused or disabled.", labels=labels
        )

    @property
    def all(self) -> tuple[Metric, ...]:
        return self.attempts, self.waiting, self.lag, self.oldest, self.dead, self.halted

    def add(self, issuer: Issuer, now: datetime) -> None:
        """What is known of one issuer's streams; nothing while its register is away."""
        name = issuer.identity.issuer
        results = issuer.partners.worker.results()
        for result in RESULTS:
            self.attempts.add_metric([name, result], results.get(result, 0))
        try:
            streams = issuer.partners.overview()
        except EcardError:
            return
        for method in Method:
            own = [stream for stream in streams if stream.method is method]
            live = [stream for stream in own if stream.status is StreamStatus.ENABLED]
            ages = [(now - stream.oldest).total_seconds() for stream in live if stream.oldest is not None]
            totals: Counter[str] = Counter()
            for stream in own:
                totals.update(waiting=stream.waiting, dead=stream.dead)
            labels = [name, method.value]
            self.waiting.add_metric(labels, totals["waiting"])
            self.lag.add_metric(labels, max((stream.lag for stream in live), default=0))
            self.oldest.add_metric(labels, max(ages, default=0.0))
            self.dead.add_metric(labels, totals["dead"])
            self.halted.add_metric(labels, len(own) - len(live))
