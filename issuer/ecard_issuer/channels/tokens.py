"""Tokens for channels: the client credentials grant (RFC 6749 §4.4), and who a token belongs to.

Every use of a token reads the channel again. So a channel that was suspended, or has fewer scopes now, is treated so
at its next call, and no server remembers anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from ecard_card.errors import EcardError, NotAllowed, NotAuthenticated
from ecard_issuer.channels.key_sets import KeySets
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.states import ChannelState
from ecard_issuer.channels.store import ChannelStore
from ecard_issuer.channels.values import APP_ID, Channel, Quotas
from ecard_issuer.oauth.access_token import LIFE, AccessTokens
from ecard_issuer.oauth.client_assertion import ProvenClient, judge_assertion
from ecard_issuer.oauth.clocks import SKEW
from ecard_issuer.oauth.confirmation import Confirmation
from ecard_issuer.oauth.dpop import DpopNonces, Proven, Request, judge_proof
from ecard_issuer.oauth.one_time import OnceOnly, OneTime
from ecard_issuer.oauth.refusals import ClientRefused, ProofRefused, ScopeMissing, TokenRefused
from ecard_keys.client_keys import ClientKey
from ecard_keys.http_signature import SignedRequest, key_id_of, verify_request
from ecard_verifier.callers import Caller, Role

#: What its access tokens are for.
USE: Final = "channel"


@dataclass(frozen=True, slots=True)
class ChannelCaller:
    """A channel that proved itself for one call. `scopes` are those of its token."""

    app_id: str
    name: str
    scopes: frozenset[Scope]
    quotas: Quotas
    test: bool

    @property
    def caller(self) -> Caller:
        """As records name it."""
        return Caller(self.app_id, Role.CHANNEL)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What came to the token endpoint. `certificate` is the thumbprint of a client certificate that was believed."""

    request: Request
    assertion: str | None = field(default=None, repr=False)
    client_id: str | None = None
    scope: str | None = None
    proof: str | None = field(default=None, repr=False)
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class GrantedToken:
    """A token, as it is told this once."""

    access_token: str = field(repr=False)
    token_type: Literal["DPoP", "Bearer"]
    expires_in: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """A call with a token: `scheme` is that of `Authorization`, in lower case."""

    request: Request
    scheme: str
    token: str = field(repr=False)
    proof: str | None = field(default=None, repr=False)
    certificate: str | None = None


class ChannelTokens:
    """The use case. `issuer` is the authorization server's identifier, which assertions name."""

    def __init__(
        self,
        issuer: str,
        store: ChannelStore,
        key_sets: KeySets,
        tokens: AccessTokens,
        one_time: OneTime,
        nonces: DpopNonces | None = None,
        require_own: Callable[[str], None] = lambda app_id: None,
    ) -> None:
        """`require_own` raises for ids of apps that belong to another issuer than this one."""
        self.issuer = issuer
        self._require_own = require_own
        self._store = store
        self._key_sets = key_sets
        self._tokens = tokens
        self._one_time = one_time
        self.nonces = nonces

    def grant(self, asked: TokenRequest, now: datetime) -> GrantedToken:
        """A token for a channel that proved who it is, bound to its DPoP key or its certificate.

        Raises `ClientRefused` `client_assertion_wrong`, `client_assertion_used`, `client_unknown`, `clock_differs`;
        `ProofRefused` `dpop_proof_wrong`, `dpop_proof_used`, `clock_differs`, `token_unbound`, `dpop_nonce_needed`;
        `NotAllowed` `app_suspended`, `app_not_admitted`, `app_of_other_mode`; `EcardError` `scope_not_granted`.
        """
        channel, once = self._client(asked, now)
        proof = None if asked.proof is None else judge_proof(asked.proof, asked.request, now, nonces=self.nonces)
        confirmation, thumbprint = self._binding(channel, proof, asked.certificate)
        scopes = _granted(channel, asked.scope)
        taken = self._one_time.take([*once, *([] if proof is None else [proof.once])])
        if taken is not None:
            raise _used(taken)
        token = self._tokens.issue(USE, channel.app_id, scopes, confirmation, thumbprint, now)
        bound_to_key = confirmation is Confirmation.DPOP
        return GrantedToken(token, "DPoP" if bound_to_key else "Bearer", int(LIFE.total_seconds()), scopes)

    def judge(
        self,
        asked: ResourceRequest,
        scopes: Sequence[Scope],
        now: datetime,
        *,
        signed: SignedRequest | None = None,
    ) -> ChannelCaller:
        """Who calls, if the token is theirs, they prove it, and it has all of `scopes`; with `signed` the request's
        own signature must hold too, by a registered key of the channel.

        Raises `TokenRefused` `access_token_wrong`; `ProofRefused` as `grant`; `NotAllowed` `app_suspended`;
        `ScopeMissing` `scope_missing`; `NotAuthenticated` as `verify_request`, and `http_signature_used`.
        """
        row = self._tokens.find(asked.token, USE, now)
        if row is None:
            raise TokenRefused("access_token_wrong", "the access token is unknown or over")
        once: list[OnceOnly] = []
        if row.confirmation is Confirmation.DPOP:
            once.append(self._proven(asked, row.thumbprint, now).once)
        elif asked.scheme != "bearer" or asked.certificate != row.thumbprint:
            raise TokenRefused("access_token_wrong", "the token is bound to another client certificate")
        channel = self._admitted(row.client_id)
        left = frozenset(map(Scope, row.scopes)) & frozenset(channel.registration.scopes)
        if row.confirmation is Confirmation.CERTIFICATE and row.thumbprint not in channel.registration.certificates:
            raise TokenRefused("access_token_wrong", "the client certificate is not registered any more")
        if not left.issuperset(scopes):
            raise ScopeMissing(" ".join(scopes))
        if signed is not None:
            once.append(self._signature(channel, signed, now))
        taken = self._one_time.take(once) if once else None
        if taken is not None:
            raise _used(taken)
        return ChannelCaller(
            channel.app_id, channel.registration.name_en, left, channel.registration.quotas, channel.test
        )

    def keys_of(self, channel: Channel, kid: str, now: datetime) -> Sequence[ClientKey]:
        """The keys of a channel that may have signed with `kid`. Raises `Unavailable` `key_set_unreachable`."""
        return self._key_sets.keys_of(channel.app_id, channel.registration, kid, now)

    def _client(self, asked: TokenRequest, now: datetime) -> tuple[Channel, list[OnceOnly]]:
        if asked.assertion is not None:
            proven = self._asserted(asked.assertion, now)
            if asked.client_id not in (None, proven.client_id):
                raise ClientRefused("client_assertion_wrong", "client_id names another client than the assertion")
            return self._admitted(proven.client_id), [proven.once]
        channel = self._known(asked.client_id or "")
        if channel is None or asked.certificate is None:
            raise ClientRefused("client_unknown", "send a client assertion, or a client certificate and client_id")
        if asked.certificate not in channel.registration.certificates:
            raise ClientRefused("client_unknown", "no app of this id has this client certificate")
        return self._admitted(channel.app_id), []

    def _asserted(self, assertion: str, now: datetime) -> ProvenClient:
        def keys_of(client_id: str, kid: str) -> Sequence[ClientKey]:
            channel = self._known(client_id)
            return () if channel is None else self.keys_of(channel, kid, now)

        return judge_assertion(assertion, self.issuer, keys_of, now)

    def _binding(self, channel: Channel, proof: Proven | None, certificate: str | None) -> tuple[Confirmation, str]:
        if proof is not None:
            return Confirmation.DPOP, proof.thumbprint
        if certificate is not None and certificate in channel.registration.certificates:
            return Confirmation.CERTIFICATE, certificate
        raise ProofRefused("token_unbound", "send a DPoP proof, or come with a registered client certificate")

    def _proven(self, asked: ResourceRequest, thumbprint: str, now: datetime) -> Proven:
        if asked.scheme != "dpop" or asked.proof is None:
            raise ProofRefused("dpop_proof_wrong", "this token is sent as Authorization: DPoP, with a DPoP header")
        proven = judge_proof(asked.proof, asked.request, now, access_token=asked.token, nonces=self.nonces)
        if proven.thumbprint != thumbprint:
            raise ProofRefused("dpop_proof_wrong", "the token is bound to another key")
        return proven

    def _signature(self, channel: Channel, signed: SignedRequest, now: datetime) -> OnceOnly:
        kid = key_id_of(signed)
        key = next((key for key in self.keys_of(channel, kid, now) if key.kid == kid), None)
        if key is None:
            raise NotAuthenticated("http_signature_wrong", "no registered key of this app has this keyid")
        judged = verify_request(signed, key, now, skew=SKEW)
        return OnceOnly("http-signature", f"{channel.app_id} {key.kid}", judged.nonce, judged.until)

    def _known(self, app_id: str) -> Channel | None:
        if not APP_ID.fullmatch(app_id):
            return None
        self._require_own(app_id)
        return self._store.find(app_id)

    def _admitted(self, app_id: str) -> Channel:
        channel = self._known(app_id)
        if channel is None:
            raise ClientRefused("client_unknown", "no app has this id")
        if channel.state is ChannelState.SUSPENDED:
            raise NotAllowed("app_suspended", "the authority has suspended this app")
        if channel.state is not ChannelState.ACTIVE:
            raise NotAllowed("app_not_admitted", "this app is not admitted")
        return channel


def _granted(channel: Channel, asked: str | None) -> tuple[str, ...]:
    """What was asked for, if all of it was granted to the channel; by default all that was."""
    granted = {scope.value for scope in channel.registration.scopes}
    wanted = granted if asked is None else set(asked.split(" "))
    if not wanted or not wanted <= granted:
        raise NotAllowed("scope_not_granted", "the app was not granted all of these scopes")
    return tuple(sorted(wanted))


def _used(value: OnceOnly) -> EcardError:
    if value.purpose == "client-assertion":
        return ClientRefused("client_assertion_used", "this assertion was used before: make a new one for each request")
    if value.purpose == "dpop-proof":
        return ProofRefused("dpop_proof_used", "this proof was used before: make a new one for each request")
    return NotAuthenticated("http_signature_used", "this signature's nonce was used before")
