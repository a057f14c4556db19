"""Ed25519: who ordered a command, and whose word an acknowledgement is.

signature.py   keys that sign and verify; sole importer of their library
keys.py        the files that keys are in
"""
