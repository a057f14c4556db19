"""What is PostgreSQL's own of the store: a server that goes away, secrets, its tables."""

import sqlite3
import sys
import threading
from contextlib import closing

import pytest
from brokers import JOURNAL, event_of
from postgres_server import PostgresServer
from store_kit import WALL, R, ask, batch, book_of, delivery, refusal, row

from collector.storage.intake import keep_events
from collector.storage.postgres_schema import MIGRATIONS
from collector.storage.refused import Refused
from collector.store import open_store
from gateway.errors import SettingsError, StoreError


@pytest.fixture
def store_url(new_url):
    return new_url("postgres")


@pytest.fixture
def database(postgres):
    """The name of a database of the test's own."""
    return postgres.new_database()


def hang_up(server):
    """The server ends every connection of ours, as its restart would."""
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hearth'"
    )


# --- durable -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "ours"),
    [("off", "on"), ("local", "on"), ("on", "on"), ("remote_apply", "remote_apply")],
)
def test_a_commit_waits_for_the_disk_whatever_the_default_is(postgres, database, default, ours):
    postgres.execute(f"ALTER DATABASE {database} SET synchronous_commit = {default}")
    store = open_store(f"{postgres.url(database)}&options=-csynchronous_commit%3D{default}")
    with store._database.writing() as transaction:
        assert transaction.rows("SHOW synchronous_commit") == [(ours,)]
    store.close()


# --- a server that goes away ---------------------------------------------------------------------


def test_a_connection_that_is_lost_is_made_anew(postgres, store, store_url):
    store.commit([batch(1, 3)], [])
    assert book_of(store).stored == 3  # the one for reading, too
    hang_up(postgres)
    with pytest.raises(StoreError) as lost:
        store.commit([batch(3, 5)], [])
    assert lost.value.hint
    assert lost.value.retryable
    with pytest.raises(StoreError):
        store.books()
    assert store.commit([batch(3, 5)], [])[0].stored == 2
    assert book_of(store).stored == 5


def test_a_connection_that_is_lost_within_a_transaction(postgres, store, store_url):
    def work():
        with store._database.writing() as transaction:
            transaction.run("INSERT INTO gaps VALUES ('j', 'routine', 1, 2, 'x')")
            hang_up(postgres)
            transaction.run("INSERT INTO gaps VALUES ('j', 'routine', 3, 4, 'x')")

    with pytest.raises(StoreError):
        work()
    assert ask(store_url, "SELECT count(*) FROM gaps") == [(0,)]
    assert store.commit([batch(1, 3)], [])[0].stored == 3


@pytest.fixture
def mortal(postgres):
    """A server of the test's own, to be killed; skipped as `postgres` is."""
    with PostgresServer() as server:
        yield server


def test_a_server_that_is_down_and_comes_again(mortal):
    store = open_store(mortal.url(mortal.new_database()))
    store.commit([batch(1, 3)], [])
    mortal.stop()
    for _ in range(2):
        with pytest.raises(StoreError) as down:
            store.commit([batch(4, 5)], [])
        assert "server" in down.value.hint
    mortal.start()
    assert store.commit([batch(4, 5)], [])[0].stored == 2
    mortal.restart()
    with pytest.raises(StoreError):
        store.commit([batch(6, 6)], [])
    assert store.commit([batch(6, 6)], [])[0].stored == 1
    mortal.stop()
    with pytest.raises(StoreError):
        open_store(mortal.url("postgres"))
    store.close()


def test_what_was_acknowledged_survives_kill_9_of_the_server(mortal):
    """In the middle of commits, several times; what was not acknowledged comes again."""
    url = mortal.url(mortal.new_database())
    store = open_store(url)
    acknowledged, failures, stop = set(), [], threading.Event()

    def work():
        first = 1
        while not stop.is_set():
            try:
                store.commit([batch(first, first + 49)], [])
            except StoreError as error:
                failures.append(error)
                stop.wait(0.01)
                continue
            acknowledged.update(range(first, first + 50))
            first += 50

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        before = len(acknowledged)
        while len(acknowledged) < before + 1000:
            assert thread.is_alive()
        mortal.kill()
        known = set(acknowledged)
        mortal.start()
        kept = {seq for (seq,) in ask(url, "SELECT seq FROM events")}
        assert known <= kept
    stop.set()
    thread.join()
    assert failures
    book = book_of(store)
    assert (book.stored, book.balanced, book.conflicts) == (len(acknowledged), True, 0)
    store.close()


def test_killed_between_the_commit_and_its_answer(mortal):
    """It is stored and not acknowledged: it comes again, and is a duplicate."""
    url = mortal.url(mortal.new_database())
    store = open_store(url)

    def work():
        with store._database.writing() as transaction:
            keep_events(transaction, [batch(1, 5)], Refused(transaction, 0), (), 0)
            transaction.run("COMMIT")
            mortal.kill()

    with pytest.raises(StoreError):
        work()
    mortal.start()
    outcome = store.commit([batch(1, 6)], [])[0]
    assert (outcome.stored, outcome.duplicates) == (1, 5)
    assert book_of(store).balanced
    store.close()


# --- what a server may refuse --------------------------------------------------------------------


def refused_for(store, store_url, hold, setting):
    """A commit that meets a lock and gives up as `setting` has it; nothing of it is stored."""
    import psycopg

    store.commit([batch(1, 1)], [])
    with store._database.writing() as transaction:
        transaction.rows(f"SELECT set_config('{setting}', '100ms', false)")
    with psycopg.connect(store_url) as other:
        other.execute(hold)
        with pytest.raises(StoreError) as failed:
            store.commit([batch(2, 3)], [refusal(1)])
        other.rollback()
    assert ask(store_url, "SELECT count(*) FROM events") == [(1,)]
    assert ask(store_url, "SELECT count(*) FROM refused") == [(0,)]
    assert store.commit([batch(2, 3)], [])[0].stored == 2
    return failed.value


def test_a_statement_timeout(store, store_url):
    error = refused_for(store, store_url, "LOCK TABLE streams", "statement_timeout")
    assert "statement timeout" in str(error)


def test_a_lock_timeout(store, store_url):
    error = refused_for(store, store_url, "LOCK TABLE events", "lock_timeout")
    assert "lock timeout" in str(error)


def test_a_deadlock_with_somebody_else(store, store_url):
    """Who locks our tables by hand, crosswise."""
    import psycopg

    store.commit([batch(1, 1)], [])
    with psycopg.connect(store_url) as other:
        other.execute("SET deadlock_timeout = '10s'")  # so that it is us who notice
        other.execute("LOCK TABLE streams")
        failed = []

        def work():
            try:
                store.commit([batch(2, 3)], [])
            except StoreError as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while ask(store_url, waiting) == [(0,)]:
            assert thread.is_alive()
        other.execute("LOCK TABLE events")
        thread.join()
        other.rollback()
    assert "deadlock" in str(failed[0])
    assert ask(store_url, "SELECT count(*) FROM events") == [(1,)]
    assert store.commit([batch(2, 3)], [])[0].stored == 2


def test_rights_that_are_missing(postgres, database):
    url = postgres.url(database)
    open_store(url).close()
    ask(url, "CREATE ROLE guest LOGIN")
    with pytest.raises(StoreError, match="permission denied") as refused:
        open_store(url.replace("hearth@", "guest@"))
    assert "rights" in refused.value.hint


# --- its tables ----------------------------------------------------------------------------------


def test_collectors_that_start_at_once_on_an_empty_database(postgres):
    for _ in range(3):
        url, failed = postgres.url(postgres.new_database()), []

        def start(url=url, failed=failed):
            try:
                with closing(open_store(url)) as store:
                    store.commit([batch(1, 3)], [])
            except StoreError as error:
                failed.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        versions = [(number,) for number in range(1, len(MIGRATIONS) + 1)]
        assert ask(url, "SELECT version FROM hearth_schema ORDER BY version") == versions
        assert ask(url, "SELECT count(*) FROM events") == [(3,)]


def test_the_line_of_an_older_database_goes_on(store_url):
    """What waited, and what a collector of then had in hand, which nobody knows of any more."""
    for statement in MIGRATIONS[0]:
        ask(store_url, statement)
    ask(store_url, "CREATE TABLE hearth_schema (version BIGINT NOT NULL)")
    ask(store_url, "INSERT INTO hearth_schema VALUES (1)")
    place = (JOURNAL.hex(), "urgent", "gw-1", "b", "call", WALL, "synchronised", "00", 1, "{}", b"")
    event = (
        "INSERT INTO events (journal, lane, gateway, device, kind, time, time_quality, boot,"
        " uptime, body, digest, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    for seq, next_try in ((1, WALL), (2, WALL + 60_000)):
        ask(store_url, event, *place, seq)
        columns = "output, journal, lane, seq, since, next_try, tries, reason"
        due = ("webhook", JOURNAL.hex(), "urgent", seq, WALL, next_try, 3, "503")
        ask(store_url, f"INSERT INTO due ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *due)
    with closing(open_store(store_url)) as store:
        dues = store.due("webhook", 10)
        assert [(due.seq, due.tries, due.waited_ms) for due in dues] == [(1, 3, 0), (2, 3, 0)]
        assert store.due("webhook", 10) == []


def test_tables_of_a_newer_hearth_are_not_touched(store_url):
    open_store(store_url).close()
    ask(store_url, "INSERT INTO hearth_schema VALUES (99)")
    with pytest.raises(StoreError, match="newer") as refused:
        open_store(store_url)
    assert refused.value.hint


def test_the_tables_are_those_of_sqlite(store_url, new_url):
    open_store(store_url).close()
    other = new_url("sqlite")
    open_store(other).close()
    with closing(sqlite3.connect(other.removeprefix("sqlite://"))) as db:
        tables = [
            name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        sqlite = {
            (table, column)
            for table in tables
            if not table.startswith("sqlite_")
            for (column,) in db.execute(f"SELECT name FROM pragma_table_info('{table}')")
        }
    postgres = ask(
        store_url,
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name <> 'hearth_schema'",
    )
    assert sqlite == set(postgres)


def test_a_young_table_is_not_read_whole(store):
    """A planner without statistics would, and keep doing so for a statement it has prepared."""
    from collector.storage import latest, line

    statements = {
        latest._WORDS: (),
        line._SELECT.replace("?", "%s"): ("webhook", 0, 1),
        "SELECT digest FROM events WHERE journal = 'x' AND lane = 'y' AND seq BETWEEN 1 AND 2": (),
    }
    store.commit([delivery(*(row(n, event_of(n)) for n in range(1, 50)), lane=R)], [])
    store.fleet()
    for connection in (store._database._writer, store._database._reader):
        for statement, values in statements.items():
            found = connection._connection.execute(f"EXPLAIN {statement}", values).fetchall()
            plan = "\n".join(line for (line,) in found)
            assert "using events_pkey on events" in plan, plan


# --- the URL -------------------------------------------------------------------------------------


SECRETS = [
    "postgresql://me:s3cret@host/db",
    "postgresql://me@host/db?password=s3cret",
    "postgresql://me@host/db?sslpassword=s3cret",
    "postgresql://me:s3cret@a:1,b:2/db",
    "postgresql:///db?host=/run/postgresql&password=s3cret",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(SettingsError) as refused:
        open_store(url)
    assert "PGPASSFILE" in refused.value.hint
    assert "s3cret" not in f"{refused.value} {refused.value.hint} {refused.value.__cause__}"


@pytest.mark.parametrize(
    "url", ["postgresql://a:s3cret@[x/y", "postgresql://host/db?s3cret=x", "postgresql:x"]
)
def test_what_libpq_does_not_understand_is_refused(url):
    with pytest.raises(SettingsError) as refused:
        open_store(url)
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(StoreError) as refused:
        open_store(f"postgresql:///db?host={tmp_path}")
    assert "db" in refused.value.where
    assert refused.value.hint


def test_without_psycopg(monkeypatch):
    for name in [
        name for name in sys.modules if name.startswith(("psycopg", "collector.storage.postgres"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError) as refused:
        open_store("postgresql:///db")
    assert "hearth-gateway[postgres]" in refused.value.hint
