"""Every table in which something hangs on a person or their card: who reads it, and what lies under their key.

A test compares this with the tables that there are, so that nothing is kept which an export forgets or an erasure
leaves readable. `docs/privacy.md` says the same for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Kept:
    """One table. `section` of the export shows it; where none does, `why` says why.

    An erasure empties the `sealed` columns, which lie under the person's data key, and the `forgotten` ones: keyed
    hashes over what the person is known by. `plain` names the binary columns that are not sealed, `foreign` those that
    lie under a key of somebody else. Rows that name an erased person name the tombstone from then on, or are deleted
    where the table `goes`: because they would lead from the number to the tombstone, or say nothing any more.

    `through` is the table by whose id a row hangs on the person (`mandate` by `mandate_id`), where neither a person
    nor a card stands in it.
    """

    section: str | None
    why: str = ""
    sealed: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    goes: bool = False
    through: str | None = None


INVENTORY: Final[Mapping[str, Kept]] = MappingProxyType(
    {
        "holder": Kept("person", sealed=("wrapped_data_key", "sealed")),
        "card": Kept("cards", sealed=("sealed_identity",)),
        "card_event": Kept("events"),
        "binding": Kept("bindings", sealed=("evidence",)),
        "binding_history": Kept("bindings", sealed=("evidence",)),
        "enrolment": Kept("enrolments", sealed=("evidence",), plain=("challenge", "credential_id")),
        "plan": Kept("credentials", plain=("credential_id", "device_key_thumbprint", "replaces")),
        "credential": Kept(
            "credentials",
            sealed=("sealed_sd_jwt",),
            plain=("credential_id", "cwt", "device_key_thumbprint", "replaced_by"),
        ),
        "subject_export": Kept("exports"),
        "application": Kept("applications", sealed=("sealed",), forgotten=("content_mac",)),
        "application_step": Kept("applications", sealed=("sealed_note",), through="application"),
        "application_document": Kept("applications", sealed=("sealed",), through="application"),
        "application_access": Kept("applications", through="application"),
        "agency_batch_row": Kept(
            None, "what came of the row: `applications` shows it", forgotten=("content_mac",), through="application"
        ),
        "open_application": Kept(None, "only that one of `applications` is under way", goes=True),
        "mandate": Kept("mandates", sealed=("sealed",), forgotten=("content_mac",)),
        "mandate_document": Kept("mandates", sealed=("sealed",), through="mandate"),
        "holder_life": Kept("mandates", goes=True),
        "secret": Kept("pins", goes=True),
        "secret_event": Kept("pins", goes=True),
        "ecard_opening": Kept("levels"),
        "channel_link": Kept("links", goes=True),
        "channel_link_right": Kept("links", sealed=("sealed_key",), plain=("device_thumbprint",), goes=True),
        "channel_link_directory": Kept(None, "only finds what `links` shows", goes=True),
        "identification": Kept(None, "that a channel named a person, for minutes", goes=True),
        "claim": Kept(None, "what came of it `links` shows; kept for a day", plain=("device_point",), goes=True),
        "family_link": Kept("family"),
        "family_showing": Kept("family"),
        "family_place": Kept(None, "only counts the links that `family` shows", goes=True),
        "family_relative": Kept(None, "only finds the links that `family` shows"),
        "relying_access": Kept("accesses", sealed=("sealed",), goes=True),
        "relying_subject": Kept(None, "permits what `accesses` shows, until its end", goes=True),
        "confirmation": Kept("confirmations", sealed=("sealed",), goes=True),
        "confirmation_directory": Kept(None, "only finds a confirmation", goes=True),
        "payment_request": Kept("settlements", sealed=("sealed",)),
        "bank_account": Kept("bank_accounts", sealed=("sealed",), goes=True),
        "bank_account_change": Kept("bank_accounts", goes=True),
        "bank_account_directory": Kept(None, "only finds the card of an account", goes=True),
        "login": Kept(None, "what `accesses` shows, until its code and token have ended", goes=True),
        "card_case": Kept("card_business", sealed=("sealed",), forgotten=("fingerprint",)),
        "card_case_directory": Kept(None, "only finds the card of a case"),
        "intake_exception": Kept("card_events_not_taken", goes=True),
        "intake_gap": Kept(None, "numbers missing from the sequence of a source"),
        "partner_subject": Kept("partners_told", goes=True),
        "partner_reference": Kept(None, "only finds the card that a partner means", goes=True),
        "partner_delivery": Kept(None, "what `events` shows, on its way to those in `partners_told`"),
        "status_entry": Kept(
            None, "the published value at the place that `credentials` names", plain=("credential_id",)
        ),
        "credential_directory": Kept(None, "only finds the card of a credential", plain=("credential_id",)),
        "ecard_binding": Kept(None, "only finds the card of an e-card"),
        "chip_key": Kept(None, "only finds the card of a chip's key"),
        "outbox": Kept(None, "what `events` and `credentials` show, on its way to verifiers"),
        "feed": Kept(None, "what `events` and `credentials` show, as verifiers were told"),
        "erased_person": Kept(None, "of people whose data is gone"),
        "approval": Kept(None, "that two people agreed about a change: names nobody"),
        "idempotent_answer": Kept(
            None,
            "what was answered, for a day, under a key of the house",
            plain=("wrapped_key",),
            foreign=("sealed_answer",),
        ),
        "event_source": Kept(
            None, "a card system and its own token", plain=("wrapped_key",), foreign=("sealed_token",)
        ),
        "partner_stream": Kept(None, "a partner's own secrets", plain=("wrapped_key",), foreign=("sealed_secrets",)),
    }
)

#: Columns that name a person by their keyed reference: an erasure changes them, in whichever table they stand.
HOLDER_REFERENCES: Final = frozenset(
    {"holder_ref", "agent_ref", "viewer_ref", "relative_ref", "other_ref", "new_holder_ref"}
)
#: Columns that end in `_ref` and name a card, a chip's key, a place in a file, or somebody who was erased. Any other
#: one needs a decision.
OTHER_REFERENCES: Final = frozenset(
    {"card_ref", "new_card_ref", "successor_ref", "chip_key_ref", "former_ref", "exception_ref", "batch_ref"}
)
#: Columns of other names by which a row may hang on a person. `subject` is a card or an e-card where secrets lie.
OTHER_NAMES: Final = frozenset({"application_id", "mandate_id", "ecard_id", "subject"})
