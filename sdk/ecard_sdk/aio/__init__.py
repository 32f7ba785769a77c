"""The asynchronous client, written by hand; `ecard_sdk.sync` is made from it by `python -m tests.sdk.make_sync`."""
