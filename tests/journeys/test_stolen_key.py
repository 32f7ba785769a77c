"""A key is stolen: everything it signed is refused at once, made anew by one command, fetched by every phone, and
valid again at a verifier that only follows the feed."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.judge import Anchor, Anchors
from ecard_issuer.chip.simulator import ChipAuthority
from ecard_issuer.config import load
from ecard_issuer.web.embedded import Verifier, embed
from ecard_keys.key import KeyPurpose
from ecard_sdk.authority import AuthorityClient
from ecard_sdk.errors import ConflictError
from ecard_verifier.callers import Role
from ecard_verifier.feed import STREAM
from ecard_verifier.verdict import Outcome
from tests import provinces
from tests.issuer.cli.test_reissue_command import command
from tests.issuer.reissuing import REGION, id_of
from tests.provinces import Holding
from tests.verifier.feed_kit import wait_for
from tests.verifier.http_kit import serving_thread

CARDS = 50


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Authority:
    issuer: Issuer
    verifier: Verifier
    client: AuthorityClient
    chips: ChipAuthority

    def caught_up(self) -> None:
        """Until the verifier has heard of everything that the register knows."""
        (mirror,) = self.verifier.mirrors
        wait_for(
            lambda: (
                self.issuer.register.oldest_pending() is None
                and mirror.position == self.issuer.register.feed_head(STREAM)
            ),
        )

    def verdicts(self, codes: list[str]) -> Counter[tuple[Outcome, str | None]]:
        judged = [self.verifier.service.verify(code).verdict for code in codes]
        return Counter((verdict.outcome, verdict.reason) for verdict in judged)


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    monkeypatch.setenv("ECARD_APPROVALS_NEEDED", "0")
    chips = ChipAuthority.create(now())
    anchors = Anchors((Anchor("test: chip CA", chips.der),), allow_test=True)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    issuer = build(load(data_dir=tmp_path, public_origin=origin, regions=("000000",)), anchors=anchors)
    embedded = embed(issuer)
    config = uvicorn.Config(embedded.app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    with ExitStack() as stack:
        stack.enter_context(listener)
        stack.enter_context(serving_thread(uvicorn.Server(config), listener))
        stack.callback(issuer.hub.close)
        client = stack.enter_context(AuthorityClient(origin, issuer.operators.add("app", Role.OPERATOR, now()).token))
        yield Authority(issuer, embedded.verifier, client, chips)


def test_everybody_has_a_good_card_again(
    authority: Authority,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    issuer, client = authority.issuer, authority.client
    holdings = [provinces.issue(issuer, REGION, serial, authority.chips, now()) for serial in range(1, CARDS + 1)]
    authority.caught_up()
    assert authority.verdicts(codes(holdings)) == {(Outcome.VALID, "ok"): 2 * CARDS}
    with pytest.raises(ConflictError) as early:
        client.collect_successor(id_of(holdings[0]), holdings[0].device)
    assert early.value.code == "credential_not_replaced"

    stolen = issuer.keys.active(KeyPurpose.CREDENTIAL).kid
    issuer.key_office.compromise(stolen, None, "first admin", now())
    authority.caught_up()
    refused = authority.verdicts(codes(holdings))
    assert refused == {(Outcome.INVALID, "key_compromised"): 2 * CARDS}

    assert command(tmp_path, stolen, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["reissued"], said["left"], said["uncollected"]) == (CARDS, 0, 0)

    renewed = []
    for holding in holdings:
        fresh = client.collect_successor(id_of(holding), holding.device)
        renewed.append(Holding(holding.card_ref, holding.device, fresh.cwt))
    authority.caught_up()
    assert authority.verdicts(codes(renewed)) == {(Outcome.VALID, "ok"): 2 * CARDS}
    assert set(authority.verdicts(codes(holdings))) <= {
        (Outcome.INVALID, "key_compromised"),
        (Outcome.INVALID, "ended"),
    }
    record_property(
        "counts",
        f"re-issued {said['reissued']}, collected {len(renewed)}, valid again {CARDS}, old ones refused {CARDS}",
    )


def codes(holdings: list[Holding]) -> list[str]:
    """A long and a short code of each."""
    return [code for holding in holdings for code in (holding.code(now()), holding.short_code(now()))]
