"""The synchronous client, made from `ecard_sdk.aio` by `python -m tests.sdk.make_sync`: change that one."""
