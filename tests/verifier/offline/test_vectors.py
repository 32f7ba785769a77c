"""The page's readers on the repository's own vectors: every file of `tests/vectors/` that says something of what they
read. SD-JWT (`sd_jwt`, `disclosure`), card numbers, partners' requests and webhooks are none of theirs."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

from ecard_card import cbor, cose, jose, status_token
from ecard_card.errors import InvalidInput
from ecard_card.status_delta import LIST_SIZE, unpack
from ecard_card.status_list import StatusList
from ecard_keys.status_uri import belongs_to, overlapping
from ecard_keys.trust.content import canonical_json
from ecard_verifier.numbers import as_number
from tests.verifier.offline.node import VECTORS, Request, ask, b64, refused


def rows(name: str) -> list[dict[str, Any]]:
    content = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return list(content if isinstance(content, list) else content["vectors"])


def test_base45() -> None:
    given = rows("qr/base45.json")
    for row, answer in zip(given, ask([{"kind": "base45", "text": row["text"]} for row in given]), strict=True):
        assert answer == row.get("hex"), row["source"]


def test_codes() -> None:
    given = rows("qr/code.json")
    for row, answer in zip(given, ask([{"kind": "code", "text": row["text"]} for row in given]), strict=True):
        if "expect" in row:
            assert answer == {"refused": row["expect"]}, row["name"]
        elif row["text"].startswith("EC0:"):
            assert answer == {"refused": "needs_online"}
        else:
            names = ("audience", "nonce", "credential", "challenge")
            assert answer == {name: row.get(name) for name in names} | {"issuedAt": row["issued_at"]}, row["name"]


def test_credentials() -> None:
    refusals, whole = rows("card/cwt_refused.json"), rows("card/credential.json")
    messages = [row["message"] for row in refusals] + [row["cwt"]["message"] for row in whole]
    answers = ask([{"kind": "credential", "data": message} for message in messages])
    for row, answer in zip(refusals, answers[: len(refusals)], strict=True):
        assert answer == {"refused": row["expect"]}, row["name"]
    for row, answer in zip(whole, answers[len(refusals) :], strict=True):
        said = row["input"]
        assert (answer["kid"], answer["algorithm"]) == (row["kid"], row["algorithm"])
        assert (answer["issuedAt"], answer["expiresAt"]) == (said["issued_at"], said["expires_at"])
        assert (answer["credentialId"], answer["region"]) == (said["credential_id"], said["region"])
        assert answer["deviceKey"][2:] == said["device_key"][2:66]
        assert answer["signed"] == row["cwt"]["signing_input"]


def test_cbor_of_a_protected_header() -> None:
    def decoded(data: str) -> None:
        cbor.decode(bytes.fromhex(data), max_depth=2)

    given = ["a101" + row["hex"] for row in rows("card/cbor.json")]
    for data, answer in zip(given, ask([{"kind": "label", "data": data} for data in given]), strict=True):
        assert answer == refused(decoded, data), data


def test_cose() -> None:
    given = rows("card/cose_sign1.json")
    answers = ask([{"kind": "sign1", "data": row["message"]} for row in given])
    for row, answer in zip(given, answers, strict=True):
        expected = row["protected"] if row["expect"]["decode"] == "ok" else {"refused": "bad_cose"}
        assert answer == expected, row["name"]
    plain = [row for row in given if not row["external_aad"] and row["expect"]["signature"] == "valid"]
    layouts = [
        {"kind": "sigStructure", "headers": r["protected"], "payload": r["payload"], "context": ""} for r in plain
    ]
    assert ask(layouts) == [row["signing_input"] for row in plain]
    parts = ("protected", "payload", "external_aad")
    signed: list[Request] = [
        {
            "kind": "verify",
            "key": "04" + row["public_x"] + row["public_y"],
            "message": cose.signing_input(*(bytes.fromhex(row[part]) for part in parts)).hex(),
            "signature": row["signature"],
        }
        for row in given
    ]
    assert ask(signed) == [row["expect"]["signature"] == "valid" for row in given]


def test_jose() -> None:
    kinds = {"base64url": "base64url", "refused": "jws", "jws": "kid"}
    given = [row for row in rows("card/jose.json") if row["kind"] in kinds]
    fields = {
        "base64url": lambda row: row["expect"],
        "refused": lambda row: row["token"],
        "jws": lambda row: row["jwk"],
    }
    names = {"base64url": "text", "refused": "token", "jws": "jwk"}
    asked = [
        {"kind": kinds[row["kind"]], names[row["kind"]]: fields[row["kind"]](row), "limit": 65536} for row in given
    ]
    for row, answer in zip(given, ask(asked), strict=True):
        expected = {"base64url": row.get("hex"), "refused": {"refused": row["expect"]}}
        assert answer == (jose.key_id_of(row["jwk"]) if row["kind"] == "jws" else expected[row["kind"]])


def test_status_lists() -> None:
    given = rows("card/status_list.json")
    asked: list[Request] = []
    for row in given:
        data, packed = jose.b64url_decode(row["lst"]), StatusList.from_compressed(jose.b64url_decode(row["lst"]), 8)
        places = {"data": data.hex(), "bits": row["bits"], "indexes": [int(place) for place in row["entries"]]}
        beyond = {**places, "indexes": [packed.size * 8 // row["bits"]]}
        asked += [
            {"kind": "list", "limit": packed.size, **places},
            {"kind": "list", "limit": packed.size - 1, **places},
            {"kind": "list", "limit": packed.size, **beyond},
            {"kind": "list", "limit": packed.size, **places, "data": (data + b"x").hex()},
            {"kind": "list", "limit": packed.size, **places, "data": data[:-1].hex()},
        ]
    answers = iter(ask(asked))
    for row in given:
        whole = StatusList.from_compressed(jose.b64url_decode(row["lst"]), row["bits"]).packed()
        answer = next(answers)
        assert answer["values"] == list(row["entries"].values()), row["name"]
        assert answer["digest"] == hashlib.sha256(whole).hexdigest()
        assert next(answers) == {"refused": "bad_status_list"}
        assert next(answers) == {"refused": "status_index_out_of_range"}
        assert [next(answers), next(answers)] == [{"refused": "bad_status_list"}] * 2


def test_status_tokens_and_deltas() -> None:
    tokens = [row["token"] for row in rows("card/status_token.json") if row["name"] == "JWT"]
    asked: list[Request] = [{"kind": "jws", "token": one, "typ": "statuslist+jwt", "limit": 1 << 19} for one in tokens]
    assert ask(asked) == [status_token.sealed_jwt(one).payload.hex() for one in tokens]
    given, asked = rows("card/status_delta.json"), []
    for row in given:
        if row["kind"] == "packed":
            asked.append({"kind": "changes", "data": row["bytes"]})
        else:
            asked.append({"kind": "delta", "data": b64(jose.b64url_decode(row["token"].split(".")[1]))})
    for row, answer in zip(given, ask(asked), strict=True):
        expect = row["expect"]
        if isinstance(expect, str):
            assert answer == {"refused": expect}, row["name"]
        else:
            changes = expect["changes"] if row["kind"] == "packed" else unpack(jose.b64url_decode(expect["changes"]))
            assert answer == [[list_id * LIST_SIZE + index, value] for list_id, index, value in changes]


JSON_TEXTS = (
    *('{"a":1,"a":2}', '{"a":1.0}', '{"a":1e400}', '{"a":NaN}', '{"a":-0}', "[1,]", "[01]", '"\\ud83d"', "tru"),
    *(
        '"\\ud83d\\ude00"',
        '{"__proto__":1,"a":{"constructor":2}}',
        "\ufeff{}",
        '{"é":1,"z":2,"\U0001f600":3,"\uffee":4}',
    ),
    *('"\t"', '"\\t\\u0001/\\/"', " [ 1 , 2 ] \n", "[" * 17 + "]" * 17, "[" * 16 + "]" * 16, "", "{", '{"a"}', "1 2"),
    *("9007199254740991", "-9007199254740991", '{"b":[{"y":1,"x":2}],"a":null,"c":true}', "[1\u00a0]", "'a'", '"\x7f"'),
)


def test_json_is_read_in_one_way_only() -> None:
    def read(text: str) -> Any:
        try:
            return canonical_json(jose.parse_json(text.encode())).hex()
        except InvalidInput as error:
            return {"refused": error.code}

    answers = ask([{"kind": "json", "data": b64(text.encode())} for text in JSON_TEXTS])
    for text, answer in zip(JSON_TEXTS, answers, strict=True):
        # Numbers that are not whole have no canonical form in what is signed here; ours writes them, the page refuses.
        assert answer == ({"refused": "bad_json"} if "1.0" in text else read(text)), text


def test_addresses_of_lists() -> None:
    rng = random.Random(3)  # noqa: S311
    pieces = ["https://a.example/", "1", "12", "{list}", "/s/", "?x=", "9"]
    templates = ["".join(rng.choices(pieces[:3] + pieces[4:], k=2)) + "{list}" + rng.choice(pieces) for _ in range(60)]
    templates = [template for template in templates if template.count("{list}") == 1]
    uris = [template.replace("{list}", str(rng.randrange(10**11))) for template in templates] + ["", "12"]
    asked = [{"kind": "numberIn", "uri": uri, "template": template} for uri in uris for template in templates]
    expected = [belongs_to(request["uri"], request["template"]) for request in asked]
    assert [answer is not None for answer in ask(asked)] == expected
    groups = [rng.sample(templates, 4) for _ in range(100)]
    found = ask([{"kind": "overlapping", "templates": group} for group in groups])
    assert found == [sorted(overlapping(group)) for group in groups]
    assert any(found)


def test_numbers_are_told_from_codes() -> None:
    texts = [
        "1234567890",
        " 12345-67890\n",
        "１２３４５６７８９０",
        "123456789",
        "12345678901",
        "EC0:ABC",
        "1234567890x",
        "",
    ]
    assert ask([{"kind": "isNumber", "text": text} for text in texts]) == [
        as_number(text) is not None for text in texts
    ]
