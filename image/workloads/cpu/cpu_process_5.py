"""Estimates by chance what is known exactly: pi, integrals, option prices, random walks.

An estimate may be off by six of its own standard errors; more would happen in one of 500 million.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

SIGMAS = 6.0

Samples = NDArray[np.floating]


def work(run: Run) -> None:
    """A round: each experiment once, with a random number of samples."""
    chance = np.random.default_rng(run.seed)
    for _ in run.rounds():
        for name, experiment in EXPERIMENTS.items():
            samples = run.size("samples", 500_000, 2_000_000, least=1000)
            found, expected = experiment(run, chance, samples)
            mean, spread = float(found.mean()), float(found.std(ddof=1))
            error = spread / math.sqrt(len(found)) + 1e-12
            off = abs(mean - expected) / error
            run.check(off < SIGMAS, f"{name} is {mean:.6f}, {off:.1f} errors from {expected:.6f}")
            run.value(name, mean)
            run.value(f"{name}_errors_off", off)
            run.count("samples", samples)


def _pi(run: Run, chance: np.random.Generator, samples: int) -> tuple[Samples, float]:
    """The quarter of a circle within a square."""
    x, y = chance.random(samples), chance.random(samples)
    inside = x * x + y * y < 1
    run.result(int(inside.sum()))
    return inside * 4.0, math.pi


def _integral(run: Run, chance: np.random.Generator, samples: int) -> tuple[Samples, float]:
    """Of x^n from 0 to 1, which is 1 / (n + 1)."""
    power = run.choice("power", (2, 3, 5, 7))
    return chance.random(samples) ** power, 1 / (power + 1)


def _option(run: Run, chance: np.random.Generator, samples: int) -> tuple[Samples, float]:
    """A European call, beside the formula of Black and Scholes."""
    price, strike = run.rng.uniform(80, 120), run.rng.uniform(80, 120)
    rate, volatility, years = 0.03, run.rng.uniform(0.1, 0.4), run.rng.uniform(0.5, 2)
    spread = volatility * math.sqrt(years)
    ends = price * np.exp(
        (rate - volatility**2 / 2) * years + spread * chance.standard_normal(samples)
    )
    paid = np.exp(-rate * years) * np.maximum(ends - strike, 0)
    d1 = (math.log(price / strike) + (rate + volatility**2 / 2) * years) / spread
    expected = price * _normal(d1) - strike * math.exp(-rate * years) * _normal(d1 - spread)
    return paid, expected


def _walk(run: Run, chance: np.random.Generator, samples: int) -> tuple[Samples, float]:
    """The square of the distance after n steps to the left or right is n on average."""
    steps = run.rng.randint(20, 60)
    ends = chance.binomial(steps, 0.5, samples) * 2.0 - steps
    run.result(int((ends == 0).sum()))
    return ends**2, float(steps)


def _normal(x: float) -> float:
    """The normal distribution's share below x."""
    return (1 + math.erf(x / math.sqrt(2))) / 2


Experiment = Callable[[Run, np.random.Generator, int], "tuple[Samples, float]"]
EXPERIMENTS: dict[str, Experiment] = {
    "pi": _pi,
    "integral": _integral,
    "option_price": _option,
    "walk_square": _walk,
}


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
