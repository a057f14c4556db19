"""Edges in, presses and faults out. Pure: time comes with the call, in ns of CLOCK_MONOTONIC."""
