"""The issuer put together from its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, inspect

from ecard_card.errors import NotFound
from ecard_issuer.card_effect import PolicyChanges, PolicyOf
from ecard_issuer.chip.judge import Anchors
from ecard_issuer.config import REGISTER_FILE, IssuerSettings
from ecard_issuer.data_dir import DataDir
from ecard_issuer.issuer import Issuer
from ecard_issuer.key_homes import KEY_FILE, ROOT_FILE
from ecard_issuer.keyring import PURPOSES
from ecard_issuer.migrations import migrate
from ecard_issuer.opening import Outside, open_issuer
from ecard_issuer.ports import Register
from ecard_issuer.register import SqlRegister, make_engine, tables
from ecard_issuer.register.engine import reading
from ecard_issuer.trust_board import TrustBoard
from ecard_keys.chip_key import ChipKeyHolder
from ecard_verifier.service import utc_now

__all__ = ["Issuer", "Outside", "build"]


def build(
    settings: IssuerSettings,
    *,
    create: bool = True,
    serve: bool = False,
    clock: Callable[[], datetime] = utc_now,
    anchors: Anchors | None = None,
    key_holder: ChipKeyHolder | None = None,
    say: Callable[[str], None] = lambda line: None,
    reached: Callable[[str], None] = lambda step: None,
    beside: Sequence[Register] = (),
    board: TrustBoard | None = None,
    policy_of: PolicyOf | None = None,
    policy_changes: PolicyChanges | None = None,
) -> Issuer:
    """Open everything that `settings` name; `create` makes an authority where there is none. `say` hears what a person
    should know. `serve` takes the data directory for this server before anything is opened, as `start` else does.

    `anchors` and `key_holder` stand in for those of the settings; `reached` hears each step of an issuance. `policy_of`
    and `policy_changes` say what differs by region. `beside`
    are the registers of the other issuers hosted here, which get a copy of every trust list; such an issuer is built
    with the `board` of the first, and has no root keys of its own (`ecard_issuer.deployment`). Raises
    `NotFound` `no_authority`, `Unavailable` where a database or key file does not open or is lost (`key_file_missing`)
    or another server holds the directory (`data_dir_in_use`), `Conflict` `issuer_changed`, `InvalidInput` for settings
    that do not fit.
    """
    place = DataDir(settings.data_dir)
    if create:
        place.make()
    elif not any((settings.data_dir / name).exists() for name in (KEY_FILE, ROOT_FILE, REGISTER_FILE)):
        raise _no_authority(settings.data_dir)
    try:
        if serve:
            place.serve()
        with place.alone():
            outside = Outside(
                clock,
                anchors,
                key_holder,
                say,
                reached,
                tuple(beside),
                board,
                policy_of,
                policy_changes,
            )
            return _open(settings, place, outside, create=create)
    except BaseException:
        place.release()
        raise


def _open(settings: IssuerSettings, place: DataDir, outside: Outside, *, create: bool) -> Issuer:
    engine = make_engine(settings.sqlalchemy_url)
    try:
        if not (create or _has_trust_list(engine)):
            raise _no_authority(settings.data_dir)
        migrate(engine)
        return open_issuer(settings, place, engine, outside)
    except BaseException:
        engine.dispose()
        raise


def _has_trust_list(engine: Engine) -> bool:
    """Whether this register was ever the register of an authority: it has a list, or keys that wait for their first
    one from a ceremony. Looking changes nothing, and makes no file."""
    file = engine.url.database or ""
    if engine.dialect.name == "sqlite" and not file.startswith("file:") and not Path(file).exists():
        return False
    with reading(engine) as connection:
        has_table = inspect(connection).has_table(tables.trust_list.name)
    if not has_table:
        return False
    register = SqlRegister(engine)
    return register.latest_trust_list() is not None or bool(register.list_keys([purpose.value for purpose in PURPOSES]))


def _no_authority(folder: Path) -> NotFound:
    return NotFound("no_authority", f"{folder} holds no authority; `ecard init` or `ecard serve` makes one there")
