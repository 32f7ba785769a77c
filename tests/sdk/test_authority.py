"""The client against a real issuer and a real verifier, each a process of its own; and the README's ten lines."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ecard_card.card import ChipAssurance
from ecard_card.status import CardChange, CardStatus
from ecard_demo import services, stage
from ecard_demo.services import Services, until
from ecard_issuer.chip.simulator import ChipAuthority, clone, piv_style, synthetic
from ecard_sdk import errors
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.offline import OfflineVerifier

README = Path(__file__).parents[2] / "sdk" / "README.md"


@pytest.fixture(scope="module")
def authority() -> ChipAuthority:
    return ChipAuthority.create(stage.now())


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, authority: ChipAuthority) -> Iterator[Services]:
    with services.running(tmp_path_factory.mktemp("authority"), authority, stage.now()) as running:
        yield running


@pytest.fixture(scope="module")
def client(places: Services) -> Iterator[AuthorityClient]:
    with AuthorityClient(places.issuer_url, places.operator_token) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def counter(places: Services) -> Iterator[AuthorityClient]:
    with AuthorityClient(places.issuer_url, places.counter_token, verifier_url=places.verifier_url) as verifier:
        yield verifier


@pytest.fixture(scope="module")
def desk(client: AuthorityClient, places: Services) -> stage.Desk:
    return stage.Desk(client, places.issuer_url, client)


def card(authority: ChipAuthority, serial: int) -> stage.PlasticCard:
    data = synthetic(serial)
    return stage.PlasticCard(piv_style(now=stage.now(), authority=authority, data=data), data)


def test_a_card_is_registered_once_and_found_again(
    client: AuthorityClient, desk: stage.Desk, authority: ChipAuthority
) -> None:
    plastic = card(authority, 101)
    reference = desk.register(plastic, desk.read(plastic))
    shown = client.card(reference)
    assert (shown.status, shown.chip_profile, shown.ecard_id) == (CardStatus.NORMAL, "test:piv-p256", None)
    assert [found.card_ref for found in client.find_cards(id_number=plastic.data.id_number)] == [reference]
    assert [found.card_ref for found in client.find_cards(card_number=plastic.data.card_number)] == [reference]
    with pytest.raises(errors.ConflictError) as caught:
        desk.register(plastic, desk.read(plastic))
    assert caught.value.code == "card_exists"
    assert caught.value.request_id


def test_from_chip_to_verdict_and_back(
    client: AuthorityClient, counter: AuthorityClient, desk: stage.Desk, authority: ChipAuthority
) -> None:
    plastic, phone = card(authority, 102), stage.Phone()
    reference = desk.register(plastic, desk.read(plastic))
    proven = desk.prove(plastic)
    assert proven.chip_assurance is ChipAssurance.SIGNATURE
    issued = desk.issue(proven, phone)
    assert desk.issue(proven, phone).cwt == issued.cwt, "the same device may ask again"
    assert client.card(reference).ecard_id == issued.ecard_id
    code = phone.short_code()
    verdict = until(lambda: counter.verify(code, counter="till 3"), lambda seen: seen.valid)
    assert (verdict.outcome, verdict.reason) == ("valid", "ok")
    assert verdict.chip_assurance is ChipAssurance.SIGNATURE
    assert verdict.status_as_of is not None
    again = counter.verify(code)
    assert again.reason == "replayed"
    assert again.first_seen is not None
    assert again.first_seen[1] == "till 3"
    change = client.change_card(reference, CardChange.REPORT_LOSS, sequence=1, event_id="loss-1")
    assert (change.applied, change.status) == (True, CardStatus.LOST)
    assert not client.change_card(reference, CardChange.REPORT_LOSS, sequence=1, event_id="loss-1").applied
    refused = until(lambda: counter.verify(phone.short_code()), lambda seen: seen.reason == "suspended")
    assert refused.outcome == "invalid"
    with pytest.raises(errors.RefusedError) as caught:
        client.change_card(reference, CardChange.LOCK)
    assert caught.value.code == "card_change_impossible"


def test_a_copied_chip_is_refused(desk: stage.Desk, authority: ChipAuthority) -> None:
    plastic = card(authority, 103)
    desk.register(plastic, desk.read(plastic))
    with pytest.raises(errors.ECardError) as caught:
        desk.prove(replace(plastic, chip=clone(plastic.chip)))
    assert caught.value.code.startswith("chip_")


def test_the_bundle_opens_under_the_root_that_the_service_names(
    client: AuthorityClient, desk: stage.Desk, authority: ChipAuthority, tmp_path: Path
) -> None:
    plastic, phone = card(authority, 104), stage.Phone()
    desk.register(plastic, desk.read(plastic))
    desk.issue(desk.prove(plastic), phone)
    path = client.save_bundle(tmp_path / "bundle.json")
    verifier = OfflineVerifier.from_bundle(path, root=client.trust_root())
    assert verifier.verify(phone.whole_code()).outcome == "valid"
    late = datetime.now(UTC) + timedelta(minutes=10)
    assert verifier.verify(phone.whole_code(), now=late).reason == "code_expired"
    assert list(tmp_path.iterdir()) == [path]


def test_keys_can_be_listed_made_and_promoted(client: AuthorityClient, places: Services) -> None:
    fresh = client.create_key("status")
    assert fresh.state == "next"
    with pytest.raises(errors.ApprovalNeededError) as asked:
        client.promote_key(fresh.kid, despite_lead=True)
    with AuthorityClient(places.issuer_url, places.second_operator_token) as keeper:
        keeper.approve(asked.value.request_id)
    assert client.promote_key(fresh.kid, despite_lead=True).state == "active"
    listed = client.keys()
    assert [key.state for key in listed if key.kid == fresh.kid] == ["active"]
    with pytest.raises(errors.RefusedError) as caught:
        client.promote_key(fresh.kid)
    assert caught.value.code == "key_change_impossible"


def test_what_makes_no_sense_is_a_typed_error(client: AuthorityClient) -> None:
    for ask in (
        lambda: client.card("0" * 32),
        lambda: client.send_evidence("0" * 32, {}),
        lambda: client.promote_key("0"),
    ):
        with pytest.raises(errors.ECardError) as caught:
            ask()
        assert caught.value.http_status in (400, 404, 422)


def test_no_token_and_a_wrong_role_are_refused(places: Services, counter: AuthorityClient) -> None:
    with AuthorityClient(places.issuer_url) as nobody, pytest.raises(errors.AuthenticationError):
        nobody.keys()
    with pytest.raises(errors.PermissionDeniedError):
        counter.card("0" * 32)
    with AuthorityClient(places.verifier_url) as nobody, pytest.raises(errors.AuthenticationError):
        nobody.verify("EC0:X")


@pytest.mark.parametrize("code", ["", "garbage", "EC1:", "EC0:" + "A" * 4000, "\x00", "🂡" * 100])
def test_every_text_gets_a_verdict(counter: AuthorityClient, code: str) -> None:
    assert counter.verify(code).outcome == "invalid"


def test_a_text_beyond_all_bounds_is_refused(counter: AuthorityClient) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        counter.verify("A" * 10_000_000)
    assert caught.value.http_status == 413


def test_the_ten_lines_of_the_readme_run(
    places: Services, desk: stage.Desk, authority: ChipAuthority, tmp_path: Path
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (snippet,) = [block for block in blocks if "AuthorityClient" in block]
    assert len([line for line in snippet.splitlines() if line]) == 10
    plastic = card(authority, 105)
    desk.register(plastic, desk.read(plastic))
    enrolment_id = desk.prove(plastic).enrolment_id
    given = "import sys\nurl, token, enrolment_id = sys.stdin.read().split()\n"
    done = subprocess.run(
        [sys.executable, "-c", given + snippet],
        input=f"{places.issuer_url} {places.operator_token} {enrolment_id}",
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("valid")
    assert "█" in done.stdout
