"""Status lists, issuer metadata and the offline bundle, as a verifier reads them."""

from __future__ import annotations

import pytest

from ecard_card.errors import NotFound
from ecard_card.status import CardChange, EcardStatus
from ecard_issuer.publishing.publisher import Form
from ecard_keys.key import KeyPurpose
from ecard_verifier.bundle import open_bundle
from ecard_verifier.statuses import accept_status_token
from tests.issuer.service import ORIGIN, Service
from tests.issuer.test_dispatch import issue


@pytest.mark.parametrize("form", list(Form))
def test_a_status_list_says_what_the_register_says(service: Service, form: Form) -> None:
    issuer = service.issuer
    card_ref, _ = issue(service, 1)
    (credential,) = issuer.register.credentials_of(card_ref)
    for change, value in ((None, 0), (CardChange.REPORT_LOSS, 2), (CardChange.RELEASE, 0), (CardChange.CANCEL, 1)):
        if change is not None:
            issuer.lifecycle.change(card_ref, change, service.clock.advance(1))
        document = issuer.publisher.status_list(credential.list_id, form, service.clock())
        body = document.body.decode() if form is Form.JWT else document.body
        token = accept_status_token(body, issuer.keys.trust(service.clock()), service.clock())
        assert token.uri == f"{ORIGIN}/status-lists/{credential.list_id}"
        assert token.statuses.get(credential.index) == EcardStatus(value)
        assert (token.ttl, token.expires_at - token.issued_at) == (60, 86400)


def test_a_list_is_signed_anew_only_when_something_changed_or_it_grows_old(service: Service) -> None:
    publisher = service.issuer.publisher
    card_ref, _ = issue(service, 1)
    number = service.issuer.register.credentials_of(card_ref)[0].list_id
    first = publisher.status_list(number, Form.JWT, service.clock())
    assert publisher.status_list(number, Form.JWT, service.clock.advance(60)) == first
    service.issuer.lifecycle.change(card_ref, CardChange.REPORT_LOSS, service.clock())
    second = publisher.status_list(number, Form.JWT, service.clock())
    assert second.etag != first.etag
    assert publisher.status_list(number, Form.JWT, service.clock.advance(3600)).etag != second.etag


def test_a_promoted_status_key_signs_the_next_answer(service: Service) -> None:
    issuer = service.issuer
    card_ref, _ = issue(service, 1)
    number = issuer.register.credentials_of(card_ref)[0].list_id
    issuer.publisher.status_list(number, Form.JWT, service.clock())
    made = issuer.keys.create_next(KeyPurpose.STATUS, service.clock())
    issuer.keys.promote(made.kid, service.clock.advance(1))
    body = issuer.publisher.status_list(number, Form.JWT, service.clock()).body.decode()
    assert accept_status_token(body, issuer.keys.trust(service.clock()), service.clock()).kid == made.kid


def test_a_list_that_does_not_exist_is_not_found(service: Service) -> None:
    with pytest.raises(NotFound, match="status_list_unknown"):
        service.issuer.publisher.status_list(7, Form.JWT, service.clock())


def test_the_bundle_opens_with_the_pinned_root_and_holds_every_list(service: Service) -> None:
    issue(service, 1)
    issuer = service.issuer
    bundle = open_bundle(issuer.publisher.bundle(service.clock()).body, service.clock(), issuer.keys.root())
    assert bundle.root_pinned
    assert len(bundle.statuses) == len(issuer.register.status_lists()) >= 1


def test_jwt_vc_issuer_names_credential_keys_and_nothing_private(service: Service) -> None:
    metadata = service.issuer.publisher.jwt_vc_issuer()
    assert metadata["issuer"] == ORIGIN
    jwks = metadata["jwks"]
    assert isinstance(jwks, dict)
    assert [key["kid"] for key in jwks["keys"]] == [service.issuer.keys.active(KeyPurpose.CREDENTIAL).kid]
    assert all("d" not in key for key in jwks["keys"])
