"""`/ecard-code.js` and `/ecard-code.mjs`: the browser component, as `make component` built it.

What was not built is said with one code; everything else of the service works without it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from ecard_card.errors import Unavailable
from ecard_issuer.publishing.publisher import Published
from ecard_issuer.web.public import IfNoneMatch, published
from ecard_verifier.web.base import problems

BUILT: Final = Path(__file__).parent / "built"
#: Seconds. Short: a page that is opened tomorrow has tomorrow's component.
MAX_AGE: Final = 300
_MEDIA_TYPE: Final = "text/javascript; charset=utf-8"


def component_router(folder: Path = BUILT) -> APIRouter:
    """The script as one file for a `script` element, and as a module. `folder` is read once, here."""
    router = APIRouter(tags=["component"])
    script, module = _read(folder / "ecard-code.js"), _read(folder / "ecard-code.mjs")
    answers: dict[int | str, dict[str, Any]] = {
        200: {"content": {"text/javascript": {}}, "description": "The script"},
        304: {"description": "Unchanged"},
        **problems(422, 503, codes={503: "component_not_built"}),
    }

    @router.get(
        "/ecard-code.js",
        operation_id="get_component",
        summary="The <ecard-code> element as a script",
        response_class=Response,
        responses=answers,
    )
    def get_component(if_none_match: IfNoneMatch = None) -> Response:
        """For `<script src>`. It defines the element and the global name `ecardCode`."""
        return published(_built(script), if_none_match)

    @router.get(
        "/ecard-code.mjs",
        operation_id="get_component_module",
        summary="The <ecard-code> element as a module",
        response_class=Response,
        responses=answers,
    )
    def get_component_module(if_none_match: IfNoneMatch = None) -> Response:
        """For `import`. It defines the element and exports what `ecard-code.d.ts` describes."""
        return published(_built(module), if_none_match)

    return router


def _read(path: Path) -> Published | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return Published(content, _MEDIA_TYPE, f'"{hashlib.sha256(content).hexdigest()[:32]}"', MAX_AGE)


def _built(file: Published | None) -> Published:
    if file is None:
        raise Unavailable("component_not_built", "run `make component` (needs node), then start the service again")
    return file
