"""The signing desk: what may be signed, how much of it, and the record of it."""
