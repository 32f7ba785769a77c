"""The tables of the register.

Each table names its distribution column in `info`: the column by which a distributed PostgreSQL spreads its rows.
Every primary key and unique constraint includes that column, no foreign key crosses it, and no number comes from a
sequence shared by all. What must be unique across cards therefore has a directory table of its own, keyed by the
thing that must be unique (`chip_key`, `ecard_binding`, `credential_directory`; `open_approval` for changes,
`open_application` for people).

Rules that no key can express are triggers, written down in the migrations: a key that live credentials name is not
retired, and what was decided about an approval stays decided.
"""

from __future__ import annotations

from ecard_issuer.register.tables.accounts import (
    bank_account,
    bank_account_change,
    bank_account_directory,
    partner_bank,
)
from ecard_issuer.register.tables.applying import (
    agency_batch_row,
    application,
    application_access,
    application_document,
    application_step,
    open_application,
)
from ecard_issuer.register.tables.approvals import approval, approval_vote, open_approval
from ecard_issuer.register.tables.cards import (
    binding,
    binding_history,
    card,
    chip_key,
    ecard_binding,
    enrolment,
    holder,
)
from ecard_issuer.register.tables.changes import card_event
from ecard_issuer.register.tables.channel_events import channel_event, channel_feed_place, channel_log
from ecard_issuer.register.tables.channels import access_token, channel, channel_change, one_time_value
from ecard_issuer.register.tables.deltas import status_delta
from ecard_issuer.register.tables.family import family_link, family_place, family_relative, family_showing
from ecard_issuer.register.tables.feed import feed, feed_head, outbox
from ecard_issuer.register.tables.idempotency import idempotent_answer
from ecard_issuer.register.tables.intake import event_source, import_run, intake_exception, intake_gap, reconciliation
from ecard_issuer.register.tables.issuing import credential, credential_directory, plan, reissue
from ecard_issuer.register.tables.keys import key_schedule, signing_key, trust_list, trust_root
from ecard_issuer.register.tables.levels import ecard_opening
from ecard_issuer.register.tables.life import card_case, card_case_directory, policy_review
from ecard_issuer.register.tables.links import (
    channel_count,
    channel_link,
    channel_link_directory,
    channel_link_news,
    channel_link_right,
    claim,
    identification,
    identification_try,
    identity_provider,
    identity_statement,
)
from ecard_issuer.register.tables.login import login, login_attempt, login_qr, login_request
from ecard_issuer.register.tables.mandates import holder_life, mandate, mandate_document
from ecard_issuer.register.tables.operators import operator
from ecard_issuer.register.tables.partners import (
    partner_delivery,
    partner_place,
    partner_reference,
    partner_stream,
    partner_subject,
)
from ecard_issuer.register.tables.policies import region_policy
from ecard_issuer.register.tables.privacy import erased_person, erasure, subject_export
from ecard_issuer.register.tables.programme import channel_address
from ecard_issuer.register.tables.relying import (
    confirmation,
    confirmation_directory,
    relying_access,
    relying_change,
    relying_service,
    relying_subject,
    shown_code,
)
from ecard_issuer.register.tables.secrets import secret, secret_event, wrong_guess
from ecard_issuer.register.tables.service_points import service_point, service_point_set
from ecard_issuer.register.tables.settlements import payment_request
from ecard_issuer.register.tables.snapshots import feed_snapshot, feed_snapshot_chunk
from ecard_issuer.register.tables.statuses import status_entry, status_list
from ecard_issuer.register.tables.testmode import issuer_mode
from ecard_issuer.register.tables.tickets import show_session
from ecard_issuer.register.tables.wallets import (
    wallet_batch,
    wallet_client,
    wallet_offer,
    wallet_request,
    wallet_session,
)

__all__ = [
    "access_token",
    "agency_batch_row",
    "application",
    "application_access",
    "application_document",
    "application_step",
    "approval",
    "approval_vote",
    "bank_account",
    "bank_account_change",
    "bank_account_directory",
    "binding",
    "binding_history",
    "card",
    "card_case",
    "card_case_directory",
    "card_event",
    "channel",
    "channel_address",
    "channel_change",
    "channel_count",
    "channel_event",
    "channel_feed_place",
    "channel_link",
    "channel_link_directory",
    "channel_link_news",
    "channel_link_right",
    "channel_log",
    "chip_key",
    "claim",
    "confirmation",
    "confirmation_directory",
    "credential",
    "credential_directory",
    "ecard_binding",
    "ecard_opening",
    "enrolment",
    "erased_person",
    "erasure",
    "event_source",
    "family_link",
    "family_place",
    "family_relative",
    "family_showing",
    "feed",
    "feed_head",
    "feed_snapshot",
    "feed_snapshot_chunk",
    "holder",
    "holder_life",
    "idempotent_answer",
    "identification",
    "identification_try",
    "identity_provider",
    "identity_statement",
    "import_run",
    "intake_exception",
    "intake_gap",
    "issuer_mode",
    "key_schedule",
    "login",
    "login_attempt",
    "login_qr",
    "login_request",
    "mandate",
    "mandate_document",
    "one_time_value",
    "open_application",
    "open_approval",
    "operator",
    "outbox",
    "partner_bank",
    "partner_delivery",
    "partner_place",
    "partner_reference",
    "partner_stream",
    "partner_subject",
    "payment_request",
    "plan",
    "policy_review",
    "reconciliation",
    "region_policy",
    "reissue",
    "relying_access",
    "relying_change",
    "relying_service",
    "relying_subject",
    "secret",
    "secret_event",
    "service_point",
    "service_point_set",
    "show_session",
    "shown_code",
    "signing_key",
    "status_delta",
    "status_entry",
    "status_list",
    "subject_export",
    "trust_list",
    "trust_root",
    "wallet_batch",
    "wallet_client",
    "wallet_offer",
    "wallet_request",
    "wallet_session",
    "wrong_guess",
]
