"""Who checks: `check` is pure; the mirror, the replay guard and the counter service stand beside it."""
