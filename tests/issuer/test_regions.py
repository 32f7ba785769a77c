"""Which regions an issuer signs for when nobody said so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecard_issuer.assembly import build
from ecard_issuer.config import load


@pytest.mark.parametrize(("given", "meant"), [(None, ("000000",)), ("330000,340000", ("330000", "340000"))], ids=str)
def test_an_issuer_without_a_region_signs_for_all_and_the_list_says_so(
    tmp_path: Path, given: str | None, meant: tuple[str, ...]
) -> None:
    settings = load(data_dir=tmp_path, public_origin="https://issuer.example", regions=given)
    for _ in range(2):  # and the same after a restart, whether it is said again or not
        issuer = build(settings)
        assert issuer.identity.regions == meant
        assert issuer.keys.trust(issuer.clock()).issuers[0].regions == meant
        issuer.close()
        settings = load(data_dir=tmp_path)
