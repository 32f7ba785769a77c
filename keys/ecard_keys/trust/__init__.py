"""The trust list and the roots that sign it."""
