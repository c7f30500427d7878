"""Scores against their peers, how fast they are computed, and whether they put faces in order."""
