"""Bank accounts of cards: each its bank's, with a state of its own that no card status touches."""
