"""Keys turn while people show their e-cards: nobody honest is turned away, and a thief is, from a known second on.

Virtual time. One office with the product's own parts, twenty-four checkpoints of four habits, some of which keep what
they have for the longest time the settings allow, and 54 people who renew, lose and find their cards meanwhile; at
least fifty verifications each second. The control at the end does what the rules forbid, and shows that it would tell.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ecard_card import cwt, sd_jwt
from ecard_card.credential import Credential, card_type
from ecard_card.errors import RuleViolation
from ecard_card.status import CardChange
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.keyring import PURPOSES
from ecard_keys.key import KeyPurpose, KeyState
from ecard_keys.trust.trust_list import SKEW
from ecard_sdk.device import DeviceKey
from tests.issuer.office import ISSUER
from tests.issuer.service import START
from tests.journeys.checkpoints import Following, Shape
from tests.journeys.crowd import Crowd, Shown
from tests.journeys.turning_office import ASKER, TurningOffice, pace

CREDENTIAL = KeyPurpose.CREDENTIAL
LEAST = 50  # verifications in each virtual second
Record = Callable[[str, object], None]


def crowd(folder: Path, longest_cache: int) -> Crowd:
    return Crowd(TurningOffice.open(folder, pace(longest_cache)))


def counted(crowd: Crowd, seconds: int) -> str:
    tally = crowd.tally
    return (
        f"{tally.verified} verifications at {len(crowd.places)} verifiers in {seconds} virtual s"
        f" (at least {tally.least_per_second} each), {len(tally.signers)} credential keys in use;"
        f" good refused {len(tally.refused)}, bad accepted {len(tally.accepted)}, late {len(tally.late)},"
        f" met by lists older than their key {sum(tally.unlearned.values())};"
        f" outcomes {dict(sorted(tally.outcomes.items()))}"
    )


def nothing_wrong(crowd: Crowd) -> None:
    tally = crowd.tally
    assert not tally.refused, tally.refused[:20]
    assert not tally.accepted, tally.accepted[:20]
    assert not tally.late, tally.late[:20]
    assert not crowd.trouble, crowd.trouble[:20]
    assert tally.least_per_second >= LEAST


def turn_all(crowd: Crowd) -> None:
    """One rotation of every purpose, as a careful admin does it: announce, wait for the lead, promote."""
    office = crowd.office
    made = [office.announce(purpose) for purpose in PURPOSES]
    crowd.pass_seconds(office.lead - 1)
    with pytest.raises(RuleViolation, match="key_lead_not_over"):
        office.promote(made[0])
    crowd.pass_seconds(1)
    for kid in made:
        office.promote(kid)


def test_three_rotations_turn_nobody_away(tmp_path: Path, record_property: Record) -> None:
    """Two by hand and one by schedule, of the keys for credentials, status lists and events; then the old ones go."""
    town = crowd(tmp_path, 60)
    office, start = town.office, town.clock()
    first = {purpose: office.ring.active(purpose).kid for purpose in PURPOSES}
    turn_all(town)
    turn_all(town)
    third = {purpose: office.ring.active(purpose).kid for purpose in PURPOSES}
    every = 2 * office.lead
    for purpose in PURPOSES:
        wanted = office.keys.wanted_schedule(purpose, every)
        office.agreed(partial(office.keys.set_schedule, wanted, ASKER, town.clock()))
    retired = []
    while any(office.ring.active(purpose).kid == third[purpose] for purpose in PURPOSES):
        town.pass_seconds(10)
        retired += office.retire_what_may_go()
        assert town.clock() - start < timedelta(seconds=5 * every), "the schedule promotes nothing"
    town.pass_seconds(office.lead // 2)
    retired += office.retire_what_may_go()
    seconds = int((town.clock() - start).total_seconds())
    record_property("counts", f"{counted(town, seconds)}; {len(retired)} keys retired meanwhile")
    nothing_wrong(town)
    assert not town.tally.unlearned
    assert len(town.tally.signers) == 4
    assert {office.ring.row(first[purpose]).state for purpose in PURPOSES[:2]} == {KeyState.RETIRED}
    assert office.ring.row(first[KeyPurpose.EVENT]).state == KeyState.VERIFY_ONLY, "the feed's past needs its keys"
    assert len(retired) == 4


# A thief


class Thief:
    """Has a copy of a key, dates what it signs as it likes, and knows the status index of a healthy card."""

    def __init__(self, crowd: Crowd, kid: str) -> None:
        self._crowd, self._kid, self._device = crowd, kid, DeviceKey.generate()
        self._signed = crowd.office.counter.home.sign  # the key itself: no desk, no journal
        self.forged: list[tuple[IssuedCredential, bytes]] = []

    def forge(self, issued_at: datetime) -> IssuedCredential:
        model = self._crowd.people[0].credentials[0]
        content = Credential(
            issuer=ISSUER,
            credential_id=secrets.token_bytes(16),
            device_key=self._device.point,
            issued_at=int(issued_at.timestamp()),
            expires_at=int((issued_at + timedelta(days=3650)).timestamp()),
            status=model.status,
            assurance=model.assurance,
            vct=card_type(ISSUER),
            claims={"name": "测试"},
            region=cwt.parse(model.cwt).region,
        )
        compact = cwt.draft(content, bytes.fromhex(self._kid))
        selective = sd_jwt.draft(content, self._kid, lambda: secrets.token_bytes(16))
        signatures = self._signed(self._kid, [compact.signing_input, selective.signing_input])
        done = replace(
            model,
            cwt=compact.complete(signatures[0]),
            sd_jwt=selective.complete(signatures[1]),
            credential_id=content.credential_id,
        )
        self.forged.append((done, compact.signing_input))
        return done

    def shows(self, *credentials: IssuedCredential) -> list[Shown]:
        """Every forgery in every shape, as of now."""
        shown = self._crowd.show
        return [shown(shape, self._device, one, None, forged=True) for one in credentials for shape in Shape]


def spared(crowd: Crowd) -> None:
    """The first holder's card stays untouched: the thief hides behind its status."""
    crowd.people[0].changes.append((crowd.clock(), CardChange.RELEASE))


def test_a_stolen_key_file_is_worth_nothing_from_the_second_it_is_known(
    tmp_path: Path, record_property: Record
) -> None:
    """The keys of all purposes at once, without a cut-off. With successors that waited their lead, nobody's new
    credential is refused anywhere, and feed and status lists go on under the new keys."""
    town = crowd(tmp_path, 60)
    spared(town)
    office, start = town.office, town.clock()
    stolen = office.ring.active(CREDENTIAL).kid
    for purpose in PURPOSES:
        office.announce(purpose)
    town.pass_seconds(office.lead)
    thief = Thief(town, stolen)
    old, new = thief.forge(START), thief.forge(town.clock())
    ancient = thief.forge(START - timedelta(seconds=SKEW + 1))
    with_forgeries(town, thief, 5, old, new)
    assert {place.judge(one.shape, one.text).reason for place in town.places for one in thief.shows(ancient)[:1]} == {
        "key_not_active"
    }, "nothing is dated before its key"
    taken_before = sum(count for line, count in town.tally.forged.items() if line.endswith(" ok"))
    for purpose in PURPOSES:
        town.stolen(office.ring.active(purpose).kid, None)
    told_at = town.clock()
    town.renew_all()
    with_forgeries(town, thief, 1, old, new)
    online = [place for place in town.places if isinstance(place, Following) and place.trust_as_of > told_at]
    assert len(online) >= 3, "whoever hears the feed knows within a second, and is held to it from here on"
    with_forgeries(town, thief, office.lead, old, new)
    assert all(place.trust_as_of > told_at for place in town.places), "everybody has had to hear of it"
    report(town, start, record_property, f"forgeries taken before the news {taken_before}")
    nothing_wrong(town)
    assert taken_before > 0, "until it is told, a stolen key is as good as its owner"
    assert town.tally.outcomes["invalid key_compromised"] > 100
    assert not town.tally.unlearned
    assert not any(line.split()[1] == "told" for line in town.tally.forged)
    before = town.tally.outcomes["valid ok"]
    town.pass_seconds(5)
    assert town.tally.outcomes["valid ok"] > before, "the successor's credentials are good"


def test_a_cut_off_keeps_what_was_signed_before_and_our_records_tell_the_forged_from_the_true(
    tmp_path: Path, record_property: Record
) -> None:
    """Signed before the cut-off stands, signed after it falls. A forgery dated before the cut-off is refused by whoever
    looks it up, and taken by whoever has only the token: what a cut-off costs, and why a dry run warns of it."""
    town = crowd(tmp_path, 60)
    spared(town)
    office, start = town.office, town.clock()
    stolen = office.ring.active(CREDENTIAL).kid
    town.pass_seconds(20)
    honest = [one for holder in town.people for one in holder.credentials]
    cut_off = town.clock()
    town.pass_seconds(20)
    town.renew_all()  # honest and too late: dated after the cut-off
    town.pass_seconds(2)
    thief = Thief(town, stolen)
    old, new = thief.forge(cut_off - timedelta(seconds=10)), thief.forge(cut_off + timedelta(seconds=1))
    foreseen = office.keys.foresight.compromise(stolen, cut_off, town.clock())
    town.stolen(stolen, cut_off)
    town.renew_all()  # under a successor made on the spot, that no old list names
    with_forgeries(town, thief, office.lead, old, new)
    told = {line: count for line, count in town.tally.forged.items() if " told " in line}
    learned = dict(town.tally.unlearned)
    town.tally.unlearned.clear()
    with_forgeries(town, thief, 10, old, new)
    report(
        town, start, record_property, f"old forgeries, by those who know: {told}; of new keys on old lists: {learned}"
    )
    nothing_wrong(town)
    assert town.tally.signers[stolen] > 100, "honest earlier signatures stand"
    assert town.tally.outcomes["invalid key_compromised"] > 100
    assert learned["unknown_key"] > 0, "a successor without its lead is unknown to old lists"
    assert not town.tally.unlearned, "and to none after the longest cache"
    # By the token alone an old forgery is as good as what it imitates; its reference is in nobody's mirror.
    assert told.keys() == {"EC1 told ok", "SD-JWT told ok", "EC0 told mirror_behind"}
    assert "consequence_cut_off_dates" in foreseen.notes, "whoever sets a cut-off is told so"
    # Our records know all that is honest, by its signed bytes, and nothing of the thief's.
    register, journal = office.counter.register, office.journal
    for one in honest:
        assert register.find_credential(one.credential_id) is not None
        (line,) = journal.find(sha256(cwt.parse(one.cwt).signing_input))
        assert (line.key_id, line.at <= cut_off.timestamp()) == (stolen, True)
    for forged, signing_input in thief.forged:
        assert register.find_credential(forged.credential_id) is None
        assert journal.find(sha256(signing_input)) == []


def with_forgeries(crowd: Crowd, thief: Thief, seconds: int, *forged: IssuedCredential) -> None:
    for _ in range(seconds):
        crowd.thief_shows = lambda: thief.shows(*forged)
        crowd.pass_seconds(1)
    crowd.thief_shows = tuple


def report(crowd: Crowd, start: datetime, record_property: Record, more: str) -> None:
    seconds = int((crowd.clock() - start).total_seconds())
    record_property("counts", f"{counted(crowd, seconds)}; {more}")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# The control


def test_a_promotion_before_the_lead_is_over_turns_people_away(tmp_path: Path, record_property: Record) -> None:
    """What the rule is for, and the proof that the tests above would notice."""
    town = crowd(tmp_path, 60)
    office, start = town.office, town.clock()
    town.pass_seconds(5)
    made = office.announce(CREDENTIAL)
    with pytest.raises(RuleViolation, match="key_lead_not_over"):
        office.promote(made)
    office.promote(made, despite_lead=True)
    town.renew_all()
    town.pass_seconds(office.lead)
    turned_away = dict(town.tally.unlearned)
    town.tally.unlearned.clear()
    town.pass_seconds(10)
    report(town, start, record_property, f"verdicts where the list was older than the key: {turned_away}")
    nothing_wrong(town)
    assert turned_away["unknown_key"] > 100
    assert turned_away.keys() <= {"unknown_key", "ok"}
    assert not town.tally.unlearned, "after the longest cache everybody knows the key"
