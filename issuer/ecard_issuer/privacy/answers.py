"""Erasures as routes and commands show them."""

from __future__ import annotations

from ecard_issuer.answers import Json
from ecard_issuer.privacy.erasure import ErasureResult, Repeated
from ecard_verifier.verdict import rfc3339


def erasure_answer(result: ErasureResult) -> Json:
    """An `ErasureAnswer`. Nothing says who it was."""
    row = result.row
    return {
        "erasure_id": row.erasure_id,
        "applied": result.applied,
        "ground": row.ground.value,
        "proof": row.proof,
        "asked_by": row.asked_by,
        "erased_at": rfc3339(row.erased_at),
        "scrubbed": result.scrubbed,
    }


def repeated_answer(repeated: Repeated) -> Json:
    """What came of a list of erased people."""
    return {"erased": repeated.erased, "absent": repeated.absent, "waiting": repeated.waiting}
