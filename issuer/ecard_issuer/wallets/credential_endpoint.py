"""The credential endpoint and what follows it: several keys at once, each with a credential of its own (OpenID4VCI 1.0
§§8, 9, 11).

A nonce is used by the batch that names it, and a batch says on which enrolment each key's credential is issued before
the first is: so a request that is sent again after a lost answer gives the same credentials, whatever was lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ecard_issuer.wallets.issuing import IssuesToWallets
from ecard_issuer.wallets.key_proof import KeyProof, read_proof
from ecard_issuer.wallets.nonces import Nonces, batch_id_of
from ecard_issuer.wallets.offers import CONFIGURATION
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.token_endpoint import CREDENTIAL_IDENTIFIER
from ecard_issuer.wallets.values import (
    BATCH_SIZE,
    LINK_BATCH_SIZE,
    REVIEW_LIFE,
    BatchRow,
    BatchState,
    SessionRow,
    WalletEvent,
)

Json = dict[str, object]
#: Seconds after which a wallet may ask again for what a person reviews.
INTERVAL: Final = 60
_MEMBERS: Final = frozenset({"credential_configuration_id", "credential_identifier", "proofs"})


@dataclass(frozen=True, slots=True)
class Handed:
    """What a wallet gets: credentials in the order of its keys, or, while a person reviews the request, None."""

    batch_id: str
    credentials: tuple[str, ...] | None = field(repr=False)


class CredentialEndpoint:
    """The use case. `issuer` is the credential issuer's identifier; `review_all`: a person looks at each request."""

    def __init__(
        self, store: WalletStore, nonces: Nonces, issues: IssuesToWallets, issuer: str, *, review_all: bool
    ) -> None:
        self._store, self._nonces, self._issues = store, nonces, issues
        self._issuer, self._review_all = issuer, review_all

    def request(self, session: SessionRow, body: Json, now: datetime) -> Handed:
        """Issue to each key that the body proves possession of.

        Raises `WalletRefusal`: `invalid_credential_request`, `unknown_credential_configuration`,
        `unknown_credential_identifier`, `invalid_proof`, `invalid_nonce`, `credential_request_denied`; and
        `Unavailable` and `Conflict` `issuance_in_progress` where the same may succeed in a moment.
        """
        proofs = _proofs_of(body, session)
        read = [
            read_proof(proof, issuer=self._issuer, client_id=session.client_id, now=int(now.timestamp()))
            for proof in proofs
        ]
        nonce = self._nonce_of(read, now)
        points = [proof.point.hex() for proof in read]
        if len(set(points)) != len(points):
            raise WalletRefusal("invalid_proof", "each key stands in one proof")
        request_hash = hashlib.sha256("\n".join((session.session_id, *points)).encode()).hexdigest()
        kept = self._keep(session, batch_id_of(nonce), request_hash, points, now)
        return self._hand(session, kept, now)

    def deferred(self, session: SessionRow, body: Json, now: datetime) -> Handed:
        """The outcome of a request that waited for a review, again and again until the wallet says that it has it.

        Raises `WalletRefusal` `invalid_transaction_id`, `credential_request_denied`, `invalid_credential_request`.
        """
        batch = self._batch_of(session, body, "transaction_id", ())
        if batch is None or batch.event is not None:
            raise WalletRefusal("invalid_transaction_id", "no request of this session has it, or it was fetched")
        return self._hand(session, batch, now)

    def notified(self, session: SessionRow, body: Json, now: datetime) -> None:
        """What became of the credentials at the wallet. Telling it again is harmless; deleted ones end here too.

        Raises `WalletRefusal` `invalid_notification_id`, `invalid_notification_request`.
        """
        event = body.get("event")
        if type(event) is not str or event not in set(WalletEvent):
            raise WalletRefusal("invalid_notification_request", "event is none of those of §11.1")
        description = body.get("event_description", "")
        if type(description) is not str or len(description) > 1024:
            raise WalletRefusal("invalid_notification_request", "event_description is no short text")
        batch = self._batch_of(session, body, "notification_id", ("event", "event_description"))
        if batch is None or batch.state is not BatchState.GRANTED:
            raise WalletRefusal("invalid_notification_id", "no credentials of this session have it")
        if event == WalletEvent.DELETED:
            self._issues.end(session.right, batch.keys, now)
        self._store.note_event(batch.batch_id, WalletEvent(event))

    def _nonce_of(self, proofs: Sequence[KeyProof], now: datetime) -> str:
        nonces = {proof.nonce for proof in proofs}
        if len(nonces) != 1:
            raise WalletRefusal("invalid_nonce", "the proofs of one request name one c_nonce")
        (nonce,) = nonces
        if not self._nonces.good(nonce, now):
            raise WalletRefusal("invalid_nonce", "not our c_nonce, or over: ask for another one")
        return nonce

    def _keep(
        self, session: SessionRow, batch_id: str, request_hash: str, points: Sequence[str], now: datetime
    ) -> BatchRow:
        review = session.review or self._review_all
        until = now + REVIEW_LIFE if review else session.expires_at
        if session.right.link_id is not None:
            points = points[:LINK_BATCH_SIZE]  # fewer credentials than proofs, as §8.3 permits
        most = BATCH_SIZE if session.right.link_id is None else LINK_BATCH_SIZE
        if session.taken + len(points) > most:
            kept = self._store.find_batch(batch_id)
        else:
            keys = self._issues.prepare(session.right, points, session.taken, now, until=until if review else None)
            state = BatchState.WAITING if review else BatchState.GRANTED
            batch = BatchRow(batch_id, session.session_id, request_hash, keys, state, now, until)
            kept = self._store.add_batch(batch, session.taken, most) or self._store.find_batch(batch_id)
        if kept is None:
            raise WalletRefusal("credential_request_denied", f"one offer is good for {most} keys")
        if (kept.session_id, kept.request_hash) != (session.session_id, request_hash):
            raise WalletRefusal("invalid_nonce", "this c_nonce was used: ask for another one")
        return kept

    def _hand(self, session: SessionRow, batch: BatchRow, now: datetime) -> Handed:
        if batch.state is BatchState.REFUSED:
            raise WalletRefusal("credential_request_denied", "refused in review")
        if batch.state is BatchState.WAITING:
            if batch.expires_at <= now:
                raise WalletRefusal("credential_request_denied", "nobody reviewed it in time")
            return Handed(batch.batch_id, None)
        if batch.event is WalletEvent.DELETED:
            raise WalletRefusal(
                "credential_request_denied", "the wallet said that it deleted these, so they have ended"
            )
        return Handed(batch.batch_id, self._issues.issue(session.right, batch.keys, now))

    def _batch_of(self, session: SessionRow, body: Json, name: str, others: tuple[str, ...]) -> BatchRow | None:
        batch_id = body.get(name)
        if type(batch_id) is not str or not {name, *others}.issuperset(body):
            wrong = "invalid_notification_request" if others else "invalid_credential_request"
            raise WalletRefusal(wrong, f"want {name}, a text")
        batch = self._store.find_batch(batch_id) if len(batch_id) == 32 else None
        return batch if batch is not None and batch.session_id == session.session_id else None


def _proofs_of(body: Json, session: SessionRow) -> list[str]:
    """The proofs of a request for our one kind of credential (§8.2)."""
    if "credential_response_encryption" in body:
        raise WalletRefusal("invalid_encryption_parameters", "answers are not encrypted here, but by TLS")
    if not _MEMBERS.issuperset(body):
        raise WalletRefusal("invalid_credential_request", "a member that is not known here")
    configuration, identifier = body.get("credential_configuration_id"), body.get("credential_identifier")
    if (configuration is None) == (identifier is None):
        raise WalletRefusal(
            "invalid_credential_request", "one of credential_configuration_id and credential_identifier"
        )
    if (identifier is not None) != session.identified:
        raise WalletRefusal("invalid_credential_request", "the token's authorization_details say how to ask")
    if identifier is not None and identifier != CREDENTIAL_IDENTIFIER:
        raise WalletRefusal("unknown_credential_identifier", "not one of the token's credential_identifiers")
    if configuration is not None and configuration != CONFIGURATION:
        raise WalletRefusal("unknown_credential_configuration", f"only {CONFIGURATION} is issued to wallets")
    proofs = body.get("proofs")
    if not isinstance(proofs, dict) or set(proofs) != {"jwt"}:
        raise WalletRefusal("invalid_proof", "want proofs with the one member jwt")
    texts = proofs["jwt"]
    if not isinstance(texts, list) or not texts or any(type(text) is not str for text in texts):
        raise WalletRefusal("invalid_proof", "jwt is a list of texts")
    if len(texts) > BATCH_SIZE:
        raise WalletRefusal("invalid_credential_request", f"at most {BATCH_SIZE} proofs")
    return texts
