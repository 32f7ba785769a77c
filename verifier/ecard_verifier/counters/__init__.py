"""Merchants at their counters: groups, branches, counters, staff; who is let in, what was judged, what is odd."""
