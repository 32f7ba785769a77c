"""What the physical card system says: signed events, files, and a snapshot to compare the register with."""
