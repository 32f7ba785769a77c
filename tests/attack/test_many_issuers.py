"""One issuer against the others on the list: their regions, their keys, their status hosts, their feeds, and the time
of those who verify."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from ecard_card.algorithm import Algorithm
from ecard_card.errors import EcardError, InvalidInput
from ecard_card.status import EcardStatus
from ecard_keys.homes.ephemeral import EphemeralSigner
from ecard_keys.key import KeyPurpose
from ecard_keys.sm2 import keys as sm2
from ecard_keys.trust.trust import Trust
from ecard_keys.trust.trust_list import IssuerEntry, TrustList
from ecard_sdk.device import DeviceKey
from ecard_verifier.denials import Denials
from ecard_verifier.feed import verify_event
from ecard_verifier.http_statuses import MAX_FLIGHTS, MAX_OF_ISSUER, MEDIA_TYPE, HttpStatuses
from ecard_verifier.mirror import Mirror
from ecard_verifier.mirrors import Mirrors
from ecard_verifier.trust_source import FixedTrust
from ecard_verifier.verdict import Outcome
from tests.attack.kit import entry, judge, other_world, trust_in
from tests.require import require
from tests.verifier.feed_kit import beat, caught_up, change, denial, signed, wait_for
from tests.world import NOW, World, seconds

WORLD, OTHER = World(), other_world()
DEVICE = DeviceKey.generate()


@pytest.mark.parametrize(
    ("code", "region", "allowed"),
    [
        ("000000", "330100", True),
        ("330000", "330100", True),
        ("330000", "440100", False),
        ("000000", "000000", True),
        ("330000", "000000", False),
        ("330100", "330000", False),
        ("330100", "330200", False),
        ("331000", "331100", False),
        ("300000", "330100", False),
        ("000001", "330100", False),
        ("000100", "330100", False),
        ("330100", "330101", True),
        ("330101", "330100", False),
    ],
)
def test_an_issuer_signs_for_its_own_regions_in_both_formats(code: str, region: str, allowed: bool) -> None:
    trust = trust_in(replace(entry(WORLD), regions=(code,)))
    credential = WORLD.credential(DEVICE, region=region)
    shown = DEVICE.present(WORLD.selective(credential), [], audience="a", nonce="n", now=NOW)
    online = judge(WORLD, shown, trust=trust, audience="a", nonce="n")
    offline = judge(WORLD, DEVICE.offline_code(WORLD.compact(credential), NOW), trust=trust)
    assert {online.reason, offline.reason} == {"ok" if allowed else "region_not_allowed"}


@pytest.mark.parametrize(
    "region",
    [
        "33",
        "3301",
        "33010",
        "\u0663\u0663\u0660\u0661\u0660\u0660",
        "\uff13\uff13\uff10\uff11\uff10\uff10",
        "33010 ",
        "",
        "*",
    ],
)
def test_a_region_of_another_form_covers_nothing_and_is_in_no_entry(region: str) -> None:
    with pytest.raises(InvalidInput):
        replace(entry(WORLD), regions=(region,))


@pytest.mark.parametrize("algorithm", list(Algorithm)[:2], ids=str)
@pytest.mark.parametrize("listed", list(Algorithm)[:2], ids=str)
def test_a_point_of_one_curve_is_no_key_on_the_other(algorithm: Algorithm, listed: Algorithm) -> None:
    require(sm2.available(), "SM2", "libcrypto 3 or gmssl-pyx")
    signer = EphemeralSigner(algorithm=algorithm)
    record = replace(
        signer.record(KeyPurpose.CREDENTIAL),
        algorithm=listed,
        user_id=b"1234567812345678" if listed is Algorithm.SM2 else None,
    )
    trust = trust_in(replace(entry(WORLD), keys=(record, *WORLD.records()[1:])))
    code = DEVICE.offline_code(WORLD.compact(WORLD.credential(DEVICE), signer), NOW)
    verdict = judge(WORLD, code, trust=trust)
    assert verdict.reason == ("ok" if algorithm is listed else "unknown_key")


def test_a_key_of_sm2_under_two_user_ids_is_one_key() -> None:
    require(sm2.available(), "SM2", "libcrypto 3 or gmssl-pyx")
    signer = EphemeralSigner(algorithm=Algorithm.SM2)
    record = signer.record(KeyPurpose.CREDENTIAL)
    twice = (record, replace(record, user_id=b"another"))
    trust = trust_in(replace(entry(WORLD), keys=(*twice, *WORLD.records()[1:])))
    code = DEVICE.offline_code(WORLD.compact(WORLD.credential(DEVICE), signer), NOW)
    assert judge(WORLD, code, trust=trust).reason == "unknown_key"


def test_an_issuer_denies_no_key_of_anothers_now_or_later() -> None:
    """Neither a key that the list gives to another, nor one that it will give to another."""
    trust = trust_in(entry(WORLD), entry(OTHER))
    word = denial(WORLD.credential_key, KeyPurpose.CREDENTIAL)
    with pytest.raises(EcardError, match="issuer_mismatch"):
        verify_event(signed(OTHER, word, 1), trust, NOW)
    early = verify_event(signed(OTHER, word, 1), trust_in(entry(OTHER)), NOW)
    source = FixedTrust(trust)
    source.deny(early.issuer, (word.denied,))
    assert source.current() is trust


def test_denials_of_keys_that_nobody_has_are_kept_apart_by_issuer() -> None:
    denials = Denials()
    word = denial(WORLD.credential_key, KeyPurpose.CREDENTIAL).denied
    denials.add(OTHER.issuer, (word,))
    assert denials.against(trust_in(entry(WORLD), entry(OTHER)).issuers) == ()
    denials.add(WORLD.issuer, (word,))
    assert len(denials.against(trust_in(entry(WORLD), entry(OTHER)).issuers)) == 1


def test_a_mirrors_file_is_no_other_issuers_mirror(tmp_path: Path) -> None:
    """In it every card that its issuer never spoke of is valid."""
    path = tmp_path / "mirror.sqlite3"
    caught_up(WORLD, Mirror(path, issuer=WORLD.issuer)).close()
    with pytest.raises(EcardError, match="mirror_foreign"):
        Mirror(path, issuer=OTHER.issuer)


def test_one_issuers_feed_says_nothing_of_anothers_cards() -> None:
    both = trust_in(entry(WORLD), entry(OTHER))
    mirror = Mirror(issuer=OTHER.issuer)
    mirror.apply(verify_event(beat(OTHER, 0), both, NOW))
    theirs = replace(change(WORLD, EcardStatus.VALID), uri=WORLD.status_uri.replace("{list}", "1"))
    with pytest.raises(EcardError, match="status_list_foreign"):
        verify_event(signed(OTHER, theirs, 1), both, NOW)
    code = DEVICE.offline_code(WORLD.compact(WORLD.credential(DEVICE)), NOW)
    assert judge(WORLD, code, trust=both, statuses=Mirrors([mirror])).outcome is Outcome.UNDECIDED


def test_a_host_that_hangs_keeps_no_other_issuers_lists_away() -> None:
    """Its cards, shown again and again, would take all the places of those who fetch."""
    release, asked = threading.Event(), []
    token = OTHER.status_token()

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        if request.url.host == "issuer.example":
            release.wait(10)
            return httpx2.Response(502)
        return httpx2.Response(200, headers={"Content-Type": MEDIA_TYPE}, stream=httpx2.ByteStream(token.encode()))

    trust = FixedTrust(trust_in(entry(WORLD), entry(OTHER)))
    lists = HttpStatuses(trust, lambda: NOW, transport=httpx2.MockTransport(answer))

    def ask(number: int) -> None:
        with pytest.raises(EcardError):
            lists.read(WORLD.status_uri.replace("{list}", str(number)), 7)

    with ThreadPoolExecutor(MAX_FLIGHTS) as pool:
        stuck = [pool.submit(ask, number) for number in range(MAX_FLIGHTS)]
        wait_for(lambda: len(asked) == MAX_OF_ISSUER)
        assert lists.read(OTHER.status_uri.replace("{list}", "1"), 7).value == EcardStatus.VALID
        release.set()
        for one in stuck:
            one.result(10)


def test_an_issuer_twice_on_a_list_is_refused_whatever_stands_between() -> None:
    twice = (entry(WORLD), entry(OTHER), replace(entry(WORLD), keys=()))
    with pytest.raises(InvalidInput):
        TrustList(1, seconds(NOW), seconds(NOW) + 60, None, twice)


@pytest.mark.parametrize("issuer", ["https://issuer.example/", "https://Issuer.example", "https://issuer.example%2F"])
def test_another_spelling_of_an_issuers_name_is_another_issuer(issuer: str) -> None:
    impostor = IssuerEntry(issuer, "https://elsewhere.example/{list}", ("000000",), OTHER.records())
    trust = Trust.of(TrustList(1, seconds(NOW) - 60, seconds(NOW) + 60, None, (impostor, entry(WORLD))))
    credential = OTHER.credential(DEVICE, issuer=WORLD.issuer, vct=f"{WORLD.issuer}/vct/social-security-card/1")
    shown = DEVICE.present(OTHER.selective(credential), [], audience="a", nonce="n", now=NOW)
    assert judge(WORLD, shown, trust=trust, audience="a", nonce="n").reason == "issuer_mismatch"
