from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecard_card import disclosure, jose, sd_jwt
from ecard_card.algorithm import Algorithm
from tests.card.support import (
    SIGNATURE,
    brief,
    holds,
    load,
    new_key,
    only_our_errors,
    params,
    point,
    refused,
    sample,
    sign,
)

RFC = load("sd_jwt")


def salts() -> Any:
    return iter(bytes([number]) * 16 for number in range(1, 100)).__next__


def issued(**changes: Any) -> str:
    return sd_jwt.draft(sample(**changes), "0123abcd", salts()).complete(SIGNATURE)


def token(
    payload: object, disclosures: Sequence[str] = (), key_binding: str = "", typ: str = sd_jwt.TYP, alg: str = "ES256"
) -> str:
    body = payload if isinstance(payload, bytes) else jose.dump_json(payload)
    head = jose.dump_json({"alg": alg, "typ": typ})
    return "~".join((".".join(map(jose.b64url_encode, (head, body, SIGNATURE))), *disclosures, key_binding))


def hide(*parts: object) -> tuple[str, str]:
    """A disclosure and its digest."""
    text = jose.b64url_encode(jose.dump_json(list(parts)))
    return text, disclosure.digest(text)


@pytest.mark.parametrize("vector", params("disclosure"))
def test_disclosure_vectors(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    if "digest" in expect:
        assert disclosure.digest(vector["disclosure"]) == expect["digest"]
    parts = expect["contents"]
    hidden = {"...": disclosure.digest(vector["disclosure"])}
    if len(parts) == 2:
        processed = disclosure.process({"list": [hidden]}, [vector["disclosure"]])["list"]
        visible = parts[1]
    else:
        processed = disclosure.process({"_sd": [hidden["..."]]}, [vector["disclosure"]])
        visible = {parts[1]: parts[2]}
    if "_sd" not in str(visible) and "..." not in str(visible):
        assert processed == ([visible] if len(parts) == 2 else visible)


@pytest.mark.parametrize("vector", params("sd_jwt"))
def test_rfc_vectors(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    read = sd_jwt.parse(vector["token"], typ=vector["typ"])
    assert len(read.disclosures) == expect["disclosures"]
    if "payload" in expect:
        assert read.payload == expect["payload"]
    issuer = jose.parse_public_jwk(RFC["issuer_jwk"])
    assert holds(issuer, read.issuer_jws.signing_input, read.issuer_jws.signature)
    if "key_binding" not in expect:
        refused(lambda: sd_jwt.parse_key_binding(read), "bad_key_binding")
        return
    bound = sd_jwt.parse_key_binding(read)
    assert {"aud": bound.audience, "nonce": bound.nonce, "iat": bound.issued_at} == expect["key_binding"]
    cnf = read.payload["cnf"]
    assert isinstance(cnf, dict)
    assert holds(jose.parse_public_jwk(cnf["jwk"]), bound.jws.signing_input, bound.jws.signature)


def rfc(source: str, name: str) -> str:
    for vector in RFC["vectors"]:
        if source in vector["source"] and name == vector["name"]:
            return str(vector["token"])
    raise LookupError(source)


def test_holder_selects_what_the_rfc_presents() -> None:
    """Appendix A.3: from the issued SD-JWT, nationality and being over 18, and nothing else."""
    wanted = sd_jwt.parse(rfc("A.3", "presentation with key binding"))
    shown = sd_jwt.present(rfc("A.3", "issued"), ["nationalities", "age_equal_or_over"])
    assert set(wanted.disclosures) <= set(sd_jwt.parse(shown).disclosures)
    assert "given_name" not in sd_jwt.parse(shown).payload


def test_name_shows_its_claim_with_all_below_it() -> None:
    shown = sd_jwt.parse(sd_jwt.present(rfc("A.3", "issued"), ["age_equal_or_over"]))
    assert shown.payload["age_equal_or_over"] == {
        "12": True,
        "14": True,
        "16": True,
        "18": True,
        "21": True,
        "65": False,
    }
    shown = sd_jwt.parse(
        sd_jwt.present(rfc("5.1", "issued"), ["nationalities"], typ="example+sd-jwt"), typ="example+sd-jwt"
    )
    assert shown.payload["nationalities"] == ["US", "DE"]


@pytest.mark.parametrize("vector", load("credential")["vectors"], ids=lambda vector: vector["algorithm"])
def test_our_vectors(vector: dict[str, Any]) -> None:
    given_, algorithm = vector["input"], Algorithm(vector["algorithm"])
    credential = sample(bytes.fromhex(given_["device_key"]), device_algorithm=Algorithm(given_["device_algorithm"]))
    unsigned = sd_jwt.draft(credential, vector["kid"], salts(), algorithm)
    assert unsigned.signing_input.decode() == vector["sd_jwt"]["signing_input"]
    read = sd_jwt.parse(vector["sd_jwt"]["token"])
    assert read.disclosures == unsigned.disclosures
    assert read.issuer_jws.algorithm is algorithm
    shown = sd_jwt.parse(vector["presentation"]["token"])
    bound = sd_jwt.parse_key_binding(shown)
    assert bound.jws.algorithm is credential.device_algorithm
    if algorithm is Algorithm.ES256:
        assert holds(bytes.fromhex(vector["issuer_key"]), read.issuer_jws.signing_input, read.issuer_jws.signature)
        assert holds(credential.device_key, bound.jws.signing_input, bound.jws.signature)
    assert (bound.audience, bound.nonce, bound.issued_at) == tuple(
        vector["presentation"][name] for name in ("audience", "nonce", "issued_at")
    )
    assert shown.payload["name"] == given_["claims"]["name"]
    assert shown.payload["card_issuing_region"] == given_["region"]
    assert "birthdate" not in shown.payload


def test_the_region_of_issue_is_never_disclosed_selectively() -> None:
    text, digest = hide("c2FsdA", "card_issuing_region", "330100")
    hidden = token({"iss": "x", "_sd": [digest], "_sd_alg": "sha-256"}, [text])
    refused(lambda: sd_jwt.parse(hidden), "bad_sd_jwt")


def test_payload_of_a_credential() -> None:
    credential = sample()
    read = sd_jwt.parse(issued())
    assert dict(read.header) == {"alg": "ES256", "typ": "dc+sd-jwt", "kid": "0123abcd"}
    assert read.payload == {
        "iss": "https://issuer.example",
        "vct": "https://issuer.example/vct/social-security-card/1",
        "aka_vcts": ["https://issuer.example/vct/ecard/1"],
        "iat": 1_790_000_000,
        "nbf": 1_790_000_000,
        "exp": 1_821_536_000,
        "cnf": {"jwk": jose.public_jwk(credential.device_key[1:33], credential.device_key[33:])},
        "status": {"status_list": {"idx": 734512, "uri": "https://issuer.example/status-lists/7"}},
        "chip_assurance": "challenge",
        "card_issuing_region": "110100",
        **credential.claims,
    }


def test_nothing_of_the_holder_stands_in_the_open() -> None:
    shown = sd_jwt.present(issued(), [])
    assert shown.count("~") == 1
    payload = jose.b64url_decode(shown.split(".")[1])
    for value in sample().claims.values():
        assert value.encode() not in payload
    assert sample().credential_id.hex().encode() not in payload


def test_digests_are_sorted_so_that_order_tells_nothing() -> None:
    payload = jose.parse_json(jose.b64url_decode(issued().split(".")[1]))
    assert isinstance(payload, dict)
    assert payload["_sd"] == sorted(payload["_sd"])
    assert len(payload["_sd"]) == 6


def test_short_salt_is_refused() -> None:
    refused(lambda: sd_jwt.draft(sample(), "0123abcd", lambda: bytes(15)), "bad_sd_jwt")


@given(st.sets(st.sampled_from(sorted(sample().claims))))
def test_presentation_shows_what_was_asked_and_nothing_else(names: set[str]) -> None:
    shown = sd_jwt.parse(sd_jwt.present(issued(), names))
    assert {name for name in sample().claims if name in shown.payload} == names


def test_claims_in_the_open_may_be_named() -> None:
    assert sd_jwt.present(issued(), ["iss", "exp"]) == sd_jwt.present(issued(), [])


def test_unknown_claim_cannot_be_presented() -> None:
    refused(lambda: sd_jwt.present(issued(), ["salary"]), "claim_not_available")


def test_presenting_drops_a_key_binding() -> None:
    bound = sd_jwt.key_binding_input(issued(), audience="a", nonce="n", issued_at=1).complete(SIGNATURE)
    assert sd_jwt.present(bound, sample().claims) == issued()


def test_key_binding_there_and_back() -> None:
    device = new_key()
    shown = sd_jwt.present(issued(device_key=point(device)), ["name"])
    unsigned = sd_jwt.key_binding_input(shown, audience="https://shop.example", nonce="n-0", issued_at=1_790_000_001)
    text = unsigned.complete(sign(device, unsigned.signing_input))
    bound = sd_jwt.parse_key_binding(sd_jwt.parse(text))
    assert (bound.audience, bound.nonce, bound.issued_at) == ("https://shop.example", "n-0", 1_790_000_001)
    assert holds(point(device), bound.jws.signing_input, bound.jws.signature)


def test_key_binding_holds_for_its_presentation_only() -> None:
    """Dropping or adding a disclosure after the device signed shows in `sd_hash`."""
    shown = sd_jwt.present(issued(), ["name", "card_number"])
    text = sd_jwt.key_binding_input(shown, audience="a", nonce="n", issued_at=1).complete(SIGNATURE)
    binding = text.rpartition("~")[2]
    for other in (sd_jwt.present(issued(), ["name"]), issued(), sd_jwt.present(issued(), [])):
        refused(lambda other=other: sd_jwt.parse_key_binding(sd_jwt.parse(other + binding)), "bad_key_binding")  # type: ignore[misc]


def test_key_binding_needs_a_presentation_without_one() -> None:
    bound = sd_jwt.key_binding_input(issued(), audience="a", nonce="n", issued_at=1).complete(SIGNATURE)
    refused(lambda: sd_jwt.key_binding_input(bound, audience="a", nonce="n", issued_at=1), "bad_sd_jwt")


SHOWN = issued()
BINDING = {"iat": 1, "aud": "a", "nonce": "n", "sd_hash": disclosure.digest(SHOWN)}


def binding(claims: object, **header: object) -> str:
    head = {"alg": "ES256", "typ": "kb+jwt", **header}
    body = claims if isinstance(claims, bytes) else jose.dump_json(claims)
    return ".".join(map(jose.b64url_encode, (jose.dump_json(head), body, SIGNATURE)))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x", "bad_key_binding"),
        ("..", "bad_key_binding"),
        (binding([]), "bad_key_binding"),
        (binding(b"{}{}"), "bad_key_binding"),
        (binding({}), "bad_key_binding"),
        *((binding({key: BINDING[key] for key in BINDING if key != name}), "bad_key_binding") for name in BINDING),
        (binding({**BINDING, "exp": 9}), "bad_key_binding"),
        (binding({**BINDING, "iat": "1"}), "bad_key_binding"),
        (binding({**BINDING, "iat": 1.0}), "bad_key_binding"),
        (binding({**BINDING, "iat": True}), "bad_key_binding"),
        (binding({**BINDING, "iat": -1}), "bad_key_binding"),
        (binding({**BINDING, "aud": ["a"]}), "bad_key_binding"),
        (binding({**BINDING, "aud": "a" * 3000}), "bad_key_binding"),
        (binding({**BINDING, "nonce": 1}), "bad_key_binding"),
        (binding({**BINDING, "sd_hash": ""}), "bad_key_binding"),
        (binding({**BINDING, "sd_hash": None}), "bad_key_binding"),
        (binding({**BINDING, "sd_hash": BINDING["sd_hash"] + "="}), "bad_key_binding"),  # type: ignore[operator]
        (binding(BINDING, jwk={}), "bad_key_binding"),
        (binding(BINDING, typ="JWT"), "wrong_type"),
        (binding(BINDING, typ="dc+sd-jwt"), "wrong_type"),
        (binding(BINDING, alg="none"), "algorithm_not_allowed"),
    ],
    ids=brief,
)
def test_malformed_key_binding_is_refused(text: str, code: str) -> None:
    refused(lambda: sd_jwt.parse_key_binding(sd_jwt.parse(SHOWN + text)), code)


A, A_DIGEST = hide("salt-salt-salt", "a", 1)
B, B_DIGEST = hide("salt-salt-salt", "b", 2)
ELEMENT, ELEMENT_DIGEST = hide("salt-salt-salt", "de")
INNER, INNER_DIGEST = hide("salt", "inner", True)
OUTER, OUTER_DIGEST = hide("salt", "outer", {"_sd": [INNER_DIGEST]})


@pytest.mark.parametrize(
    ("payload", "disclosures", "expected"),
    [
        ({}, [], {}),
        ({"_sd": []}, [], {}),
        ({"_sd_alg": "sha-256", "x": 1}, [], {"x": 1}),
        ({"_sd": ["decoy"], "x": {"_sd": ["decoy too"]}}, [], {"x": {}}),
        ({"_sd": [A_DIGEST, B_DIGEST]}, [A], {"a": 1}),
        ({"_sd": [A_DIGEST, B_DIGEST]}, [B, A], {"a": 1, "b": 2}),
        ({"x": {"y": {"_sd": [A_DIGEST], "z": 0}}}, [A], {"x": {"y": {"a": 1, "z": 0}}}),
        ({"_sd": [OUTER_DIGEST]}, [INNER, OUTER], {"outer": {"inner": True}}),
        ({"_sd": [OUTER_DIGEST]}, [OUTER], {"outer": {}}),
        ({"n": [{"...": ELEMENT_DIGEST}, "us", {"...": "decoy"}]}, [ELEMENT], {"n": ["de", "us"]}),
        ({"n": [[{"...": ELEMENT_DIGEST}], {"k": 1}]}, [ELEMENT], {"n": [["de"], {"k": 1}]}),
    ],
)
def test_processing(payload: dict[str, object], disclosures: list[str], expected: dict[str, object]) -> None:
    assert disclosure.process(payload, disclosures) == expected


def deep(levels: int) -> tuple[dict[str, object], list[str]]:
    value: object = 1
    found = []
    for _ in range(levels):
        text, key = hide("salt", "n", value)
        found.append(text)
        value = {"_sd": [key]}
    assert isinstance(value, dict)
    return value, found


ALIAS, ALIAS_DIGEST = hide("salt", "_sd", [])
DOTS, DOTS_DIGEST = hide("salt", "...", "x")
NUMBER, NUMBER_DIGEST = hide("salt", 7, "x")
TWO_A, TWO_A_DIGEST = hide("other salt", "a", 2)


@pytest.mark.parametrize(
    ("payload", "disclosures"),
    [
        ({"_sd_alg": "sha-512"}, []),
        ({"_sd_alg": "md5"}, []),
        ({"_sd_alg": None}, []),
        ({"_sd_alg": ["sha-256"]}, []),
        ({"_sd": "x"}, []),
        ({"_sd": {}}, []),
        ({"_sd": None}, []),
        ({"_sd": [1]}, []),
        ({"_sd": [A_DIGEST, None]}, [A]),
        ({"_sd": [A_DIGEST, A_DIGEST]}, [A]),
        ({"_sd": ["decoy", "decoy"]}, []),
        ({"_sd": [A_DIGEST], "x": {"_sd": [A_DIGEST]}}, [A]),
        ({"_sd": [ELEMENT_DIGEST], "n": [{"...": ELEMENT_DIGEST}]}, [ELEMENT]),
        ({"n": [{"...": ELEMENT_DIGEST}, {"...": ELEMENT_DIGEST}]}, [ELEMENT]),
        ({"_sd": [A_DIGEST]}, [A, A]),
        ({"_sd": [A_DIGEST]}, [A, B]),
        ({}, [A]),
        ({"_sd": [OUTER_DIGEST]}, [INNER]),
        ({"_sd": [ALIAS_DIGEST]}, [ALIAS]),
        ({"_sd": [DOTS_DIGEST]}, [DOTS]),
        ({"_sd": [NUMBER_DIGEST]}, [NUMBER]),
        ({"_sd": [A_DIGEST], "a": 0}, [A]),
        ({"_sd": [A_DIGEST, TWO_A_DIGEST]}, [A, TWO_A]),
        ({"_sd": [ELEMENT_DIGEST]}, [ELEMENT]),
        ({"n": [{"...": A_DIGEST}]}, [A]),
        ({"n": [{"...": 1}]}, []),
        ({"n": [{"...": ELEMENT_DIGEST, "x": 1}]}, [ELEMENT]),
        ({"...": ELEMENT_DIGEST}, [ELEMENT]),
        ({"n": {"...": ELEMENT_DIGEST}}, [ELEMENT]),
        ({"_sd": ["x"]}, [""]),
        ({"_sd": ["x"]}, ["===="]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b"[]")]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b'["salt"]')]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b'["salt","a",1,2]')]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b'[1,"a",1]')]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b'{"a":1,"b":2,"c":3}')]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b'"abc"')]),
        ({"_sd": ["x"]}, [jose.b64url_encode(b'["s","a",{"x":1,"x":2}]')]),
        deep(40),
        deep(120),
        ({"n": [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}, []),
        ({}, [hide("salt", str(number), 1)[0] for number in range(200)]),
    ],
    ids=brief,
)
def test_what_rfc_9901_rejects(payload: dict[str, object], disclosures: list[str]) -> None:
    refused(lambda: disclosure.process(payload, disclosures), "bad_sd_jwt")
    refused(lambda: sd_jwt.parse(token(payload, disclosures)), "bad_sd_jwt")


@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"])
def test_what_must_stand_in_the_open_is_not_disclosable(name: str) -> None:
    text, key = hide("salt", name, None)
    refused(lambda: sd_jwt.parse(token({"_sd": [key]}, [text])), "bad_sd_jwt")
    text, key = hide("salt", "jwk", {})
    refused(lambda: sd_jwt.parse(token({name: {"_sd": [key]}}, [text])), "bad_sd_jwt")
    refused(lambda: sd_jwt.parse(token({name: {"_sd": [key]}})), "bad_sd_jwt")


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("", "bad_sd_jwt"),
        ("~", "bad_sd_jwt"),
        ("~~", "bad_sd_jwt"),
        (SHOWN.split("~")[0], "bad_sd_jwt"),
        ("~" + SHOWN, "bad_sd_jwt"),
        (SHOWN.replace("~", "~~", 1), "bad_sd_jwt"),
        (SHOWN.replace("~", "~é", 1), "bad_sd_jwt"),
        (SHOWN.replace("~", "=~", 1), "bad_sd_jwt"),
        (SHOWN + "\n~", "bad_sd_jwt"),
        (token(b"[]"), "bad_sd_jwt"),
        (token(b'{"iss":"a","iss":"b"}'), "bad_sd_jwt"),
        (token(b"{" * 30_000), "bad_sd_jwt"),
        (token({}, typ="JWT"), "wrong_type"),
        (token({}, typ="vc+sd-jwt"), "wrong_type"),
        (token({}, alg="none"), "algorithm_not_allowed"),
        (token({}, alg="HS256"), "algorithm_not_allowed"),
        ("~" * 65_000, "bad_sd_jwt"),
        ("~" * 10_000_000, "bad_sd_jwt"),
        (token({}) + "WyJzIiwiYSIsMV0~" * 4000, "bad_sd_jwt"),
    ],
    ids=brief,
)
def test_malformed_tokens_are_refused(text: str, codes: str) -> None:
    refused(lambda: sd_jwt.parse(text), codes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.sampled_from([A_DIGEST, ELEMENT_DIGEST]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["_sd", "...", "a", "b", "_sd_alg", "exp"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.lists(st.sampled_from([A, B, ELEMENT, OUTER, INNER]), max_size=3), st.text(max_size=20))
def test_only_our_errors_leave_the_reader(payload: object, disclosures: list[str], text: str) -> None:
    for candidate in (token(payload, disclosures, text), token(payload, [*disclosures, text]), text, f"{SHOWN}{text}"):

        def read(candidate: str = candidate) -> None:
            sd_jwt.parse_key_binding(sd_jwt.parse(candidate))

        only_our_errors(read)
        only_our_errors(lambda candidate=candidate: sd_jwt.present(candidate, ["a"]))  # type: ignore[misc]


def names_in(value: object) -> set[str]:
    """Every member name anywhere in a JSON value."""
    if isinstance(value, dict):
        return set(value).union(*map(names_in, value.values()))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


@given(JSON)
def test_no_digest_survives_processing(payload: object) -> None:
    def read() -> None:
        assert names_in(dict(sd_jwt.parse(token(payload)).payload)).isdisjoint({"_sd", "..."})

    only_our_errors(read)
