"""From links to the answers of their routes: nothing in them that a channel must not know."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ecard_card import jose
from ecard_card.card import HolderProof
from ecard_issuer.answers import Json
from ecard_issuer.issue import IssuedCredential
from ecard_issuer.links.claiming import Claimed, OpenClaim
from ecard_issuer.links.identifying import Identified
from ecard_issuer.links.links import Code, LinkState
from ecard_issuer.links.providers import KnownProvider
from ecard_issuer.links.relatives import Relative
from ecard_issuer.links.values import Link
from ecard_verifier.verdict import rfc3339


def identified_answer(found: Identified) -> Json:
    """An `IdentificationAnswer`."""
    return {
        "identification_id": found.row.identification_id,
        "expires_at": rfc3339(found.row.expires_at),
        "cards": [
            {
                "card": card.handle,
                "region": card.region,
                "card_number": card.number_masked,
                "claimable": bool(card.proofs),
                "proofs": _labels(card.proofs),
                "has_ecard": card.has_ecard,
                "linked": card.linked,
            }
            for card in found.cards
        ],
    }


def claim_answer(opened: OpenClaim) -> Json:
    """A `ClaimAnswer`."""
    row = opened.row
    identity = row.proof is HolderProof.IDENTITY
    return {
        "claim_id": row.claim_id,
        "proof": row.proof.label,
        "challenge": None if opened.challenge is None else opened.challenge.hex(),
        "nonce": row.nonce if identity else None,
        "expires_at": rfc3339(row.expires_at),
    }


def claimed_answer(done: Claimed) -> Json:
    """A `ClaimedAnswer`."""
    return {
        "link_id": done.link.link_id,
        "level": 1,
        "holder_proof": done.link.proof.label,
        "claimed_at": rfc3339(done.link.claimed_at),
        "credential": None if done.issued is None else credential_answer(done.issued),
    }


def credential_answer(issued: IssuedCredential) -> Json:
    """A `LinkCredential`: for the holder's own device."""
    return {
        "credential_id": issued.credential_id.hex(),
        "sd_jwt": issued.sd_jwt,
        "cwt": jose.b64url_encode(issued.cwt),
        "chip_assurance": issued.assurance.label,
        "expires_at": rfc3339(issued.expires_at),
    }


def link_answer(state: LinkState) -> Json:
    """A `LinkAnswer`."""
    link = state.link
    return {
        "link_id": link.link_id,
        "level": int(state.level),
        "status": state.status.name.lower(),
        "usable": state.usable,
        "holder_proof": link.proof.label,
        "region": state.region,
        "name": state.name_masked,
        "card_number": state.card_masked,
        "password_set": state.password_set,
        "codes_ahead": state.codes_ahead,
        "claimed_at": rfc3339(link.claimed_at),
        **ended_answer(link),
    }


def ended_answer(link: Link) -> Json:
    """The end of a link, if it has one."""
    return {
        "ended_at": rfc3339(link.ended_at) if link.ended_at else None,
        "end": link.end.value if link.end else None,
    }


def codes_answer(codes: Sequence[Code]) -> Json:
    """A `CodesAnswer`."""
    return {"codes": [code_answer(code) for code in codes]}


def code_answer(code: Code) -> Json:
    """A `CodeAnswer`."""
    return {"code": code.text, "good_from": rfc3339(code.good_from), "good_until": rfc3339(code.good_until)}


def relatives_answer(relatives: Sequence[Relative]) -> Json:
    """A `RelativesAnswer`."""
    return {
        "data": [
            {
                "relative_id": one.relative_id,
                "relation": one.relation.value,
                "name": one.name_masked,
                "region": one.region,
                "by_guardian": one.by_guardian,
                "until": rfc3339(one.until) if one.until else None,
            }
            for one in relatives
        ]
    }


def held_link_answer(link: Link) -> Json:
    """A `HeldLink`: as a clerk sees it."""
    return {
        "link_id": link.link_id,
        "app_id": link.app_id,
        "holder_proof": link.proof.label,
        "claimed_at": rfc3339(link.claimed_at),
        **ended_answer(link),
    }


def provider_answer(known: KnownProvider) -> Json:
    """An `IdentityProviderAnswer`."""
    return {
        **known.provider.to_json(),
        "changed_by": known.changed_by,
        "changed_at": rfc3339(known.changed_at),
        "removed_at": rfc3339(known.removed_at) if known.removed_at else None,
    }


def _labels(proofs: Collection[HolderProof]) -> list[str]:
    return [proof.label for proof in sorted(proofs)]
