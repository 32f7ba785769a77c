"""Who stands behind a link, and what they showed: a signature of the device key that the authority bound to their
e-card, the e-card password, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from ecard_card import login_proof
from ecard_card.errors import CheckFailed, RuleViolation
from ecard_card.status import EcardStatus
from ecard_issuer.ecards import Ecard
from ecard_issuer.links.values import Link
from ecard_issuer.login.assurance import DeviceProof, Proven
from ecard_issuer.pins.secret import Secret
from ecard_issuer.rows import CredentialRow
from ecard_issuer.states import CredentialState
from ecard_keys.key import DEVICE_USER_ID
from ecard_keys.trust.trust import Trust
from ecard_keys.verify import load_public_key, verify
from ecard_verifier.callers import Caller
from ecard_verifier.check import check_credential
from ecard_verifier.policy import ONLINE_POLICY

#: What stands in our own register is a test card only where every card is one.
_POLICY: Final = replace(ONLINE_POLICY, accept_test=True)


class LinkedEcards(Protocol):
    """The links of channels."""

    def get(self, app_id: str, link_id: str) -> Link:
        """Raises `NotFound` `link_unknown`, for another channel's link too."""
        ...

    def usable(self, link: Link, now: datetime) -> Ecard:
        """The e-card of a live link, if it may be used. Raises `RuleViolation` `link_released`, `ecard_ended`,
        `ecard_not_usable`."""
        ...

    def bound_by_link_alone(self, ecard_id: str, device_thumbprint: bytes) -> bool:
        """Whether the key has its credential without its holder being proven for it."""
        ...


class Passwords(Protocol):
    """E-card passwords."""

    def verify(self, ecard_id: str, password: Secret, caller: Caller, now: datetime) -> object:
        """Return if it is the password; raises with a code that says why not."""
        ...


class CredentialRegister(Protocol):
    """The part of the register that judging a device key needs."""

    def find_credential(self, credential_id: bytes) -> CredentialRow | None: ...

    def status_value(self, list_id: int, index: int) -> EcardStatus | None: ...


class Holders:
    """Judges what is shown. `trust` is whom the authority itself believes."""

    def __init__(
        self,
        links: LinkedEcards,
        register: CredentialRegister,
        passwords: Passwords,
        trust: Callable[[datetime], Trust],
    ) -> None:
        self._links = links
        self._register = register
        self._passwords = passwords
        self._trust = trust

    def behind(self, app_id: str, link_id: str, now: datetime) -> Ecard:
        """The usable e-card behind a link. Raises as `LinkedEcards`; `RuleViolation` `mandate_out_of_scope` for a link
        that somebody who acts for the holder has devices under: a site is told that the holder is there."""
        link = self._links.get(app_id, link_id)
        ecard = self._links.usable(link, now)
        if link.mandate_id is not None:
            raise RuleViolation("mandate_out_of_scope", "this link was claimed on a mandate, which logs nobody in")
        return ecard

    def device(
        self, ecard: Ecard, proof: str, number: str, client_id: str, request_id: str, now: datetime
    ) -> DeviceProof:
        """What was proven when the key that signed `proof` was bound to this e-card.

        Raises `InvalidInput` as `login_proof.parse`, `CheckFailed` `login_proof_wrong` (whosever credential it names:
        nothing tells a stranger that there is one), `suspended`, `ended`, and the reasons of a verdict.
        """
        said = login_proof.parse(proof, client_id=client_id, request_id=request_id, now=int(now.timestamp()))
        row = self._register.find_credential(said.credential_id)
        if row is None or row.ecard_id != ecard.ecard_id or said.number != number:
            raise CheckFailed("login_proof_wrong", "not by a credential of this e-card, or about another number")
        issued = check_credential(row.cwt, self._trust(now), now, _POLICY)
        key = load_public_key(issued.device_key, issued.device_algorithm, DEVICE_USER_ID)
        fits = said.jws.algorithm == issued.device_algorithm
        if not fits or not verify(key, said.jws.signing_input, said.jws.signature):
            raise CheckFailed("login_proof_wrong", "not signed by the device key of this credential")
        if row.state is not CredentialState.LIVE:
            raise CheckFailed("ended", "this credential was given up")
        match self._register.status_value(row.list_id, row.index):
            case EcardStatus.VALID:
                alone = self._links.bound_by_link_alone(ecard.ecard_id, row.device_key_thumbprint)
                return DeviceProof(issued.assurance, issued.holder_proof, holder_there=not alone)
            case EcardStatus.SUSPENDED:
                raise CheckFailed("suspended", "the credential is suspended")
            case _:
                raise CheckFailed("ended", "the credential has ended")

    def prove(
        self,
        ecard: Ecard,
        *,
        proof: str | None,
        password: Secret | None,
        number: str,
        client_id: str,
        request_id: str,
        caller: Caller,
        now: datetime,
    ) -> Proven:
        """What was shown. The proof is judged first: who has no key does not get to try passwords. Raises as `device`,
        as `Passwords.verify`, and `RuleViolation` `login_proof_missing`."""
        if proof is None and password is None:
            raise RuleViolation("login_proof_missing", "want a signed proof, the e-card password, or both")
        device = None if proof is None else self.device(ecard, proof, number, client_id, request_id, now)
        if password is not None:
            self._passwords.verify(ecard.ecard_id, password, caller, now)
        return Proven(device, password is not None)
