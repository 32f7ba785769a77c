"""Port `LinkStore` on SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from ecard_card.errors import RuleViolation
from ecard_issuer.links.values import Link, LinkEnd, LinkNews, LinkNewsRow, LinkRight
from ecard_issuer.register import tables
from ecard_issuer.register.reissue_state import cards_of
from ecard_issuer.register.reissue_statements import end, ended_entries, ended_news
from ecard_issuer.register.sql import Store, columns, fixed, insert_new, many, one, set_entries
from ecard_issuer.register.sql_reissue import lineage
from ecard_issuer.rows import CredentialRow
from ecard_issuer.states import CredentialState, EnrolmentState

_link, _directory, _right, _news = (
    tables.channel_link,
    tables.channel_link_directory,
    tables.channel_link_right,
    tables.channel_link_news,
)

#: Before anything happened.
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SqlLinks(Store):
    def add_link(self, link: Link) -> Link:
        live = (_link.c.ecard_id == link.ecard_id, _link.c.app_id == link.app_id, _link.c.ended_at.is_(None))
        with self._writing() as connection:
            if not insert_new(connection, _link, **columns(link)):
                held = one(connection, Link, select(_link).where(*live))
                if held is None:  # it was released in this moment, or this very one was before
                    raise _released()
                if link.mandate_id is not None and held.mandate_id is None:  # from now on an agent's device is under it
                    connection.execute(update(_link).where(*live).values(mandate_id=link.mandate_id))
                    held = replace(held, mandate_id=link.mandate_id)
                return held
            entry = {name: getattr(link, name) for name in ("app_id", "link_id", "ecard_id", "holder_ref")}
            connection.execute(_directory.insert().values(entry))
            _tell(connection, link, LinkNews.CLAIMED, {"holder_proof": link.proof.label}, "claimed", link.claimed_at)
        return link

    def find_link(self, app_id: str, link_id: str) -> Link | None:
        place = select(_directory.c.ecard_id).where(_directory.c.app_id == app_id, _directory.c.link_id == link_id)
        with self._reading() as connection:
            ecard_id = connection.scalar(place)
            return None if ecard_id is None else _load(connection, ecard_id, link_id)

    def links_of_channel(self, app_id: str, *, after: str = "", limit: int = 50) -> tuple[Link, ...]:
        page = (
            select(_directory.c.link_id, _directory.c.ecard_id)
            .where(_directory.c.app_id == app_id, _directory.c.link_id > after)
            .order_by(_directory.c.link_id)
            .limit(limit)
        )
        with self._reading() as connection:
            places = connection.execute(page).all()
            wanted = _link.c.ecard_id.in_(sorted({place.ecard_id for place in places}))
            ids = sorted(place.link_id for place in places)
            found = select(_link).where(wanted, _link.c.link_id.in_(ids)).order_by(_link.c.link_id)
            return many(connection, Link, found)

    def links_of_ecard(self, ecard_id: str) -> tuple[Link, ...]:
        live = select(_link).where(_link.c.ecard_id == ecard_id, _link.c.ended_at.is_(None))
        with self._reading() as connection:
            return many(connection, Link, live.order_by(_link.c.app_id))

    def links_of_holder(self, holder_ref: str) -> tuple[Link, ...]:
        own = select(_link).where(_link.c.holder_ref == holder_ref)
        with self._reading() as connection:
            return many(connection, Link, own.order_by(_link.c.claimed_at, _link.c.link_id))

    def end_link(self, link: Link, end: LinkEnd, now: datetime) -> Link:
        this = (_link.c.ecard_id == link.ecard_id, _link.c.link_id == link.link_id)
        with self._writing() as connection:
            live = update(_link).where(*this, _link.c.ended_at.is_(None)).values(ended_at=now, end=end)
            if connection.execute(live).rowcount == 1:
                self._end_rights(connection, _rights(connection, link.link_id), now)
                _tell(connection, link, LinkNews.RELEASED, {"end": end.value}, "released", now)
            return _load(connection, link.ecard_id, link.link_id) or replace(link, ended_at=now, end=end)

    def end_remains(self, link: Link, now: datetime) -> None:
        with self._writing() as connection:
            if not _is_live(connection, link):
                given = select(_right).where(_right.c.link_id == link.link_id).order_by(_right.c.enrolment_id)
                self._end_rights(connection, many(connection, LinkRight, given), now)

    def follow_person(self, link: Link, holder_ref: str) -> Link:
        with self._writing() as connection:
            for table, *key in (
                (_link, _link.c.ecard_id == link.ecard_id, _link.c.link_id == link.link_id),
                (_directory, _directory.c.app_id == link.app_id, _directory.c.link_id == link.link_id),
            ):
                connection.execute(update(table).where(*key).values(holder_ref=holder_ref))
        return replace(link, holder_ref=holder_ref)

    def prepare_right(self, right: LinkRight) -> LinkRight:
        this = (_right.c.link_id == right.link_id, _right.c.enrolment_id == right.enrolment_id)
        with self._writing() as connection:
            insert_new(connection, _right, **columns(right))
            return one(connection, LinkRight, select(_right).where(*this)) or right

    def add_right(self, right: LinkRight, link: Link, over: Collection[str] = ()) -> LinkRight:
        with self._writing() as connection:
            _lock_live(connection, link)
            for held in _rights(connection, link.link_id) if right.sealed_key is None else ():
                same = held.device_thumbprint == right.device_thumbprint and held.sealed_key is None
                if same and held.enrolment_id not in over:
                    return held
            insert_new(connection, _right, **columns(right))
        return right

    def adopt_right(self, right: LinkRight, link: Link) -> None:
        with self._writing() as connection:
            live = _is_live(connection, link)
            if not live:
                self._end_rights(connection, [replace(right, ecard_id=link.ecard_id)], right.made_at)
            else:
                this = (_right.c.link_id == right.link_id, _right.c.enrolment_id == right.enrolment_id)
                connection.execute(delete(_right).where(*this))
                adopted = replace(right, link_id=link.link_id, ecard_id=link.ecard_id)
                insert_new(connection, _right, **columns(adopted))
        if not live:
            raise _released()

    def rights_of(self, link_id: str) -> tuple[LinkRight, ...]:
        with self._reading() as connection:
            return _rights(connection, link_id)

    def end_rights(self, link_id: str, enrolment_ids: Collection[str], now: datetime) -> None:
        with self._writing() as connection:
            rights = [right for right in _rights(connection, link_id) if right.enrolment_id in enrolment_ids]
            self._end_rights(connection, rights, now)

    def tell(
        self, links: Sequence[Link], kind: LinkNews, about: Mapping[str, object], mark: str, now: datetime
    ) -> None:
        with self._writing() as connection:
            for link in links:
                _tell(connection, link, kind, about, mark, now)

    def waiting_news(self, limit: int = 100) -> tuple[LinkNewsRow, ...]:
        order = (_news.c.at, _news.c.app_id, _news.c.news_id)
        with self._reading() as connection:
            waiting = select(_news).where(_news.c.waiting.is_not(None), _news.c.at > _EVER)
            return many(connection, LinkNewsRow, waiting.order_by(*order).limit(limit))

    def taken_up(self, rows: Sequence[LinkNewsRow]) -> None:
        with self._writing() as connection:
            for row in rows:
                this = (_news.c.app_id == row.app_id, _news.c.news_id == row.news_id)
                connection.execute(update(_news).where(*this).values(waiting=False))

    def purge(self, before: datetime, limit: int) -> int:
        over = select(_link).where(_link.c.ended_at < before).order_by(_link.c.ended_at, _link.c.link_id).limit(limit)
        with self._writing() as connection:
            links = many(connection, Link, over)
            if not links:
                return 0
            ids = [link.link_id for link in links]
            of_apps = _directory.c.app_id.in_(sorted({link.app_id for link in links}))
            of_ecards = _link.c.ecard_id.in_(sorted({link.ecard_id for link in links}))
            connection.execute(delete(_right).where(_right.c.link_id.in_(ids)))
            connection.execute(delete(_directory).where(of_apps, _directory.c.link_id.in_(ids)))
            connection.execute(delete(_link).where(of_ecards, _link.c.link_id.in_(ids)))
        return len(ids)

    def _end_rights(self, connection: Connection, rights: Sequence[LinkRight], now: datetime) -> None:
        """End rights with their credentials. Cards first, in the order of their references, as everybody locks them;
        an issuance that is under way then finds its proof spent."""
        if not rights:
            return
        binding, enrolment = tables.ecard_binding, tables.enrolment
        ecards = sorted({right.ecard_id for right in rights})
        refs = set(connection.scalars(select(binding.c.card_ref).where(binding.c.ecard_id.in_(ecards))))
        cards_of(connection, refs, locked=True)
        ids = sorted(right.enrolment_id for right in rights)
        connection.execute(
            update(enrolment)
            .where(enrolment.c.enrolment_id.in_(ids), enrolment.c.state == fixed(EnrolmentState.PROVEN))
            .values(state=EnrolmentState.ISSUED)
        )
        given = select(enrolment.c.enrolment_id, enrolment.c.credential_id).where(enrolment.c.enrolment_id.in_(ids))
        issued = {enrolment_id: credential_id for enrolment_id, credential_id in connection.execute(given)}
        first = {credential_id for credential_id in issued.values() if credential_id is not None}
        forgotten = {right.device_thumbprint for right in rights if right.enrolment_id not in issued}
        if forgotten and refs:  # proofs go by the region's policy: then the device key finds what was issued on them
            credential = tables.credential
            own = (credential.c.card_ref.in_(sorted(refs)), credential.c.ecard_id.in_(ecards))
            key = credential.c.device_key_thumbprint.in_(sorted(forgotten))
            first |= set(connection.scalars(select(credential.c.credential_id).where(*own, key)))
        live: dict[bytes, CredentialRow] = {}
        for credential_id in sorted(first):
            for row in lineage(connection, credential_id):
                if row.state is CredentialState.LIVE:
                    live[row.credential_id] = row
        if live:
            ended = end(connection, tuple(live.values()))
            set_entries(connection, ended_entries(ended))
            for card_ref, kind, body in ended_news(ended):
                self._post(connection, card_ref, kind, body, now)
        links = sorted({right.link_id for right in rights})
        connection.execute(
            update(_right)
            .where(_right.c.link_id.in_(links), _right.c.enrolment_id.in_(ids), _right.c.ended_at.is_(None))
            .values(ended_at=now, sealed_key=None)
        )


def _load(connection: Connection, ecard_id: str, link_id: str) -> Link | None:
    return one(connection, Link, select(_link).where(_link.c.ecard_id == ecard_id, _link.c.link_id == link_id))


def _rights(connection: Connection, link_id: str) -> tuple[LinkRight, ...]:
    live = select(_right).where(_right.c.link_id == link_id, _right.c.ended_at.is_(None))
    return many(connection, LinkRight, live.order_by(_right.c.made_at, _right.c.enrolment_id))


def _is_live(connection: Connection, link: Link) -> bool:
    """Whether the link has not ended; it cannot end before this transaction does."""
    this = (_link.c.ecard_id == link.ecard_id, _link.c.link_id == link.link_id, _link.c.ended_at.is_(None))
    return connection.scalar(select(_link.c.link_id).where(*this).with_for_update()) is not None


def _lock_live(connection: Connection, link: Link) -> None:
    if not _is_live(connection, link):
        raise _released()


def _released() -> RuleViolation:
    return RuleViolation("link_released", "this link was released")


def _tell(
    connection: Connection, link: Link, kind: LinkNews, about: Mapping[str, object], mark: str, now: datetime
) -> None:
    """A row of news; the same mark again leaves the first one."""
    digest = hashlib.sha256(f"{link.link_id}\n{kind.value}\n{mark}".encode()).hexdigest()[:31]
    news_id = f"{list(LinkNews).index(kind)}{digest}"  # of one moment, the claim comes first and the release last
    row = LinkNewsRow(link.app_id, news_id, link.link_id, kind, dict(about), now)
    insert_new(connection, _news, **columns(row))
