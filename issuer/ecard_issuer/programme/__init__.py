"""The programme itself: what the card is, what it is for, and by which channels people reach it."""
