"""A site as others write it: Starlette and Authlib's OpenID Connect client, which know nothing of this house."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import MutableMapping
from typing import Any

from authlib.integrations.starlette_client import OAuth, OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "site-session"


class Sessions:
    """Sessions in the server's memory, under a random id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: dict[str, MutableMapping[str, Any]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Request(scope).cookies.get(COOKIE, "")
        name = given if given in self._kept else secrets.token_urlsafe(16)
        scope["session"] = self._kept.setdefault(name, {})

        async def with_cookie(message: Any) -> None:
            if message["type"] == "http.response.start":
                cookie = f"{COOKIE}={name}; Path=/; HttpOnly; SameSite=Lax"
                message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
            await send(message)

        await self._app(scope, receive, with_cookie)


class ShortAssertion(PrivateKeyJWT):  # type: ignore[misc]
    """Authlib's own, made for the provider's issuer and for a minute (rfc7523bis); its defaults are the token endpoint
    and an hour. Claims are given anew each time: the library writes a `jti` into those that it has, and keeps it."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"{provider}/login/token", alg="ES256")
        self._provider = provider

    def sign(self, auth: Any, token_endpoint: str) -> Any:
        self.claims = {"aud": self._provider, "exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)


def site(provider: str, client_id: str, origin: str, *, secret: str = "", private_key: str = "") -> ASGIApp:
    """A site at `origin` that logs people in at `provider`, by a secret or by its own key (PEM)."""
    oauth, metadata = OAuth(), f"{provider}/.well-known/openid-configuration"
    scope = {"scope": "openid profile", "code_challenge_method": "S256"}
    if private_key:
        oauth.register(
            "ecard",
            client_id=client_id,
            client_secret=ECKey.import_key(private_key),
            server_metadata_url=metadata,
            client_kwargs={**scope, "token_endpoint_auth_method": "private_key_jwt"},
            client_auth_methods=[ShortAssertion(provider)],
        )
    else:
        oauth.register(
            "ecard", client_id=client_id, client_secret=secret, server_metadata_url=metadata, client_kwargs=scope
        )

    async def home(request: Request) -> Response:
        user = request.session.get("user")
        body = f'<pre id="user">{json.dumps(user)}</pre>' if user else '<a id="login" href="/login">Log in</a>'
        return HTMLResponse(f"<!doctype html><title>{client_id}</title>{body}")

    async def login(request: Request) -> Response:
        answer = await oauth.ecard.authorize_redirect(request, f"{origin}/back")
        assert isinstance(answer, Response)
        return answer

    async def back(request: Request) -> Response:
        try:
            token = await oauth.ecard.authorize_access_token(request)
        except OAuthError as error:
            return HTMLResponse(f'<p id="error">{error.error}</p>', 400)
        told = await oauth.ecard.userinfo(token=token)
        request.session["user"] = {"token": dict(token["userinfo"]), "told": dict(told)}
        return RedirectResponse("/", 303)

    return Sessions(Starlette(routes=[Route("/", home), Route("/login", login), Route("/back", back)]))
