"""Reading a card's chip, and proving that the chip was there: reader, APDUs, evidence, and the judgement on it."""
