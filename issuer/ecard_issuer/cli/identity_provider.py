"""`ecard identity-provider`: services whose word about a person is believed when an e-card is claimed."""

from __future__ import annotations

import argparse

from ecard_issuer.cli.common import actor_of, add_options, opened, read_body, show, talk


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `identity-provider` with its three commands."""
    parser = subparsers.add_parser(
        "identity-provider",
        help="register, list and remove identity-proofing services (实人认证)",
        description="Whoever is registered here says who people are, so two admins decide it: say who you are by"
        " ECARD_TOKEN or ECARD_TOKEN_FILE.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = commands.add_parser(
        "add",
        help="register a service, or change its keys and methods",
        description="The file is the body of `PUT /v1/identity-providers`: provider_id, name, methods, keys. The same"
        " again changes nothing.",
        epilog="Exit status: 0 registered; 2 the file makes no sense; 4 another admin must approve, then run it again.",
    )
    add.add_argument("file", metavar="FILE", help="a JSON file; - reads standard input")
    add_options(add, _add)
    add_options(commands.add_parser("list", help="every service, removed ones too"), _list)
    remove = commands.add_parser("remove", help="believe a service no longer, at once")
    remove.add_argument("id", metavar="ID", help="its URL, as `ecard identity-provider list` prints it")
    add_options(remove, _remove)


def _add(args: argparse.Namespace) -> int:
    from ecard_issuer.links.answers import provider_answer
    from ecard_issuer.links.providers import IdentityProvider
    from ecard_issuer.web.link_models import IdentityProviderBody

    body = read_body(args.file, IdentityProviderBody)
    with opened(args) as issuer:
        provider = IdentityProvider(body.provider_id, body.name, tuple(body.methods), tuple(body.keys))
        known = issuer.linking.providers.save(provider, actor_of(args, issuer), issuer.clock())
    show(args, provider_answer(known), f"{provider.provider_id} registered, by {', '.join(provider.methods)}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from ecard_issuer.links.answers import provider_answer

    with opened(args) as issuer:
        every = issuer.linking.providers.all()
    lines = [
        f"{one.provider.provider_id}  {'removed' if one.removed_at else 'believed'}  {','.join(one.provider.methods)}"
        f"  {one.provider.name}"
        for one in every
    ]
    if not lines:
        talk("There is no identity-proofing service.")
    if lines or args.json:
        show(args, {"providers": [provider_answer(one) for one in every]}, *lines)
    return 0


def _remove(args: argparse.Namespace) -> int:
    from ecard_issuer.links.answers import provider_answer

    with opened(args) as issuer:
        known = issuer.linking.providers.remove(args.id, actor_of(args, issuer), issuer.clock())
    show(args, provider_answer(known), f"{args.id} is believed no longer")
    return 0
