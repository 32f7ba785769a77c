"""The token endpoint: a code becomes a session, once (RFC 6749 §4.1.3, OpenID4VCI 1.0 §6)."""

from __future__ import annotations

import hashlib
import re
import secrets as randomness
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from ecard_card import jose
from ecard_issuer.wallets.offers import CONFIGURATION, PRE_AUTHORIZED
from ecard_issuer.wallets.refusals import WalletRefusal
from ecard_issuer.wallets.store import WalletStore
from ecard_issuer.wallets.tokens import Opener, WalletSecrets, new_opener, read_opener, same
from ecard_issuer.wallets.values import SESSION_LIFE, OfferRow, OfferState, RequestState, Right, SessionRow

#: What our one kind of credential is called in `credential_identifiers`.
CREDENTIAL_IDENTIFIER: Final = "ecard"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CLIENT: Final = re.compile(r"[\x21-\x7e]{1,256}")
_DIGITS: Final = re.compile(r"[0-9]{1,16}")


class TokenEndpoint:
    """The use case. A parameter that is there twice never gets here."""

    def __init__(
        self, store: WalletStore, secrets: WalletSecrets, random: Callable[[int], bytes] = randomness.token_bytes
    ) -> None:
        self._store, self._secrets, self._random = store, secrets, random

    def redeem(self, form: Mapping[str, str], jkt: str | None, now: datetime) -> dict[str, object]:
        """The answer to a token request. `jkt` is the thumbprint of the key whose DPoP proof came along, judged before.

        Raises `WalletRefusal`: `unsupported_grant_type`, `invalid_request`, `invalid_grant`.
        """
        grant_type = form.get("grant_type")
        if grant_type == PRE_AUTHORIZED:
            opener, identified = self._pre_authorized(form, jkt, now), False
        elif grant_type == "authorization_code":
            opener, identified = self._authorization_code(form, jkt, now)
        else:
            raise WalletRefusal("unsupported_grant_type", "want a pre-authorized code or an authorization code")
        answer: dict[str, object] = {
            "access_token": opener.text,
            "token_type": "Bearer" if jkt is None else "DPoP",
            "expires_in": int(SESSION_LIFE.total_seconds()),
        }
        if identified:
            answer["authorization_details"] = [
                {
                    "type": "openid_credential",
                    "credential_configuration_id": CONFIGURATION,
                    "credential_identifiers": [CREDENTIAL_IDENTIFIER],
                }
            ]
        return answer

    def _pre_authorized(self, form: Mapping[str, str], jkt: str | None, now: datetime) -> Opener:
        code, tx_code, client_id = form.get("pre-authorized_code"), form.get("tx_code"), form.get("client_id")
        if code is None or tx_code is None:
            raise WalletRefusal("invalid_request", "pre-authorized_code and tx_code are needed")
        if not _DIGITS.fullmatch(tx_code) or (client_id is not None and not _CLIENT.fullmatch(client_id)):
            raise WalletRefusal("invalid_request", "tx_code is not digits, or client_id not short printable text")
        given = self._code(code)
        token = new_opener(given.row_id, self._random)

        def opened(offer: OfferRow) -> SessionRow:
            return _session(given.row_id, token, jkt, client_id, offer.right, now, review=offer.review)

        right = same(tx_code, self._secrets.transaction_code(given.row_id))
        after = self._store.redeem_offer(given.row_id, right, opened, now)
        if after is None:
            raise WalletRefusal("invalid_grant", "this offer was taken up, died of wrong codes, or is over")
        if after.state is not OfferState.TAKEN:
            raise WalletRefusal("invalid_grant", "tx_code is wrong")
        return token

    def _authorization_code(self, form: Mapping[str, str], jkt: str | None, now: datetime) -> tuple[Opener, bool]:
        code, verifier, client_id = form.get("code"), form.get("code_verifier"), form.get("client_id")
        if code is None or verifier is None or client_id is None or not _VERIFIER.fullmatch(verifier):
            raise WalletRefusal("invalid_request", "code, code_verifier (RFC 7636 §4.1) and client_id are needed")
        if jkt is None:
            raise WalletRefusal("invalid_dpop_proof", "the authorization code flow wants a DPoP proof")
        given = self._code(code)
        request = self._store.find_request(given.row_id)
        if request is None or request.state is not RequestState.GRANTED:
            raise WalletRefusal("invalid_grant", "no such code, or it was redeemed")
        challenge = jose.b64url_encode(hashlib.sha256(verifier.encode()).digest())
        if request.client_id != client_id or not same(challenge, request.code_challenge):
            raise WalletRefusal("invalid_grant", "another client's code, or another code_verifier")
        if form.get("redirect_uri", request.redirect_uri) != request.redirect_uri:
            raise WalletRefusal("invalid_grant", "another redirect_uri than that of the request")
        if request.jkt is not None and request.jkt != jkt:
            raise WalletRefusal("invalid_grant", "another DPoP key than that of the request")
        token = new_opener(request.request_id, self._random)
        right = Right(request.enrolment_id, request.app_id, request.link_id)
        session = _session(
            request.request_id,
            token,
            jkt,
            client_id,
            right,
            now,
            review=request.review,
            identified=request.identified,
        )
        if not self._store.redeem_request(request.request_id, session, now):
            raise WalletRefusal("invalid_grant", "the code was redeemed, or is over")
        return token, request.identified

    def _code(self, text: str) -> Opener:
        opener = read_opener(text)
        if opener is None or not same(self._secrets.code(opener.row_id).secret, opener.secret):
            raise WalletRefusal("invalid_grant", "no such code")
        return opener


def _session(
    session_id: str,
    token: Opener,
    jkt: str | None,
    client_id: str | None,
    right: Right,
    now: datetime,
    *,
    review: bool,
    identified: bool = False,
) -> SessionRow:
    return SessionRow(
        session_id=session_id,
        token_hash=token.hash,
        jkt=jkt,
        client_id=client_id,
        enrolment_id=right.enrolment_id,
        app_id=right.app_id,
        link_id=right.link_id,
        review=review,
        identified=identified,
        expires_at=now + SESSION_LIFE,
    )
