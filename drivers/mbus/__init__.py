"""Meters that speak M-Bus over wires.

`wire/` is the protocol, `driver.py` when a meter is asked and what is told of it, `caller.py` how
it is asked, `selection.py` whose turn that is, `told.py` the names of its values, `search.py` how
the meters on a line are found, `prober.py` that search for `hearth probe`. What is known of the
protocol, and how surely: docs/mbus.md.
"""
