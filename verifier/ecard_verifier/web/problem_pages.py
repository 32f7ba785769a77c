"""`/problems/{code}`: what a code means and what to do about it, for people and for machines. A problem document's
`type` leads here."""

from __future__ import annotations

from html import escape
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from ecard_card import messages
from ecard_card.errors import NotFound
from ecard_verifier.web.docs import page
from ecard_verifier.web.problems import PAGES

_HEADING: Final = {"en": "Codes of this service", "zh": "错误代码"}
_ALL: Final = {"en": "All codes", "zh": "全部代码"}


def install_problem_pages(app: FastAPI) -> None:
    """Add the list and a page for each code. The language is the one that the request prefers; JSON has both."""

    @app.get(PAGES, include_in_schema=False)
    def problem_list(request: Request) -> HTMLResponse:
        language = messages.language(request.headers.get("accept-language", ""))
        rows = "".join(
            f'<tr><td><code><a href="{PAGES}/{code}">{code}</a></code><td>{escape(messages.text(code, language))}</tr>'
            for code in sorted(messages.codes())
        )
        return page(_HEADING[language], f"<h1>{_HEADING[language]}</h1><table>{rows}</table>", language)

    @app.get(PAGES + "/{code}", include_in_schema=False)
    def problem_page(code: str, request: Request) -> Response:
        if code not in messages.codes():
            raise NotFound("not_found", "no code of this service")
        if "json" in request.headers.get("accept", ""):
            texts = {
                "title": {language: messages.text(code, language) for language in messages.LANGUAGES},
                "help": {language: messages.help_text(code, language) for language in messages.LANGUAGES},
            }
            return JSONResponse({"code": code, **texts})
        language = messages.language(request.headers.get("accept-language", ""))
        body = (
            f"<h1><code>{code}</code></h1><p>{escape(messages.text(code, language))}</p>"
            f'<p>{escape(messages.help_text(code, language))}</p><p><a href="{PAGES}">{_ALL[language]}</a></p>'
        )
        return page(code, body, language)
