"""Test mode: an issuer whose people, chips and cards are made up, and what only such an issuer does."""
