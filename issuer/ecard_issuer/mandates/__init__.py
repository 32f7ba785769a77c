"""Acting for another: guardians, written mandates, agencies; with proof, scope and end of each."""
