"""`/h5/card`: the component on a page of our own, for channels that show it in a frame or a web view.

There the channel's scripts reach neither the session nor the key. The ticket comes in the fragment, which no server and
no log ever sees; who may frame the page is what the app registered as its browser origins.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from ecard_card.messages import Language
from ecard_issuer.assembly import Issuer
from ecard_verifier.web.base import problems

_NOBODY: Final = "'none'"
_STYLE: Final = "body{margin:0;padding:8px}body.dark{background:#0c0e11}"
#: Tells the page around it what the component tells, and takes further tickets from it; from registered origins only.
_SCRIPT: Final = """\
const card = document.querySelector('ecard-code');
const origins = JSON.parse(document.body.dataset.origins);
for (const name of ['brighten', 'dead', 'lost', 'refresh', 'ticket', 'error'])
  card.addEventListener('ecard:' + name, ({ type, detail }) => {
    if (parent !== window) for (const origin of origins) parent.postMessage({ type, detail }, origin);
  });
addEventListener('message', ({ source, origin, data }) => {
  if (source !== parent || !origins.includes(origin) || !data) return;
  if (data.type === 'ecard:ticket' && typeof data.ticket === 'string') card.ticket = data.ticket;
  if (data.type === 'ecard:capture') card.captured();
});
"""


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def card_page_router(issuer: Issuer) -> APIRouter:
    """The one page."""
    router = APIRouter(tags=["component"])

    @router.get(
        "/h5/card",
        operation_id="get_card_page",
        summary="The <ecard-code> element on a page of its own",
        response_class=HTMLResponse,
        responses=problems(422, 503),
    )
    def get_card_page(
        app: Annotated[
            str,
            Query(pattern="^(ek_(live|test)_[a-z2-7]{24})?$", description="Whose pages may frame it, if any."),
        ] = "",
        lang: Annotated[Language, Query(description="The page's language.")] = "zh",
        theme: Annotated[
            str, Query(pattern="^(light|dark|elder|elder dark)$", description="As the element's attribute.")
        ] = "light",
    ) -> HTMLResponse:
        """Open it with `#ecard-ticket=…`; the ticket is asked for with this service's own address as its origin."""
        origins = issuer.showing.origins_of(app) if app else ()
        return HTMLResponse(_page(origins, lang, theme), headers={"Content-Security-Policy": _policy(origins)})

    return router


def _policy(origins: Sequence[str]) -> str:
    return (
        f"default-src 'none'; script-src 'self' {_hash(_SCRIPT)}; style-src {_hash(_STYLE)}; connect-src 'self';"
        f" base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(origins) or _NOBODY}"
    )


def _page(origins: Sequence[str], lang: Language, theme: str) -> str:
    listed = json.dumps(list(origins)).replace("&", "&amp;").replace('"', "&quot;")
    dark = ' class="dark"' if "dark" in theme else ""
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{'电子社保卡' if lang == 'zh' else 'E-card'}</title><style>{_STYLE}</style>"
        '<script src="/ecard-code.js"></script></head>'
        f'<body{dark} data-origins="{listed}"><ecard-code lang="{lang}" theme="{theme}" from-fragment></ecard-code>'
        f"<script>{_SCRIPT}</script></body></html>"
    )
