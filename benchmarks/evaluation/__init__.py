"""How fast scores are computed, against the tools that others use."""
