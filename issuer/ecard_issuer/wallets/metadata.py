"""What a wallet reads first: the credential issuer's metadata (OpenID4VCI 1.0 §12.2), its authorization server's (RFC
8414), and the type metadata of our credentials (draft-ietf-oauth-sd-jwt-vc-25 §4). All from the configured origin.
"""

from __future__ import annotations

from typing import Final

from ecard_card.credential import card_type
from ecard_issuer.wallets.offers import CONFIGURATION, PRE_AUTHORIZED
from ecard_issuer.wallets.values import BATCH_SIZE

Json = dict[str, object]

_NAMES: Final = (("en-US", "Social security card"), ("zh-CN", "社会保障卡"))
_ABOUT: Final = (
    ("en-US", "The electronic twin of one physical social security card"),
    ("zh-CN", "与实体社会保障卡一一对应的电子社保卡"),
)
#: Claims by path: English, Chinese, whether it is always there, and how it is disclosed.
_CLAIMS: Final = (
    ("name", "Name", "姓名", True, "always"),
    ("birthdate", "Date of birth", "出生日期", False, "always"),
    ("personal_administrative_number", "Social security number", "社会保障号码", True, "always"),
    ("card_number", "Card number", "社会保障卡卡号", True, "always"),
    ("expiry_date", "Valid until", "有效期限", True, "always"),
    ("chip_ref", "Reference of the chip", "芯片参考号", True, "always"),
    ("card_issuing_region", "Region of issue", "发卡地区", True, "never"),
    ("chip_assurance", "How the chip was proven", "芯片核验方式", True, "never"),
)


def authorization_server(origin: str) -> str:
    """The identifier of the authorization server for wallets."""
    return f"{origin}/wallets"


def issuer_metadata(origin: str, name: str) -> Json:
    """Of the credential issuer `origin`, called `name`."""
    wallets = authorization_server(origin)
    return {
        "credential_issuer": origin,
        "authorization_servers": [wallets],
        "credential_endpoint": f"{wallets}/credential",
        "nonce_endpoint": f"{wallets}/nonce",
        "deferred_credential_endpoint": f"{wallets}/deferred",
        "notification_endpoint": f"{wallets}/notification",
        "batch_credential_issuance": {"batch_size": BATCH_SIZE},
        "display": [{"name": name, "locale": locale} for locale, _ in _NAMES],
        "credential_configurations_supported": {
            CONFIGURATION: {
                "format": "dc+sd-jwt",
                "vct": card_type(origin),
                "scope": CONFIGURATION,
                "cryptographic_binding_methods_supported": ["jwk"],
                "credential_signing_alg_values_supported": ["ES256"],
                "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
                "credential_metadata": {
                    "display": [
                        {"name": text, "locale": locale, "description": about}
                        for (locale, text), (_, about) in zip(_NAMES, _ABOUT, strict=True)
                    ],
                    "claims": [
                        {
                            "path": [claim],
                            "mandatory": always,
                            "display": [{"name": en, "locale": "en-US"}, {"name": zh, "locale": "zh-CN"}],
                        }
                        for claim, en, zh, always, _ in _CLAIMS
                    ],
                },
            }
        },
    }


def server_metadata(origin: str) -> Json:
    """Of the authorization server for wallets."""
    wallets = authorization_server(origin)
    return {
        "issuer": wallets,
        "authorization_endpoint": f"{wallets}/authorize",
        "token_endpoint": f"{wallets}/token",
        "pushed_authorization_request_endpoint": f"{wallets}/par",
        "require_pushed_authorization_requests": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", PRE_AUTHORIZED],
        "pre-authorized_grant_anonymous_access_supported": True,
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": ["openid_credential"],
        "scopes_supported": [CONFIGURATION],
        "ui_locales_supported": ["en", "zh"],
    }


def type_metadata(origin: str) -> Json:
    """Of the `vct` that our credentials name."""
    return {
        "vct": card_type(origin),
        "name": "Social security card",
        "description": _ABOUT[0][1],
        "extends": general_type(origin),
        "display": [
            {"locale": locale, "name": text, "description": about}
            for (locale, text), (_, about) in zip(_NAMES, _ABOUT, strict=True)
        ],
        "claims": [
            {
                "path": [claim],
                "display": [{"locale": "en-US", "label": en}, {"locale": "zh-CN", "label": zh}],
                "mandatory": always,
                "sd": disclosed,
            }
            for claim, en, zh, always, disclosed in _CLAIMS
        ],
    }


def general_type(origin: str) -> str:
    """The more general type that our credentials name too (`aka_vcts`)."""
    return f"{origin}/vct/ecard/1"


def general_type_metadata(origin: str) -> Json:
    """Of that type: no claims of its own."""
    return {
        "vct": general_type(origin),
        "name": "E-card",
        "description": "An electronic card that is bound one to one to a physical one",
        "display": [
            {"locale": "en-US", "name": "E-card"},
            {"locale": "zh-CN", "name": "电子卡"},
        ],
    }
