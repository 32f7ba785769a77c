"""Applying for a card: eligibility, documents, photo, review, production, collection."""
