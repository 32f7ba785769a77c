"""Signing a trust list or a root by several people on a machine without network."""
