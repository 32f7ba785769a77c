"""Where the contract is tried: the fake, and the real application in test mode, under one clock."""

from __future__ import annotations
