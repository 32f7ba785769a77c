"""A card's life as its holder meets it: loss, release, replacement, cancelling, and their word on the e-card."""
