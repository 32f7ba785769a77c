"""The offline verifier: a bundle once fetched, then no network at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ecard_card.errors import InvalidInput
from ecard_keys.trust.root import TrustRoot
from ecard_verifier.bundle import MAX_BUNDLE, Bundle, open_bundle
from ecard_verifier.bundle_update import PublishedSource, missing_deltas
from ecard_verifier.check import check
from ecard_verifier.http_published import PublishedStatus
from ecard_verifier.policy import Policy
from ecard_verifier.verdict import Verdict


class OfflineVerifier:
    """Judges `EC1:` codes and SD-JWT presentations against a bundle.

    It has no memory: hand `verdict.replay_key` to a replay guard to refuse a code the second time.
    """

    def __init__(self, bundle: Bundle, policy: Policy | None = None) -> None:
        self.bundle = bundle
        self.policy = policy or Policy()

    @classmethod
    def from_bundle(
        cls,
        path: str | Path,
        *,
        root: TrustRoot | None = None,
        now: datetime | None = None,
        policy: Policy | None = None,
    ) -> OfflineVerifier:
        """Read and verify a bundle file. Pin `root` (from the authority, by another way than the bundle) in service.

        Raises `InvalidInput` `bad_bundle`, and what `open_bundle` raises.
        """
        source = Path(path)
        try:
            if source.stat().st_size > MAX_BUNDLE:
                raise InvalidInput("bad_bundle", "larger than any bundle")
            data = source.read_bytes()
        except OSError as error:
            raise InvalidInput("bad_bundle", f"cannot be read: {error.strerror}") from None
        return cls(open_bundle(data, now or datetime.now(UTC), root), policy)

    def apply_delta(self, token: str, *, now: datetime | None = None) -> None:
        """Take the next signed delta of the bundle's issuer, from whatever carrier.

        Raises `InvalidInput` or `CheckFailed` for one that is not the next (`delta_gap`, `delta_old`,
        `delta_repeated`, `delta_forked`, `delta_foreign`, `bad_signature`, ...): then nothing has changed.
        """
        self.bundle.statuses.apply(token, now or datetime.now(UTC))

    def update(
        self,
        now: datetime | None = None,
        *,
        source_of: Callable[[str], PublishedSource] = PublishedStatus,
    ) -> int:
        """Fetch and take the deltas that there are; returns how many. Every 15 s of it keeps statuses within 60 s.

        `source_of` an issuer's name says where to ask; by default its own public routes. Raises what `apply_delta`
        raises, `NotFound` `status_delta_gone` (take a new bundle), `Unavailable` `published_unavailable`. What was
        taken before stays taken.
        """
        taken = 0
        for issuer, place in self.bundle.statuses.places().items():
            for token in missing_deltas(source_of(issuer), place):
                self.apply_delta(token, now=now)
                taken += 1
        return taken

    def verify(
        self, code: str, *, now: datetime | None = None, audience: str | None = None, nonce: str | None = None
    ) -> Verdict:
        """The verdict on a code, with `status_as_of`. Never raises for what was scanned."""
        return check(
            code,
            self.bundle.trust,
            self.bundle.statuses,
            now or datetime.now(UTC),
            self.policy,
            audience=audience,
            nonce=nonce,
        )
