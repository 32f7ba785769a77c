"""Scan to log in: a plain OpenID provider for sites, and the scanning inside it."""
