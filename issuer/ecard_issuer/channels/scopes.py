"""What a channel may do, each by its own scope."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A channel is granted some of these; a token has some of those granted."""

    CLAIM = "ecard:claim"  # identify a person, claim their e-card, open level 2, release
    SHOW = "ecard:show"  # codes and tickets
    READ = "ecard:read"  # the state of its own links, events
    LOSS = "ecard:loss"  # report and release a temporary loss
    FAMILY = "ecard:family"  # show relatives
    OFFER = "ecard:offer"  # offers to wallets
    LOGIN = "ecard:login"  # confirm scan-to-login for its links
