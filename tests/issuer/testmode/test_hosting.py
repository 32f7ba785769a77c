"""What a test issuer takes over from the live one beside it, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ecard_card.card import IdNumber
from ecard_card.errors import InvalidInput, NotAllowed
from ecard_issuer.config import IssuerSettings, load
from ecard_issuer.deployment import build_all, opened_at, settings_of_test
from ecard_issuer.testmode.mode import Mode
from tests.issuer.template import place_register

LIVE, TEST = "https://ecard.example", "https://test.ecard.example"


def settings_in(folder: Path, **more: object) -> IssuerSettings:
    given = {"data_dir": folder, "public_origin": LIVE, "test_origin": TEST, "approvals_needed": 0}
    return load(**{**given, **more})


def test_nothing_secret_goes_over(tmp_path: Path) -> None:
    live = settings_in(
        tmp_path,
        key_passphrase=SecretStr("a live passphrase"),
        database_url=SecretStr("postgresql+psycopg://live"),
        key_home="vault",
        vault_addr="https://vault.example",
        vault_secret_id=SecretStr("secret"),
        chip_anchors=tmp_path / "anchors.pem",
        regions=("330000",),
        status_ttl=30,
    )
    test = settings_of_test(live)
    assert test is not None
    assert (test.public_origin, test.live_origin, test.test_origin) == (TEST, LIVE, None)
    assert (test.data_dir, test.database_url, test.key_passphrase) == (tmp_path / "test", None, None)
    assert (test.key_home, test.vault_addr, test.vault_secret_id, test.chip_anchors) == ("file", None, None, None)
    assert (test.test_mode, test.allow_test_chips, test.regions, test.status_ttl) == (True, True, ("000000",), 30)
    assert settings_of_test(settings_in(tmp_path, test_origin=None)) is None


@pytest.mark.parametrize("origin", [LIVE, LIVE + ":443"])
def test_a_test_issuer_needs_a_name_of_its_own(tmp_path: Path, origin: str) -> None:
    with pytest.raises(InvalidInput, match="bad_setting"):
        build_all(settings_in(tmp_path, test_origin=origin))


@pytest.mark.parametrize("origin", ["", "test.example", "https://test.example/", "https://test.example/test"])
def test_an_origin_is_scheme_and_host(tmp_path: Path, origin: str) -> None:
    with pytest.raises(InvalidInput, match="bad_setting"):
        settings_in(tmp_path, test_origin=origin)


def test_a_command_on_its_directory_works_on_the_test_issuer_alone(tmp_path: Path) -> None:
    place_register(tmp_path / "test")
    opened = opened_at(settings_in(tmp_path), tmp_path / "test", create=True, say=lambda line: None)
    assert [issuer.identity.issuer for issuer in opened.everyone] == [TEST]
    assert opened.main.test_mode.cards is not None
    assert not (tmp_path / "register.sqlite3").exists()
    opened.close()


def test_each_mode_names_the_other_one() -> None:
    live, test = Mode(test=False, other_origin=TEST), Mode(test=True)
    live.require_own("ek_live_" + "a" * 24)
    test.require_own("ek_test_" + "a" * 24)
    with pytest.raises(NotAllowed, match=rf"app_of_other_mode: .*test app.*{TEST}"):
        live.require_own("ek_test_" + "a" * 24)
    with pytest.raises(NotAllowed, match=r"app_of_other_mode: .*live app.*the live issuer's origin"):
        test.require_own("ek_live_" + "a" * 24)
    number = IdNumber("00009919900101001X")
    test.require_person(number)
    with pytest.raises(NotAllowed, match="test_person_refused"):
        live.require_person(number)
