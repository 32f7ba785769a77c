"""Where public addresses are, from a table that the operator brings: none comes with the program.

Text in UTF-8, one `network,name` a line: `203.0.113.0/24,河南郑州`. Empty lines and those with a # in front say
nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ecard_card.errors import InvalidInput

MAX_NAME: Final = 60
_MAX_BYTES: Final = 64 << 20


class NetworkRegions:
    """The name of the smallest network of the table that an address is in."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """`names` by network (CIDR). Raises `InvalidInput` `bad_region_table`."""
        self._names: dict[tuple[int, int], dict[int, str]] = {}
        for text, name in names.items():
            try:
                network = ipaddress.ip_network(text)
            except ValueError:
                raise InvalidInput("bad_region_table", "a network that is none") from None
            if not (0 < len(name) <= MAX_NAME and name.isprintable()):
                raise InvalidInput("bad_region_table", f"a name is 1 to {MAX_NAME} visible characters")
            size = (network.version, network.prefixlen)
            self._names.setdefault(size, {})[int(network.network_address)] = name
        self._sizes = sorted(self._names, reverse=True)

    def __call__(self, address: str) -> str | None:
        """The region of an address; None where the table does not say."""
        asked = ipaddress.ip_address(address)
        for version, length in self._sizes:
            if version == asked.version:
                rest = asked.max_prefixlen - length
                found = self._names[version, length].get(int(asked) >> rest << rest)
                if found is not None:
                    return found
        return None

    @classmethod
    def read(cls, path: Path) -> NetworkRegions:
        """Raises `InvalidInput` `bad_region_table`, also for a file that cannot be read."""
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise InvalidInput("bad_region_table", "the file is too large")
            lines = path.read_text("utf-8").splitlines()
        except (OSError, ValueError):
            raise InvalidInput("bad_region_table", "the file of ECARD_LOGIN_REGIONS cannot be read") from None
        said = [line for line in lines if line.strip() and not line.startswith("#")]
        names = dict(_pair(line) for line in said)
        if len(names) != len(said):
            raise InvalidInput("bad_region_table", "a network twice")
        return cls(names)


def _pair(line: str) -> tuple[str, str]:
    network, _, name = line.partition(",")
    return network.strip(), name.strip()
