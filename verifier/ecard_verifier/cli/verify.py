"""`ecard verify`: judge a code, offline from a bundle or by asking an online verifier, and show every step.

Exit codes: 0 valid; 1 invalid, and also check (a person must compare something first); 2 usage; 3 undecided.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx2

from ecard_card import jose, messages
from ecard_card.card import ChipAssurance
from ecard_card.errors import EcardError, InvalidInput, NotAllowed, NotAuthenticated, Unavailable
from ecard_keys.trust.root import read_root
from ecard_verifier.bundle import MAX_BUNDLE, open_bundle
from ecard_verifier.check import check
from ecard_verifier.confirmation import LIMIT, verify_confirmation
from ecard_verifier.policy import Policy
from ecard_verifier.presented import MAX_PRESENTED
from ecard_verifier.verdict import outcome_of, rfc3339

EXIT: Final[Mapping[str, int]] = {"valid": 0, "check": 1, "invalid": 1, "undecided": 3}
_MARKS: Final[Mapping[bool | None, str]] = {True: "✓", False: "✗", None: "·"}
_TIMEOUT: Final = 5.0
_SETTING_WANTED: Final = "set ECARD_TOKEN, or ECARD_TOKEN_FILE to a file, with a token of role counter"
_ZH: Final[Mapping[str, str]] = {
    "valid": "有效",
    "check": "需人工核对",
    "invalid": "无效",
    "undecided": "无法判定",
    "read": "读取",
    "credential": "凭证",
    "trust": "信任列表",
    "issuer signature": "签发机构签名",
    "issuer key": "签发机构密钥",
    "validity": "有效期",
    "holder signature": "持卡人设备签名",
    "freshness": "时效",
    "audience": "接收方",
    "status": "卡状态",
    "chip assurance": "芯片验证等级",
    "holder proof": "持卡人验证方式",
    "test card": "测试卡",
    "first use": "首次使用",
    "status as of": "状态时间",
    "issuer": "签发机构",
    "first accepted": "首次通过",
    "root not pinned": "注意：信任根取自离线包本身；请用 --root 指定可信的根文件",
}
_EN: Final[Mapping[str, str]] = {
    "root not pinned": "note: the trust root came from the bundle itself; pin one with --root",
}


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `verify` to the one command `ecard`."""
    parser = subparsers.add_parser(
        "verify",
        help="verify a code or token, offline or online",
        description="Judge a code. Without --offline it asks the verifier at ECARD_VERIFIER_URL, with the token in "
        "ECARD_TOKEN or the file ECARD_TOKEN_FILE; that uses the code up.",
        epilog="Exit status: 0 valid; 1 invalid, or check (a person must compare something); 2 wrong usage; "
        "3 undecided.",
    )
    parser.add_argument(
        "code",
        nargs="?",
        default="-",
        metavar="CODE",
        help="the code's text, quoted: it may hold spaces and $; - (the default) reads standard input",
    )
    parser.add_argument("--offline", metavar="BUNDLE", type=Path, help="use this offline bundle and no network")
    parser.add_argument(
        "--delta",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a signed status delta, in order; as often as there are (with --offline)",
    )
    parser.add_argument("--root", metavar="FILE", type=Path, help="pin this trust root (with --offline)")
    parser.add_argument(
        "--confirmation",
        metavar="FILE",
        help="judge a signed confirmation instead of a code, with --offline; - reads standard input",
    )
    parser.add_argument("--audience", metavar="A", help="what this verifier is called in codes, or in confirmations")
    levels = [level.label for level in ChipAssurance]
    parser.add_argument("--minimum-assurance", metavar="L", choices=levels, help="one of " + ", ".join(levels))
    parser.add_argument("--json", action="store_true", help="the verdict as one JSON document")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Returns the exit code. Raises `InvalidInput` `bad_usage`; every other fault of ours is a verdict `undecided`."""
    if args.root is not None and args.offline is None:
        raise InvalidInput("bad_usage", "--root goes with --offline")
    if args.delta and args.offline is None:
        raise InvalidInput("bad_usage", "--delta goes with --offline")
    if args.confirmation is not None:
        return _confirmation(args)
    code = sys.stdin.read(MAX_PRESENTED + 2) if args.code == "-" else args.code
    code = code.strip(" \t\r\n")
    verdict = _offline(args, code) if args.offline is not None else _online(args, code)
    language = messages.language(os.environ.get("LC_ALL") or os.environ.get("LANG") or "")
    if args.json:
        print(json.dumps(verdict, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_lines(verdict, language)))
        if verdict.get("root_pinned") is False:
            print(_word("root not pinned", language), file=sys.stderr)
    return EXIT.get(str(verdict["outcome"]), 3)


def _confirmation(args: argparse.Namespace) -> int:
    """A confirmation is judged by the trust list of a bundle; no statuses are in it."""
    if args.offline is None or args.code != "-":
        raise InvalidInput("bad_usage", "--confirmation goes with --offline, and without a code")
    now, pinned = datetime.now(UTC), None
    content = _content_of(args.confirmation)
    answer: dict[str, Any]
    try:
        root = read_root(_read(args.root)) if args.root is not None else None
        bundle = open_bundle(_read(args.offline), now, root)
        pinned = bundle.root_pinned
    except EcardError as error:
        answer = {"outcome": "undecided", "reason": error.code, "detail": error.detail}
    except OSError:
        answer = {"outcome": "undecided", "reason": "bundle_unreadable", "detail": "a file cannot be read"}
    else:
        try:
            said = verify_confirmation(_token_of(content), bundle.trust, now, service=args.audience)
            answer = {"outcome": "valid", "reason": "ok", "detail": "", "confirmation": said.to_json()}
        except EcardError as error:
            answer = {"outcome": outcome_of(error).value, "reason": error.code, "detail": error.detail}
    language = messages.language(os.environ.get("LC_ALL") or os.environ.get("LANG") or "")
    if args.json:
        print(json.dumps(answer | {"root_pinned": pinned}, ensure_ascii=False, indent=2))
    else:
        print("\n".join(_confirmation_lines(answer, language)))
        if pinned is False:
            print(_word("root not pinned", language), file=sys.stderr)
    return EXIT[answer["outcome"]]


def _content_of(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(LIMIT + 2)
        with Path(file).open("rb") as opened:
            return opened.read(LIMIT + 2)
    except OSError:
        raise InvalidInput("bad_usage", "the file of the confirmation cannot be read") from None


def _token_of(content: bytes) -> str:
    try:
        return content.decode("ascii").strip(" \t\r\n")
    except UnicodeDecodeError:
        raise InvalidInput("bad_confirmation", "no text of ASCII") from None


def _confirmation_lines(answer: Mapping[str, Any], language: messages.Language) -> list[str]:
    outcome, reason = str(answer["outcome"]), str(answer["reason"])
    said = messages.text(reason, language)
    lines = [f"{_word(outcome, language).upper()}  {reason}" + (f"  {said}" if said != reason else "")]
    if answer["detail"]:
        lines.append(f"  {answer['detail']}")
    lines.extend(f"{name}: {value}" for name, value in answer.get("confirmation", {}).items())
    return lines


def _offline(args: argparse.Namespace, code: str) -> dict[str, Any]:
    """What stands in our own way (no bundle, a bad one) is `undecided`, never `invalid`."""
    now = datetime.now(UTC)
    try:
        root = read_root(_read(args.root)) if args.root is not None else None
        bundle = open_bundle(_read(args.offline), now, root)
        for path in args.delta:
            bundle.statuses.apply(_read(path).decode("ascii", "replace").strip(), now)
    except EcardError as error:
        return _undecided(error)
    except OSError:
        return _undecided(Unavailable("bundle_unreadable", "the bundle, root or delta file cannot be read"))
    label = args.minimum_assurance
    policy = Policy(minimum_assurance=ChipAssurance.from_label(label)) if label else Policy()
    verdict = check(code, bundle.trust, bundle.statuses, now, policy, audience=args.audience)
    until = rfc3339(datetime.fromtimestamp(bundle.until, UTC))
    return {**verdict.to_json(), "root_pinned": bundle.root_pinned, "bundle_until": until}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BUNDLE + 1)


def _online(args: argparse.Namespace, code: str) -> dict[str, Any]:
    url = os.environ.get("ECARD_VERIFIER_URL", "")
    if not url.startswith(("http://", "https://")):
        raise InvalidInput("bad_usage", "give --offline BUNDLE, or set ECARD_VERIFIER_URL to a verifier")
    body = {"code": code, "audience": args.audience, "minimum_assurance": args.minimum_assurance}
    content = jose.dump_json({name: value for name, value in body.items() if value is not None})
    try:
        headers = {"Authorization": f"Bearer {_token()}", "Content-Type": "application/json"}
        with httpx2.Client(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
            response = client.post(url.rstrip("/") + "/v1/verifications", content=content, headers=headers)
        if response.status_code == 401:
            raise NotAuthenticated("not_authenticated", "the verifier does not know this token: " + _SETTING_WANTED)
        if response.status_code == 403:
            raise NotAllowed("not_allowed", "this token's role may not have codes verified: " + _SETTING_WANTED)
        answer = jose.parse_json(response.content, limit=1 << 20)
    except (NotAuthenticated, NotAllowed) as error:  # says nothing of the card, so it is not `invalid`
        return _undecided(error)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, InvalidInput) as error:
        return _undecided(Unavailable("verifier_unavailable", f"no answer: {type(error).__name__}"))
    if response.status_code != 200 or not isinstance(answer, dict) or answer.get("outcome") not in EXIT:
        return _undecided(Unavailable("verifier_unavailable", f"the verifier answered {response.status_code}"))
    return answer


def _token() -> str:
    path = os.environ.get("ECARD_TOKEN_FILE")
    try:
        token = Path(path).read_text(encoding="ascii") if path else os.environ.get("ECARD_TOKEN", "")
    except (OSError, ValueError):
        token = ""
    token = token.strip()
    if not token.isascii() or not token.isprintable() or not token:
        raise NotAuthenticated("not_authenticated", _SETTING_WANTED)
    return token


def _undecided(error: EcardError) -> dict[str, Any]:
    return {
        "outcome": "undecided",
        "reason": error.code,
        "detail": error.detail,
        "checks": [],
        "status_as_of": None,
        "chip_assurance": None,
        "holder_proof": None,
        "test_card": False,
        "issuer": None,
        "claims": {},
    }


def _lines(verdict: Mapping[str, Any], language: messages.Language) -> list[str]:
    """The outcome first and what stood in our way, then a line per step, then what was proven."""
    outcome, reason = str(verdict["outcome"]), str(verdict["reason"])
    said = messages.text(reason, language)
    lines = [f"{_word(outcome, language).upper()}  {reason}" + (f"  {said}" if said != reason else "")]
    if verdict.get("detail"):  # of what stood in our own way; a step that refused has its own
        lines.append(f"  {verdict['detail']}")
    for step in verdict["checks"]:
        mark, name = _MARKS[step["ok"]], _word(step["name"], language)
        lines.append(f"{step['number']:>3} {mark} {name}" + (f"  ({step['detail']})" if step["detail"] else ""))
    shown = (
        ("status as of", verdict.get("status_as_of")),
        ("chip assurance", verdict.get("chip_assurance")),
        ("holder proof", verdict.get("holder_proof")),
        ("test card", verdict.get("test_card")),
        ("issuer", verdict.get("issuer")),
        ("first accepted", " ".join(map(str, (verdict.get("first_seen") or {}).values()))),
    )
    lines.extend(f"{_word(name, language)}: {value}" for name, value in shown if value)
    lines.extend(f"{name}: {value}" for name, value in (verdict.get("claims") or {}).items())
    # What came over a wire is shown, so it may not move the cursor or colour the outcome.
    return ["".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line) for line in lines]


def _word(name: str, language: messages.Language) -> str:
    return (_ZH if language == "zh" else _EN).get(name, name)
