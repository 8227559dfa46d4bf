"""Sieves primes in random ranges, and takes products of two primes apart.

Sieves are checked by Miller-Rabin, which is exact for these sizes; factors by their product.
"""

from __future__ import annotations

import math
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Enough for all numbers below 3.3e24."""


def work(run: Run) -> None:
    """A round: a range is sieved, samples of it are tested, and some products are factorised."""
    for _ in run.rounds():
        low = run.rng.randrange(10**9, 10**11)
        width = run.size("range_width", 1_000_000, 4_000_000, least=1000)
        prime = _sieve(low, low + width)
        for _ in range(run.size("samples", 1_000, 4_000)):
            at = run.rng.randrange(width)
            run.check(prime[at] == is_prime(low + at), f"the sieve is wrong about {low + at}")
        found = sum(prime)
        run.count("primes_found", found)
        run.result(low, width, found)
        for _ in range(run.size("products", 4, 16)):
            bits = run.size("factor_bits", 24, 34, power=0)
            p, q = _random_prime(run, bits), _random_prime(run, bits)
            factors = factorise(run, p * q)
            run.check(factors == sorted((p, q)), f"{p * q} was taken apart into {factors}")
            run.count("factorised")
            run.result(*factors)


def _sieve(low: int, high: int) -> bytearray:
    """1 for each prime from low (2 at least) up to high, which is not part of it."""
    prime = bytearray([1]) * (high - low)
    root = math.isqrt(high) + 1
    small = bytearray([1]) * (root + 1)
    for p in range(2, root + 1):
        if not small[p]:
            continue
        small[p * p :: p] = bytes(len(range(p * p, root + 1, p)))
        first = max(p * p, -(-low // p) * p) - low
        prime[first::p] = bytes(len(range(first, high - low, p)))
    return prime


def is_prime(n: int) -> bool:
    """Miller-Rabin with fixed witnesses."""
    if n < 2:
        return False
    for p in WITNESSES:
        if n % p == 0:
            return n == p
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in WITNESSES:
        power = pow(witness, odd, n)
        if power in (1, n - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % n
            if power == n - 1:
                break
        else:
            return False
    return True


def factorise(run: Run, n: int) -> list[int]:
    """Prime factors in order, by Pollard's rho."""
    if is_prime(n):
        return [n]
    divisor = _divisor(run, n)
    return sorted(factorise(run, divisor) + factorise(run, n // divisor))


def _divisor(run: Run, n: int) -> int:
    if n % 2 == 0:
        return 2
    while True:
        slow = fast = run.rng.randrange(2, n)
        step, divisor = run.rng.randrange(1, n), 1
        while divisor == 1:
            slow = (slow * slow + step) % n
            fast = (fast * fast + step) % n
            fast = (fast * fast + step) % n
            divisor = math.gcd(slow - fast, n)
            run.count("rho_steps")
        if divisor != n:  # else this walk met itself everywhere at once: take another
            return divisor


def _random_prime(run: Run, bits: int) -> int:
    while True:
        n = run.rng.getrandbits(bits) | 1 | 1 << (bits - 1)
        if is_prime(n):
            return n


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
