"""The page on which a person proves themself to have their e-card put into a wallet: plain HTML, English or Chinese, no
script, in no frame."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse

from ecard_card.messages import Language
from ecard_issuer.wallets.authorization import Asked

_STYLE: Final = (
    "body{font:18px/1.5 system-ui,sans-serif;max-width:30rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "label{display:block;margin:1em 0 .2em;font-weight:600}"
    "input{font:inherit;width:100%;box-sizing:border-box;padding:.5em;border:1px solid #52525b;border-radius:6px}"
    "button{font:inherit;padding:.6em 1.2em;margin:1.2em .8em 0 0;border-radius:6px;border:1px solid #1f5faa}"
    "button.yes{background:#1f5faa;color:#fff}.wrong{border-left:4px solid #b91c1c;padding-left:.8em}"
    "small{color:#52525b}"
    "@media(prefers-color-scheme:dark){body{background:#18181b;color:#e4e4e7}small{color:#a1a1aa}"
    "input{background:#27272a;color:#e4e4e7}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_WORDS: Final = {
    "en": {
        "title": "Your e-card in a wallet",
        "asks": "{wallet} asks for your electronic social security card. It would hold: name, date of birth, social"
        " security number, card number, last day, region. You show each of them yourself, one by one.",
        "back": "You go back to: ",
        "digits": "The 6 digits that the desk told you",
        "number": "Social security number",
        "pin": "PIN of the card (6 digits)",
        "careful": "Go on only if you started this yourself, in that wallet, on this device. Nobody from an authority"
        " or a bank ever asks you to do this for them.",
        "yes": "Put it into the wallet",
        "no": "No, stop",
        "wrong_digits": "That did not match, or the offer is over. After five wrong tries the desk makes a new offer.",
        "wrong_pin": "Number and PIN do not match, or there is nothing that can be issued this way. After three wrong"
        " PINs the PIN is locked; a desk unlocks it.",
        "over": "This page is over",
        "start": "Start again in your wallet. Nothing was issued.",
    },
    "zh": {
        "title": "将电子社保卡存入钱包",
        "asks": "“{wallet}”请求存入您的电子社会保障卡，内容包括姓名、出生日期、社会保障号码、卡号、有效期限和发卡地区。"
        "每一项都由您本人逐项出示。",
        "back": "完成后将返回：",
        "digits": "服务窗口告知您的6位数字",
        "number": "社会保障号码",
        "pin": "社保卡密码（6位数字）",
        "careful": "请确认是您本人在本设备的该钱包中发起。任何机关或银行工作人员都不会要求您代为操作。",
        "yes": "存入钱包",
        "no": "不同意，停止",
        "wrong_digits": "数字不符，或该邀约已失效。输错五次后，请到服务窗口重新办理。",
        "wrong_pin": "号码与密码不符，或无法以此方式签发。密码连续输错三次将被锁定，须到服务窗口解锁。",
        "over": "本页面已失效",
        "start": "请在钱包中重新开始。尚未签发任何内容。",
    },
}


def proof_page(asked: Asked, request_uri: str, language: Language, *, wrong: bool) -> HTMLResponse:
    """The form; `wrong` says that what was typed did not fit."""
    words = _WORDS[language]
    back = urlsplit(asked.request.redirect_uri)
    parts = [f"<h1>{words['title']}</h1><p>{escape(words['asks'].format(wallet=asked.wallet))}</p>"]
    parts.append(f"<p><small>{words['back']}{escape(back.hostname or back.scheme)}</small></p>")
    if wrong:
        text = words["wrong_digits" if asked.by_offer else "wrong_pin"]
        parts.append(f'<p class="wrong" role="alert">{text}</p>')
    parts.append('<form method="post" action="authorize" autocomplete="off">')
    hidden = {"request_uri": request_uri, "form_token": asked.form_token, "lang": language}
    parts += [f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in hidden.items()]
    if asked.by_offer:
        parts.append(
            _field("digits", words["digits"], 'inputmode="numeric" autocomplete="one-time-code" maxlength="6"')
        )
    else:
        parts.append(_field("number", words["number"], 'maxlength="18" autocapitalize="characters"'))
        parts.append(_field("pin", words["pin"], 'type="password" inputmode="numeric" maxlength="6"'))
    parts.append(f"<p><small>{words['careful']}</small></p>")
    parts.append(f'<button class="yes" name="answer" value="yes">{words["yes"]}</button>')
    parts.append(f'<button name="answer" value="no" formnovalidate>{words["no"]}</button></form>')
    return _page(
        words["title"], "".join(parts), language, 400 if wrong else 200, _may_go_to(asked.request.redirect_uri)
    )


def over_page(language: Language) -> HTMLResponse:
    """What is shown where nobody can be sent on."""
    words = _WORDS[language]
    return _page(words["over"], f"<h1>{words['over']}</h1><p>{words['start']}</p>", language, 400, "")


def _field(name: str, label: str, rest: str) -> str:
    return f'<label for="{name}">{label}</label><input id="{name}" name="{name}" required {rest}>'


def _may_go_to(redirect_uri: str) -> str:
    """Where a form of this page may lead: browsers apply `form-action` to the redirect after it too."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("https", "http") else f"{parts.scheme}:"


def _page(title: str, body: str, language: Language, status: int, target: str) -> HTMLResponse:
    policy = (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none';"
        f" form-action 'self' {target}; style-src 'sha256-{_STYLE_HASH}'"
    )
    return HTMLResponse(
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{body}</main></body></html>",
        status,
        headers={
            "Content-Security-Policy": policy,
            "Content-Language": language,
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )
