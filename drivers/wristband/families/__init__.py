"""One file a make of bands; see drivers/wristband/family.py."""
