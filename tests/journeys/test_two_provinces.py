"""Two provinces in one deployment and a third elsewhere, under one trust list: each one's verifiers judge everybody's
cards by their own keys and statuses, online, by fetched lists and from a bundle."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
import uvicorn

from ecard_card import cwt
from ecard_card.card import ChipAssurance
from ecard_card.credential import Credential, StatusRef, card_type
from ecard_issuer.assembly import Issuer
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import load
from ecard_issuer.deployment import Deployment, build_all
from ecard_issuer.publishing.publisher import Form
from ecard_issuer.rows import TrustListRow
from ecard_issuer.web.embedded import issuers_app
from ecard_keys.key import KeyPurpose
from ecard_keys.trust.root import root_to_json
from ecard_sdk.device import DeviceKey
from ecard_verifier.bundle import make_bundle, open_bundle
from ecard_verifier.callers import Role, token_hash
from ecard_verifier.check import check
from ecard_verifier.config import load_settings
from ecard_verifier.http_statuses import SHORTEST_TTL
from ecard_verifier.verdict import Outcome, Verdict
from ecard_verifier.web.assemble import Verifier, assemble
from tests import provinces
from tests.provinces import Holding
from tests.verifier.feed_kit import wait_for
from tests.verifier.http_kit import serving_thread

ZHEJIANG, GUANGDONG, SICHUAN = "330000", "440000", "510000"
ONLINE_BOUND = 1.0  # seconds until a counter that follows the feed refuses
LIST_BOUND = SHORTEST_TTL + 2.0  # and one that fetches status lists


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Country:
    """The issuers by region, a verifier of the first province, and everybody's cards."""

    issuers: dict[str, Issuer]
    verifier: Verifier
    authority: ChipAuthority
    serials: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def card(self, region: str) -> Holding:
        return provinces.issue(self.issuers[region], region, next(self.serials), self.authority, now())

    def scan(self, holding: Holding) -> Verdict:
        return self.verifier.service.verify(holding.code(now())).verdict


def listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener


def serve(stack: ExitStack, deployment: Deployment, listener: socket.socket) -> None:
    config = uvicorn.Config(
        issuers_app(deployment), log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
    )
    stack.enter_context(listener)
    stack.enter_context(serving_thread(uvicorn.Server(config), listener))
    stack.callback(deployment.end_feeds)


def verifier_of(folder: Path, followed: list[Issuer], root: object) -> Verifier:
    tables = ""
    for issuer in followed:
        token = folder / f"feed-token-{issuer.identity.regions[0]}"
        token.write_text(issuer.operators.add("verifier", Role.VERIFIER, now()).token)
        url = issuer.identity.issuer
        tables += f'[[verifier.issuers]]\nurl = "{url}"\nfeed_token_file = "{token}"\n'
    (folder / "root.json").write_text(json.dumps(root))
    callers = [{"name": "counter", "role": "counter", "sha256": token_hash("unused")}]
    (folder / "tokens.json").write_text(json.dumps({"format": "ecard-tokens/1", "tokens": callers}))
    (folder / "settings.toml").write_text(
        f'[verifier]\ndata = "{folder / "data"}"\ntokens = "{folder / "tokens.json"}"\n'
        f'trust_root = "{folder / "root.json"}"\nfetch_statuses = "loopback"\n{tables}'
    )
    return assemble(load_settings({"ECARD_CONFIG": str(folder / "settings.toml")}))


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    folder = tmp_path_factory.mktemp("country")
    authority = ChipAuthority.create(now())
    anchors = Anchors((Anchor("test: chip CA", authority.der),), allow_test=True)
    first, second = listening(), listening()
    port, other_port = first.getsockname()[1], second.getsockname()[1]
    common = {"approvals_needed": 0, "status_ttl": 1}
    hosted = {"public_origin": f"http://localhost:{port}", "regions": (GUANGDONG,)}
    coast = build_all(
        load(
            data_dir=folder / "coast",
            public_origin=f"http://127.0.0.1:{port}",
            regions=(ZHEJIANG,),
            hosted=(hosted,),
            **common,
        ),
        anchors=anchors,
    )
    root = root_to_json(coast.main.keys.root())
    (folder / "root.json").write_text(json.dumps(root))
    inland = build_all(
        load(
            data_dir=folder / "inland",
            public_origin=f"http://127.0.0.1:{other_port}",
            regions=(SICHUAN,),
            trust_root=folder / "root.json",
            **common,
        ),
        anchors=anchors,
    )
    join(coast, inland)
    with ExitStack() as stack:
        serve(stack, coast, first)
        serve(stack, inland, second)
        issuers = dict(zip((ZHEJIANG, GUANGDONG, SICHUAN), (*coast.issuers, *inland.issuers), strict=True))
        (folder / "verifier").mkdir()
        verifier = verifier_of(folder / "verifier", list(coast.issuers), root)
        verifier.start()
        stack.callback(verifier.stop)
        wait_for(lambda: all(mirror.live for mirror in verifier.mirrors))
        yield Country(issuers, verifier, authority)


def join(coast: Deployment, inland: Deployment) -> None:
    """The keys of the third province come onto the list by those who have the roots, and the list goes back to it."""
    entry = inland.main.keys.entry()
    board = coast.main.keys.board
    assert board.publish(entry, (), now())
    latest, document = board.latest(), board.document()
    assert latest is not None
    named = {(record.purpose.value, record.kid) for record in entry.keys}
    inland.main.register.add_trust_list(TrustListRow(latest.version, document, now()), named)


def test_a_counter_judges_cards_of_every_province_and_refuses_the_one_that_was_lost(
    country: Country, record_property: Callable[[str, object], None]
) -> None:
    cards = {region: country.card(region) for region in country.issuers}
    for region, holding in cards.items():
        wait_for(lambda holding=holding: country.scan(holding).outcome in (Outcome.VALID, Outcome.CHECK))  # type: ignore[misc]
        assert country.scan(holding).issuer == country.issuers[region].identity.issuer
    for region, bound in ((ZHEJIANG, ONLINE_BOUND), (GUANGDONG, ONLINE_BOUND), (SICHUAN, LIST_BOUND)):
        began = monotonic()
        provinces.lose(country.issuers[region], cards[region], now())
        wait_for(lambda region=region: country.scan(cards[region]).reason == "suspended", bound)  # type: ignore[misc]
        record_property("counts", f"province {region}: lost card refused after {monotonic() - began:.2f} s")


def test_short_codes_of_followed_provinces_are_resolved_by_their_own_feeds(country: Country) -> None:
    for region in (ZHEJIANG, GUANGDONG):
        holding = country.card(region)
        wait_for(
            lambda holding=holding: (  # type: ignore[misc]
                country.verifier.service.verify(holding.short_code(now())).verdict.outcome is Outcome.VALID
            )
        )


def test_one_bundle_with_the_lists_of_all_provinces_needs_no_network(country: Country) -> None:
    lost, kept = country.card(GUANGDONG), country.card(SICHUAN)
    provinces.lose(country.issuers[GUANGDONG], lost, now())
    tokens = [
        issuer.publisher.status_list(row.list_id, Form.JWT, now()).body.decode()
        for issuer in country.issuers.values()
        for row in issuer.register.status_lists()
    ]
    main = country.issuers[ZHEJIANG]
    bundle = open_bundle(
        make_bundle(main.keys.root(), main.keys.document(), tokens, made_at=now()), now(), main.keys.root()
    )
    assert len(bundle.statuses) >= 3
    assert check(kept.code(now()), bundle.trust, bundle.statuses, now()).outcome is Outcome.VALID
    refused = check(lost.code(now()), bundle.trust, bundle.statuses, now())
    assert (refused.outcome, refused.reason) == (Outcome.INVALID, "suspended")


def test_a_genuine_signature_over_another_provinces_card_is_refused(country: Country) -> None:
    issuer, device = country.issuers[ZHEJIANG], DeviceKey.generate()
    key = issuer.keys.active(KeyPurpose.CREDENTIAL)

    def signed(region: str) -> Holding:
        moment = int(now().timestamp())
        (row, *_) = issuer.register.status_lists()
        credential = Credential(
            issuer=issuer.identity.issuer,
            credential_id=secrets.token_bytes(16),
            device_key=device.point,
            issued_at=moment,
            expires_at=moment + 3600,
            status=StatusRef(issuer.identity.status_uri.replace("{list}", str(row.list_id)), row.list_id, 3),
            assurance=ChipAssurance.SIGNATURE,
            vct=card_type(issuer.identity.issuer),
            claims={},
            region=region,
        )
        draft = cwt.draft(credential, bytes.fromhex(key.kid))
        (signature,) = issuer.signer.sign(key.kid, [draft.signing_input])
        return Holding("", device, draft.complete(signature))

    country.card(ZHEJIANG)
    assert country.scan(signed("330106")).outcome is Outcome.VALID
    for region in (GUANGDONG, "440300", SICHUAN, "000000"):
        verdict = country.scan(signed(region))
        assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "region_not_allowed")


def robbed(issuer: Issuer, purpose: KeyPurpose) -> None:
    """The key that signs for `purpose` was stolen, all it signed is void, and the waiting one takes over."""
    stolen = issuer.keys.active(purpose)
    waiting = issuer.keys.create_next(purpose, now())
    issuer.register.compromise_key(purpose, stolen.kid, None, now(), successor=waiting.kid)
    issuer.wake.ring()


def test_a_key_stolen_in_one_province_is_refused_within_a_second_and_the_others_go_on(country: Country) -> None:
    theirs, other = country.card(GUANGDONG), country.card(ZHEJIANG)
    for holding in (theirs, other):
        wait_for(lambda holding=holding: country.scan(holding).outcome is Outcome.VALID)  # type: ignore[misc]
    robbed(country.issuers[GUANGDONG], KeyPurpose.CREDENTIAL)
    wait_for(lambda: country.scan(theirs).reason == "key_compromised", ONLINE_BOUND)
    assert country.scan(other).outcome is Outcome.VALID
    country.issuers[GUANGDONG].keys.publish(now())
    fresh = country.card(GUANGDONG)
    wait_for(lambda: country.scan(fresh).outcome is Outcome.VALID)


def test_a_stolen_event_key_silences_no_feed_and_a_new_verifier_still_learns_what_it_said(
    country: Country, tmp_path: Path
) -> None:
    issuer, before = country.issuers[ZHEJIANG], country.card(ZHEJIANG)
    provinces.lose(issuer, before, now())
    wait_for(lambda: country.scan(before).reason == "suspended")
    robbed(issuer, KeyPurpose.EVENT)
    after = country.card(ZHEJIANG)
    wait_for(lambda: country.scan(after).outcome is Outcome.VALID)
    provinces.lose(issuer, after, now())
    wait_for(lambda: country.scan(after).reason == "suspended", ONLINE_BOUND)
    issuer.keys.publish(now())
    newcomer = verifier_of(tmp_path, [issuer], root_to_json(issuer.keys.root()))
    newcomer.start()
    try:
        wait_for(lambda: newcomer.mirrors[0].live)
        assert newcomer.service.verify(before.code(now())).verdict.reason == "suspended"
    finally:
        newcomer.stop()
