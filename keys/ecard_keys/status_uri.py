"""The addresses of an issuer's status lists: a template with one variable, `{list}` (RFC 6570 level 1)."""

from __future__ import annotations

from ecard_card.errors import InvalidInput


def belongs_to(uri: str, template: str) -> bool:
    """Whether `uri` is an expansion of `template` by a decimal list number."""
    head, _, tail = template.partition("{list}")
    number = uri[len(head) : len(uri) - len(tail)]
    return uri.startswith(head) and uri.endswith(tail) and number.isascii() and number.isdigit() and len(number) <= 10


def list_uri(template: str, list_id: int) -> str:
    """The address of list `list_id`. Raises `InvalidInput` `bad_status_reference` for a negative one."""
    if list_id < 0:
        raise InvalidInput("bad_status_reference", "a list number is not negative")
    return template.replace("{list}", str(list_id))


def overlap(one: str, other: str) -> bool:
    """Whether some address belongs to both templates."""
    return belongs_to(list_uri(one, 1), other) or belongs_to(list_uri(other, 1), one)
