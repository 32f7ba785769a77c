"""Secrets that holders know: the card's social-security PIN and the e-card password."""
