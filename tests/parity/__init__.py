"""The formulas of gan_core/measures against the tools that others use: `make parity`."""
