"""The tables in SQLite, and how an older file becomes a newer one.

Made to be read by people: journals and boots are hexadecimal, lanes, kinds and time qualities are
words, times are milliseconds since 1970 UTC, `body` is JSON with SenML's labels. For example, every
heart rate of a band:

    SELECT datetime(time / 1000, 'unixepoch'), record.value ->> 'v'
    FROM events, json_each(body, '$.measurements') AS record
    WHERE device = 'band-1' AND record.value ->> 'n' = 'heart_rate';

`events` is WITHOUT ROWID: seqs come in order, so the table is its own index, and a row is found and
compared without a second tree. MIGRATIONS only grows: `user_version` of a file says how many of
them it has seen. `postgres_schema.py` has the same tables and columns.
"""

from __future__ import annotations

_VERSION_1 = (
    """
    CREATE TABLE events (
        journal TEXT NOT NULL,
        gateway TEXT NOT NULL,
        lane TEXT NOT NULL,
        seq INTEGER NOT NULL,
        device TEXT NOT NULL,
        kind TEXT NOT NULL,
        time INTEGER NOT NULL,
        time_quality TEXT NOT NULL,
        boot TEXT NOT NULL,
        uptime INTEGER NOT NULL,
        body TEXT NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (journal, lane, seq)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX events_by_time ON events (gateway, time)",
    # The few rows whose time may still change.
    """
    CREATE INDEX events_by_boot ON events (journal, boot)
    WHERE time_quality <> 'synchronised'
    """,
    """
    CREATE TABLE streams (
        journal TEXT NOT NULL,
        lane TEXT NOT NULL,
        gateway TEXT NOT NULL,
        stored INTEGER NOT NULL,
        duplicates INTEGER NOT NULL,
        conflicts INTEGER NOT NULL,
        PRIMARY KEY (journal, lane)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE gaps (
        journal TEXT NOT NULL,
        lane TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        reason TEXT NOT NULL,
        PRIMARY KEY (journal, lane, first, last, reason)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE anchors (
        journal TEXT NOT NULL,
        boot TEXT NOT NULL,
        uptime INTEGER NOT NULL,
        time INTEGER NOT NULL,
        PRIMARY KEY (journal, boot)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE refused (
        id INTEGER PRIMARY KEY,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        topic TEXT NOT NULL,
        digest BLOB NOT NULL,
        payload BLOB NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL,
        times INTEGER NOT NULL,
        UNIQUE (reason, detail, digest)
    ) STRICT
    """,
)

_VERSION_2 = (
    # Who ordered what from which gateway, and when; the last four are empty until it answers.
    """
    CREATE TABLE commands (
        id TEXT PRIMARY KEY,
        gateway TEXT NOT NULL,
        name TEXT NOT NULL,
        who TEXT NOT NULL,
        issued INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        arguments TEXT NOT NULL,
        answered INTEGER,
        outcome TEXT,
        reason TEXT,
        result TEXT
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX commands_by_time ON commands (gateway, issued)",
)

_VERSION_3 = (
    # When a batch of the stream came last, by this machine's clock. What came before there was this
    # column came no earlier than its newest event of known time, and not in the future.
    "ALTER TABLE streams ADD COLUMN heard INTEGER NOT NULL DEFAULT 0",
    """
    UPDATE streams SET heard = coalesce((
        SELECT min(time, 1000 * unixepoch()) FROM events
        WHERE events.gateway = streams.gateway AND time_quality <> 'unknown'
        ORDER BY time DESC LIMIT 1
    ), 0)
    """,
    # The few rows in which gateways tell of themselves.
    "CREATE INDEX events_of_gateways ON events (gateway, time) WHERE kind = 'gateway'",
)

_VERSION_4 = (
    # The newest word on each matter (latest.py): what gateways and devices say of themselves is
    # found by it, so the index that found some of it goes.
    """
    CREATE TABLE latest (
        journal TEXT NOT NULL,
        kind TEXT NOT NULL,
        device TEXT NOT NULL,
        topic TEXT NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (journal, kind, device, topic)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO latest (journal, kind, device, topic, seq)
    SELECT journal, kind, device, topic, max(seq) FROM (
        SELECT journal, kind, device, seq, CASE
            WHEN kind = 'fault' AND json_type(body, '$.detail.fault') = 'text'
                THEN body ->> '$.detail.fault'
            WHEN kind = 'fault' THEN NULL
            WHEN kind = 'gateway' AND body ->> '$.detail.state' IN ('alive', 'started')
                THEN body ->> '$.detail.state'
            ELSE ''
        END AS topic
        FROM events WHERE lane = 'routine' AND kind IN ('gateway', 'device', 'fault')
    ) WHERE topic IS NOT NULL GROUP BY journal, kind, device, topic
    """,
    "DROP INDEX events_of_gateways",
    # Alarms in line for outputs (line.py), and those that were given up.
    """
    CREATE TABLE due (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        output TEXT NOT NULL,
        journal TEXT NOT NULL,
        lane TEXT NOT NULL,
        seq INTEGER NOT NULL,
        since INTEGER NOT NULL,
        next_try INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT
    """,
    "CREATE INDEX due_by_time ON due (output, next_try)",
    """
    CREATE TABLE undelivered (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        output TEXT NOT NULL,
        journal TEXT NOT NULL,
        lane TEXT NOT NULL,
        seq INTEGER NOT NULL,
        since INTEGER NOT NULL,
        given_up INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        reason TEXT NOT NULL
    ) STRICT
    """,
)

_VERSION_5 = (
    # In whose hands an alarm is, and their signs of life (hands.py); nobody's is ''.
    "ALTER TABLE due ADD COLUMN holder TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE due ADD COLUMN beat INTEGER NOT NULL DEFAULT 0",
    # How long it was put off because it failed: ms, altogether.
    "ALTER TABLE due ADD COLUMN waited INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX due_in_hand ON due (output) WHERE holder <> ''",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _VERSION_1,
    _VERSION_2,
    _VERSION_3,
    _VERSION_4,
    _VERSION_5,
)
