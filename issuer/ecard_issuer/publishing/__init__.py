"""Status out to verifiers: lists, deltas, bundles, and the proof that they say what the register says."""
