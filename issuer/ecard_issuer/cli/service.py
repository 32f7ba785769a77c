"""`ecard service`: relying services and the catalogue of what they may serve."""

from __future__ import annotations

import argparse
import secrets as randomness

from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `service` with its six commands."""
    service = subparsers.add_parser(
        "service",
        help="register, list and end relying services: who may ask what on the strength of a card",
        description="What a service may ask for is decided by two admins: say who you are by ECARD_TOKEN or"
        " ECARD_TOKEN_FILE. A service then asks by the token of its owner, a caller of role relying.",
    )
    commands = service.add_subparsers(title="commands", metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="every service, ended ones too")
    listing.add_argument("--after", default="", metavar="ID", help="the last id of the page before")
    add_options(listing, _list)
    add = commands.add_parser(
        "add",
        help="register a service, or change what it may ask for",
        description="The file is the body of `PUT /v1/relying/{service_id}`: the whole of it each time; the same again"
        " changes nothing.",
        epilog="Exit status: 0 registered; 2 the file makes no sense; 4 another admin must approve, then run it again.",
    )
    add.add_argument("id", metavar="ID", help="3 to 64 lower-case letters, digits and -")
    add.add_argument("file", metavar="FILE", help="a JSON file; - reads standard input")
    add_options(add, _add)
    one = commands.add_parser("show", help="one service, and every decision about it")
    one.add_argument("id", metavar="ID", help="as `ecard service list` prints it")
    add_options(one, _show)
    end = commands.add_parser("end", help="end a service at once")
    end.add_argument("id", metavar="ID", help="as `ecard service list` prints it")
    add_options(end, _end)
    secret = commands.add_parser(
        "secret",
        help="make a client secret for a site that people log in to",
        description="Prints a secret, which the site keeps and nobody else, and its hash for `secret_sha256` in the"
        " service's file. Stores nothing.",
    )
    secret.add_argument("--json", action="store_true", help="one JSON document")
    secret.set_defaults(func=_secret)
    lines = commands.add_parser("catalogue", help="the lines that a service may serve, with what each should ask for")
    lines.add_argument("--json", action="store_true", help="one JSON document")
    lines.set_defaults(func=_catalogue)


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.relying.answers import services_answer

    with opened(args) as issuer:
        services = issuer.relying.services.list(args.after)
        now = issuer.clock()
    lines = [
        f"{service.service_id}  {'live' if service.at(now) is None else 'not live'}  {service.region}"
        f"  {service.name_zh}  {service.name_en}"
        for service in services
    ]
    if not lines:
        talk("There is no relying service.")
    if lines or args.json:
        show(args, services_answer(services, 100), *lines)
    return 0


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.web.relying_models import ServiceBody

    body = read_body(args.file, ServiceBody)
    with opened(args) as issuer:
        service = body.to_service(args.id)
        saved = issuer.relying.services.save(service, actor_of(args, issuer), issuer.clock())
    show(args, saved.to_json())
    return 0


def _show(args: argparse.Namespace) -> int:
    from ecard_issuer.relying.answers import record_answer

    with opened(args) as issuer:
        service = issuer.relying.services.get(args.id)
        changes = issuer.relying.services.changes(args.id)
    document = service.to_json()
    lines = [f"{name}: {value}" for name, value in document.items()]
    lines += [f"{change.changed_at:%Y-%m-%d %H:%M}Z  {change.action} by {change.changed_by}" for change in changes]
    show(args, document | record_answer(changes), *lines)
    return 0


def _end(args: argparse.Namespace) -> int:
    with opened(args) as issuer:
        ended = issuer.relying.services.end(args.id, actor_of(args, issuer), issuer.clock())
    show(args, ended.to_json(), f"{ended.service_id} ended at {ended.ends_at}")
    return 0


def _secret(args: argparse.Namespace) -> int:
    from ecard_issuer.login.rules import hashed

    secret = randomness.token_urlsafe(32)
    show(args, {"client_secret": secret, "secret_sha256": hashed(secret)}, f"{secret}  {hashed(secret)}")
    return 0


def _catalogue(args: argparse.Namespace) -> int:
    from ecard_issuer.relying.catalogue import catalogue

    known = catalogue()
    lines = (f"{entry.line:>3}  {entry.category:<16}  {entry.zh}  {entry.en}" for entry in known.lines)
    show(args, known.to_json(), *lines)
    return 0
