"""Requests that are sent again under the same key are done once (draft-ietf-httpapi-idempotency-key-header-07)."""
