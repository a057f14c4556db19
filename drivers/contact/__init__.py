"""Dry contacts on GPIO lines: smoke, gas, heat and water detectors, doors and windows."""
