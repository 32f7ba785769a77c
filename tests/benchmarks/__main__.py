"""`make bench [ONLY=name]`: every benchmark, a table on stdout and `build/bench.json`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import (
    code_picture,
    damaged_codes,
    growth_verify,
    import_rows,
    issue_library,
    offline_check,
    pin_verify,
    reissue,
    revocation,
    sdjwt_verify,
    sdk_codes,
    signing,
    snapshot,
    status_out,
    verify_http,
    wallet_issue,
)

BENCHMARKS: dict[str, Callable[[], list[dict[str, object]]]] = {
    "offline_check": offline_check.run,
    "sdjwt_verify_reference": sdjwt_verify.run,
    "issue_library": issue_library.run,
    "reissue": reissue.run,
    "pin_verify": pin_verify.run,
    "import_rows": import_rows.run,
    "code_picture": code_picture.run,
    "damaged_codes": damaged_codes.run,
    "sdk_code_create": sdk_codes.run,
    "verify_http": verify_http.run,
    "growth_verify": growth_verify.run,
    "verifier_memory": verify_http.run_memory,
    "revocation": revocation.run,
    "sign_file": signing.run_file,
    "sign_sm2": signing.run_sm2,
    "sign_openbao_single": signing.run_openbao_single,
    "sign_openbao_batch": signing.run_openbao_batch,
    "sign_pkcs11": signing.run_pkcs11,
    "sign_desk": signing.run_desk,
    "status_list_encode": status_out.run_list,
    "status_delta": status_out.run_delta,
    "snapshot": snapshot.run,
    "wallet_issue_http": wallet_issue.run_sqlite,
    "wallet_issue_http_postgres": wallet_issue.run_postgres,
}


def main() -> int:
    chosen = sys.argv[1:] or list(BENCHMARKS)
    unknown = set(chosen) - set(BENCHMARKS)
    if unknown:
        print(f"no benchmark named {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    rows: list[dict[str, object]] = []
    print(f"{'name':<26}{'value':>12} {'unit':<5}{'ratio':>8}  against")
    for name in chosen:
        for result in BENCHMARKS[name]():
            rows.append(result)
            value, unit, ratio = result["value"], result["unit"], result["ratio"]
            print(f"{result['name']:<26}{value:>12} {unit:<5}{ratio:>8}  {result['against']}")
    build = Path("build")
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(json.dumps(rows, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
