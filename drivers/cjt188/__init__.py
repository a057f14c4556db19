"""Water meters that speak CJ/T 188.

`wire/` is the protocol, `driver.py` when a meter is asked and what is told of it, `months.py` its
monthly totals, `profile.py` what a maker's status bits mean, `search.py` how the meters on a line
are found, `prober.py` that search for `hearth probe`. What is known of the protocol, and how
surely: docs/cjt188.md.
"""
