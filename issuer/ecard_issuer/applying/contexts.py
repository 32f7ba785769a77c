"""Under which names the parts of an application are sealed: what was moved elsewhere does not open."""

from __future__ import annotations

from datetime import UTC

from ecard_issuer.applying.values import DocumentCopy, StepRow


def details_context(application_id: str) -> str:
    """Under what the details of an application are sealed."""
    return f"application/{application_id}"


def copy_context(application_id: str, kind: DocumentCopy) -> str:
    """Under what a file of an application is sealed."""
    return f"application/{application_id}/{kind.value}"


def note_context(step: StepRow) -> str:
    """Under what the note of a step is sealed."""
    return f"application/{step.application_id}/note/{step.taken_at.astimezone(UTC).isoformat()}"
