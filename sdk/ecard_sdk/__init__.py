"""What a channel app or a counter's software embeds."""
