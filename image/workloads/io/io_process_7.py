"""Writes CSV files of sales, aggregates them, joins them with prices, and sorts the outcome.

Money is in whole cents, so that every sum has to equal the one that was kept while writing.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

REGIONS = ("north", "south", "east", "west", 'with "quotes"', "with, comma", "with\nnewline")
PRODUCTS = 200

Groups = dict[tuple[str, str], list[int]]
"""(region, product) → sales, units, cents."""


def work(run: Run) -> None:
    """A round: sales and prices are written, joined by product, and grouped."""
    for index in run.rounds():
        sales, prices, report = (
            run.scratch / f"{index}-{name}.csv" for name in ("sales", "prices", "report")
        )
        price_of = {f"p{number}": run.rng.randint(1, 99_999) for number in range(PRODUCTS)}
        _write(prices, [("product", "cents"), *price_of.items()])
        made = _write_sales(run, sales, price_of)
        found = _group(run, sales, prices)
        run.check(found == made, "groups differ from what was written")
        ranked = sorted(found.items(), key=lambda item: (-item[1][2], item[0]))
        _write(report, [(*key, *numbers) for key, numbers in ranked])
        again = [(row[0], row[1], int(row[4])) for row in _rows(report)]
        run.check(again == [(*key, numbers[2]) for key, numbers in ranked], "the report differs")
        for file in (sales, prices, report):
            run.count("bytes_written", file.stat().st_size)
            file.unlink()
        run.value("groups", len(found))
        run.result(repr(ranked))


def _write(file: Path, rows: Iterable[Iterable[str | int]]) -> None:
    with open(file, "w", newline="") as opened:
        csv.writer(opened).writerows(rows)


def _rows(file: Path) -> list[list[str]]:
    with open(file, newline="") as opened:
        return list(csv.reader(opened))


def _write_sales(run: Run, file: Path, price_of: dict[str, int]) -> Groups:
    """What the aggregation has to find."""
    made: Groups = defaultdict(lambda: [0, 0, 0])
    products = list(price_of)
    with open(file, "w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(("region", "product", "units"))
        for _ in range(run.size("rows", 80_000, 240_000)):
            region, product = run.rng.choice(REGIONS), run.rng.choice(products)
            units = run.rng.randrange(1, 50)
            writer.writerow((region, product, units))
            _add(made[region, product], units, price_of[product])
            run.count("rows")
    return dict(made)


def _group(run: Run, sales: Path, prices: Path) -> Groups:
    price_of = {product: int(cents) for product, cents in _rows(prices)[1:]}
    found: Groups = defaultdict(lambda: [0, 0, 0])
    with open(sales, newline="") as opened:
        for row in csv.DictReader(opened):
            product = row["product"]
            _add(found[row["region"], product], int(row["units"]), price_of[product])
    run.count("bytes_read", sales.stat().st_size)
    return dict(found)


def _add(group: list[int], units: int, cents: int) -> None:
    group[0] += 1
    group[1] += units
    group[2] += units * cents


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
