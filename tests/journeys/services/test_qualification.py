"""Benefit qualification online (待遇资格认证): a signed, dated confirmation that anybody verifies."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ecard_card import jose
from ecard_card.errors import EcardError
from ecard_sdk.cli import main
from ecard_verifier.callers import Role
from ecard_verifier.confirmation import verify_confirmation
from tests.issuer.service import Clock
from tests.journeys.services.relying_town import Person, Town, open_town

AS_SERVICE: dict[str, Any] = {"role": Role.RELYING, "name": "pension-office"}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with open_town(tmp_path_factory.mktemp("town")) as opened:
        opened.relying("pension-office", lines=[65], claims=["name_masked"], proof="challenge")
        yield opened


def confirm(town: Town, person: Person, status: int = 200, **said: Any) -> dict[str, Any]:
    body = {
        "request_id": secrets.token_hex(8),
        "line": 65,
        "business_type": "03",
        "benefit": "basic-pension",
    }
    if "reading_id" not in said:
        body["code"] = town.code(person)
    path = "/v1/relying/pension-office/confirmations"
    return town.call("POST", path, body | said, status=status, **AS_SERVICE)


def refusal(town: Town, token: str, **said: Any) -> str:
    now = said.pop("now", town.service.clock())
    with pytest.raises(EcardError) as caught:
        verify_confirmation(token, town.service.issuer.keys.trust(town.service.clock()), now, **said)
    return caught.value.code


def test_a_qualification_leaves_a_confirmation_that_anybody_verifies(town: Town) -> None:
    person = town.person()
    made = confirm(town, person)
    trust, now = town.service.issuer.keys.trust(town.service.clock()), town.service.clock()
    said = verify_confirmation(made["signed"], trust, now, service="pension-office")
    assert said.to_json() == made["confirmation"]
    year = now.year
    assert (said.benefit, said.period, said.way) == ("basic-pension", str(year), "code")
    assert (said.assurance.label, said.confirmed_at) == ("signature", int(now.timestamp()))
    assert made["confirmation"]["valid_until"] == f"{year + 1}-12-31T15:59:59.000Z"  # midnight in China
    whole = jose.parse_compact(made["signed"], typ="ecard-confirmation+jwt").payload.decode()
    assert person.name not in whole
    assert person.id_number not in whole

    path = f"/v1/confirmations/{said.confirmation_id}"
    assert town.call("GET", path, **AS_SERVICE) == made == town.call("GET", path)
    (kept,) = town.record_of(person, "confirmations")
    assert kept["signed"] == made["signed"]


def test_once_in_a_period_and_again_in_the_next(town: Town) -> None:
    person = town.person()
    first = confirm(town, person)
    town.wait(hours=1)
    assert confirm(town, person) == first
    assert confirm(town, person, benefit="work-injury")["signed"] != first["signed"]
    town.wait(days=60)
    next_year = confirm(town, person)
    assert next_year["confirmation"]["period"] == str(int(first["confirmation"]["period"]) + 1)
    assert next_year["confirmation"]["subject"] == first["confirmation"]["subject"]


def test_a_chip_on_the_desk_confirms_too(town: Town) -> None:
    person = town.person(card_only=True)
    opened = town.call("POST", "/v1/relying/pension-office/readings", status=201, **AS_SERVICE)
    path = f"/v1/relying/pension-office/readings/{opened['enrolment_id']}/evidence"
    town.call("POST", path, town.service.evidence(person.serial, bytes.fromhex(opened["challenge"])), **AS_SERVICE)
    made = confirm(town, person, reading_id=opened["enrolment_id"])
    assert made["confirmation"]["way"] == "chip"


def test_who_is_not_there_is_not_confirmed(town: Town) -> None:
    person = town.person()
    code = town.code(person)
    confirm(town, person, code=code)
    assert confirm(town, person, 422, code=code)["code"] == "replayed"
    town.change(person, "report_loss")
    assert confirm(town, person, 422)["code"] == "suspended"
    assert confirm(town, person, 400, line=64)["code"] == "bad_relying_request"
    town.relying("other-office", lines=[82])
    body = {"request_id": "r", "line": 65, "business_type": "03", "benefit": "pension", "code": town.code(person)}
    path = "/v1/relying/other-office/confirmations"
    refused = town.call("POST", path, body, role=Role.RELYING, name="other-office", status=422)
    assert refused["code"] == "line_not_served"


def test_a_confirmation_is_nobody_elses_and_not_to_be_altered(town: Town) -> None:
    person = town.person()
    made = confirm(town, person)
    town.relying("other-office", lines=[65])
    identity = made["confirmation"]["confirmation_id"]
    path = f"/v1/confirmations/{identity}"
    assert town.call("GET", path, role=Role.RELYING, name="other-office", status=404)["code"] == "confirmation_unknown"
    assert town.call("GET", f"/v1/confirmations/{'0' * 32}", status=404)["code"] == "confirmation_unknown"

    token = made["signed"]
    head, body, tail = token.split(".")
    claims = jose.parse_json(jose.b64url_decode(body))
    assert isinstance(claims, dict)
    forged = f"{head}.{jose.b64url_encode(jose.dump_json(claims | {'benefit': 'work-injury'}))}.{tail}"
    assert refusal(town, forged) == "bad_signature"
    assert refusal(town, token, service="other-office") == "wrong_audience"
    assert refusal(town, token, now=town.service.clock() - timedelta(hours=1)) == "not_yet_valid"
    assert refusal(town, token[:-3]) == "bad_jws"


def test_a_confirmation_is_verified_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    with open_town(tmp_path / "town", clock=Clock(datetime.now(UTC))) as town:
        town.relying("pension-office", lines=[65], claims=[], proof="challenge")
        made = confirm(town, town.person())
        bundle, file, root = tmp_path / "bundle.json", tmp_path / "confirmation.jwt", tmp_path / "root.json"
        bundle.write_bytes(town.client.get("/v1/bundle").content)
        root.write_bytes(town.client.get("/v1/trust-root").content)
        file.write_text(made["signed"] + "\n", encoding="ascii")
    judge = ["verify", "--confirmation", str(file), "--offline", str(bundle), "--root", str(root)]
    assert main(judge) == 0
    told = capsys.readouterr().out
    assert told.startswith("有效")
    assert "benefit: basic-pension" in told
    assert main([*judge, "--audience", "other-office", "--json"]) == 1
    assert '"wrong_audience"' in capsys.readouterr().out
    file.write_text(made["signed"][:-4] + "AAAA", encoding="ascii")
    assert main(judge) == 1
    assert "bad_signature" in capsys.readouterr().out
    file.write_bytes("资格认证".encode())
    assert main(judge) == 1
    assert main(["verify", "--confirmation", str(file)]) == 2
    assert main([*judge[:3], "--offline", str(tmp_path / "none")]) == 3
    assert main(["verify", "--confirmation", str(tmp_path / "none"), *judge[3:]]) == 2
