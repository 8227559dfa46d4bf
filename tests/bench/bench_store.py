"""Acknowledged updates per second: the store, stock TinyDB, and sqlite that syncs each commit.

Every update replaces a document of about 3 KB by its id, durable before the next one (stock TinyDB
does not sync, and gets a small number of updates, since each one rewrites everything). The systems
take turns within one run, so that a busy machine slows all of them; medians over the turns.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cumulus.controller.store import Put, Store
from tinydb import TinyDB
from tinydb.table import Document

SIZES = (1_000, 10_000)
ROUNDS = 7
WRITERS = 64
UPDATES = {"one writer": 400, f"{WRITERS} writers": 3_200, "stock TinyDB": 2}
PHASES = ("Pending", "Leasing", "Starting", "Running", "Succeeded")
INDEXES = {
    "jobs": {
        "phase": lambda doc: (doc["status"]["phase"],),
        "uid": lambda doc: (doc["metadata"]["uid"],),
    }
}
Update = Callable[[int], None]


def document(number: int) -> dict[str, Any]:
    """About 3 KB, shaped like a job."""
    env = {f"VARIABLE_{n}": f"value {n} of job {number}" * 2 for n in range(48)}
    return {
        "metadata": {"name": f"job-{number}", "uid": f"{number:032x}", "labels": {"team": "a"}},
        "spec": {"env": env, "duration": 3600, "gpu": {"memory": 0.5, "count": 1}},
        "status": {"phase": "Pending", "attempt": 1, "seen": 0},
    }


class Work:
    """Documents and their next versions; what the n-th update writes where."""

    def __init__(self, size: int) -> None:
        self.docs = [document(number) for number in range(size)]

    def of(self, number: int) -> tuple[int, str, dict[str, Any]]:
        """Place, phase and whole document of the n-th update."""
        where = number * 7919 % len(self.docs)
        phase = PHASES[number % len(PHASES)]
        status = {"phase": phase, "attempt": 1, "seen": time.monotonic_ns()}
        return where, phase, {**self.docs[where], "status": status}


@contextmanager
def our_store(folder: Path, work: Work) -> Iterator[Update]:
    """The store as the controller opens it, two indexes on jobs."""
    store = Store.open(folder / "store", INDEXES)
    for number, doc in enumerate(work.docs):
        store.submit([Put("jobs", f"job-{number}", doc)])

    def update(number: int) -> None:
        where, _, doc = work.of(number)
        store.put("jobs", f"job-{where}", doc)

    yield update
    store.close()


@contextmanager
def sqlite(folder: Path, work: Work) -> Iterator[Update]:
    """One table, a write-ahead log, synchronous FULL: each commit is synced."""
    path = folder / "sqlite"
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE jobs (id TEXT PRIMARY KEY, phase TEXT, doc TEXT)")
    connection.execute("CREATE INDEX by_phase ON jobs (phase)")
    connection.execute("BEGIN")
    rows = ((f"job-{n}", "Pending", json.dumps(doc)) for n, doc in enumerate(work.docs))
    connection.executemany("INSERT INTO jobs VALUES (?, ?, ?)", rows)
    connection.execute("COMMIT")
    lock = threading.Lock()

    def update(number: int) -> None:
        where, phase, doc = work.of(number)
        row = (phase, json.dumps(doc), f"job-{where}")
        # One connection and a lock: faster than connections of their own that fight over the file.
        with lock:
            connection.execute("UPDATE jobs SET phase = ?, doc = ? WHERE id = ?", row)

    yield update
    connection.close()


@contextmanager
def stock_tinydb(folder: Path, work: Work) -> Iterator[Update]:
    """TinyDB as it comes."""
    with TinyDB(folder / "tinydb.json") as db:
        table = db.table("jobs")
        table.insert_multiple(Document(doc, n + 1) for n, doc in enumerate(work.docs))

        def update(number: int) -> None:
            where, _, doc = work.of(number)
            table.update(doc, doc_ids=[where + 1])

        yield update


def rate(update: Update, count: int, offset: int) -> float:
    """Updates per second from one thread."""
    start = time.perf_counter()
    for number in range(offset, offset + count):
        update(number)
    return count / (time.perf_counter() - start)


def rate_together(update: Update, count: int, offset: int, pool: ThreadPoolExecutor) -> float:
    """Updates per second from many threads, each waiting for its own."""
    share = count // WRITERS

    def write(writer: int) -> None:
        for number in range(share):
            update(offset + writer * share + number)

    start = time.perf_counter()
    list(pool.map(write, range(WRITERS)))
    return share * WRITERS / (time.perf_counter() - start)


def measure(size: int) -> list[dict[str, Any]]:
    """Rows for one number of documents."""
    rates: dict[str, list[float]] = {}
    work = Work(size)
    one, many = UPDATES["one writer"], UPDATES[f"{WRITERS} writers"]
    with (
        tempfile.TemporaryDirectory() as folder,
        our_store(Path(folder), work) as ours,
        sqlite(Path(folder), work) as theirs,
        stock_tinydb(Path(folder), work) as stock,
        ThreadPoolExecutor(WRITERS) as pool,
    ):
        for turn in range(ROUNDS):
            offset = turn * many
            together = f", {WRITERS} writers"
            for name, measured in (
                ("store, one writer", rate(ours, one, offset)),
                ("sqlite FULL, one writer", rate(theirs, one, offset)),
                ("store" + together, rate_together(ours, many, offset, pool)),
                ("sqlite FULL" + together, rate_together(theirs, many, offset, pool)),
                ("stock TinyDB, one writer", rate(stock, UPDATES["stock TinyDB"], offset)),
            ):
                rates.setdefault(name, []).append(measured)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    base = medians["stock TinyDB, one writer"]
    return [
        {
            "documents": size,
            "what": name,
            "updates_per_second": round(median, 1),
            "lowest": round(min(rates[name]), 1),
            "highest": round(max(rates[name]), 1),
            "times_stock_tinydb": round(median / base, 1),
            "times_sqlite": round(median / medians["sqlite FULL, " + name.split(", ")[1]], 2),
        }
        for name, median in medians.items()
    ]


def run() -> list[dict[str, Any]]:
    """One row per system and number of documents; rates are acknowledged updates per second."""
    return [row for size in SIZES for row in measure(size)]


def main() -> None:
    """Print the rows as a table."""
    columns = ("documents", "what", "updates_per_second", "lowest", "highest")
    ratios = ("times_stock_tinydb", "times_sqlite")
    rows = run()
    with suppress(BrokenPipeError):
        print(" | ".join(columns + ratios))  # noqa: T201 (a program that prints)
        for row in rows:
            print(" | ".join(str(row[name]) for name in columns + ratios))  # noqa: T201 (as above)


if __name__ == "__main__":
    main()
