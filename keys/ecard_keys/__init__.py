"""Signing keys, the key ring and the trust list. This room knows bytes and key ids, never a card holder."""
