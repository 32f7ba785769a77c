"""Many changes in one transaction do to a card exactly what one at a time does, whatever happened to it before."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select

from ecard_card.errors import EcardError
from ecard_card.status import CardChange
from ecard_issuer.change_order import OWN, Reported
from ecard_issuer.intake.sql import SqlIntake
from ecard_issuer.privacy.values import key_mark
from ecard_issuer.register import SqlRegister, tables
from ecard_issuer.register.engine import reading, writing
from ecard_issuer.rows import ChangeResult
from tests.contracts.intake_contract import draft
from tests.contracts.register_world import LATER, NOW, World

MINUTE = timedelta(minutes=1)
SOURCES = ("county", "city")


def wish(chance: random.Random, step: int) -> Reported:
    """Late, early, repeated, numbered and unnumbered, of our own and of others."""
    change = chance.choice([change for change in CardChange if change is not CardChange.REPLACE])
    source = chance.choice((OWN, *SOURCES))
    sequence = chance.randint(1, 12) if source != OWN and chance.random() < 0.7 else None
    event_id = f"e{chance.randint(1, 60)}" if sequence is None else f"n{sequence}"
    return Reported(change, event_id, NOW + chance.randint(-5, step) * MINUTE, source, sequence)


def outcome(result: ChangeResult | EcardError | None, card_ref: str) -> object:
    if isinstance(result, ChangeResult):
        return result.applied, replace(result.event, card_ref=""), result.entries
    return result and result.code


def single(register: SqlRegister, card_ref: str, wanted: Reported) -> ChangeResult | EcardError:
    try:
        return register.apply_change(
            card_ref,
            wanted.change,
            event_id=wanted.event_id,
            occurred_at=wanted.occurred_at,
            now=LATER,
            source=wanted.source,
            sequence=wanted.sequence,
        )
    except EcardError as refused:
        return refused


def told(engine: Engine, card_ref: str) -> list[tuple[int, str, object]]:
    rows = select(tables.outbox).where(tables.outbox.c.card_ref == card_ref).order_by(tables.outbox.c.ordinal)
    with reading(engine) as connection:
        return [(row.ordinal, row.kind, row.body) for row in connection.execute(rows)]


@pytest.mark.parametrize("seed", range(12))
def test_the_same_reports_make_the_same_card(sqlite_engine: Engine, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test
    register, bulk = SqlRegister(sqlite_engine), SqlIntake(sqlite_engine)
    world = World(register)
    for _ in range(6):
        one, other = world.card(), world.card()
        for step in range(25):
            wanted = wish(chance, step)
            alone = single(register, one.card_ref, wanted)
            if chance.random() < 0.7:
                (many,) = bulk.apply_changes([(other.card_ref, wanted)], LATER)
            else:  # both ways on one card
                many = single(register, other.card_ref, wanted)
            assert outcome(many, other.card_ref) == outcome(alone, one.card_ref), (seed, step, wanted)
            left, right = (register.get_card(card.card_ref) for card in (one, other))
            for name in ("status", "sequence", "holder_locked", "consented", "replacing", "updated_at"):
                assert getattr(left, name) == getattr(right, name), (seed, step, wanted, name)
        assert told(sqlite_engine, one.card_ref) == told(sqlite_engine, other.card_ref)


def test_an_imported_card_expires(sqlite_engine: Engine) -> None:
    store = SqlIntake(sqlite_engine)
    item = draft()
    assert store.add_cards([item]) == ("registered",)
    with reading(sqlite_engine) as connection:
        due = connection.scalar(select(tables.card.c.expiry_due).where(tables.card.c.card_ref == item[0].card_ref))
    assert due == item[0].expires_on


def test_a_file_brings_no_destroyed_key_back(sqlite_engine: Engine) -> None:
    """Erased between the reading of a person and the storing of their next card."""
    store = SqlIntake(sqlite_engine)
    item, other = draft(), draft()
    holder = item[1]
    with writing(sqlite_engine) as connection:
        connection.execute(
            tables.erased_person.insert().values(
                former_ref=holder.holder_ref, key_mark=key_mark(holder.wrapped_data_key), erased_at=NOW
            )
        )
    assert store.add_cards([item, other]) == ("holder_exists", "registered")
    assert store.known_holders([holder.holder_ref]) == {}
    assert store.known_cards([item[0].card_ref]) == {}
    anew = draft(replace(holder, wrapped_data_key=b"another key"))
    assert store.add_cards([anew]) == ("registered",)
