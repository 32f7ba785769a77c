"""`/docs`: the OpenAPI document as one plain page, made here; and the form of every page that a service shows.

Nothing is fetched from anywhere, no script runs. The style stands here once, because its hash is in the policy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from ecard_card.messages import Language

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6;border-radius:4px;padding:.1em .3em}"
    "code{overflow-wrap:anywhere}pre{padding:.8em;overflow:auto}"
    "section{border-top:1px solid #d4d4d8;margin-top:1.5rem;padding-top:.5rem}"
    "section:target{border-top:3px solid #1f5faa}"
    "h2 b{background:#1f5faa;color:#fff;border-radius:4px;padding:.1em .4em;margin-right:.4em;font-size:.8em}"
    "h3{font-size:1em;margin:1em 0 .2em}table{border-collapse:collapse}"
    "td:first-child code{white-space:nowrap}"
    "td,th{text-align:left;vertical-align:top;padding:.2em 1em .2em 0}small{color:#52525b}"
    "@media(prefers-color-scheme:dark){body{background:#18181b;color:#e4e4e7}code,pre{background:#27272a}"
    "a{color:#8ab4f8}small{color:#a1a1aa}}"
)
_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
_CALLING: Final = """\
In the examples `$URL` is this service's address and `$TOKEN` a token. A token goes into the header `Authorization: \
Bearer …`; the role `operator` may do what the other roles may. Bodies are JSON in UTF-8 of at most 64 KiB; unknown \
members are refused.

Every refusal is a problem document (RFC 9457) with a stable `code`; `title` is for a person, in the language that \
`Accept-Language` prefers (English, Chinese), `detail` and `help` for a developer; `/problems/` and the code is a page \
about it. What is no JSON is 400 `bad_json`; JSON that \
two readers may read in two ways, or whose members are not those listed here, is 422 `invalid_request`; a body that \
does not arrive within 20 s is 408. A fault is 500 `internal_fault`: give its `request_id`."""
_MAX_DEPTH: Final = 4
_BOUNDS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "items"),
    ("minimum", "maximum", ""),
)
Json = Mapping[str, Any]


def page(title: str, body: str, language: Language = "en") -> HTMLResponse:
    """A whole page; `title` is text, `body` is HTML in `language`."""
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>",
        headers={"Content-Security-Policy": _POLICY, "Content-Language": language},
    )


def front_page(title: str, about: str, links: Iterable[tuple[str, str]]) -> HTMLResponse:
    """The page at `/`: what this is, and where to look (relative address, what is there)."""
    items = "".join(f'<li><a href="{escape(to)}">{escape(to)}</a>: {_prose(text)}</li>' for to, text in links)
    return page(title, f"<h1>{escape(title)}</h1><p>{_prose(about)} Where to look:</p><ul>{items}</ul>")


def install_docs(app: FastAPI) -> None:
    """Add `/docs` to `app`; `/openapi.json` stays the machine's version."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return page(app.title, render(app.openapi()))


def render(document: Json) -> str:
    """The inside of the page for an OpenAPI 3.1 document: how to call, all operations, all schemas."""
    info = document["info"]
    known = document.get("components", {}).get("schemas", {})
    operations = [
        (path, method, operation)
        for path, methods in document.get("paths", {}).items()
        for method, operation in methods.items()
    ]
    return "".join(
        (
            f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>{_paragraphs(info.get('description', ''))}",
            '<p>For machines: <a href="openapi.json">openapi.json</a></p><ul>',
            *(
                f'<li><a href="#{_id(operation)}"><code>{escape(method.upper())} {escape(path)}</code></a>'
                f" {escape(operation.get('summary', ''))} <small>{_roles(operation)}</small></li>"
                for path, method, operation in operations
            ),
            "</ul>",
            _paragraphs(_CALLING),
            *("".join(_operation(path, method, operation, known)) for path, method, operation in operations),
            "<section><h2>Schemas</h2></section>",
            *(
                f'<section id="{escape(name)}"><h3><code>{escape(name)}</code></h3>'
                f"{_paragraphs(schema.get('description', ''))}{_table(schema, known)}</section>"
                for name, schema in known.items()
            ),
        )
    )


def _operation(path: str, method: str, operation: Json, known: Json) -> Iterator[str]:
    yield f'<section id="{_id(operation)}"><h2><b>{escape(method.upper())}</b><code>{escape(path)}</code></h2>'
    yield f"<p><strong>{_prose(operation.get('summary', ''))}</strong></p>"
    yield _paragraphs(operation.get("description", ""))
    yield f"<p>Needs: {_roles(operation)}</p>"
    parameters = operation.get("parameters", ())
    if parameters:
        yield "<h3>Parameters</h3><table><tr><th>Name<th>In<th>Form<th>Meaning</tr>"
        for item in parameters:
            cells = (escape(item["in"]), _kind(item.get("schema", {}), known), _prose(item.get("description", "")))
            yield f"<tr><td><code>{escape(item['name'])}</code><td>{'<td>'.join(cells)}</tr>"
        yield "</table>"
    body: Json = operation.get("requestBody", {}).get("content", {})
    for media, content in body.items():
        schema = content.get("schema", {})
        about = operation["requestBody"].get("description") or _resolved(schema, known).get("description", "")
        yield f"<h3>Body: <code>{escape(media)}</code></h3>{_paragraphs(about)}{_table(schema, known)}"
    if method == "post":
        yield f"<h3>Example</h3><pre>{escape(_curl(path, operation, body, known))}</pre>"
    yield "<h3>Answers</h3><table><tr><th>Status<th>Meaning<th>Content</tr>"
    for status, response in operation.get("responses", {}).items():
        contents = "<br>".join(_content(media, content) for media, content in response.get("content", {}).items())
        yield f"<tr><td>{escape(status)}<td>{_prose(response.get('description', ''))}<td>{contents}</tr>"
    yield "</table></section>"


def _curl(path: str, operation: Json, body: Json, known: Json) -> str:
    token = '-H "Authorization: Bearer $TOKEN" ' if operation.get("security") else ""
    url = '"$URL' + re.sub(r"\{(\w+)\}", r"$\1", path) + '"'
    schema = body.get("application/json", {}).get("schema")
    if schema is None:
        return f"curl -X POST {token}{url}"
    return (
        f"curl {token}--json @- {url} <<'END'\n{json.dumps(_example(schema, known), indent=1, ensure_ascii=False)}\nEND"
    )


def _example(schema: Json, known: Json) -> object:
    """What the schema gives as an example, else its needed members."""
    schema = _resolved(schema, known)
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "const" in schema:
        return schema["const"]
    needed = schema.get("required", ())
    return {name: _example(part, known) for name, part in schema.get("properties", {}).items() if name in needed}


def _table(schema: Json, known: Json) -> str:
    rows = "".join(_rows(schema, known, ""))
    return f"<table><tr><th>Member<th>Form<th>Meaning</tr>{rows}</table>" if rows else ""


def _rows(schema: Json, known: Json, prefix: str) -> Iterator[str]:
    """A row for each member, with those of inner objects behind it as `outer.inner`."""
    schema = _resolved(schema, known)
    needed = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        inner = _resolved(part, known)
        form = _kind(part, known) + ("" if name in needed else " <small>optional</small>")
        about = _prose(part.get("description") or inner.get("description", ""))
        yield f"<tr><td><code>{escape(prefix + name)}</code><td>{form}<td>{about}</tr>"
        if prefix.count(".") < _MAX_DEPTH:
            yield from _rows(inner, known, f"{prefix}{name}.")
            yield from _rows(inner.get("items", {}), known, f"{prefix}{name}[].")


def _kind(schema: Json, known: Json) -> str:
    """Type and bounds in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(part, known) for part in schema["anyOf"])
    schema = _resolved(schema, known)
    values = schema.get("enum") or ([schema["const"]] if "const" in schema else None)
    if values:
        parts = [" | ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)]
    else:
        parts = [escape(" ".join(filter(None, (str(schema.get("type", "any")), str(schema.get("format", ""))))))]
    if "items" in schema:
        parts[0] += f" of {_kind(schema['items'], known)}"
    for least, most, unit in _BOUNDS:
        low, high = schema.get(least), schema.get(most)
        if low is not None or high is not None:
            text = f"at most {high}" if low is None else f"at least {low}" if high is None else f"{low} to {high}"
            parts.append(f"{low if low == high else text} {unit}".strip())
    if "pattern" in schema:
        parts.append(f"<code>{escape(schema['pattern'])}</code>")
    if schema.get("default") is not None:
        parts.append(f"default <code>{escape(json.dumps(schema['default']))}</code>")
    return ", ".join(parts)


def _resolved(schema: Json, known: Json) -> Json:
    """The schema itself behind a reference, or behind `… or null`."""
    choices = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    if len(choices) == 1:
        schema = {**choices[0], **{name: value for name, value in schema.items() if name != "anyOf"}}
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    return {**known[name], **rest} if name in known else schema


def _content(media: str, content: Json) -> str:
    name = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
    link = f' <a href="#{escape(name)}">{escape(name)}</a>' if name else ""
    return f"<code>{escape(media)}</code>{link}"


def _roles(operation: Json) -> str:
    if not operation.get("security"):
        return "no token"
    roles = operation.get("x-ecard-role", ())
    return "a token" + (" of role " + " or ".join(f"<code>{escape(role)}</code>" for role in roles) if roles else "")


def _id(operation: Json) -> str:
    return escape(operation.get("operationId", ""))


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_prose(part)}</p>" for part in text.split("\n\n") if part.strip())


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
