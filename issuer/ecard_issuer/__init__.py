"""The authority's service: register, chip proof, issuing, life cycle, publishing."""
