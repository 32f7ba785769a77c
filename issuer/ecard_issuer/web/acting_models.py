"""Who acts for the holder, as every body that does something for a person takes it."""

from __future__ import annotations

from pydantic import Field, StrictStr

from ecard_card.acting import Acting, Ground
from ecard_issuer.web.models import Body


class ActingBody(Body):
    """On which ground somebody acts for the holder."""

    ground: Ground = Field(Ground.OWN, description="`own`: the holder; everybody else names a mandate.")
    mandate_id: StrictStr | None = Field(
        None, pattern="^[A-Za-z0-9._:-]{1,64}$", description="The mandate, unless it is the holder."
    )

    def to_acting(self) -> Acting:
        """Raises `InvalidInput` `bad_acting`."""
        return Acting(self.ground, self.mandate_id)
