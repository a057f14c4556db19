"""A loudspeaker on the gateway: says what the home has to say.

`sounds.py` finds phrases that lie on disk as sound, `engine.py` knows the command lines of speech
engine and player, `chain.py` runs them, `wav.py` knows what they hand on, `driver.py` is when.
"""
