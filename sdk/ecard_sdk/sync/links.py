# Made from ecard_sdk/aio by `python -m tests.sdk.make_sync`: change that one.
"""Links: the state of each, codes, the password, payment, a loss, release."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TypeVar

from ecard_sdk.channel_models import Told, each
from ecard_sdk.core.call import Call, link_path, reference
from ecard_sdk.holder import Device
from ecard_sdk.links_models import Code, Link, LinkedCredential, LinkLevel, Loss, PasswordSet, Released
from ecard_sdk.sync.pages import Pages
from ecard_sdk.sync.relatives import Relatives
from ecard_sdk.sync.run import Run

T = TypeVar("T", bound=Told)


class Links:
    """The links of this app, and of no other. `acting` names the ground on which somebody acts for the holder: `ground`
    and `mandate_id`. `issuer` is the authority's own URL, which a device's proofs are made out to."""

    def __init__(self, run: Run, issuer: str) -> None:
        self._run, self._issuer = run, issuer
        self.relatives = Relatives(run)

    def list(self, *, limit: int = 50) -> Pages[Link]:
        """All of them, ended ones too, `limit` to a page."""
        return Pages(self._run, "/v1/links", Link, {"limit": str(limit)})

    def get(self, link_id: str) -> Link:
        """Its state now. `NotFoundError` `link_unknown`: also for another app's."""
        return self._run(Call("GET", link_path(link_id), Link.of))

    def codes(
        self,
        link_id: str,
        count: int = 1,
        *,
        business_type: str | None = None,
        password: str | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[Code, ...]:
        """Codes that follow each other, made by the authority: 60 seconds each, good once.

        More than one where the region permits it (`Link.codes_ahead`). `business_type` 02 and 04 (payment, medical care
        elsewhere) want level 2 and the e-card `password`.
        """
        given = {"count": count, "business_type": business_type, "password": password}
        call = Call(
            "POST",
            link_path(link_id, "codes"),
            lambda reply: each(reply, "codes", Code),
            {name: value for name, value in given.items() if value is not None},
            changes=True,
            idempotency_key=idempotency_key,
        )
        return self._run(call)

    def add_device(self, link_id: str, device: Device, *, idempotency_key: str | None = None) -> LinkedCredential:
        """A credential for a device of the holder: hand its `cwt` to `Device.keep`.

        The same device has the same one while it is good, and another one afterwards. Of more than five devices the
        oldest gives way.
        """
        body = {"device_key": device.key.public_jwk, "proof": device.proof(self._issuer, link_id)}
        path = link_path(link_id, "credentials")
        call = Call("POST", path, LinkedCredential.of, body, changes=True, idempotency_key=idempotency_key)
        return self._run(call)

    def successor(
        self, link_id: str, credential_id: bytes, device: Device, *, idempotency_key: str | None = None
    ) -> LinkedCredential:
        """What replaced a device's credential, after the authority's key or the holder's card was replaced; the old one
        ends with this.

        `ConflictError` `credential_not_replaced`: keep the old one. `RefusedError` `enrolment_not_proven`: the new
        card's chip was not proven yet. `NotFoundError` `credential_unknown`: use `add_device`.
        """
        old = credential_id.hex()
        path = link_path(link_id, f"credentials/{reference(old)}/successor")
        body = {"proof": device.proof(self._issuer, old)}
        call = Call("POST", path, LinkedCredential.of, body, changes=True, idempotency_key=idempotency_key)
        return self._run(call)

    def release(
        self,
        link_id: str,
        *,
        everywhere: bool = False,
        password: str | None = None,
        idempotency_key: str | None = None,
    ) -> Released:
        """解除关联: the link ends, and its credentials with it. Released before, it stays so.

        `everywhere`: in all apps, by the wish of the holder, who types the e-card `password`.
        """
        body = {"everywhere": everywhere, "password": password} if everywhere else {}
        return self._change(link_id, "release", Released, body, idempotency_key)

    def set_password(
        self,
        link_id: str,
        password: str,
        *,
        old_password: str | None = None,
        card_pin: str | None = None,
        acting: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> PasswordSet:
        """The first e-card password, or with `old_password` another one: six digits, one for all apps."""
        body = {"password": password, "old_password": old_password, "card_pin": card_pin, "acting": acting}
        return self._change(link_id, "password", PasswordSet, body, idempotency_key)

    def open_payment(
        self,
        link_id: str,
        password: str,
        *,
        consent: str,
        acting: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> LinkLevel:
        """二级签发: payment and settlement, for the e-card in all apps. `consent` names the text that was agreed to."""
        body = {"password": password, "consent": consent, "acting": acting}
        return self._change(link_id, "payment", LinkLevel, body, idempotency_key)

    def close_payment(
        self, link_id: str, *, acting: Mapping[str, str] | None = None, idempotency_key: str | None = None
    ) -> LinkLevel:
        """Identity use goes on. Closed before, it stays so."""
        return self._change(link_id, "payment/close", LinkLevel, {"acting": acting}, idempotency_key)

    def report_loss(
        self,
        link_id: str,
        *,
        way: str = "app",
        request_id: str | None = None,
        acting: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Loss:
        """临时挂失: card and e-card stop at every counter, in every app, within a second. `way` says what kind of
        channel the app is; a `request_id` of one's own makes the report the same one whenever it is asked again."""
        body = {"request_id": request_id or uuid.uuid4().hex, "way": way, "acting": acting}
        return self._change(link_id, "losses", Loss, body, idempotency_key)

    def release_loss(
        self,
        link_id: str,
        *,
        way: str = "app",
        request_id: str | None = None,
        acting: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Loss:
        """解挂: the card was found. `RefusedError` `release_not_permitted` where the region wants a desk to do it."""
        body = {"request_id": request_id or uuid.uuid4().hex, "way": way, "acting": acting}
        return self._change(link_id, "losses/release", Loss, body, idempotency_key)

    def _change(self, link_id: str, verb: str, model: type[T], body: Mapping[str, object], key: str | None) -> T:
        given = {name: value for name, value in body.items() if value is not None}
        call = Call("POST", link_path(link_id, verb), model.of, given, changes=True, signed=True, idempotency_key=key)
        return self._run(call)
