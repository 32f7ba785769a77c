"""`ecard app`: apps that show e-cards: apply, admit, refuse, suspend, and what they may do."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ecard_card.errors import InvalidInput
from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show, talk

if TYPE_CHECKING:
    from ecard_issuer.channels.values import Channel

_STATES = ["applied", "active", "suspended", "refused"]


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `app` with its commands."""
    app = subparsers.add_parser(
        "app",
        help="apps that show e-cards: apply, admit, suspend, scopes, keys",
        description="A channel's app is applied for with a file, admitted by two people, and then gets tokens.",
        epilog="Exit status: 0 done; 2 the file cannot be used, or the app does not stand so; 4 another admin must"
        " approve.",
    )
    commands = app.add_subparsers(title="commands", metavar="COMMAND", required=True)

    apply = commands.add_parser("apply", help="apply for an app with a file; prints its app id")
    apply.add_argument("file", metavar="FILE", help="the JSON body of POST /v1/channel-applications, or - for stdin")
    add_options(apply, _apply)

    for name, run, what in (
        ("approve", _approve, "admit an app as it applied; takes two admins"),
        ("resume", _resume, "let a suspended app in again; takes two admins"),
        ("show", _show, "one app and every decision about it"),
    ):
        add_options(_of_app(commands, name, what), run)
    for name, run, what in (
        ("refuse", _refuse, "refuse an applicant"),
        ("suspend", _suspend, "let an app in no more, from its next call on"),
    ):
        parser = _of_app(commands, name, what)
        parser.add_argument("--reason", required=True, metavar="TEXT", help="kept on record")
        add_options(parser, run)

    listing = commands.add_parser("list", help="every app")
    listing.add_argument("--state", choices=_STATES, help="only those that stand so")
    add_options(listing, _list)

    scopes = _of_app(commands, "scopes", "set what an app may do; more than before takes two admins")
    scopes.add_argument("scopes", nargs="+", metavar="SCOPE", help="such as ecard:claim; all that it is to have")
    add_options(scopes, _scopes)

    keys = _of_app(commands, "keys", "set an app's keys; others than before take two admins")
    keys.add_argument("file", nargs="?", metavar="FILE", help="a JWK Set with public keys")
    keys.add_argument("--uri", metavar="URL", help="where its JWK Set is fetched instead")
    add_options(keys, _keys)


def _of_app(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what)
    parser.add_argument("app_id", metavar="APP_ID", help="as `ecard app list` prints it")
    return parser


def _apply(args: argparse.Namespace) -> int:
    from ecard_issuer.web.channel_models import ApplicationBody

    body = read_body(args.file, ApplicationBody)
    with opened(args) as issuer:
        office = issuer.channels.office
        registration = office.registration(body.document())
        channel = office.apply(body.request_id, registration, actor_of(args, issuer), issuer.clock())
        _tell(args, channel, channel.app_id)
        if channel.state == "applied":
            talk(f"Another step: ecard app approve {channel.app_id}")
    return 0


def _approve(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        _tell(args, issuer.channels.office.approve(args.app_id, actor_of(args, issuer), issuer.clock()))
    return 0


def _resume(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        _tell(args, issuer.channels.office.resume(args.app_id, actor_of(args, issuer), issuer.clock()))
    return 0


def _refuse(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        actor = actor_of(args, issuer)
        _tell(args, issuer.channels.office.refuse(args.app_id, args.reason, actor, issuer.clock()))
    return 0


def _suspend(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        actor = actor_of(args, issuer)
        _tell(args, issuer.channels.office.suspend(args.app_id, args.reason, actor, issuer.clock()))
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.channels.answers import change_answer, channel_answer

    with opened(args) as issuer:
        office = issuer.channels.office
        answer = channel_answer(office.get(args.app_id))
        changes = [change_answer(change) for change in office.changes(args.app_id)]
    lines = [f"{name}: {_plain(value)}" for name, value in answer.items() if name != "jwks"]
    lines += [f"key: {key['kid']}  {key['kty']}" for key in (answer["jwks"] or {}).get("keys", ())]
    lines += [
        f"{change['number']}  {change['changed_at']}  {change['action']} by {change['changed_by']}  {change['reason']}"
        for change in changes
    ]
    show(args, {"app": answer, "changes": changes}, *lines)
    return 0


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.channels.answers import channel_answer
    from ecard_issuer.channels.states import ChannelState

    state = None if args.state is None else ChannelState(args.state)
    with opened(args) as issuer:
        found: list[Channel] = []
        while page := issuer.channels.office.list(state, found[-1].app_id if found else ""):
            found += page
    rows = [channel_answer(channel) for channel in found]
    if not rows:
        talk("There is no such app.")
    if rows or args.json:
        show(args, {"apps": rows}, *(f"{row['app_id']}  {row['state']}  {row['names']['zh']}" for row in rows))
    return 0


def _scopes(args: argparse.Namespace) -> int:
    from ecard_issuer.channels.scopes import Scope

    try:
        wanted = tuple(sorted(set(map(Scope, args.scopes))))
    except ValueError:
        raise InvalidInput("bad_channel", f"the scopes are {', '.join(Scope)}") from None
    with opened(args) as issuer:
        office = issuer.channels.office
        registration = replace(office.get(args.app_id).registration, scopes=wanted)
        _tell(args, office.change(args.app_id, registration, actor_of(args, issuer), issuer.clock()))
    return 0


def _keys(args: argparse.Namespace) -> int:
    jwks = None if args.file is None else _key_set(args.file)
    if (jwks is None) is (args.uri is None):
        raise InvalidInput("bad_usage", "give a file with a JWK Set, or --uri")
    with opened(args) as issuer:
        office = issuer.channels.office
        registration = replace(office.get(args.app_id).registration, jwks=jwks, jwks_uri=args.uri)
        _tell(args, office.change(args.app_id, registration, actor_of(args, issuer), issuer.clock()))
    return 0


def _key_set(path: str) -> Mapping[str, Any]:
    from pathlib import Path

    from ecard_card import jose
    from ecard_keys.client_keys import MAX_KEY_SET

    try:
        with Path(path).open("rb") as file:
            content = jose.parse_json(file.read(MAX_KEY_SET + 1), limit=MAX_KEY_SET, max_depth=6)
    except (OSError, InvalidInput):
        raise InvalidInput("bad_key_set", "the file cannot be read, or is not JSON") from None
    if not isinstance(content, dict):
        raise InvalidInput("bad_key_set", "a JWK Set is an object with keys")
    return content


def _tell(args: argparse.Namespace, channel: Channel, *lines: str) -> None:
    from ecard_issuer.channels.answers import channel_answer

    show(args, channel_answer(channel), *(lines or (f"{channel.app_id} {channel.state.value}",)))


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
