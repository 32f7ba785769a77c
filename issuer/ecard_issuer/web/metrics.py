"""Metrics of the issuers of this process in the Prometheus text format, read from the register when they are asked for.

Labels are the issuer, a purpose, a profile, a kind of finding or a code: a handful of each, never a key id or a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from ecard_card.errors import EcardError, NotFound
from ecard_issuer.assembly import Issuer
from ecard_issuer.key_lives import Standing
from ecard_issuer.web.partner_metrics import PartnerFamilies
from ecard_keys.key import KeyState
from ecard_keys.rotation import RotationRules, counted, earliest_promotion, rotation_due

READ_EVERY: Final = timedelta(seconds=30)


def metrics_of(issuers: Sequence[Issuer]) -> CollectorRegistry:
    """A registry with the metrics of these issuers and nothing of the process around them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(issuers))
    return registry


class _Metrics:
    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = tuple(issuers)
        self._read: dict[str, tuple[datetime, Standing]] = {}

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time, so that registering reads no register."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """One family after the other. An issuer whose register does not answer is `ecard_register_up` 0 and no more."""
        up = GaugeMetricFamily("ecard_register_up", "1 if the register answers.", labels=["issuer"])
        findings = GaugeMetricFamily(
            "ecard_key_findings", "What `ecard key list` says is due, late or unsafe.", labels=["issuer", "kind"]
        )
        age = GaugeMetricFamily(
            "ecard_key_active_age_seconds", "How long the active key signs.", labels=["issuer", "purpose"]
        )
        promotion = GaugeMetricFamily(
            "ecard_key_promotion_due_seconds",
            "Until the next key should sign, by lead and schedule; negative if late.",
            labels=["issuer", "purpose"],
        )
        expiry = GaugeMetricFamily(
            "ecard_trust_list_expiry_seconds", "Until the published trust list expires.", labels=["issuer"]
        )
        delta = GaugeMetricFamily(
            "ecard_status_delta_age_seconds",
            "Since the time as of which whoever has the newest delta knows all changes.",
            labels=["issuer"],
        )
        snapshot = GaugeMetricFamily(
            "ecard_feed_snapshot_age_seconds", "Since the newest snapshot of the feed was made.", labels=["issuer"]
        )
        partners = PartnerFamilies()
        signed = CounterMetricFamily(
            "ecard_signatures", "Signatures made since this process began.", labels=["issuer", "profile"]
        )
        exceptions = GaugeMetricFamily(
            "ecard_intake_exceptions",
            "Events of card systems that wait for a person or a later try, by code.",
            labels=["issuer", "code"],
        )
        for issuer in self._issuers:
            name, now = issuer.identity.issuer, issuer.clock()
            for profile, count in issuer.signing.counts().items():
                signed.add_metric([name, profile.value], count)
            try:
                standing = self._standing(issuer, now)
                waiting = issuer.intake.store.counts()
            except EcardError:
                up.add_metric([name], 0)
                continue
            up.add_metric([name], 1)
            for code, count in waiting.items():
                exceptions.add_metric([name, code], count)
            if (as_of := _delta_as_of(issuer)) is not None:
                delta.add_metric([name], now.timestamp() - as_of)
            if (made_at := _snapshot_made_at(issuer)) is not None:
                snapshot.add_metric([name], (now - made_at).total_seconds())
            partners.add(issuer, now)
            lives = issuer.key_office.lives
            for kind, count in counted(lives.advice(now, standing)).items():
                findings.add_metric([name, kind.value], count)
            for key in standing.keys:
                if key.state is KeyState.ACTIVE and key.activated_at is not None:
                    age.add_metric([name, key.purpose.value], (now - key.activated_at).total_seconds())
            for purpose, seconds in _promotions(standing, lives.rules, now):
                promotion.add_metric([name, purpose], seconds)
            if standing.published is not None:
                expiry.add_metric([name], (standing.published.expires_at - now).total_seconds())
        return up, findings, age, promotion, expiry, delta, snapshot, exceptions, signed, *partners.all

    def _standing(self, issuer: Issuer, now: datetime) -> Standing:
        """Read at most once in `READ_EVERY`: the store counts the live credentials of each key for it."""
        name = issuer.identity.issuer
        read = self._read.get(name)
        issuer.register.schedules()  # a register that is away is told at once, all the same
        if read is None or abs(now - read[0]) >= READ_EVERY:
            read = self._read[name] = (now, issuer.key_office.lives.standing(now))
        return read[1]


def _snapshot_made_at(issuer: Issuer) -> datetime | None:
    try:
        return issuer.publishing.snapshots.latest().made_at
    except NotFound:
        return None


def _delta_as_of(issuer: Issuer) -> int | None:
    try:
        return issuer.publishing.deltas.latest().as_of
    except EcardError:
        return None  # none was made yet, or the register has just gone away


def _promotions(standing: Standing, rules: RotationRules, now: datetime) -> list[tuple[str, float]]:
    """By purpose, where a schedule or a waiting key gives a date: the later of the two dates."""
    schedules = {schedule.purpose: schedule for schedule in standing.schedules}
    found = []
    for purpose in {key.purpose for key in standing.keys}:
        own = [key for key in standing.keys if key.purpose is purpose]
        dates = [earliest_promotion(key, rules) for key in own if key.state is KeyState.NEXT]
        if purpose in schedules:
            dates += [rotation_due(key, schedules[purpose]) for key in own if key.state is KeyState.ACTIVE]
        known = [date for date in dates if date is not None]
        if known:
            found.append((purpose.value, (max(known) - now).total_seconds()))
    return sorted(found)
