"""What a card is shown for, and what of its holder may then be seen."""
