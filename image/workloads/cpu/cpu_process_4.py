"""Hashes data and chains of digests, and searches and compares strings.

Digests are checked against published ones and against those of the same data in pieces; searches
and distances against the plain way of finding them.
"""

from __future__ import annotations

import hashlib
import hmac
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

KNOWN = {  # of "abc", as the standards print them
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha3_256": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
}
NAMES = ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b")
BLOCK = 64
"""Bytes of SHA-256's block, which HMAC is built on."""


def work(run: Run) -> None:
    """A round: each of these on data of random size."""
    for name, expected in KNOWN.items():
        run.check(hashlib.new(name, b"abc").hexdigest() == expected, f"{name} is not {name}")
    for _ in run.rounds():
        _digests(run)
        _chain(run)
        _macs(run)
        _search(run)
        _distance(run)


def _digests(run: Run) -> None:
    data = run.rng.randbytes(run.size("data_bytes", 2 << 20, 8 << 20))
    for name in NAMES:
        piece = run.rng.randrange(1, len(data) + 1)
        parts = hashlib.new(name, data[:piece])
        parts.update(data[piece:])
        digest = hashlib.new(name, data).digest()
        run.check(parts.digest() == digest, f"{name} of two pieces is another")
        run.count("bytes_hashed", 2 * len(data))
        run.result(digest)


def _chain(run: Run) -> None:
    """Each digest is of the one before: no two can be computed at once."""
    digest = run.rng.randbytes(32)
    links = run.size("chain_links", 40_000, 160_000)
    middle = b""
    for link in range(links):
        if link == links // 2:
            middle = digest
        digest = hashlib.sha256(digest).digest()
    again = middle
    for _ in range(links - links // 2):
        again = hashlib.sha256(again).digest()
    run.check(again == digest, "the second half of the chain ends elsewhere")
    run.result(digest)


def _macs(run: Run) -> None:
    """HMAC and PBKDF2 beside their definitions."""
    key, text = run.rng.randbytes(run.rng.randrange(1, BLOCK)), run.rng.randbytes(256)
    padded = key.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + text).digest()
    outer = hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()
    run.check(hmac.digest(key, text, "sha256") == outer, "HMAC is not as defined")
    times = run.size("pbkdf2_iterations", 2_000, 8_000)
    block = hmac.digest(key, b"salt\0\0\0\1", "sha256")
    derived = int.from_bytes(block, "big")
    for _ in range(times - 1):
        block = hmac.digest(key, block, "sha256")
        derived ^= int.from_bytes(block, "big")
    found = hashlib.pbkdf2_hmac("sha256", key, b"salt", times)
    run.check(found == derived.to_bytes(32, "big"), "PBKDF2 is not as defined")
    run.result(found)


def _search(run: Run) -> None:
    """Knuth-Morris-Pratt beside `str.find`, on text of two letters, which repeats itself."""
    text = "".join(run.rng.choices("ab", k=run.size("text_letters", 100_000, 300_000, least=100)))
    start = run.rng.randrange(len(text) - 20)
    pattern = text[start : start + run.rng.randint(8, 20)]
    expected, at = [], text.find(pattern)
    while at >= 0:
        expected.append(at)
        at = text.find(pattern, at + 1)
    run.check(occurrences(text, pattern) == expected, f"{pattern} is found elsewhere")
    run.count("matches", len(expected))
    run.result(len(expected))


def occurrences(text: str, pattern: str) -> list[int]:
    """Where the pattern begins in the text, overlaps too."""
    fallback, matched = [0], 0
    for letter in pattern[1:]:
        while matched and letter != pattern[matched]:
            matched = fallback[matched - 1]
        matched += letter == pattern[matched]
        fallback.append(matched)
    found, matched = [], 0
    for index, letter in enumerate(text):
        while matched and letter != pattern[matched]:
            matched = fallback[matched - 1]
        matched += letter == pattern[matched]
        if matched == len(pattern):
            found.append(index + 1 - matched)
            matched = fallback[matched - 1]
    return found


def _distance(run: Run) -> None:
    """A word that was changed n times is n steps away at most, and as far as the way back."""
    word = "".join(run.rng.choices("abcd", k=run.size("word_letters", 300, 700, power=0.5)))
    changed, changes = list(word), run.rng.randint(0, 20)
    for _ in range(changes):
        changed[run.rng.randrange(len(changed))] = run.rng.choice("abcd")
    other = "".join(changed)
    steps = distance(word, other)
    run.check(steps <= changes, f"{steps} steps for {changes} changes")
    run.check(steps == distance(other, word), "the way back is longer")
    run.check((steps == 0) == (word == other), "different words without a distance")
    run.result(steps)


def distance(a: str, b: str) -> int:
    """Levenshtein's: the fewest insertions, deletions and changes from a to b."""
    above = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
        above = row
    return above[-1]


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
