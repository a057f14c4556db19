"""Alarms on their way out of the store: to standard output, to a webhook, to a program.

Each output has a line of its own in the store, which an alarm enters in the transaction that stores
it, and a Teller, which takes from the line. Told means at least once: what is told is taken out of
the line afterwards, so whoever is killed in between tells it again.

Order: one gateway's alarms are told in the order in which they were stored. One that cannot be told
holds up those behind it for no longer than `patience.py` says, and never those of other gateways.
"""
