"""The policies of regions: kept as given, set by two people, in force from a stated moment."""
