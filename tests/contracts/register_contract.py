"""One suite for every adapter of `ecard_issuer.ports.Register`.

Use: subclass `RegisterContract` and give it a fixture `register` over an empty store whose lists have
`LIST_SIZE` places.
"""

from __future__ import annotations

import pytest

from ecard_issuer.ports import Register
from tests.contracts.register_approvals_contract import ApprovalsContract
from tests.contracts.register_cards_contract import CardsContract, EnrolmentContract
from tests.contracts.register_changes_contract import ChangesContract, ReplacementContract
from tests.contracts.register_issuing_contract import IssuingContract
from tests.contracts.register_keys_contract import KeysContract
from tests.contracts.register_publishing_contract import (
    LIST_SIZE,
    FeedContract,
    OperatorsContract,
    StatusListContract,
)
from tests.contracts.register_race_contract import RaceContract
from tests.contracts.register_reissue_contract import ReissueContract
from tests.contracts.register_world import World


class RegisterContract(
    CardsContract,
    EnrolmentContract,
    IssuingContract,
    ChangesContract,
    ReplacementContract,
    StatusListContract,
    FeedContract,
    KeysContract,
    ApprovalsContract,
    OperatorsContract,
    ReissueContract,
    RaceContract,
):
    @pytest.fixture
    def world(self, register: Register) -> World:
        return World(register)


__all__ = ["LIST_SIZE", "RegisterContract"]
