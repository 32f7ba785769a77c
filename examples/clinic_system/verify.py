"""A clinic's system: have a code judged that the scanner read. Plain HTTP, nothing to install.

python examples/clinic_system/verify.py CODE, with ECARD_BASE_URL and ECARD_COUNTER_TOKEN.
Exit status: 0 serve, 1 refuse, 2 a person must look, 3 nobody can tell now.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

STATUS = {"valid": 0, "invalid": 1, "check": 2, "undecided": 3}


def verify(code: str, counter: str) -> dict[str, Any]:
    """The verdict: `outcome`, `reason`, and `verification_id`, which belongs into the patient's record.

    Sent once: an accepted code is used up, also where the answer got lost. Have a new one shown then.
    """
    request = urllib.request.Request(  # noqa: S310 - the address is the clinic's own setting
        os.environ["ECARD_BASE_URL"] + "/v1/verifications",
        json.dumps({"code": code, "counter": counter}).encode(),
        {
            "Authorization": f"Bearer {os.environ['ECARD_COUNTER_TOKEN']}",
            "Content-Type": "application/json",
            "Accept-Language": "zh",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            verdict: dict[str, Any] = json.load(answer)
            return verdict
    except urllib.error.HTTPError as problem:
        said = json.load(problem)
        return {"outcome": "undecided", "reason": said["code"], "request_id": said["request_id"]}
    except OSError as fault:
        return {"outcome": "undecided", "reason": type(fault).__name__}


if __name__ == "__main__":
    verdict = verify(sys.argv[1].strip(), counter="window-3")
    shown = ("outcome", "reason", "verification_id", "request_id")
    print(json.dumps({name: verdict[name] for name in shown if name in verdict}))
    # Decide on the outcome. `undecided` is our own fault: never a refusal of the holder, and never a yes.
    sys.exit(STATUS[verdict["outcome"]])
