"""The pages of a login: the QR code, the number, and how it ended; in Chinese or English, readable at arm's length.

They work without a script. The one that there is loads the page again when there is something new; no script and no
style stands in a page itself.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final, Protocol

from fastapi.responses import HTMLResponse, Response

from ecard_card.messages import Language
from ecard_issuer.login.desk import Seen
from ecard_issuer.login.registration import origin_of
from ecard_qr import picture

_WORDS: Final = {
    "zh": {
        "ecard": "电子社保卡",
        "title": "扫码登录",
        "into": "登录到“{name}”",
        "other": "English",
        "step1": "打开手机上已领取电子社保卡的 App。",
        "step2": "用 App 里的“扫一扫”对准本页的二维码。",
        "step3": "在手机上选出这里随后显示的数字，并确认登录。",
        "turns": "二维码每 40 秒自动更换。",
        "warn": "请只扫您自己正在使用的这台电脑上的二维码。"
        "别人发来的二维码或截图不要扫：一扫，就是让对方用您的身份登录。",
        "scanned": "“{app}”已扫码",
        "choose": "请在手机上选择这个数字：",
        "same": "数字对不上，或者不是您本人扫的码？请按“取消登录”。",
        "cancel": "取消登录",
        "back": "返回网站",
        "expired": "时间到了，没有登录",
        "expired_more": "请返回网站，重新登录。",
        "denied": "您在手机上拒绝了登录",
        "denied_more": "如需登录，请返回网站重新开始。",
        "cancelled": "登录已取消",
        "cancelled_more": "如需登录，请返回网站重新开始。",
        "killed": "为了安全，本次登录已终止",
        "killed_more": "二维码被扫了两次，或者手机上选的数字不对。如果不是您本人操作，请不要再扫别人给的二维码。",
        "collected": "登录已完成",
        "collected_more": "请回到网站的页面继续。",
        "confirmed": "已确认，正在返回网站……",
        "unknown": "找不到这次登录",
        "unknown_more": "页面可能已过期，或是在另一个浏览器里打开的。请回到网站重新登录。",
        "unsafe": "网站的登录请求有误",
        "unsafe_more": "为了您的安全，没有继续。请联系该网站。",
        "link": "这是登录用的二维码",
        "link_more": "手机自带的相机不能用它登录。请打开已领取电子社保卡的 App，用里面的“扫一扫”，"
        "并且只扫您自己正在使用的电脑上的二维码。",
    },
    "en": {
        "ecard": "e-card",
        "title": "Scan to log in",
        "into": "Log in to {name}",
        "other": "中文",
        "step1": "On your phone, open the app that holds your electronic social security card.",
        "step2": "Use the scanner inside that app on this QR code.",
        "step3": "On the phone, choose the number that appears here, and confirm.",
        "turns": "The code changes by itself every 40 seconds.",
        "warn": "Scan only the code on the computer that you are using yourself. Never scan one that somebody sent"
        " you: it would log them in as you.",
        "scanned": "Scanned by {app}",
        "choose": "On your phone, choose this number:",
        "same": "Another number on the phone, or did you not scan this? Cancel the login.",
        "cancel": "Cancel",
        "back": "Back to the site",
        "expired": "Time is up: nobody was logged in",
        "expired_more": "Go back to the site and log in again.",
        "denied": "You refused this login on your phone",
        "denied_more": "To log in after all, go back to the site and begin again.",
        "cancelled": "The login was cancelled",
        "cancelled_more": "To log in after all, go back to the site and begin again.",
        "killed": "This login was ended for your safety",
        "killed_more": "The code was scanned twice, or another number was chosen on the phone. If that was not you,"
        " scan no code that somebody gives you.",
        "collected": "You are logged in",
        "collected_more": "Go on at the site's own page.",
        "confirmed": "Confirmed. Taking you back to the site…",
        "unknown": "There is no such login",
        "unknown_more": "The page may be too old, or was opened in another browser. Go back to the site and log in"
        " again.",
        "unsafe": "The site's request makes no sense",
        "unsafe_more": "For your safety it goes no further. Please tell the site.",
        "link": "This code is for logging in",
        "link_more": "The phone's own camera cannot log you in with it. Open the app that holds your electronic social"
        " security card, use the scanner inside it, and scan only the code on the computer that you are using"
        " yourself.",
    },
}
_ENDS: Final = ("expired", "denied", "cancelled", "killed", "collected")


class Named(Protocol):
    """A site, or an app."""

    @property
    def name_zh(self) -> str: ...

    @property
    def name_en(self) -> str: ...


def login_page(seen: Seen, transaction_id: str, language: Language) -> HTMLResponse:
    """What the browser of this attempt is shown."""
    words = _WORDS[language]
    name = _name(seen.service, language)
    place = f"/login/wait/{transaction_id}"
    if seen.state in _ENDS:
        body = f"<h1>{words[seen.state]}</h1><p>{words[f'{seen.state}_more']}</p>"
        if seen.back is not None:
            body += f'<p class="acts"><a class="button" href="{escape(seen.back)}">{words["back"]}</a></p>'
        return _page(words["title"], f"<main>{body}</main>", language, place)
    head = f'<h1>{escape(words["into"].format(name=name))}</h1><p class="host">{escape(seen.host)}</p>'
    if seen.qr is not None:
        steps = "".join(f"<li>{words[step]}</li>" for step in ("step1", "step2", "step3"))
        inside = (
            f'<div class="scan"><div class="code" role="img" aria-label="{words["title"]}">{picture.svg(seen.qr)}</div>'
            f'<div><ol>{steps}</ol><p>{words["turns"]}</p></div></div><p class="warn">{words["warn"]}</p>'
        )
    elif seen.number is not None:
        app = escape(words["scanned"].format(app=_name(seen.app, language)))
        inside = (
            f'<div role="status"><p><strong>{app}</strong><br>{words["choose"]}</p>'
            f'<p class="number">{seen.number}</p></div><p class="warn">{words["same"]}</p>'
        )
    else:
        inside = f'<p role="status">{words["confirmed"]}</p>'
    cancel = (
        f'<div class="acts"><form method="post" action="{place}/cancel"><button>{words["cancel"]}</button></form></div>'
    )
    main = f'<main data-state="{place}/state" data-version="{escape(seen.version)}">{head}{inside}{cancel}</main>'
    registration = seen.service.login
    sites = () if registration is None else (origin_of(registration.redirect_uris[0]),)
    return _page(words["title"], main, language, place, live=True, form_to=sites)


def plain_page(kind: str, language: Language, status: int = 200, detail: str = "") -> HTMLResponse:
    """A page that belongs to no attempt: `unknown`, `unsafe` or `link`. `detail` is for a developer."""
    words = _WORDS[language]
    more = f'<p><small lang="en">{escape(detail)}</small></p>' if detail else ""
    main = f"<main><h1>{words[kind]}</h1><p>{words[kind + '_more']}</p>{more}</main>"
    page = _page(words["title"], main, language, "")
    page.status_code = status
    return page


def asset(name: str) -> Response:
    """The style sheet or the script, named by their content: an old copy never meets a new page."""
    media_type = "text/css" if name.endswith(".css") else "text/javascript"
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_content(name), media_type=media_type, headers=headers)


@cache
def asset_name(name: str) -> str:
    """Its address below `/login/`."""
    digest = hashlib.sha256(_content(name)).digest()
    stem, _, ending = name.partition(".")
    return f"{stem}-{base64.b32encode(digest[:5]).decode().lower()}.{ending}"


@cache
def _content(name: str) -> bytes:
    return files("ecard_issuer.web").joinpath(name).read_bytes()


def _page(
    title: str, main: str, language: Language, place: str, *, live: bool = False, form_to: tuple[str, ...] = ()
) -> HTMLResponse:
    words = _WORDS[language]
    other = "en" if language == "zh" else "zh"
    switch = f'<a href="{place}?lang={other}" lang="{other}" hreflang="{other}">{words["other"]}</a>' if place else ""
    script = f'<script src="/login/{asset_name(SCRIPT)}" defer></script>' if live else ""
    again = '<noscript><meta http-equiv="refresh" content="3"></noscript>' if live else ""
    forms = " ".join(("'self'", *form_to)) if live else "'none'"  # a cancelled login goes on to the site
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action {forms}"
    )
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f'<link rel="stylesheet" href="/login/{asset_name(STYLE)}">{again}{script}</head>'
        f"<body><header><b>{words['ecard']} · {words['title']}</b>{switch}</header>{main}</body></html>",
        headers={"Content-Security-Policy": policy, "Content-Language": language, "Vary": "Accept-Language, Cookie"},
    )


def _name(of: Named | None, language: Language) -> str:
    return "" if of is None else of.name_zh if language == "zh" else of.name_en


STYLE: Final = "login_page.css"
SCRIPT: Final = "login_page.js"
