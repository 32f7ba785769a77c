"""The office through which every service for a holder goes: who asks, for whom, whether they may, and once only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from ecard_card.acting import Act, Channel
from ecard_card.errors import Conflict, InvalidInput, NotAllowed, NotFound
from ecard_card.status import CardStatus
from ecard_issuer.acting_rules import ActingRules
from ecard_issuer.card_desk import CardDesk
from ecard_issuer.card_effect import PolicyOf
from ecard_issuer.life.cases import Cases, Judge
from ecard_issuer.life.rules import require_channel
from ecard_issuer.life.values import Asked, CaseKind, CaseRow, CaseState, Outcome
from ecard_issuer.life.who import Finder, Who
from ecard_issuer.ports import Cards
from ecard_issuer.rows import CardRow
from ecard_verifier.callers import Caller, Role

#: The ways by which callers of each role bring a holder's wish.
_WAYS: Final[Mapping[Role, frozenset[Channel]]] = {
    Role.DESK: frozenset({Channel.DESK, Channel.KIOSK}),
    Role.HOTLINE: frozenset({Channel.HOTLINE}),
    Role.CHANNEL: frozenset(Channel) - {Channel.DESK, Channel.HOTLINE, Channel.INSTITUTION, Channel.AUTHORITY},
    Role.OPERATOR: frozenset(Channel),
}
_USUAL: Final = {Role.DESK: Channel.DESK, Role.HOTLINE: Channel.HOTLINE, Role.OPERATOR: Channel.AUTHORITY}


def channel_of(caller: Caller, named: Channel | None) -> Channel:
    """The way by which `caller` brings a wish: the named one, or the usual one of the role.

    Raises `InvalidInput` `channel_needed`; `NotAllowed` `channel_not_yours`.
    """
    channel = named or _USUAL.get(caller.role)
    if channel is None:
        raise InvalidInput("channel_needed", "say by which channel the holder asks")
    if channel not in _WAYS.get(caller.role, frozenset()):
        raise NotAllowed("channel_not_yours", f"a caller of role {caller.role} does not speak for {channel}")
    return channel


class CaseOffice:
    """Opens cases and looks them up. `wake` is called after each commit."""

    def __init__(
        self,
        cases: Cases,
        register: Cards,
        desk: CardDesk,
        rules: ActingRules,
        policy_of: PolicyOf,
        wake: Callable[[], None],
    ) -> None:
        self.cases = cases
        self.desk = desk
        self.policy_of = policy_of
        self.wake = wake
        self._register = register
        self._rules = rules
        self._finder = Finder(register, desk)

    def open(
        self,
        kind: CaseKind,
        why: str,
        who: Who,
        asked: Asked,
        act: Act | None,
        judge: Judge,
        now: datetime,
        *,
        details: Mapping[str, str] | None = None,
        new_holder_ref: str | None = None,
        whole_person: bool = False,
    ) -> Outcome:
        """Open a case, or give back the one that the same request opened before.

        `act` is what the acting rules are asked about; None where no living person acts. `details` are sealed.
        Raises what the finder, the rules, the judge and `Cases.open_case` raise.
        """
        case_id = case_id_of(asked.caller, asked.request_id)
        fingerprint = self._fingerprint(kind, why, who, asked, details)
        before = self.cases.find_case(case_id)
        if before is not None:
            if before.fingerprint != fingerprint:
                raise Conflict("request_differs", "this request id was used for something else")
            return self.cases.outcome_of(before, now)
        card = self._finder.card(who)
        policy = self.policy_of(card.region, now)
        require_channel(asked.channel, policy)
        if act is not None:
            self._rules.require(asked.acting, card.holder_ref, act, now)
        sealed = None
        if details:
            text = json.dumps(dict(details), ensure_ascii=False)
            sealed = self.desk.seal_of(card).seal(text.encode(), f"card_case/{case_id}")
        draft = CaseRow(
            card_ref=card.card_ref,
            case_id=case_id,
            kind=kind,
            state=CaseState.DONE,
            why=why,
            fingerprint=fingerprint,
            caller=asked.caller.name,
            channel=asked.channel,
            ground=asked.acting.ground,
            mandate_id=asked.acting.mandate_id,
            applied=False,
            opened_at=now,
            changed_at=now,
            new_holder_ref=new_holder_ref,
            sealed=sealed,
        )
        outcome = self.cases.open_case(draft, judge, now, whole_person=whole_person)
        self.wake()
        return outcome

    def find(self, case_id: str, kind: CaseKind, caller: Caller, now: datetime) -> Outcome:
        """A case. A channel sees its own only. Raises `NotFound` `case_unknown`."""
        return self.cases.outcome_of(self.case(case_id, kind, caller), now)

    def case(self, case_id: str, kind: CaseKind, caller: Caller) -> CaseRow:
        """As `find`, without what card and e-card are now."""
        case = self.cases.find_case(case_id)
        foreign = caller.role not in (Role.OPERATOR, Role.DESK, Role.HOTLINE, Role.SOURCE)
        if case is None or case.kind is not kind or (foreign and case.caller != caller.name):
            raise NotFound("case_unknown", "no such case")
        return case

    def require(self, asked: Asked, case: CaseRow, act: Act, now: datetime) -> None:
        """Raises what the acting rules raise for the case's holder."""
        self._rules.require(asked.acting, self._register.get_card(case.card_ref).holder_ref, act, now)

    def details(self, case: CaseRow) -> Mapping[str, str]:
        """What is sealed with a case."""
        if case.sealed is None:
            return {}
        card = self._register.get_card(case.card_ref)
        opened: dict[str, str] = json.loads(self.desk.seal_of(card).open(case.sealed, f"card_case/{case.case_id}"))
        return opened

    def live_cards(self, holder_ref: str) -> tuple[str, ...]:
        """The cards of a person that are not cancelled."""
        cards = self._register.cards_of_holder(holder_ref)
        return tuple(card.card_ref for card in cards if card.status is not CardStatus.CANCELLED)

    def card(self, card_ref: str) -> CardRow:
        """Raises `NotFound` `card_unknown`."""
        return self._register.get_card(card_ref)

    def _fingerprint(self, kind: CaseKind, why: str, who: Who, asked: Asked, details: Mapping[str, str] | None) -> str:
        """Of the whole request, under a key: parts of it could be guessed."""
        holder = who.holder and [who.holder.id_number.text, who.holder.name, who.region]
        acting = [asked.channel, asked.acting.ground, asked.acting.mandate_id]
        content = [kind, why, who.card_ref, who.ecard_id, holder, acting, dict(details or {})]
        return self.desk.references.pairwise("case", json.dumps(content, sort_keys=True))


def case_id_of(caller: Caller, request_id: str) -> str:
    """A case's id: what a caller chose names a case of that caller."""
    return hashlib.sha256(f"case\n{caller.name}\n{request_id}".encode()).hexdigest()[:32]
