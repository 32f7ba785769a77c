"""Whether a snapshot of an issuer's feed may be taken: who signed its manifest, when, and for which stream.

What is taken is not believed yet: the feed itself must name the manifest (`ecard_verifier.mirror`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from ecard_card import feed_snapshot
from ecard_card.errors import CheckFailed
from ecard_card.feed_snapshot import Chunk, Manifest
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.trust import Trust, TrustedKey
from ecard_keys.verify import verify_jws
from ecard_verifier.feed import SKEW, STREAM

#: Seconds after its `as_of` that a snapshot may still be taken.
LONGEST: Final = 86_400


@dataclass(frozen=True, slots=True)
class AcceptedManifest:
    """A manifest whose signature, signer, subject and time hold."""

    manifest: Manifest
    digest: str


class SnapshotSource(Protocol):
    """Where snapshots come from. Nothing that it gives is believed yet."""

    def manifest(self) -> str | None:
        """The newest one's; None where the issuer has none, or knows of no snapshots.

        Raises `Unavailable` `feed_snapshot_unavailable`, `InvalidInput` `bad_feed_snapshot` for one that is too long.
        """
        ...

    def chunk(self, number: int, place: int, chunk: Chunk, /) -> bytes:
        """Chunk `place` of snapshot `number`, read no further than it may be long.

        Raises `Unavailable` `feed_snapshot_unavailable`, `NotFound` `feed_snapshot_gone`, `CheckFailed`
        `feed_snapshot_altered` for one that is too long.
        """
        ...


def accept_manifest(token: str, issuer: str, trust: Trust | None, now: datetime) -> AcceptedManifest:
    """The manifest of a snapshot of the feed of `issuer`. `now` is aware UTC.

    Raises `InvalidInput` for its form; `CheckFailed` `trust_missing`, `trust_expired`, `unknown_key`, `bad_signature`,
    `key_compromised` (a key that was denied, whatever the cut-off: its thief writes dates too), the key's own reason,
    `issuer_mismatch` (also another stream), `status_list_foreign`, `feed_snapshot_from_future`,
    `feed_snapshot_too_old`; `Unavailable` `algorithm_unavailable`.
    """
    sealed = feed_snapshot.sealed(token)
    seconds = int(now.timestamp())
    if trust is None:
        raise CheckFailed("trust_missing", "this verifier has no trust list")
    if trust.expires_at < seconds - SKEW:
        raise CheckFailed("trust_expired", "the trust list has expired")
    candidates = trust.candidates(sealed.kid, KeyPurpose.EVENT)
    if not candidates:
        raise CheckFailed("unknown_key", "no issuer on the trust list has this event key")
    signer = next(
        (
            key
            for key in sorted(candidates, key=lambda key: key.issuer.issuer != issuer)
            if key.record.algorithm == sealed.jws.algorithm and verify_jws(sealed.jws, key.loaded())
        ),
        None,
    )
    if signer is None:
        raise CheckFailed("bad_signature", "the snapshot is not signed by the key it names")
    manifest = sealed.open()
    refusal = "key_compromised" if _denied(signer) else signer.accepts(manifest.issued_at)
    if refusal is not None:
        raise CheckFailed(refusal, "the key may not have signed this snapshot")
    if signer.issuer.issuer != issuer or manifest.issuer != issuer or manifest.stream != STREAM:
        raise CheckFailed("issuer_mismatch", "a snapshot of another issuer or stream")
    if manifest.status_uri != signer.issuer.status_uri:
        raise CheckFailed("status_list_foreign", "the snapshot speaks of lists that are not its signer's")
    if manifest.issued_at > seconds + SKEW:
        raise CheckFailed("feed_snapshot_from_future", "the snapshot is dated ahead of our clock")
    if seconds - manifest.as_of > LONGEST:
        raise CheckFailed("feed_snapshot_too_old", "the snapshot is older than a day")
    return AcceptedManifest(manifest, sealed.digest)


def _denied(key: TrustedKey) -> bool:
    return key.record.state is KeyState.COMPROMISED or key.record.compromised_from is not None
