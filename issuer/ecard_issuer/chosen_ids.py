"""The ids that callers choose, so that asking again is harmless: one form for all of them."""

from __future__ import annotations

import re
from typing import Final

#: Of requests, events, consents, showings.
CHOSEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
