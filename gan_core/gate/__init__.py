"""The gate: whether a candidate takes the place of the blessed model."""
