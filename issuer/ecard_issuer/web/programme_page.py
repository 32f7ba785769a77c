"""`/programme`: the brochure as a plain page, in Chinese or English, without a script."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from fastapi.responses import HTMLResponse

from ecard_card.messages import Language
from ecard_issuer.programme.description import Item, State
from ecard_issuer.programme.office import ProgrammeOffice, is_link
from ecard_verifier.web.docs import page

_WORDS: Final = {
    "en": {
        "title": "The social security card",
        "other": '<a href="?lang=zh" lang="zh" hreflang="zh">中文</a>',
        "facts": "What it is",
        "functions": "What it does",
        "uses": "What the e-card is for",
        "services": "What people do on the strength of their card",
        "channels": "Where to apply and ask",
        "hotline": "Hotline: ",
        "points": "Service points near you: address, telephone, hours",
        "no_address": "ask at the hotline",
        "how": "how it works: ",
    },
    "zh": {
        "title": "社会保障卡",
        "other": '<a href="?lang=en" lang="en" hreflang="en">English</a>',
        "facts": "什么是社会保障卡",
        "functions": "功能",
        "uses": "电子社保卡的用途",
        "services": "凭卡办理的业务",
        "channels": "办理渠道",
        "hotline": "服务热线：",
        "points": "查询服务网点：地址、电话、营业时间",
        "no_address": "请拨打服务热线咨询",
        "how": "接口：",
    },
}


def programme_page(
    office: ProgrammeOffice, services: Iterable[tuple[int, str, str]], language: Language
) -> HTMLResponse:
    """The page; `services` are lines of the catalogue with their names, Chinese first."""
    words, described, addresses = _WORDS[language], office.described, office.addresses()
    parts = [f"<h1>{words['title']}</h1><p>{words['other']}</p>"]
    parts.append(f"<p>{words['hotline']}<strong>{escape(described.hotline)}</strong></p>")
    for name, items in (("facts", described.facts), ("functions", described.functions)):
        parts.append(_section(words[name], (_line(item, language, _offers(item, language)) for item in items)))
    uses = []
    for use in described.uses:
        note = use.note_zh if language == "zh" else use.note_en
        uses.append(_line(use, language, escape(note) if use.state is State.NOT_YET else _offers(use, language)))
    parts.append(_section(words["uses"], uses))
    told = {item.line for item in described.items()}
    named = (
        f'<li value="{line}">{escape(zh if language == "zh" else en)}</li>'
        for line, zh, en in services
        if line not in told
    )
    parts.append(_section(words["services"], named))
    channels = []
    for channel in described.channels:
        address = addresses.get(channel.channel)
        where = words["no_address"] if address is None else escape(address)
        if address is not None and is_link(address):
            where = f'<a href="{escape(address)}">{where}</a>'
        channels.append(_line(channel, language, where))
    parts.append(_section(words["channels"], channels))
    parts.append(f'<p><a href="v1/service-points">{words["points"]}</a></p>')
    return page(words["title"], "".join(parts), language)


def _section(title: str, lines: Iterable[str]) -> str:
    return f"<section><h2>{title}</h2><ol>{''.join(lines)}</ol></section>"


def _line(item: Item, language: Language, more: str) -> str:
    text = escape(item.zh if language == "zh" else item.en)
    return f'<li value="{item.line}">{text}{f" <small>{more}</small>" if more else ""}</li>'


def _offers(item: Item, language: Language) -> str:
    links = (f'<a href="docs#{escape(name)}"><code>{escape(name)}</code></a>' for name in item.offers)
    return _WORDS[language]["how"] + " ".join(links) if item.offers else ""
