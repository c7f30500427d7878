"""Scores against their peers: how fast features are extracted."""
