"""A channel from its application to a call, and what a stolen or altered piece of it is good for: nothing."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, Request
from starlette.testclient import TestClient

from ecard_card import jose
from ecard_issuer.channels.scopes import Scope
from ecard_issuer.channels.tokens import ChannelCaller
from ecard_issuer.web.app import create_app
from ecard_issuer.web.channel_auth import require_channel
from ecard_keys.client_signer import ClientSigner, client_assertion, dpop_proof
from ecard_keys.http_signature import sign_request
from tests.issuer.channel_kit import AdmittedChannel, admit, registration
from tests.issuer.service import ORIGIN, Clock, Service, open_service

RELEASE = "/v1/try/signed"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_service(tmp_path_factory.mktemp("channels"))
    yield opened
    opened.issuer.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    """The application, with one more route that changes something."""
    app = create_app(service.issuer)
    channel = Depends(require_channel(service.issuer, Scope.CLAIM, signed=True))

    async def signed(request: Request, caller: ChannelCaller = channel) -> dict[str, Any]:
        return {"app_id": caller.caller.name, "role": caller.caller.role, "body": (await request.body()).decode()}

    app.post(RELEASE)(signed)
    return app


@pytest.fixture(scope="module")
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def channel(service: Service, client: TestClient) -> AdmittedChannel:
    return admit(service, client=client)


@pytest.fixture(autouse=True)
def _on_time(service: Service) -> Iterator[None]:
    """What a test did to the clock is undone: signatures of another time would be of no use to the next one."""
    before = service.clock.now
    yield
    service.clock.now = before


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["error"], answer.json()["code"]


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_token_and_a_call(channel: AdmittedChannel) -> None:
    answer = channel.ask_token(scope="ecard:show ecard:read")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("DPoP", 300, "ecard:read ecard:show")
    own = channel.get("/v1/channel").json()
    assert own["app_id"] == channel.app_id
    assert own["key_ids"] == [channel.signer.kid]
    assert own["mode"] == "live"
    called = channel.post(RELEASE, {"name": "姓名"})
    assert called.status_code == 200, called.text
    assert called.json() == {"app_id": channel.app_id, "role": "channel", "body": '{"name": "姓名"}'}
    assert channel.post(RELEASE).status_code == 200  # without a body


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_of_other_kinds(service: Service, client: TestClient, kind: str) -> None:
    private = Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 2048)
    other = admit(service, client=client, signer=ClientSigner(private))
    assert other.get("/v1/channel").status_code == 200
    if kind == "ed25519":
        assert other.post(RELEASE, {}).status_code == 200


def test_the_metadata_is_of_the_configured_origin(client: TestClient) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    told = client.get("/.well-known/oauth-authorization-server", headers=headers).json()
    assert told["issuer"] == ORIGIN
    assert told["token_endpoint"] == f"{ORIGIN}/oauth/token"
    assert "none" not in told["token_endpoint_auth_signing_alg_values_supported"]


# What is sent to the token endpoint


def test_an_assertion_is_good_once(channel: AdmittedChannel) -> None:
    assertion = channel.assertion()
    assert channel.ask_token(client_assertion=assertion).status_code == 200
    assert refusal(channel.ask_token(client_assertion=assertion)) == (401, "invalid_client", "client_assertion_used")


@pytest.mark.parametrize(
    "audience",
    ["https://other.example", f"{ORIGIN}/oauth/token", f"{ORIGIN}/", [ORIGIN], [ORIGIN, "https://other.example"], None],
)
def test_an_assertion_for_another_server(channel: AdmittedChannel, audience: object) -> None:
    now = int(channel.clock().timestamp())
    claims = {"iss": channel.app_id, "sub": channel.app_id, "aud": audience, "jti": secrets.token_hex(8)}
    forged = channel.signer.jwt({"typ": "JWT", "kid": channel.signer.kid}, claims | {"iat": now, "exp": now + 60})
    assert refusal(channel.ask_token(client_assertion=forged)) == (401, "invalid_client", "client_assertion_wrong")


def test_an_assertion_by_another_channels_key(service: Service, channel: AdmittedChannel, client: TestClient) -> None:
    other = admit(service, client=client)
    for signer in (other.signer, ClientSigner(other.signer.private, channel.signer.kid)):
        forged = client_assertion(signer, channel.app_id, ORIGIN, channel.clock())
        assert refusal(channel.ask_token(client_assertion=forged)) == (401, "invalid_client", "client_assertion_wrong")
    assert refusal(channel.ask_token(client_id=other.app_id))[2] == "client_assertion_wrong"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384"])
def test_an_assertion_by_an_algorithm_that_is_not_accepted(channel: AdmittedChannel, algorithm: str) -> None:
    _, body, tail = channel.assertion().split(".")
    head = jose.b64url_encode(jose.dump_json({"alg": algorithm, "kid": channel.signer.kid}))
    for signature in ("", tail):
        forged = f"{head}.{body}.{signature}"
        assert refusal(channel.ask_token(client_assertion=forged))[2] == "client_assertion_wrong"


@pytest.mark.parametrize("seconds", [-60, -59, 0, 59, 60])
def test_a_clock_that_is_a_minute_off_is_accepted(service: Service, channel: AdmittedChannel, seconds: int) -> None:
    theirs = AdmittedChannel(channel.app_id, channel.signer, channel.client, Clock(service.clock.now))
    theirs.clock.advance(seconds)
    assert theirs.get("/v1/channel").status_code == 200
    assert theirs.post(RELEASE, {}).status_code == 200


@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_clock_that_is_ten_minutes_off_is_told_so(service: Service, channel: AdmittedChannel, minutes: int) -> None:
    theirs = AdmittedChannel(channel.app_id, channel.signer, channel.client, Clock(service.clock.now))
    theirs.clock.advance(minutes * 60)
    side = "ahead of" if minutes > 0 else "behind"
    answer = theirs.ask_token()
    assert refusal(answer) == (401, "invalid_client", "clock_differs")
    assert side in answer.json()["error_description"]
    right = channel.assertion()
    answer = theirs.ask_token(client_assertion=right)
    assert refusal(answer) == (400, "invalid_dpop_proof", "clock_differs")
    assert f"600 s {side}" in answer.json()["error_description"]
    token = channel.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": theirs.proof("GET", "/v1/channel", token)}
    answer = channel.client.get("/v1/channel", headers=headers)
    assert problem(answer) == (401, "clock_differs")
    assert f"600 s {side}" in answer.json()["detail"]
    headers = {"Authorization": f"DPoP {token}", "DPoP": dpop(channel, "POST", RELEASE, token)}
    headers |= sign_request(channel.signer, "POST", ORIGIN + RELEASE, headers, b"", theirs.clock())
    answer = channel.client.post(RELEASE, headers=headers)
    assert problem(answer) == (401, "clock_differs")
    assert f"600 s {side}" in answer.json()["detail"]


def dpop(channel: AdmittedChannel, method: str, path: str, token: str | None, **changed: Any) -> str:
    return dpop_proof(channel.dpop, method, ORIGIN + path, channel.clock(), access_token=token, **changed)


def test_a_scope_beyond_what_was_granted(service: Service, client: TestClient) -> None:
    reader = admit(service, [Scope.READ], client=client)
    for asked in ("ecard:claim", "ecard:read ecard:claim", "ecard:everything", " "):
        assert refusal(reader.ask_token(scope=asked)) == (400, "invalid_scope", "scope_not_granted")
    assert problem(reader.post(RELEASE, {})) == (403, "scope_missing")


def test_a_suspended_channel_is_out_at_its_next_call(service: Service, client: TestClient) -> None:
    gone = admit(service, client=client)
    assert gone.get("/v1/channel").status_code == 200
    service.issuer.channels.office.suspend(gone.app_id, "stolen keys", "operator", service.clock())
    assert problem(gone.get("/v1/channel")) == (403, "app_suspended")
    assert problem(gone.post(RELEASE, {})) == (403, "app_suspended")
    assert refusal(gone.ask_token()) == (400, "unauthorized_client", "app_suspended")
    service.issuer.channels.office.resume(gone.app_id, "operator", service.clock())
    assert gone.get("/v1/channel").status_code == 200


def test_a_channel_that_was_not_admitted(service: Service, client: TestClient) -> None:
    office, signer = service.issuer.channels.office, ClientSigner.generate()
    applied = office.apply("first", office.registration(registration(signer)), "operator", service.clock())
    waiting = AdmittedChannel(applied.app_id, signer, client, service.clock)
    assert refusal(waiting.ask_token()) == (400, "unauthorized_client", "app_not_admitted")


def test_scopes_taken_away_are_gone_from_tokens_too(service: Service, client: TestClient) -> None:
    less = admit(service, [Scope.CLAIM, Scope.READ], client=client)
    assert less.post(RELEASE, {}).status_code == 200
    office = service.issuer.channels.office
    office.change(less.app_id, office.registration(registration(less.signer, [Scope.READ])), "op", service.clock())
    assert problem(less.post(RELEASE, {})) == (403, "scope_missing")


# DPoP


def test_a_proof_is_good_once(channel: AdmittedChannel) -> None:
    token = channel.token()
    headers = {"Authorization": f"DPoP {token}", "DPoP": dpop(channel, "GET", "/v1/channel", token)}
    assert channel.client.get("/v1/channel", headers=headers).status_code == 200
    answer = channel.client.get("/v1/channel", headers=headers)
    assert problem(answer) == (401, "dpop_proof_used")
    assert answer.headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')
    proof = dpop(channel, "POST", "/oauth/token", None)
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    ask = [
        channel.client.post(
            "/oauth/token", data=form | {"client_assertion": channel.assertion()}, headers={"DPoP": proof}
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in ask] == [200, 400]
    assert refusal(ask[1]) == (400, "invalid_dpop_proof", "dpop_proof_used")


def wrong_proofs(channel: AdmittedChannel, token: str) -> dict[str, str]:
    other = ClientSigner.generate()
    private = {**channel.dpop.bare_jwk, "d": jose.b64url_encode(bytes(32))}
    claims = {"jti": "j" * 16, "htm": "GET", "htu": f"{ORIGIN}/v1/channel", "iat": int(channel.clock().timestamp())}
    good = dpop(channel, "GET", "/v1/channel", token)
    head, body, _ = good.split(".")

    def header(**members: object) -> str:
        return jose.b64url_encode(jose.dump_json(members))

    return {
        "another method": dpop(channel, "POST", "/v1/channel", token),
        "another path": dpop(channel, "GET", "/v1/channels", token),
        "another host": dpop_proof(
            channel.dpop, "GET", "https://evil.example/v1/channel", channel.clock(), access_token=token
        ),
        "another scheme": dpop_proof(
            channel.dpop, "GET", "http://issuer.example/v1/channel", channel.clock(), access_token=token
        ),
        "another token": dpop(channel, "GET", "/v1/channel", "ekat_other"),
        "no token": dpop(channel, "GET", "/v1/channel", None),
        "another key": dpop_proof(other, "GET", f"{ORIGIN}/v1/channel", channel.clock(), access_token=token),
        "a private key inside": channel.dpop.jwt({"typ": "dpop+jwt", "jwk": private}, claims),
        "no key inside": channel.dpop.jwt({"typ": "dpop+jwt"}, claims),
        "another type": channel.dpop.jwt({"typ": "jwt", "jwk": channel.dpop.bare_jwk}, claims),
        "alg none": f"{header(alg='none', typ='dpop+jwt')}.{body}.",
        "alg HS256": f"{header(alg='HS256', typ='dpop+jwt', jwk=channel.dpop.bare_jwk)}.{body}.AAAA",
        "not signed": f"{head}.{body}.{jose.b64url_encode(bytes(64))}",
        "nothing": "",
        "rubbish": "a.b.c",
    }


def test_a_proof_made_for_something_else(channel: AdmittedChannel) -> None:
    token = channel.token()
    for name, proof in wrong_proofs(channel, token).items():
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        assert problem(channel.client.get("/v1/channel", headers=headers)) == (401, "dpop_proof_wrong"), name


def test_a_token_without_its_key(channel: AdmittedChannel) -> None:
    thief = AdmittedChannel(channel.app_id, channel.signer, channel.client, channel.clock)
    token = channel.token()
    headers = thief.headers("GET", "/v1/channel", token=token, sign=False)
    assert problem(channel.client.get("/v1/channel", headers=headers)) == (401, "dpop_proof_wrong")
    for scheme in ("Bearer", "DPoP", "Basic"):
        answer = channel.client.get("/v1/channel", headers={"Authorization": f"{scheme} {token}"})
        assert problem(answer) == (401, "dpop_proof_wrong")


def test_a_token_that_is_over(service: Service, channel: AdmittedChannel) -> None:
    token = channel.ask_token().json()["access_token"]
    service.clock.advance(300)
    headers = channel.headers("GET", "/v1/channel", token=token, sign=False)
    assert problem(channel.client.get("/v1/channel", headers=headers)) == (401, "access_token_wrong")


# Where a request says that it went


def test_what_host_and_proxies_say_is_not_heard(channel: AdmittedChannel) -> None:
    poison = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
    }
    headers = channel.headers("POST", RELEASE, b"{}", more={"Idempotency-Key": secrets.token_hex(8)})
    assert channel.client.post(RELEASE, content=b"{}", headers=headers | poison).status_code == 200
    for origin in ("https://evil.example", "http://evil.example", "http://issuer.example"):
        elsewhere = AdmittedChannel(channel.app_id, channel.signer, channel.client, channel.clock, origin, channel.dpop)
        token = channel.token()
        forged = elsewhere.headers("GET", "/v1/channel", token=token, sign=False)
        assert problem(channel.client.get("/v1/channel", headers=forged | poison)) == (401, "dpop_proof_wrong")
        right = {"Authorization": f"DPoP {token}", "DPoP": dpop(channel, "POST", RELEASE, token)}
        right |= sign_request(channel.signer, "POST", origin + RELEASE, right, b"", channel.clock())
        assert problem(channel.client.post(RELEASE, headers=right | poison)) == (401, "http_signature_wrong")
        assert refusal(elsewhere.ask_token())[2] == "client_assertion_wrong"


def test_headers_there_twice_or_too_long(channel: AdmittedChannel) -> None:
    headers = channel.headers("GET", "/v1/channel", sign=False)
    for name in ("Authorization", "DPoP"):
        lines = [*headers.items(), (name, headers[name])]
        assert problem(channel.client.get("/v1/channel", headers=lines)) == (400, "header_twice")
        longer = headers | {name: headers[name] + "A" * 8192}
        assert problem(channel.client.get("/v1/channel", headers=longer)) == (400, "header_too_long")
    signed = channel.headers("POST", RELEASE, b"{}", more={"Idempotency-Key": "k" * 16})
    for name in ("Signature", "Signature-Input", "Content-Digest", "Idempotency-Key", "Content-Type"):
        fresh = channel.headers("POST", RELEASE, b"{}", more={"Idempotency-Key": "k" * 16})
        answer = channel.client.post(RELEASE, content=b"{}", headers=[*fresh.items(), (name, signed[name])])
        assert answer.status_code in (400, 401, 415), name


# Signatures


def test_a_signature_is_good_once_and_for_these_bytes(channel: AdmittedChannel) -> None:
    token = channel.token()

    def ask(body: bytes, signed_body: bytes | None = None, path: str = RELEASE, **changed: str) -> tuple[int, str]:
        headers = {
            "Authorization": f"DPoP {token}",
            "DPoP": dpop(channel, "POST", RELEASE, token),
            "Content-Type": "application/json",
            "Idempotency-Key": "key-of-this-request",
        }
        over = body if signed_body is None else signed_body
        headers |= sign_request(channel.signer, "POST", ORIGIN + path, headers, over, channel.clock())
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        answer = channel.client.post(RELEASE, content=body, headers=headers)
        return answer.status_code, "" if answer.status_code == 200 else answer.json()["code"]

    assert ask(b"{}") == (200, "")
    assert ask(b'{"a":1}', b"{}") == (401, "content_digest_wrong")
    assert ask(b"{}", path="/v1/try/other") == (401, "http_signature_wrong")
    assert ask(b"{}", path=RELEASE + "?a=b") == (401, "http_signature_wrong")
    assert ask(b"{}", Idempotency_Key="another-key-altogether") == (401, "http_signature_wrong")
    assert ask(b"{}", Content_Type="application/json; charset=utf-8") == (401, "http_signature_wrong")
    once = channel.headers("POST", RELEASE, b"{}")
    assert channel.client.post(RELEASE, content=b"{}", headers=once).status_code == 200
    again = once | {"DPoP": dpop(channel, "POST", RELEASE, once["Authorization"][5:])}
    assert problem(channel.client.post(RELEASE, content=b"{}", headers=again)) == (401, "http_signature_used")


def test_a_signature_by_a_key_that_is_not_registered(channel: AdmittedChannel) -> None:
    for signer in (ClientSigner.generate(), ClientSigner(ClientSigner.generate().private, channel.signer.kid)):
        thief = AdmittedChannel(channel.app_id, signer, channel.client, channel.clock, ORIGIN, channel.dpop)
        headers = thief.headers("POST", RELEASE, b"{}", token=channel.token())
        assert problem(channel.client.post(RELEASE, content=b"{}", headers=headers)) == (401, "http_signature_wrong")


def test_forms_that_are_none(channel: AdmittedChannel) -> None:
    def post(content: bytes, kind: str = "application/x-www-form-urlencoded") -> Any:
        return channel.client.post("/oauth/token", content=content, headers={"Content-Type": kind})

    assert post(b"{}", "application/json").status_code == 415
    assert refusal(post(b"grant_type=a&grant_type=b")) == (400, "invalid_request", "bad_form")
    assert refusal(post(b"grant_type=password")) == (400, "unsupported_grant_type", "grant_not_supported")
    assert refusal(post(b"&".join(b"a%d=1" % n for n in range(50))))[2] == "bad_form"
    assert refusal(post(b"grant_type=client_credentials&client_id=x")) == (401, "invalid_client", "client_unknown")
    secret = b"grant_type=client_credentials&client_secret=" + base64.b64encode(b"secret")
    assert refusal(post(secret)) == (401, "invalid_client", "client_unknown")
    assert post(b"\xff\xfe=1").status_code == 400
    assert post(b"a" * 70_000).status_code == 413
