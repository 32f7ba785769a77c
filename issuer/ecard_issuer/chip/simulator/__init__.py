"""A chip simulator: answers APDUs byte for byte, and fails on cue. Holds no key that it did not make or was given."""

from __future__ import annotations

from ecard_issuer.chip.simulator.authentication import CardKeys, card_keys
from ecard_issuer.chip.simulator.certificates import ChipAuthority
from ecard_issuer.chip.simulator.chip import SimulatedChip, VirtualChip
from ecard_issuer.chip.simulator.data import ChipData, synthetic
from ecard_issuer.chip.simulator.environment import Behaviour, LePolicy
from ecard_issuer.chip.simulator.faults import Cue, FaultyChip
from ecard_issuer.chip.simulator.presets import clone, first_generation, piv_style, third_generation

__all__ = [
    "Behaviour",
    "CardKeys",
    "ChipAuthority",
    "ChipData",
    "Cue",
    "FaultyChip",
    "LePolicy",
    "SimulatedChip",
    "VirtualChip",
    "card_keys",
    "clone",
    "first_generation",
    "piv_style",
    "synthetic",
    "third_generation",
]
