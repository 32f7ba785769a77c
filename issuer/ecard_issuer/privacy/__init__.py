"""What is kept about people: shown to them, kept for as long as the policy says, and erased."""
