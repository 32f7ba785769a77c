"""`/docs`: the OpenAPI document as one plain page, made here. Nothing is fetched from anywhere, no script runs."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "code,pre{font:14px/1.4 ui-monospace,monospace;background:#f3f4f6;border-radius:4px;padding:.1em .3em}"
    "pre{padding:.8em;overflow:auto}section{border-top:1px solid #d4d4d8;margin-top:1.5rem;padding-top:.5rem}"
    "h2 b{background:#1f5faa;color:#fff;border-radius:4px;padding:.1em .4em;margin-right:.4em;font-size:.8em}"
    "table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:.2em 1em .2em 0}"
    "@media(prefers-color-scheme:dark){body{background:#18181b;color:#e4e4e7}code,pre{background:#27272a}"
    "a{color:#8ab4f8}}"
)
_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def install_docs(app: FastAPI) -> None:
    """Add `/docs` to `app`; `/openapi.json` stays the machine's version."""

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()), headers={"Content-Security-Policy": _POLICY})


def render(document: Mapping[str, Any]) -> str:
    """The page for an OpenAPI 3.1 document."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>",
        '<p>For machines: <a href="openapi.json">openapi.json</a></p>',
    ]
    for path, operations in document.get("paths", {}).items():
        for method, operation in operations.items():
            parts.extend(_operation(path, method, operation))
    parts.append("<section><h2>Schemas</h2>")
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
        parts.append(
            f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{text}</pre></details>'
        )
    parts.append("</section></main></body></html>")
    return "".join(parts)


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<section id="{escape(operation.get("operationId", ""))}">'
    yield f"<h2><b>{escape(method.upper())}</b><code>{escape(path)}</code></h2>"
    yield f"<p><strong>{escape(operation.get('summary', ''))}</strong></p>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    if operation.get("security"):
        yield "<p>Needs a bearer token.</p>"
    for parameter in operation.get("parameters", ()):
        yield f"<p><code>{escape(parameter['name'])}</code> in {escape(parameter['in'])}</p>"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body: <code>{escape(media)}</code> {_schema(content)}</p>"
    yield "<table><tr><th>Status<th>Meaning<th>Answer</tr>"
    for status, response in operation.get("responses", {}).items():
        schemas = " ".join(_schema(content) for content in response.get("content", {}).values())
        yield f"<tr><td>{escape(status)}<td>{escape(response.get('description', ''))}<td>{schemas}</tr>"
    yield "</table></section>"


def _schema(content: Mapping[str, Any]) -> str:
    name = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else ""
