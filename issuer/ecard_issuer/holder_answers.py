"""Answers of the routes and commands about PINs, passwords, levels, family and a holder's cards."""

from __future__ import annotations

from collections.abc import Sequence

from ecard_issuer.answers import Json
from ecard_issuer.family.family import LinkState
from ecard_issuer.family.link import Side
from ecard_issuer.holder_cards import HeldCard, met_by
from ecard_issuer.levels.business import LEVEL_NEEDED
from ecard_issuer.levels.levels import LevelState
from ecard_issuer.people import References
from ecard_issuer.pins.passwords import PasswordState
from ecard_issuer.pins.pins import PinState
from ecard_issuer.pins.secret import SecretEvent
from ecard_verifier.verdict import rfc3339


def pin_answer(state: PinState) -> Json:
    """A `PinAnswer`."""
    return {
        "card_ref": state.card_ref,
        "initial": state.initial,
        "may_query": not state.locked,
        "may_transact": not (state.locked or state.initial),
        "locked": state.locked,
        "tries_left": state.tries_left,
        "unlocks_left": state.unlocks_left,
        "changed_at": rfc3339(state.changed_at) if state.changed_at else None,
    }


def act_answer(event: SecretEvent) -> Json:
    """An `ActAnswer`."""
    return {"act": event.act.value, "event_id": event.event_id, "at": rfc3339(event.at)}


def password_answer(state: PasswordState) -> Json:
    """A `PasswordAnswer`."""
    return {
        "ecard_id": state.ecard_id,
        "is_set": state.is_set,
        "locked": state.locked,
        "tries_left": state.tries_left,
        "changed_at": rfc3339(state.changed_at) if state.changed_at else None,
    }


def level_answer(state: LevelState) -> Json:
    """A `LevelAnswer`."""
    last = state.opening
    return {
        "ecard_id": state.ecard_id,
        "level": int(state.level),
        "usable": state.usable,
        "opened_at": rfc3339(last.opened_at) if last else None,
        "consent": last.consent if last else None,
        "closed_at": rfc3339(last.closed_at) if last and last.closed_at else None,
        "closing": last.closing.value if last and last.closing else None,
        "business_types": [kind.value for kind, needed in LEVEL_NEEDED.items() if needed <= state.level],
    }


def link_answer(state: LinkState, references: References, caller: str) -> Json:
    """A `FamilyLinkAnswer`, with the other person by `caller`'s own reference."""
    link = state.link
    other = link.relative_ref if state.side is Side.VIEWER else link.viewer_ref
    return {
        "link_id": link.link_id,
        "side": state.side.value,
        "relation": link.relation.value,
        "other": references.pairwise(caller, other),
        "ecard_id": link.ecard_id,
        "proof": link.proof.value,
        "started_at": rfc3339(link.started_at),
        "ends_at": rfc3339(link.ends_at) if link.ends_at else None,
        "over": state.over.value if state.over else None,
    }


def held_cards_answer(held: Sequence[HeldCard], region: str | None) -> Json:
    """A `HolderCardsAnswer`. Raises `InvalidInput` `bad_region`."""
    met = None if region is None else met_by(held, region)
    return {
        "cards": [
            {
                "card_ref": one.card.card_ref,
                "region": one.card.region,
                "status": int(one.card.status),
                "ecard_status": one.effect.name.lower(),
                "issued_on": one.card.issued_on.isoformat(),
                "expires_on": one.card.expires_on.isoformat(),
            }
            for one in held
        ],
        "met": met.card.card_ref if met else None,
    }
