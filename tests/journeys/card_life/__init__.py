"""A card's whole life, in any order of events, against a model that says the rules a second time."""
