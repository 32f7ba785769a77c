"""Credentials of other issuers, made by a library that we did not write: accepted in each of the three ways to find a
key, refused otherwise, and never an e-card."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from openvc.keys import P256SigningKey
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from openvc.status import build_status_list_token

from ecard_card import jose, sd_jwt
from ecard_card.errors import InvalidInput
from ecard_keys.trust.trust import Trust
from ecard_verifier.config import FetchStatuses
from ecard_verifier.openid4vp.fetching import Fetcher
from ecard_verifier.openid4vp.foreign_check import STEPS, ForeignCheck
from ecard_verifier.openid4vp.foreign_statuses import ForeignStatuses
from ecard_verifier.openid4vp.issuer_keys import keys_of
from ecard_verifier.openid4vp.trusted_issuers import read_trusted_issuers
from ecard_verifier.openid4vp.wish import Wish
from ecard_verifier.service import Asked
from ecard_verifier.verdict import Outcome, Verdict
from tests.verifier.openid4vp.kit import P256, Json, Wallet, encrypted, make_keys, make_presentations, read_request
from tests.world import World

SCHOOL = "https://school.example/issuer"
VCT = "https://school.example/vct/student/1"
PUBLISHED = "https://school.example/.well-known/jwt-vc-issuer/issuer"
LIST = "https://status.school.example/lists/1"
AT_LIST: Json = {"status_list": {"idx": 13, "uri": LIST}}
NOW = datetime.now(UTC).replace(microsecond=0)
REQUEST: Json = {"client_id": f"x509_hash:{'A' * 43}", "nonce": "n-1"}


class School:
    """An issuer, its network, and what goes wrong there."""

    def __init__(self) -> None:
        self.key = P256()
        self.signing = P256SigningKey.from_jwk(self.key.private_jwk, kid="school-1")
        self.authority = P256()
        self.anchor = certificate("school authority", self.authority, None, ca=True)
        self.leaf = certificate("school", self.key, (self.anchor, self.authority), uri=SCHOOL)
        self.asked: list[str] = []
        self.answers: dict[str, Callable[[], httpx2.Response]] = {
            PUBLISHED: lambda: httpx2.Response(200, json=self.metadata()),
            LIST: lambda: self.list_answer(self.list()),
        }

    def metadata(self, **changes: object) -> Json:
        keys = [{**self.key.jwk, "kid": "school-1", "use": "sig"}, {"kty": "RSA", "n": "AQ", "e": "AQAB"}]
        return {"issuer": SCHOOL, "jwks": {"keys": keys}, **changes}

    def list(self, value: int = 0, *, key: P256SigningKey | None = None, uri: str = LIST, **times: Any) -> str:
        statuses = bytearray(256)
        statuses[3] = value << 2
        return str(
            build_status_list_token(status_list=statuses, uri=uri, signing_key=key or self.signing, bits=2, **times)
        )

    @staticmethod
    def list_answer(token: str) -> httpx2.Response:
        return httpx2.Response(200, content=token.encode(), headers={"content-type": "application/statuslist+jwt"})

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        self.asked.append(url)
        made = self.answers.get(url, lambda: httpx2.Response(404))()
        # As it comes over a wire: not read yet.
        return httpx2.Response(made.status_code, headers=made.headers, stream=httpx2.ByteStream(made.content))

    def fetcher(self, allowed: FetchStatuses = FetchStatuses.HTTPS) -> Fetcher:
        return Fetcher(allowed, httpx2.MockTransport(self.handle))

    def wallet(
        self, *, x5c: bool = False, status: Json | None = AT_LIST, without: tuple[str, ...] = (), **changes: Any
    ) -> Wallet:
        """A student's wallet; the credential is openvc's."""
        key = P256()
        claims = {
            "iss": SCHOOL,
            "iat": int(NOW.timestamp()) - 60,
            "exp": int(NOW.timestamp()) + 86_400,
            "given_name": "小明",
            "student_number": "2026-7",
            "grade": "A",
            **({} if status is None else {"status": status}),
            **changes,
        }
        for name in without:
            del claims[name]
        chain = [base64.b64encode(self.leaf.public_bytes(serialization.Encoding.DER)).decode()] if x5c else None
        credential = SdJwtVcProofSuite().issue(
            claims,
            signing_key=self.signing,
            vct=claims.pop("vct", VCT),
            disclosable=("given_name", "student_number", "grade"),
            holder_jwk=key.jwk,
            decoys=2,
            x5c=chain,
        )
        return Wallet(credential, key)


def certificate(
    name: str,
    key: P256,
    signer: tuple[x509.Certificate, P256] | None,
    *,
    ca: bool = False,
    uri: str | None = None,
    days: int = 30,
    signs: bool | None = None,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, private = (subject, key) if signer is None else (signer[0].subject, signer[1])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=60))
        .not_valid_after(NOW + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(private.private.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not ca if signs is None else signs,
                key_cert_sign=ca,
                crl_sign=ca,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
    )
    if uri is not None:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(private.private, hashes.SHA256())


@pytest.fixture
def school() -> School:
    return School()


def entry(school: School, way: str = "jwk", **changes: str) -> str:
    """A table of the operator's file."""
    x, y = school.key.jwk["x"], school.key.jwk["y"]
    lines = {
        "name": '"student"',
        "issuer": f'"{SCHOOL}"',
        "vct": f'"{VCT}"',
        "key": f'"{way}"',
        "status": '"required"',
        "status_hosts": '["status.school.example"]',
        "claims": '["given_name", "student_number"]',
        **({"keys": f'[{{kty="EC", crv="P-256", x="{x}", y="{y}", kid="school-1"}}]'} if way == "jwk" else {}),
        **({"anchors": '"anchors.pem"'} if way == "x5c" else {}),
        **changes,
    }
    return "[[issuers]]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items() if value)


def written(folder: Path, school: School, *tables: str, head: str = 'format = "ecard-trusted-issuers/1"\n') -> Path:
    (folder / "anchors.pem").write_bytes(school.anchor.public_bytes(serialization.Encoding.PEM))
    path = folder / "trusted.toml"
    path.write_text(head + "\n".join(tables), encoding="utf-8")
    return path


def check_of(folder: Path, school: School, way: str = "jwk", **changes: str) -> ForeignCheck:
    (issuer,) = read_trusted_issuers(written(folder, school, entry(school, way, **changes))).values()
    return ForeignCheck(issuer, school.fetcher())


def judged(check: ForeignCheck, text: str, trust: Trust | None = None, now: datetime | None = None) -> Verdict:
    return check(text, trust, now or datetime.now(UTC), audience=REQUEST["client_id"], asked=Asked("n-1"))


SHOWN = ("given_name", "student_number")


@pytest.mark.parametrize("way", ["jwk", "x5c", "metadata"])
def test_a_credential_is_believed_by_a_key_found_in_the_way_of_the_file(
    school: School, tmp_path: Path, way: str
) -> None:
    check = check_of(tmp_path, school, way)
    # The list of an issuer with certificates has them in its header too: openvc makes none, so there it has no list.
    wallet = school.wallet(x5c=way == "x5c", status=None if way == "x5c" else AT_LIST)
    if way == "x5c":
        check = check_of(tmp_path, school, way, status='"if_present"')
    verdict = judged(check, wallet.show(REQUEST, (*SHOWN, "grade")))
    assert (verdict.outcome, verdict.reason) == (Outcome.VALID, "ok")
    assert [(line.number, line.name, line.ok) for line in verdict.checks] == [
        (number, name, True) for number, name in enumerate(STEPS, 1)
    ]
    assert verdict.claims == {"given_name": "小明", "student_number": "2026-7"}, "and not what the file does not name"
    assert (verdict.issuer, verdict.chip_assurance, verdict.holder_proof) == (SCHOOL, None, None)
    assert verdict.credential_id is None
    again = judged(check, wallet.show(REQUEST, SHOWN))
    assert again.outcome is Outcome.VALID
    assert len(school.asked) == len(set(school.asked)), "what was fetched is kept for a while"


def _by(key: P256, wallet: Wallet) -> Wallet:
    """The same credential signed by another key."""
    jws, rest = wallet.credential.split("~", 1)
    header, payload = (json.loads(jose.b64url_decode(part)) for part in jws.split(".")[:2])
    return Wallet(f"{key.jws(header, payload)}~{rest}", wallet.key)


def seconds() -> int:
    """Now, when it is asked: not when this file was read."""
    return int(datetime.now(UTC).timestamp())


REFUSED: dict[str, tuple[Callable[[School], str], str]] = {
    "another issuer": (lambda s: s.wallet(iss="https://other.example").show(REQUEST, SHOWN), "issuer_mismatch"),
    "another type": (lambda s: s.wallet(vct="https://school.example/vct/staff/1").show(REQUEST, SHOWN), "wrong_type"),
    "another key": (lambda s: _by(P256(), s.wallet()).show(REQUEST, SHOWN), "bad_signature"),
    "expired": (lambda s: s.wallet(exp=seconds() - 600).show(REQUEST, SHOWN), "expired"),
    "not yet": (lambda s: s.wallet(nbf=seconds() + 600).show(REQUEST, SHOWN), "not_yet_valid"),
    "for ever": (lambda s: s.wallet(without=("exp",)).show(REQUEST, SHOWN), "bad_sd_jwt"),
    "without a holder": (lambda s: _by(s.key, _unbound(s)).show(REQUEST, SHOWN), "bad_sd_jwt"),
    "of another holder": (lambda s: Wallet(s.wallet().credential).show(REQUEST, SHOWN), "bad_holder_signature"),
    "not held": (lambda s: sd_jwt.present(s.wallet().credential, SHOWN), "key_binding_missing"),
    "for another request": (lambda s: s.wallet().show(REQUEST, SHOWN, lies={"nonce": "n-2"}), "wrong_nonce"),
    "for another verifier": (lambda s: s.wallet().show(REQUEST, SHOWN, lies={"aud": "x"}), "wrong_audience"),
    "too old": (lambda s: s.wallet().show(REQUEST, SHOWN, lies={"iat": seconds() - 600}), "code_expired"),
    "too early": (lambda s: s.wallet().show(REQUEST, SHOWN, lies={"iat": seconds() + 600}), "code_from_future"),
    "without a claim": (lambda s: s.wallet().show(REQUEST, ("given_name",)), "claims_missing"),
    "without a status": (lambda s: s.wallet(status=None).show(REQUEST, SHOWN), "status_missing"),
    "a status of another kind": (
        lambda s: s.wallet(status={"crl": "https://school.example/crl"}).show(REQUEST, SHOWN),
        "bad_sd_jwt",
    ),
    "a list elsewhere": (
        lambda s: s.wallet(status={"status_list": {"idx": 1, "uri": "https://evil.example/l"}}).show(REQUEST, SHOWN),
        "status_list_foreign",
    ),
    "a list by http": (
        lambda s: s.wallet(status={"status_list": {"idx": 1, "uri": "http://status.school.example/lists/1"}}).show(
            REQUEST, SHOWN
        ),
        "status_list_foreign",
    ),
    "beyond the list": (
        lambda s: s.wallet(status={"status_list": {"idx": 9999, "uri": LIST}}).show(REQUEST, SHOWN),
        "status_index_out_of_range",
    ),
    "no SD-JWT": (lambda s: "EC1:hello", "bad_sd_jwt"),
}


def _unbound(school: School) -> Wallet:
    wallet = school.wallet()
    jws, rest = wallet.credential.split("~", 1)
    head, body, tail = jws.split(".")
    payload = json.loads(jose.b64url_decode(body))
    del payload["cnf"]
    return Wallet(f"{head}.{jose.b64url_encode(jose.dump_json(payload))}.{tail}~{rest}", wallet.key)


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_by_a_code(school: School, tmp_path: Path, name: str) -> None:
    make, code = REFUSED[name]
    verdict = judged(check_of(tmp_path, school), make(school))
    assert (verdict.outcome, verdict.reason, verdict.claims) == (Outcome.INVALID, code, {})
    assert not [url for url in school.asked if "evil" in url or url.startswith("http:")]


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        (0, Outcome.VALID, "ok"),
        (1, Outcome.INVALID, "credential_revoked"),
        (2, Outcome.INVALID, "credential_suspended"),
        (3, Outcome.INVALID, "status_not_understood"),
    ],
)
def test_the_status_is_what_the_issuers_list_says(
    school: School, tmp_path: Path, value: int, outcome: Outcome, reason: str
) -> None:
    school.answers[LIST] = lambda: school.list_answer(school.list(value))
    verdict = judged(check_of(tmp_path, school), school.wallet().show(REQUEST, SHOWN))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.status_as_of is not None


@pytest.mark.parametrize(
    "answer",
    [
        lambda s: httpx2.Response(404),
        lambda s: httpx2.Response(302, headers={"location": "https://evil.example/"}),
        lambda s: httpx2.Response(200, content=s.list().encode(), headers={"content-type": "text/plain"}),
        lambda s: s.list_answer("x" * 600_000),
        lambda s: s.list_answer("a.b.c"),
        lambda s: s.list_answer(s.list(key=P256SigningKey.generate("school-1"))),
        lambda s: s.list_answer(s.list(uri="https://status.school.example/lists/2")),
        lambda s: s.list_answer(_by(s.key, Wallet(s.list() + "~")).credential.rstrip("~") + "A"),
    ],
)
def test_a_list_that_cannot_be_had_or_is_not_the_issuers_decides_nothing(
    school: School, tmp_path: Path, answer: Callable[[School], httpx2.Response]
) -> None:
    school.answers[LIST] = lambda: answer(school)
    verdict = judged(check_of(tmp_path, school), school.wallet().show(REQUEST, SHOWN))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "status_unknown")
    assert "https://evil.example/" not in school.asked


def test_an_older_list_never_takes_the_place_of_a_newer_one(school: School, tmp_path: Path) -> None:
    """A host that rolls back: what was revoked stays so, also when the list is asked for again."""
    (issuer,) = read_trusted_issuers(written(tmp_path, school, entry(school))).values()
    fetcher, seconds = school.fetcher(), [0.0]
    lists = ForeignStatuses(issuer, keys_of(issuer, fetcher), fetcher, lambda: seconds[0])
    school.answers[LIST] = lambda: school.list_answer(school.list(1, issued_at=NOW))
    assert lists.read(LIST, 13, NOW).value == 1
    school.answers[LIST] = lambda: school.list_answer(school.list(0, issued_at=NOW - timedelta(hours=1)))
    seconds[0] = 1000
    assert lists.read(LIST, 13, NOW).value == 1
    assert len(school.asked) == 2
    school.answers[LIST] = lambda: school.list_answer(school.list(0, issued_at=NOW + timedelta(seconds=5)))
    seconds[0] = 2000
    assert lists.read(LIST, 13, NOW).value == 0


def test_a_list_is_good_for_a_day_and_not_beyond_its_end(school: School, tmp_path: Path) -> None:
    check, later = check_of(tmp_path, school), NOW + timedelta(hours=1)
    school.answers[LIST] = lambda: school.list_answer(school.list(issued_at=NOW - timedelta(hours=26)))
    stale = judged(check, school.wallet().show(REQUEST, SHOWN))
    assert (stale.outcome, stale.reason) == (Outcome.UNDECIDED, "status_stale")
    school.answers[LIST] = lambda: school.list_answer(school.list(issued_at=NOW, expires=NOW + timedelta(minutes=2)))
    other = check_of(tmp_path, school)
    text = school.wallet().show(REQUEST, SHOWN, lies={"iat": int(later.timestamp())})
    over = judged(other, text, now=later)
    assert (over.outcome, over.reason) == (Outcome.UNDECIDED, "status_expired")


def test_a_credential_without_a_status_is_good_where_the_file_says_so(school: School, tmp_path: Path) -> None:
    check = check_of(tmp_path, school, status='"if_present"')
    assert judged(check, school.wallet(status=None).show(REQUEST, SHOWN)).outcome is Outcome.VALID
    school.answers[LIST] = lambda: school.list_answer(school.list(1))
    revoked = judged(check, school.wallet().show(REQUEST, SHOWN))
    assert revoked.reason == "credential_revoked", "one that has a status is asked for it all the same"


@pytest.mark.parametrize(("certified", "reason"), [(True, "ok"), (False, "status_unknown")])
def test_a_list_of_an_issuer_with_certificates_has_them_too(
    school: School, tmp_path: Path, certified: bool, reason: str
) -> None:
    payload = json.loads(jose.b64url_decode(school.list().split(".")[1]))
    chain = {"x5c": _chain(school.leaf)} if certified else {}
    token = school.key.jws({"alg": "ES256", "typ": "statuslist+jwt", **chain}, payload)
    school.answers[LIST] = lambda: school.list_answer(token)
    verdict = judged(check_of(tmp_path, school, "x5c"), school.wallet(x5c=True).show(REQUEST, SHOWN))
    assert verdict.reason == reason


def _chain(*certificates: x509.Certificate) -> list[str]:
    return [base64.b64encode(item.public_bytes(serialization.Encoding.DER)).decode() for item in certificates]


def test_certificates_must_lead_to_the_anchor_and_name_the_issuer(school: School, tmp_path: Path) -> None:
    check = check_of(tmp_path, school, "x5c", status='"if_present"')
    wallet = school.wallet(status=None)
    by_authority = (school.anchor, school.authority)
    between, middle = P256(), None
    middle = certificate("department", between, by_authority, ca=True)

    def shown(*chain: x509.Certificate, key: P256 | None = None) -> str:
        jws, rest = wallet.credential.split("~", 1)
        payload = json.loads(jose.b64url_decode(jws.split(".")[1]))
        header = {"alg": "ES256", "typ": "dc+sd-jwt", **({"x5c": _chain(*chain)} if chain else {})}
        return Wallet(f"{(key or school.key).jws(header, payload)}~{rest}", wallet.key).show(REQUEST, SHOWN)

    assert judged(check, shown(school.leaf)).outcome is Outcome.VALID
    below = certificate("school", school.key, (middle, between), uri=SCHOOL)
    assert judged(check, shown(below, middle)).outcome is Outcome.VALID
    stranger = P256()
    forged = certificate("school authority", stranger, None, ca=True)
    untrusted = {
        "no certificates": shown(),
        "under another authority": shown(certificate("school", school.key, (forged, stranger), uri=SCHOOL)),
        "self-signed": shown(certificate("school", school.key, None, uri=SCHOOL)),
        "a link is missing": shown(below),
        "of another issuer": shown(certificate("x", school.key, by_authority, uri="https://other.example")),
        "of no name": shown(certificate("x", school.key, by_authority)),
        "over": shown(certificate("school", school.key, by_authority, uri=SCHOOL, days=-1)),
        "not for signing": shown(certificate("x", school.key, by_authority, uri=SCHOOL, signs=False)),
        "an authority that signs": shown(certificate("x", school.key, by_authority, uri=SCHOOL, ca=True, signs=True)),
        "an authority's own": shown(certificate("x", school.key, by_authority, uri=SCHOOL, ca=True)),
    }
    for name, text in untrusted.items():
        assert judged(check, text).reason == "issuer_certificate_untrusted", name
    assert judged(check, shown(school.leaf, key=P256())).reason == "bad_signature"


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (lambda s: httpx2.Response(500), Outcome.UNDECIDED, "foreign_issuer_unavailable"),
        (
            lambda s: httpx2.Response(302, headers={"location": "https://evil.example/"}),
            Outcome.UNDECIDED,
            "foreign_issuer_unavailable",
        ),
        (lambda s: httpx2.Response(200, json={"x": "y" * 70_000}), Outcome.UNDECIDED, "foreign_issuer_unavailable"),
        (lambda s: httpx2.Response(200, json=s.metadata(issuer="https://x.example")), Outcome.INVALID, "unknown_key"),
        (lambda s: httpx2.Response(200, json=s.metadata(jwks={"keys": []})), Outcome.INVALID, "unknown_key"),
        (
            lambda s: httpx2.Response(200, json=s.metadata(jwks_uri="https://school.example/k")),
            Outcome.INVALID,
            "unknown_key",
        ),
        (
            lambda s: httpx2.Response(200, json={"issuer": SCHOOL, "jwks_uri": "https://evil.example/keys"}),
            Outcome.UNDECIDED,
            "foreign_issuer_unavailable",
        ),
        (
            lambda s: httpx2.Response(200, json={"issuer": SCHOOL, "jwks_uri": "https://169.254.169.254/keys"}),
            Outcome.UNDECIDED,
            "foreign_issuer_unavailable",
        ),
        (
            lambda s: httpx2.Response(200, content=b"[1]", headers={"content-type": "application/json"}),
            Outcome.INVALID,
            "unknown_key",
        ),
    ],
)
def test_published_keys_come_from_the_issuers_own_host_or_not_at_all(
    school: School, tmp_path: Path, answer: Callable[[School], httpx2.Response], outcome: Outcome, reason: str
) -> None:
    school.answers[PUBLISHED] = lambda: answer(school)
    check = check_of(tmp_path, school, "metadata")
    for _ in range(3):
        verdict = judged(check, school.wallet().show(REQUEST, SHOWN))
        assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert school.asked.count(PUBLISHED) == 1, "a host in trouble is left alone for a while"
    assert set(school.asked) <= {PUBLISHED, "https://school.example/k"}


def test_an_issuer_of_e_cards_is_believed_by_the_trust_list_only(school: School, tmp_path: Path) -> None:
    trust = World(issuer=SCHOOL, now=NOW).trust()
    verdict = judged(check_of(tmp_path, school), school.wallet().show(REQUEST, SHOWN), trust)
    assert (verdict.outcome, verdict.reason) == (Outcome.INVALID, "issuer_mismatch")


def test_one_cannot_pass_for_the_other(school: School, tmp_path: Path) -> None:
    """Through the whole verifier: the name under which a credential is shown decides by which check it is judged."""
    world = World(now=NOW)
    others = {"student": check_of(tmp_path, school)}
    presentations, _ = make_presentations(world, make_keys(tmp_path), others=others)
    key = P256()

    class Device:
        point = key.point

    card = Wallet(world.selective(world.credential(Device())), key)  # type: ignore[arg-type]
    student = school.wallet()

    def verdict(shown_as: str, wallet: Wallet, names: tuple[str, ...]) -> Json:
        opened = presentations.open(Wish(others=("student",)), "counter")
        reference = opened.request_uri[-43:]
        request = read_request(presentations.request(reference))
        assert [one["id"] for one in request["dcql_query"]["credentials"]] == ["ecard", "student"]
        assert request["dcql_query"]["credential_sets"] == [{"options": [["ecard"], ["student"]]}]
        content = {"vp_token": {shown_as: [wallet.show(request, names)]}, "state": request["state"]}
        presentations.respond(reference, {"response": encrypted(request, content)})
        return presentations.result(opened.presentation_id, "counter")

    good = verdict("student", student, SHOWN)
    assert (good["credential"], good["outcome"], good["issuer"]) == ("student", "valid", SCHOOL)
    assert good["chip_assurance"] is None
    assert verdict("ecard", card, ())["outcome"] == "valid"
    assert verdict("ecard", student, SHOWN)["outcome"] == "invalid"
    assert verdict("student", card, ())["reason"] == "issuer_mismatch"


def test_a_wallet_is_told_which_authority_is_trusted(school: School, tmp_path: Path) -> None:
    check = check_of(tmp_path, school, "x5c")
    presentations, _ = make_presentations(World(now=NOW), make_keys(tmp_path), others={"student": check})
    opened = presentations.open(Wish(others=("student",)), "counter")
    asked = read_request(presentations.request(opened.request_uri[-43:]))["dcql_query"]["credentials"][1]
    digest = school.anchor.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert asked["trusted_authorities"] == [{"type": "aki", "values": [jose.b64url_encode(digest)]}]


BAD_FILES: dict[str, Callable[[School], str]] = {
    "no format": lambda s: entry(s),
    "not TOML": lambda s: "format = ",
    "a member too many": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, colour='"red"'),
    "a table too many": lambda s: 'format = "ecard-trusted-issuers/1"\n[other]\n',
    "the name of the e-card": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, name='"ecard"'),
    "a name that is none": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, name='"A B"'),
    "an issuer by http": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, issuer='"http://x.example"'),
    "another way to keys": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, key='"did"'),
    "keys and no jwk": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, key='"metadata"'),
    "jwk without keys": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, keys=""),
    "a key off its curve": lambda s: (
        'format = "ecard-trusted-issuers/1"\n'
        + entry(s, keys=f'[{{kty="EC", crv="P-256", x="{"A" * 43}", y="{"A" * 43}"}}]')
    ),
    "a private key": lambda s: (
        'format = "ecard-trusted-issuers/1"\n'
        + entry(s, keys="[{" + ", ".join(f'{k}="{v}"' for k, v in s.key.private_jwk.items()) + "}]")
    ),
    "anchors that are none": lambda s: (
        'format = "ecard-trusted-issuers/1"\n' + entry(s, "x5c", anchors='"trusted.toml"')
    ),
    "no such status": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, status='"never"'),
    "no status": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, status=""),
    "no claims": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s, claims="[]"),
    "one twice": lambda s: 'format = "ecard-trusted-issuers/1"\n' + entry(s) + entry(s),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_not_as_it_must_be_is_refused_whole(school: School, tmp_path: Path, name: str) -> None:
    path = written(tmp_path, school, BAD_FILES[name](school), head="")
    with pytest.raises(InvalidInput, match="bad_trusted_issuers"):
        read_trusted_issuers(path)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="bad_trusted_issuers"):
        read_trusted_issuers(tmp_path / "nowhere.toml")
