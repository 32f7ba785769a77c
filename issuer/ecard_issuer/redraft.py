"""A credential laid out anew for another key: same card, same device, same end; all else is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ecard_card import cwt, jose
from ecard_issuer.draft import Draft, Drafter
from ecard_issuer.rows import CardRow, HolderRow, PlanRow, Reissuable, StatusSlot, Successor
from ecard_keys.key import KeyRecord
from ecard_keys.verify import uncompressed

#: Within which a batch is signed and committed.
PLAN_LIFE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Redraft:
    """A checked draft, the plan that it is to be recorded by, the card and its holder."""

    draft: Draft
    plan: PlanRow
    card: CardRow
    holder: HolderRow | None


class Redrafter:
    """Drafts successors and finishes them. `owner` is whose plans they are; `random` gives ids."""

    def __init__(self, drafter: Drafter, owner: str, random: Callable[[int], bytes]) -> None:
        self._drafter = drafter
        self._owner = owner
        self._random = random

    def draft(self, item: Reissuable, slot: StatusSlot, key: KeyRecord, now: datetime) -> Redraft:
        """A successor for `key` to sign, with its status at `slot`.

        Raises as `Drafter.lay_out`, and what the stored credential or the card's sealed data are wrong with.
        """
        profile, replaced = self._drafter.profile, item.credential
        old = cwt.parse(replaced.cwt)
        draft = self._drafter.lay_out(
            item.card,
            self._random(16),
            uncompressed(old.device_key, old.device_algorithm),
            slot,
            replaced.assurance,
            key,
            now,
            device_algorithm=old.device_algorithm,
            holder_proof=old.holder_proof,
            until=replaced.expires_at,
            holder=item.holder,
        )
        plan = PlanRow(
            card_ref=item.card.card_ref,
            plan_id=self._random(16).hex(),
            enrolment_id="",
            ecard_id=replaced.ecard_id,
            card_status=item.card.status,
            profile=profile.vct,
            profile_hash=profile.digest,
            list_id=slot.list_id,
            index=slot.index,
            credential_id=draft.credential.credential_id,
            draft_hashes=draft.hashes,
            key_id=key.kid,
            device_key_thumbprint=replaced.device_key_thumbprint,
            owner=self._owner,
            expires_at=now + PLAN_LIFE,
            created_at=now,
            renewal=True,
            replaces=replaced.credential_id,
        )
        return Redraft(draft, plan, item.card, item.holder)

    def finish(self, one: Redraft, signatures: list[bytes], now: datetime) -> Successor:
        """The signed credential, checked once more. Raises `Unavailable` `draft_refused`: the signatures are wrong."""
        finished = one.draft.complete(signatures)
        self._drafter.verify(one.draft, finished, one.draft.key, now)
        row = self._drafter.row(one.card, one.plan, one.draft, finished, one.holder)
        return Successor(one.plan, row, {"cwt": jose.b64url_encode(finished[0])})
