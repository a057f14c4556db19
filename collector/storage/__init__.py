"""The store: what the tables mean, once, over two databases.

`store.py` is the store; `intake.py`, `dates.py`, `latest.py`, `line.py`, `refused.py`, `ledger.py`
and `orders.py` are what it does with each kind of table, in SQL that SQLite and PostgreSQL
understand alike. `port.py` is what they ask of a database; `sqlite.py` and `postgres.py` are the
two, each the only importer of its library, and beside each is its schema.
"""
