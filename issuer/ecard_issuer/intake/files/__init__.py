"""Files of the physical card system, read row by row: CSV and JSON Lines, of any size, in bounded memory."""
