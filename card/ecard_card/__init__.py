"""The nouns of the authority: card, chip, holder, status, credential. No I/O, no keys, no clock."""
