"""Relying services: what people use the card for, as checked permissions and never as a free query."""
