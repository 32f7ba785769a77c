"""From settings to a running verifier: whatever is missing or odd is said at start, by name and never by value."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput
from ecard_card.status import EcardStatus
from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle
from ecard_verifier.callers import token_hash
from ecard_verifier.config import FetchStatuses, VerifierSettings, load_embedded, load_settings
from ecard_verifier.counters.entrance import MOST_WRONG
from ecard_verifier.counters.secret import new_code
from ecard_verifier.feed import CredentialIssued
from ecard_verifier.service import MustWait, utc_now
from ecard_verifier.web.assemble import assemble
from ecard_verifier.web.auth import HashedTokens
from tests.verifier.counters.kit import BASE
from tests.verifier.feed_kit import beat, change, signed, wait_for
from tests.verifier.http_kit import FeedServer, running
from tests.world import World

TOKEN = "t0ken"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def world() -> World:
    return World(now=datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
def files(world: World, tmp_path: Path) -> Path:
    tokens = [{"name": "desk", "role": "counter", "sha256": token_hash(TOKEN)}]
    (tmp_path / "tokens.json").write_text(json.dumps({"format": "ecard-tokens/1", "tokens": tokens}))
    (tmp_path / "root.json").write_text(json.dumps(root_to_json(world.root)))
    bundle = make_bundle(world.root, world.trust_document(), [world.status_token()], made_at=world.now)
    (tmp_path / "bundle.json").write_bytes(bundle)
    (tmp_path / "feed-token").write_text("secret\n")
    return tmp_path


def environment(files: Path, **more: str) -> dict[str, str]:
    base = {"DATA": str(files / "data"), "TOKENS": str(files / "tokens.json")}
    return {f"ECARD_VERIFIER_{name}": value for name, value in (base | more).items()}


def live(files: Path, url: str) -> dict[str, str]:
    return environment(
        files,
        ISSUER_URL=url,
        ISSUER="https://issuer.example",
        FEED_TOKEN_FILE=str(files / "feed-token"),
        TRUST_ROOT=str(files / "root.json"),
    )


def test_a_live_verifier_follows_its_issuer_and_is_ready_when_it_has_caught_up(world: World, files: Path) -> None:
    device = DeviceKey.generate()
    credential = world.credential(device)
    compact = world.compact(credential)
    issuer = FeedServer(world.trust_document())
    issuer.store(1, signed(world, CredentialIssued(compact), 1))
    with ExitStack() as authority:
        url = authority.enter_context(running(issuer.app))
        verifier = assemble(load_settings(live(files, url)))
        with running(verifier.app) as base, httpx2.Client(base_url=base, headers=HEADERS, trust_env=False) as client:

            def scan(code: str) -> tuple[str, str]:
                answer = client.post("/v1/verifications", json={"code": code}).json()
                return answer["outcome"], answer["reason"]

            assert client.get("/health/ready").status_code == 503
            assert scan(device.offline_code(compact, utc_now()))[0] == "undecided"
            wait_for(lambda: issuer.connected == 1)
            issuer.say(beat(world, 1, utc_now()))
            assert verifier.mirror is not None
            wait_for(lambda: verifier.mirror is not None and verifier.mirror.live)
            ready = client.get("/health/ready").json()
            assert ready.pop("trust_age") < 10
            assert ready.pop("status_age") < 10
            errors = dict.fromkeys(("trust_error", "snapshot_error", "bundle_error"))
            assert ready == {"ready": True, "trust": True, "statuses": True, **errors}
            assert scan(device.online_code(compact, utc_now()))[0] in ("valid", "check")
            issuer.store(2, signed(world, change(world, EcardStatus.SUSPENDED), 2, at=utc_now()))
            wait_for(lambda: verifier.mirror is not None and verifier.mirror.position == 2)
            assert scan(device.online_code(compact, utc_now())) == ("invalid", "suspended")
            assert scan(device.offline_code(compact, utc_now())) == ("invalid", "suspended")
            authority.close()
            wait_for(lambda: verifier.mirror is not None and not verifier.mirror.live)
            assert scan(device.online_code(compact, utc_now())) == ("invalid", "suspended")
    assert {path.name for path in (files / "data").iterdir()} >= {"mirror.sqlite3", "replay.sqlite3", "trust-list.json"}


def test_a_verifier_from_a_bundle_needs_no_network(world: World, files: Path) -> None:
    verifier = assemble(
        load_settings(environment(files, BUNDLE=str(files / "bundle.json"), TRUST_ROOT=str(files / "root.json")))
    )
    device = DeviceKey.generate()
    compact = world.compact(world.credential(device))
    with running(verifier.app) as base, httpx2.Client(base_url=base, headers=HEADERS, trust_env=False) as client:
        assert client.get("/health/ready").status_code == 200
        code = device.offline_code(compact, utc_now())
        reasons = [client.post("/v1/verifications", json={"code": code}).json()["reason"] for _ in range(2)]
        assert reasons == ["ok", "replayed"]
        short = client.post("/v1/verifications", json={"code": device.online_code(compact, utc_now())}).json()
        assert (short["outcome"], short["reason"]) == ("undecided", "needs_online")


def refused(environ: dict[str, str]) -> EcardError:
    with pytest.raises(InvalidInput) as caught:
        assemble(load_settings(environ))
    assert "hush" not in str(caught.value)
    return caught.value


def test_what_is_missing_or_odd_is_named(files: Path) -> None:
    good = live(files, "http://127.0.0.1:1")
    for name in ("ISSUER_URL", "FEED_TOKEN_FILE", "TRUST_ROOT"):
        environ = {key: value for key, value in good.items() if key != f"ECARD_VERIFIER_{name}"}
        error = refused(environ)
        assert error.code == "setting_missing"
        assert name.removesuffix("_FILE") in error.detail
    for name, value, code in (
        ("TYPO", "hush", "unknown_setting"),
        ("PORT", "hush", "bad_setting"),
        ("PORT", "70000", "bad_setting"),
        ("MINIMUM_ASSURANCE", "hush", "bad_setting"),
        ("ISSUER_URL", "hush", "bad_setting"),
        ("FEED_TOKEN_FILE", "/nonexistent/hush", "bad_setting"),
        ("TRUST_ROOT", "/nonexistent/hush", "bad_setting"),
        ("TOKENS", "/nonexistent/hush", "bad_tokens"),
    ):
        assert refused(good | {f"ECARD_VERIFIER_{name}": value}).code == code, name


def test_by_default_a_verifier_keeps_its_callers_in_its_own_directory(files: Path) -> None:
    bundle = {"ECARD_VERIFIER_BUNDLE": str(files / "bundle.json")}
    settings = load_settings(bundle)
    assert (settings.data, settings.tokens) == (Path("verifier-data"), Path("verifier-data/tokens.json"))
    assert load_settings(bundle | {"ECARD_VERIFIER_DATA": "x"}).tokens == Path("x/tokens.json")
    assert refused(bundle | {"ECARD_VERIFER_PORT": "hush"}).code == "unknown_setting"
    assert refused(bundle | {"ECARD_VERIFIER_DATA": str(files / "none")}).code == "bad_tokens"
    assert not (files / "none").exists()


def test_the_environment_goes_over_the_file_and_secrets_stay_out_of_the_file(files: Path) -> None:
    config = files / "ecard.toml"
    config.write_text(
        f'[verifier]\ndata = "{files}"\ntokens = "t"\nbundle = "b"\nport = 9000\naudience = "clinic"\n'
        "[issuer]\nport = 1\n"
    )
    settings = load_settings({"ECARD_CONFIG": str(config), "ECARD_VERIFIER_AUDIENCE": "shop"})
    assert settings == VerifierSettings(
        data=files,
        tokens=Path("t"),
        bundle=Path("b"),
        port=9000,
        audience="shop",
        minimum_assurance=ChipAssurance.DECLARED,
    )
    for text in ('[verifier]\nfeed_token = "hush"\n', "verifier = 1\n", "[verifier\n", "[verifier]\ntypo = 1\n"):
        config.write_text(text)
        assert refused({"ECARD_CONFIG": str(config)}).code in ("bad_setting", "unknown_setting")
    assert "hush" not in repr(VerifierSettings(files, files, "http://x", feed_token="hush", trust_root=files))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format":"ecard-tokens/1","tokens":[{"name":"a","role":"king","sha256":"x"}]}']
)
def test_a_file_of_callers_of_the_wrong_form_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        HashedTokens.read(path)


def provinces(files: Path, *followed: tuple[str, str], more: str = "") -> dict[str, str]:
    """The environment of a verifier that follows issuers (url, name) by tables of its settings file."""
    tables = "".join(
        f'[[verifier.issuers]]\nurl = "{url}"\nissuer = "{name}"\nfeed_token_file = "{files / "feed-token"}"\n'
        for url, name in followed
    )
    config = files / "settings.toml"
    config.write_text(f'[verifier]\nfetch_statuses = "loopback"\n{more}{tables}')
    return {**environment(files, TRUST_ROOT=str(files / "root.json")), "ECARD_CONFIG": str(config)}


def test_a_verifier_follows_several_issuers_and_fetches_the_lists_of_others(files: Path, world: World) -> None:
    now = world.now
    east, west, south = (
        World(
            issuer=f"https://{name}.example",
            status_uri=f"https://{name}.example/s/{{list}}",
            now=now,
            roots=world.roots,
        )
        for name in ("east", "west", "south")
    )
    hosted = StatusHost(lambda url: south.status_token(uri=url))
    with ExitStack() as stack:
        south.status_uri = stack.enter_context(running(hosted.app)) + "/s/{list}"
        entries = tuple(entry for each in (east, west, south) for entry in each.trust_list().issuers)
        document = world.trust_document(replace(world.trust_list(), issuers=entries))
        feeds = (FeedServer(b"<html>not here</html>"), FeedServer(document))
        urls = [stack.enter_context(running(feed.app)) for feed in feeds]
        verifier = assemble(load_settings(provinces(files, (urls[0], east.issuer), (urls[1], west.issuer))))
        base = stack.enter_context(running(verifier.app))
        client = stack.enter_context(httpx2.Client(base_url=base, headers=HEADERS, trust_env=False))

        def scan(issuer: World) -> tuple[str, str]:
            device = DeviceKey.generate()
            code = device.offline_code(issuer.compact(issuer.credential(device)), utc_now())
            answer = client.post("/v1/verifications", json={"code": code}).json()
            return answer["outcome"], answer["reason"]

        for feed, issuer in zip(feeds, (east, west), strict=True):
            wait_for(lambda feed=feed: feed.connected == 1)  # type: ignore[misc]
            feed.say(beat(issuer, 0, utc_now()))
        wait_for(lambda: all(mirror.live for mirror in verifier.mirrors))
        assert client.get("/health/ready").status_code == 200, "the second host has the list"
        assert {scan(east)[0], scan(west)[0]} <= {"valid", "check"}
        feeds[1].store(1, signed(west, change(west, EcardStatus.SUSPENDED), 1, at=utc_now()))
        wait_for(lambda: scan(west) == ("invalid", "suspended"))
        assert scan(east)[0] in ("valid", "check")
        device = DeviceKey.generate()
        with pytest.raises(MustWait):
            verifier.service.verify(
                device.offline_code(south.compact(south.credential(device)), utc_now()), at_once=True
            )
        assert hosted.asked == 0, "whoever must not wait asks nobody"
        assert scan(south)[0] in ("valid", "check")
        assert hosted.asked == 1
        feeds[0].hang_up()
        wait_for(lambda: not verifier.mirrors[0].live)
        short = DeviceKey.generate().online_code(west.compact(west.credential(DeviceKey.generate())), utc_now())
        answer = client.post("/v1/verifications", json={"code": short}).json()
        assert (answer["outcome"], answer["reason"]) == ("undecided", "mirror_behind")
    assert len(list((files / "data").glob("mirror-*.sqlite3"))) == 2


class StatusHost:
    """Serves what `token` makes for each address."""

    def __init__(self, token: Callable[[str], str]) -> None:
        self._token, self.asked = token, 0
        self.app = Starlette(routes=[Route("/s/{list}", self._list)])

    async def _list(self, request: Request) -> Response:
        self.asked += 1
        return Response(self._token(str(request.url)), media_type="application/statuslist+jwt")


def test_the_single_issuer_and_the_listed_ones_are_followed_together(files: Path) -> None:
    listed = ("https://west.example/", "https://west.example")
    settings = load_settings({**live(files, "https://east.example"), **provinces(files, listed)})
    assert [(each.url, each.issuer, each.feed_token) for each in settings.followed] == [
        ("https://east.example", "https://issuer.example", "secret"),
        ("https://west.example", "https://west.example", "secret"),
    ]
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ('url = "https://a.example"', "setting_missing"),
        ('feed_token_file = "feed-token"', "setting_missing"),
        ('url = 7\nfeed_token_file = "feed-token"', "setting_missing"),
        ('url = "ftp://a.example"\nfeed_token_file = "{files}/feed-token"', "bad_setting"),
        ('url = "https://a.example"\nfeed_token_file = "{files}/nowhere"', "bad_setting"),
        ('url = "https://a.example"\nfeed_token_file = "{files}/feed-token"\nfeed_token = "x"', "unknown_setting"),
    ],
)
def test_a_table_of_an_issuer_is_refused_by_name(files: Path, table: str, code: str) -> None:
    config = files / "settings.toml"
    config.write_text("[[verifier.issuers]]\n" + table.replace("{files}", str(files)))
    environ = {**environment(files, TRUST_ROOT=str(files / "root.json")), "ECARD_CONFIG": str(config)}
    assert refused(environ).code == code


def test_issuers_stand_in_the_file_only_and_each_once(files: Path) -> None:
    root = str(files / "root.json")
    assert refused(environment(files, TRUST_ROOT=root, ISSUERS="https://a.example")).code == "bad_setting"
    assert refused(environment(files, TRUST_ROOT=root)).code == "setting_missing"
    twice = ("https://a.example", "https://a.example")
    assert refused(provinces(files, twice, twice)).code == "bad_setting"
    assert refused({**live(files, "https://a.example"), "ECARD_VERIFIER_FETCH_STATUSES": "all"}).code == "bad_setting"


def test_the_verifier_beside_an_issuer_fetches_lists_as_it_is_told() -> None:
    assert load_embedded({}, ()).fetch_statuses is FetchStatuses.HTTPS
    assert load_embedded({"ECARD_VERIFIER_FETCH_STATUSES": "no"}, ()).fetch_statuses is FetchStatuses.NO
    with pytest.raises(InvalidInput, match="FETCH_STATUSES"):
        load_embedded({"ECARD_VERIFIER_FETCH_STATUSES": "ftp"}, ())


def test_behind_a_trusted_proxy_guesses_are_counted_by_the_page_and_not_by_the_proxy(files: Path) -> None:
    """Ten wrong admission codes at one window leave the next window its own ten; a header gives nobody more."""
    bundle = {"BUNDLE": str(files / "bundle.json"), "TRUST_ROOT": str(files / "root.json")}
    verifier = assemble(load_settings(environment(files, **bundle, TRUSTED_PROXIES="10.0.0.0/8, 2001:db8::/32")))

    def guess(peer: str, forwarded: str) -> str:
        client = TestClient(verifier.app, base_url=BASE, headers={"Origin": BASE}, client=(peer, 1))
        body = {"admission_code": new_code()}
        code = client.post("/v1/counter/session", json=body, headers={"X-Forwarded-For": forwarded}).json()["code"]
        return str(code)

    with ExitStack() as stack:
        stack.callback(verifier.stop)
        assert {guess("10.0.0.1", "192.0.2.1") for _ in range(MOST_WRONG)} == {"admission_wrong"}
        assert guess("10.0.0.2", "192.0.2.1, 10.3.3.3") == "admission_guesses"
        assert guess("10.0.0.1", "192.0.2.2") == "admission_wrong"
        assert guess("10.0.0.1", "198.51.100.7, 192.0.2.1") == "admission_guesses", "the proxy's own word is the last"
        assert {guess("192.0.2.9", f"198.51.100.{n}") for n in range(MOST_WRONG)} == {"admission_wrong"}
        assert guess("192.0.2.9", "198.51.100.200") == "admission_guesses", "no proxy of ours: its word is nothing"


@pytest.mark.parametrize("networks", ["10.0.0.1/8", "proxy.example", "10.0.0.0/33"])
def test_what_is_no_network_is_refused_by_name(files: Path, networks: str) -> None:
    error = refused(environment(files, BUNDLE=str(files / "bundle.json"), TRUSTED_PROXIES=networks))
    assert error.code == "bad_setting"
    assert "TRUSTED_PROXIES" in error.detail
    assert networks not in error.detail
