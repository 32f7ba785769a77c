"""Whole wallet issuance over HTTP, offer → token → nonce → credential, from one connection per wallet: issuances per
second, the p95 of one, and what one takes of the processor, with the service as it is run, on SQLite (one process) and
on PostgreSQL (two). When the clock has stopped each credential is verified."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from ecard_card import sd_jwt
from ecard_card.card import Card, CardNumber, Chip, ChipAssurance, Holder, IdentificationCode, IdNumber
from ecard_card.status import CardStatus
from ecard_issuer.assembly import Issuer, build
from ecard_issuer.chip.simulator import synthetic
from ecard_issuer.cli.connections import listening
from ecard_issuer.config import load
from ecard_issuer.rows import EnrolmentRow
from ecard_issuer.wallets.offers import PRE_AUTHORIZED
from ecard_keys.key import KeyPurpose
from ecard_keys.verify import PublicKey, load_public_key, verify_jws
from ecard_verifier.callers import Role
from tests.benchmarks.measure import row
from tests.benchmarks.processor import spent
from tests.benchmarks.wallet_server import ORIGIN
from tests.issuer.wallet_kit import Key, key_proof
from tests.postgres import running_postgres

#: Issuances that are measured, and before that made to warm up; wallets at once.
COUNT, WARM, WALLETS = 1500, 200, 24
#: What was committed stays, as in service.
_DURABLE = ("synchronous_commit=on", "max_connections=100", "listen_addresses=", "shared_buffers=256MB")
_FORM = "application/x-www-form-urlencoded"


def run_sqlite() -> list[dict[str, object]]:
    """On an SQLite file, by one process, which is all that may serve one."""
    with tempfile.TemporaryDirectory() as folder:
        return _measured("wallet_issue_http", Path(folder), None, ("whole",), ())


def run_postgres() -> list[dict[str, object]]:
    """On PostgreSQL, by two web processes; server and wallets share the same cores."""
    with running_postgres(_DURABLE) as server, tempfile.TemporaryDirectory() as folder:
        url = server.new_database()
        return _measured("wallet_issue_http_postgres", Path(folder), url, ("whole", "web"), (server.process.pid,))


def _measured(
    name: str, folder: Path, url: str | None, processes: Sequence[str], database: Sequence[int]
) -> list[dict[str, object]]:
    environment = {**os.environ, "ECARD_ALLOW_TEST_CHIPS": "true"} | (
        {} if url is None else {"ECARD_DATABASE_URL": url}
    )
    settings = load(data_dir=folder, public_origin=ORIGIN, regions=("000000",), approvals_needed=0, database_url=url)
    issuer = build(settings)
    token = issuer.operators.add("bench", Role.OPERATOR, datetime.now(UTC)).token
    enrolments = [_proven(issuer, number) for number in range(WARM + COUNT)]
    key = load_public_key(issuer.keys.active(KeyPurpose.CREDENTIAL).public)
    issuer.close()
    with _served(folder, environment, processes) as (port, servers):
        asyncio.run(_load(port, token, enrolments[:WARM], ()))
        ours = asyncio.run(_load(port, token, enrolments[WARM:], (servers, database)))
    _verify(ours.issued, key)
    with _served(folder, environment, ["bare"] * len(processes)) as (port, servers):
        asyncio.run(_load(port, token, enrolments[:WARM], (), bare=True))
        bare = asyncio.run(_load(port, token, enrolments[WARM:], (servers, ()), bare=True))
    cores = f"{os.cpu_count()} cores, {len(processes)} processes"
    peer = "the same four calls, bare FastAPI"
    web, register = ours.spent
    parts = f"web {web:.1f}, database {register:.1f}, wallets {ours.own:.1f}; {peer}: web {bare.spent[0]:.1f}"
    return [
        row(name, ours.rate, "1/s", f"{peer}, {cores}: {bare.rate:.0f}/s", ours.rate / bare.rate),
        row(f"{name}_p95", ours.p95, "ms", f"{peer}: {bare.p95:.0f} ms", ours.p95 / bare.p95),
        row(f"{name}_cpu", web + register, "ms", parts, (web + register) / bare.spent[0]),
    ]


def _verify(issued: Sequence[tuple[str, Key]], key: PublicKey) -> None:
    """Each is signed by the issuer, for the wallet's own key, and has a place of its own on the status list."""
    places = set[str]()
    for text, wallet_key in issued:
        credential = sd_jwt.parse(text)
        assert verify_jws(credential.issuer_jws, key), text
        assert credential.payload["cnf"] == {"jwk": wallet_key.jwk}, text
        places.add(json.dumps(credential.payload["status"]))
    assert len(places) == len(issued) == COUNT


@contextmanager
def _served(folder: Path, environment: dict[str, str], processes: Sequence[str]) -> Iterator[tuple[int, Sequence[int]]]:
    with listening("127.0.0.1", 0) as listener:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.wallet_server", str(listener.fileno()), str(folder), what],
                pass_fds=(listener.fileno(),),
                env=environment,
            )
            for what in processes
        ]
        try:
            yield int(listener.getsockname()[1]), [process.pid for process in started]
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(20)


@dataclass
class _Wallet:
    """One wallet on one connection. Bare answers are read and not understood."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str
    bare: bool
    keys: list[Key] = field(default_factory=lambda: [Key() for _ in range(8)])

    async def issue(self, enrolment_id: str) -> tuple[str, Key]:
        operator = f"Authorization: Bearer {self.token}\r\n"
        offer = await self._post(f"/v1/enrolments/{enrolment_id}/offers", b"{}", operator)
        code, tx_code, access = "0" * 32 + "." + "x" * 43, "123456", "x" * 76
        if not self.bare:
            by_value = json.loads(_unquoted(offer["links"]["openid"]["by_value"]))
            code, tx_code = by_value["grants"][PRE_AUTHORIZED]["pre-authorized_code"], offer["tx_code"]
        form = urlencode({"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": tx_code})
        granted = await self._post("/wallets/token", form.encode(), f"Content-Type: {_FORM}\r\n")
        access = access if self.bare else granted["access_token"]
        given = await self._post("/wallets/nonce", b"", "")
        nonce = "x" * 48 if self.bare else given["c_nonce"]
        key = secrets.choice(self.keys)
        proof = key_proof(key, nonce, datetime.now(UTC))
        body = {"credential_configuration_id": "ecard_sd_jwt", "proofs": {"jwt": [proof]}}
        issued = await self._post(
            "/wallets/credential", json.dumps(body).encode(), f"Authorization: Bearer {access}\r\n"
        )
        if self.bare:
            return "", key
        (given,) = issued["credentials"]
        return str(given["credential"]), key

    async def _post(self, path: str, body: bytes, headers: str) -> dict[str, Any]:
        if "Content-Type" not in headers and body:
            headers += "Content-Type: application/json\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: issuer.example\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.writer.write(head.encode() + body)
        answered = await self.reader.readuntil(b"\r\n\r\n")
        status, length = int(answered[9:12]), 0
        for line in answered.split(b"\r\n"):
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        content = await self.reader.readexactly(length)
        if status not in (200, 201):
            raise RuntimeError(f"{path.split('/')[-1]} answered {status}: {content[:300]!r}")
        return {} if self.bare else dict(json.loads(content))


@dataclass(frozen=True)
class _Outcome:
    """Issuances per second, the p95 of one, and what one took of the processor in each group of processes and here, in
    milliseconds."""

    rate: float
    p95: float
    spent: list[float]
    own: float
    issued: list[tuple[str, Key]]


async def _load(
    port: int, token: str, enrolments: Sequence[str], groups: Sequence[Sequence[int]], *, bare: bool = False
) -> _Outcome:
    wallets = [await _connected(port, token, bare=bare) for _ in range(WALLETS)]
    left, took, issued = iter(enrolments), list[float](), list[tuple[str, Key]]()

    async def work(wallet: _Wallet) -> None:
        for enrolment_id in left:
            started = time.perf_counter()
            issued.append(await wallet.issue(enrolment_id))
            took.append(time.perf_counter() - started)

    before, own = [spent(group) for group in groups], time.process_time()
    started = time.perf_counter()
    await asyncio.gather(*map(work, wallets))
    seconds = time.perf_counter() - started
    own = time.process_time() - own
    after = [spent(group) for group in groups]
    for wallet in wallets:
        wallet.writer.close()
    return _Outcome(
        rate=len(took) / seconds,
        p95=sorted(took)[int(0.95 * len(took))] * 1000,
        spent=[1000 * (end - begin) / len(took) for begin, end in zip(before, after, strict=True)],
        own=1000 * own / len(took),
        issued=issued,
    )


async def _connected(port: int, token: str, *, bare: bool) -> _Wallet:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    return _Wallet(reader, writer, token, bare)


def _unquoted(link: str) -> str:
    return parse_qs(urlsplit(link).query)["credential_offer"][0]


def _proven(issuer: Issuer, number: int) -> str:
    """A card of its own holder, and a proof of it, written down without a chip: reading one is not measured here."""
    data, now = synthetic(number), datetime.now(UTC)
    card = Card(
        chip=Chip(IdentificationCode(data.identification_code), "test:piv-p256"),
        number=CardNumber(data.card_number),
        holder=Holder(IdNumber(data.id_number), data.name),
        issued_on=date(2024, 1, 2),
        expires_on=date(2044, 1, 2),
    )
    card_ref = issuer.cards.register(card, CardStatus.NORMAL, now)
    enrolment_id = secrets.token_hex(16)
    until = now + timedelta(hours=1)
    issuer.register.open_enrolment(EnrolmentRow(enrolment_id, "bench", b"", until))
    issuer.register.prove_enrolment(
        enrolment_id, card_ref=card_ref, assurance=ChipAssurance.SIGNATURE, evidence=b"none", now=now
    )
    return enrolment_id
