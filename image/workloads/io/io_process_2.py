"""Moves money between accounts in SQLite, in transactions at random places.

A model in memory goes along: the table has to equal it, rolled back transactions included, and no
transfer may change the sum.
"""

from __future__ import annotations

import sqlite3
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE transfer (source INTEGER NOT NULL, target INTEGER NOT NULL, cents INTEGER NOT NULL);
CREATE INDEX by_owner ON account (owner);
"""
OWNERS = 97


def work(run: Run) -> None:
    """A round: new accounts, transfers in transactions of random size, and queries."""
    connection = sqlite3.connect(run.scratch / "bank.db", isolation_level=None)
    connection.executescript(SCHEMA)
    model: dict[int, int] = {}
    for _ in run.rounds():
        _open_accounts(run, connection, model)
        for _ in range(run.size("transactions", 60, 240)):
            _transact(run, connection, model)
        _look_up(run, connection, model)
        if len(model) > 50_000:
            _compare(run, connection, model)
            connection.executescript("DELETE FROM account; DELETE FROM transfer; VACUUM;")
            model.clear()
    _compare(run, connection, model)
    connection.close()


def _open_accounts(run: Run, connection: sqlite3.Connection, model: dict[int, int]) -> None:
    rows = []
    for number in range(len(model), len(model) + run.size("accounts", 200, 2000, least=2)):
        cents = run.rng.randrange(1_000_000)
        rows.append((number, f"owner-{number % OWNERS}", cents))
        model[number] = cents
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO account VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")
    run.count("rows_inserted", len(rows))


def _transact(run: Run, connection: sqlite3.Connection, model: dict[int, int]) -> None:
    """Some transfers, which take place together or not at all."""
    after: dict[int, int] = {}
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(run.rng.randint(1, 40)):
        source, target = run.rng.randrange(len(model)), run.rng.randrange(len(model))
        cents = run.rng.randrange(10_000)
        for account, change in ((source, -cents), (target, cents)):
            connection.execute(
                "UPDATE account SET cents = cents + ? WHERE id = ?", (change, account)
            )
            after[account] = after.get(account, model[account]) + change
        connection.execute("INSERT INTO transfer VALUES (?, ?, ?)", (source, target, cents))
        run.count("transfers")
    if run.rng.random() < 0.2:
        connection.execute("ROLLBACK")
        run.count("rollbacks")
        return
    connection.execute("COMMIT")
    run.count("commits")
    model.update(after)


def _look_up(run: Run, connection: sqlite3.Connection, model: dict[int, int]) -> None:
    for _ in range(run.size("lookups", 500, 2000)):
        account = run.rng.randrange(len(model))
        (cents,) = connection.execute(
            "SELECT cents FROM account WHERE id = ?", (account,)
        ).fetchone()
        run.check(cents == model[account], f"account {account} has {cents}")
    owner = run.rng.randrange(OWNERS)
    (found,) = connection.execute(
        "SELECT coalesce(sum(cents), 0) FROM account WHERE owner = ?", (f"owner-{owner}",)
    ).fetchone()
    run.check(
        found == sum(cents for number, cents in model.items() if number % OWNERS == owner),
        f"owner-{owner} has {found}",
    )
    run.result(found)


def _compare(run: Run, connection: sqlite3.Connection, model: dict[int, int]) -> None:
    run.check(dict(connection.execute("SELECT id, cents FROM account")) == model, "tables differ")
    (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    run.check(sound == "ok", f"the database is damaged: {sound}")
    run.result(sum(model.values()))


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
