"""Several issuers in one process: one list and one listener, and nothing else that they share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ecard_card.errors import EcardError
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import HostedIssuer, IssuerSettings, load
from ecard_issuer.deployment import Deployment, build_all, opened_at, settings_of
from ecard_issuer.web.embedded import embed_all, issuers_app
from ecard_keys.key import KeyPurpose
from ecard_verifier.callers import Role
from ecard_verifier.feed import TrustListPublished, parse_event
from tests import provinces
from tests.issuer.service import START, Clock
from tests.verifier.feed_kit import wait_for

EAST, WEST, SOUTH = "https://zj.example", "https://gd.example", "https://sc.example:8443"


def settings_in(folder: Path, **more: object) -> IssuerSettings:
    hosted = (
        {"public_origin": WEST, "regions": ("440000",), "issuer_name": "Guangdong"},
        {"public_origin": SOUTH, "regions": ("510000", "500000"), "data_dir": folder / "south"},
    )
    given = {"data_dir": folder / "main", "public_origin": EAST, "regions": ("330000",), "hosted": hosted}
    return load(**{"approvals_needed": 0, **given, **more})


@pytest.fixture
def authority() -> ChipAuthority:
    return ChipAuthority.create(START)


@pytest.fixture
def deployment(tmp_path: Path, authority: ChipAuthority) -> Iterator[Deployment]:
    anchors = Anchors((Anchor("test: chip CA", authority.der),), allow_test=True)
    made = build_all(settings_in(tmp_path), clock=Clock(), anchors=anchors)
    yield made
    made.close()


def listed(deployment: Deployment) -> dict[str, set[str]]:
    latest = deployment.main.keys.board.latest()
    assert latest is not None
    return {entry.issuer: {key.kid for key in entry.keys} for entry in latest.issuers}


def test_each_issuer_has_its_own_keys_and_all_stand_in_one_list_that_each_register_holds(
    deployment: Deployment, tmp_path: Path
) -> None:
    names = listed(deployment)
    assert list(names) == [EAST, WEST, SOUTH]
    assert [len(kids) for kids in names.values()] == [4, 4, 4]
    assert len(set.union(*names.values())) == 12
    assert len({issuer.keys.document() for issuer in deployment.issuers}) == 1
    rows = [issuer.register.latest_trust_list() for issuer in deployment.issuers]
    assert len({row.document for row in rows if row is not None}) == 1
    assert [entry.regions for entry in deployment.main.keys.trust(START).issuers][1:] == [
        ("440000",),
        ("510000", "500000"),
    ]
    assert not list((tmp_path / "main" / "gd.example").glob("root-keys*"))
    assert (tmp_path / "south" / "keys.json").exists()


def test_a_restart_finds_everybody_as_they_were(tmp_path: Path) -> None:
    first = build_all(settings_in(tmp_path), clock=Clock())
    before, document = listed(first), first.main.keys.document()
    first.close()
    again = build_all(settings_in(tmp_path), create=False, clock=Clock())
    assert (listed(again), again.main.keys.document()) == (before, document)
    again.close()


def test_an_issuer_can_be_added_to_an_authority_that_was_alone(tmp_path: Path) -> None:
    alone = build_all(settings_in(tmp_path, hosted=()), clock=Clock())
    before = listed(alone)
    alone.close()
    more = build_all(settings_in(tmp_path), clock=Clock())
    after = listed(more)
    assert after[EAST] == before[EAST]
    assert list(after) == [EAST, WEST, SOUTH]
    more.close()


def test_a_key_made_by_one_issuer_is_announced_on_every_feed(deployment: Deployment) -> None:
    for issuer in deployment.issuers:
        issuer.dispatcher.turn()
    _, west, _ = deployment.issuers
    record = west.keys.create_next(KeyPurpose.CREDENTIAL, START + timedelta(minutes=1))
    assert record.kid in listed(deployment)[WEST]
    latest = deployment.main.keys.board.latest()
    assert latest is not None
    for issuer in deployment.issuers:
        issuer.dispatcher.turn()
        bodies = [parse_event(row.token).body for row in issuer.register.read_feed("0")]
        assert bodies[-1] == TrustListPublished(latest.version)


def test_a_command_on_a_hosted_issuers_directory_works_on_that_issuer_under_the_roots_of_all(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    build_all(settings).close()
    command = opened_at(settings, tmp_path / "south", create=False, say=lambda line: None)
    assert command.main.identity.issuer == SOUTH
    record = command.main.keys.create_next(KeyPurpose.STATUS, datetime.now(UTC))
    command.close()
    elsewhere = opened_at(settings, None, create=False, say=lambda line: None)
    assert elsewhere.main.identity.issuer == EAST
    assert record.kid in listed(elsewhere)[SOUTH]
    elsewhere.close()


def test_requests_go_by_their_host_and_an_unknown_one_is_refused(deployment: Deployment) -> None:
    app = issuers_app(deployment)
    token = deployment.issuers[1].operators.add("west desk", Role.OPERATOR, START).token
    bearer = {"Authorization": f"Bearer {token}"}
    with TestClient(app, base_url=EAST) as client:
        for origin in (EAST, WEST, SOUTH):
            named = client.get(origin + "/.well-known/jwt-vc-issuer").json()
            assert named["issuer"] == origin
        assert client.get("https://ZJ.example:443/.well-known/jwt-vc-issuer").json()["issuer"] == EAST
        for unknown in ("https://elsewhere.example", "https://zj.example:8443", "https://zj.example.evil.example"):
            answer = client.get(unknown + "/health/live")
            assert (answer.status_code, answer.json()["code"]) == (421, "unknown_origin")
            assert answer.json()["request_id"]
            assert "elsewhere" not in answer.text
        twice = client.get("/health/live", headers=[("Host", "zj.example"), ("Host", "gd.example")])
        assert twice.status_code == 421
        assert client.get(WEST + "/v1/keys", headers=bearer).status_code == 200
        assert client.get(EAST + "/v1/keys", headers=bearer).status_code == 401, "people of one are strangers to others"


def test_a_single_issuer_answers_to_any_name(tmp_path: Path) -> None:
    alone = build_all(settings_in(tmp_path, hosted=()), clock=Clock())
    with TestClient(issuers_app(alone), base_url="https://any.example") as client:
        assert client.get("/health/live").status_code == 200


def test_the_verifier_beside_them_judges_everybodys_cards_and_a_stolen_key_of_one_is_nobody_elses_trouble(
    deployment: Deployment, authority: ChipAuthority
) -> None:
    embedded = embed_all(deployment)
    east, west, _ = deployment.issuers
    with TestClient(embedded.app, base_url=EAST) as client:
        wait_for(lambda: client.get("/health/ready").status_code == 200)
        holdings = {
            EAST: provinces.issue(east, "330000", 1, authority, START),
            WEST: provinces.issue(west, "440000", 2, authority, START),
        }
        tokens = {
            issuer.identity.issuer: issuer.operators.add("counter", Role.COUNTER, START).token
            for issuer in (east, west)
        }

        def reason(counter: str, holder: str) -> str:
            code = holdings[holder].short_code(START)
            headers = {"Authorization": f"Bearer {tokens[counter]}"}
            return str(
                client.post(counter + "/v1/verifications", json={"code": code}, headers=headers).json()["reason"]
            )

        for counter in (EAST, WEST):
            for holder in (EAST, WEST):
                wait_for(lambda counter=counter, holder=holder: reason(counter, holder) == "ok")  # type: ignore[misc]
        stolen = west.keys.active(KeyPurpose.CREDENTIAL)
        west.register.compromise_key(KeyPurpose.CREDENTIAL, stolen.kid, None, START)
        west.wake.ring()
        wait_for(lambda: reason(EAST, WEST) == "key_compromised", 1)
        assert reason(WEST, EAST) == "ok"


@pytest.mark.parametrize(
    ("hosted", "code"),
    [
        ({"public_origin": EAST, "regions": ("440000",)}, "bad_setting"),
        ({"public_origin": EAST + ":443", "regions": ("440000",)}, "bad_setting"),
        ({"public_origin": WEST + "/path", "regions": ("440000",)}, "bad_setting"),
        ({"public_origin": WEST, "regions": ()}, "bad_setting"),
        ({"public_origin": WEST, "regions": ("44",)}, "bad_setting"),
        ({"public_origin": WEST, "regions": ("440000",), "port": 1}, "bad_setting"),
        ({"public_origin": WEST, "regions": ("440000",), "data_dir": "main"}, "bad_setting"),
        ({"public_origin": WEST, "regions": ("440000",), "database_url_file": "nowhere"}, "settings_unreadable"),
    ],
    ids=["same name", "same host", "a path", "no region", "half a region", "unknown", "same directory", "no file"],
)
def test_a_hosted_issuer_that_cannot_be_is_refused_before_anything_is_made(
    tmp_path: Path, hosted: dict[str, object], code: str
) -> None:
    if "data_dir" in hosted:
        hosted = {**hosted, "data_dir": tmp_path / "main"}
    with pytest.raises(EcardError) as caught:
        build_all(settings_in(tmp_path, hosted=(hosted,)), clock=Clock())
    assert caught.value.code == code
    assert not list(tmp_path.iterdir())


def test_hosted_issuers_stand_in_tables_of_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = tmp_path / "url"
    url.write_text("postgresql://gd:secret@db/gd\n")
    config = tmp_path / "settings.toml"
    config.write_text(
        f'[issuer]\ndata_dir = "{tmp_path}"\npublic_origin = "{EAST}"\n'
        f'[[issuer.hosted]]\npublic_origin = "{WEST}"\nregions = ["440000"]\ndatabase_url_file = "{url}"\n'
    )
    monkeypatch.setenv("ECARD_CONFIG", str(config))
    main = load()
    (hosted,) = main.hosted
    assert hosted == HostedIssuer(public_origin=WEST, regions=("440000",), database_url_file=url)
    own = settings_of(main, hosted)
    assert (own.public_origin, own.data_dir, own.hosted) == (WEST, tmp_path / "gd.example", ())
    assert own.sqlalchemy_url == "postgresql://gd:secret@db/gd"
    assert "gd:secret" not in repr(own)
