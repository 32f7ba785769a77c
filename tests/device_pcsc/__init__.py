"""The real PC/SC stack: pyscard, a private pcscd, the virtual reader driver, and a chip behind it."""
