"""Payments at a counter: a merchant asks, the holder agrees to exactly that, the payer is handed an authorization."""
