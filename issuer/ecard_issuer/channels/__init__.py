"""Channels: apps of banks, authorities and platforms that show e-cards. Who is admitted, with which keys and scopes,
and how a channel's back end proves itself."""
