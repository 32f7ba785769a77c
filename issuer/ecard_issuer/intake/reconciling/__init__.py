"""The whole register against a snapshot of the physical card system: every difference said, repaired on approval."""
