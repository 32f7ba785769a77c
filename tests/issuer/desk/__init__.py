"""The desk agent, without PC/SC."""
