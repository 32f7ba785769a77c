"""The counter page without a network: its modules against our own Python, and in a real browser."""
