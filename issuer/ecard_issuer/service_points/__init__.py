"""Outlets where card business is done: public data, searched by anybody, imported and exported as files."""
