"""Levels of issuance: identity only (一级签发), and payment and settlement besides (二级签发)."""
