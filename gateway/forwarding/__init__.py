"""From the journal to committed at the collector: the forwarder, and what it is made of."""
