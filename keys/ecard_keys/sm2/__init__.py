"""SM2 with SM3 on whatever this machine can compute it with."""
