"""Recursion: binary trees, queens, towers, permutations, Fibonacci numbers.

Trees have to give their keys in order; everything else has a known answer.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..harness import Run, main
else:
    from harness import Run, main

QUEENS = {4: 2, 5: 10, 6: 4, 7: 40, 8: 92}
"""Board → ways to place as many queens on it."""


class Node:
    """A key and the trees of smaller and larger keys; priorities keep it shallow (a treap)."""

    __slots__ = ("key", "larger", "priority", "smaller")

    def __init__(self, key: int, priority: float) -> None:
        self.key = key
        self.priority = priority
        self.smaller: Node | None = None
        self.larger: Node | None = None


def work(run: Run) -> None:
    """A round: one tree, and each of the other recursions once."""
    for _ in run.rounds():
        _tree(run)
        board = run.choice("queens", tuple(QUEENS))
        found = queens(board)
        run.check(found == QUEENS[board], f"{found} ways for {board} queens")
        _towers(run)
        _permutations(run)
        _fibonacci(run)


def _tree(run: Run) -> None:
    keys = [run.rng.randrange(1 << 40) for _ in range(run.size("keys", 20_000, 80_000))]
    root: Node | None = None
    for key in keys:
        root = insert(root, key, run.rng.random())
    found = list(in_order(root))
    run.check(found == sorted(set(keys)), "the tree lost its order, or keys")
    run.check(size(root) == len(found), "the tree's size is another")
    levels = depth(root)
    run.check(levels >= math.log2(len(found) + 1), f"{len(found)} keys in {levels} levels")
    run.value("tree_depth", levels)
    run.count("keys", len(found))
    run.result(len(found), levels, found[0], found[-1])


def insert(tree: Node | None, key: int, priority: float) -> Node:
    """The tree with the key in it, of lower priorities below higher ones."""
    if tree is None:
        return Node(key, priority)
    if key < tree.key:
        left = tree.smaller = insert(tree.smaller, key, priority)
        if left.priority > tree.priority:
            tree.smaller, left.larger = left.larger, tree
            return left
    elif key > tree.key:
        right = tree.larger = insert(tree.larger, key, priority)
        if right.priority > tree.priority:
            tree.larger, right.smaller = right.smaller, tree
            return right
    return tree


def in_order(tree: Node | None) -> Iterator[int]:
    """Its keys, the smallest first."""
    if tree is not None:
        yield from in_order(tree.smaller)
        yield tree.key
        yield from in_order(tree.larger)


def size(tree: Node | None) -> int:
    """How many keys it holds."""
    return 0 if tree is None else 1 + size(tree.smaller) + size(tree.larger)


def depth(tree: Node | None) -> int:
    """Levels of it."""
    return 0 if tree is None else 1 + max(depth(tree.smaller), depth(tree.larger))


def queens(board: int, columns: int = 0, left: int = 0, right: int = 0) -> int:
    """Ways to complete a board; the bits say what is attacked in the next row."""
    full = (1 << board) - 1
    if columns == full:
        return 1
    ways, free = 0, full & ~(columns | left | right)
    while free:
        place = free & -free
        free ^= place
        ways += queens(board, columns | place, (left | place) << 1, (right | place) >> 1)
    return ways


def _towers(run: Run) -> None:
    """The towers of Hanoi: all discs on the last peg after 2^n - 1 legal moves."""
    discs = run.size("discs", 12, 15, power=0.1, least=2)
    pegs: list[list[int]] = [list(range(discs, 0, -1)), [], []]
    moves = _move(run, pegs, discs, 0, 2, 1)
    run.check(moves == 2**discs - 1, f"{discs} discs took {moves} moves")
    run.check(pegs == [[], [], list(range(discs, 0, -1))], "discs stand elsewhere")
    run.count("moves", moves)


def _move(run: Run, pegs: list[list[int]], discs: int, source: int, target: int, spare: int) -> int:
    if discs == 0:
        return 0
    before = _move(run, pegs, discs - 1, source, spare, target)
    disc = pegs[source].pop()
    run.check(not pegs[target] or pegs[target][-1] > disc, "a disc was put on a smaller one")
    pegs[target].append(disc)
    return before + 1 + _move(run, pegs, discs - 1, spare, target, source)


def _permutations(run: Run) -> None:
    """All orders of n letters, each once, and in the order in which itertools gives them."""
    letters = "abcdefgh"[: run.rng.randint(5, 7)]
    found = ["".join(one) for one in permutations(letters)]
    expected = ["".join(one) for one in itertools.permutations(letters)]
    run.check(found == expected, f"permutations of {letters} are others")
    run.count("permutations", len(found))


def permutations(letters: str) -> Iterator[str]:
    """In the order of the letters."""
    if not letters:
        yield ""
    for index, letter in enumerate(letters):
        for rest in permutations(letters[:index] + letters[index + 1 :]):
            yield letter + rest


def _fibonacci(run: Run) -> None:
    """By the plain recursion and by doubling; the plain one calls itself as often as it counts."""
    n = run.rng.randint(16, 22)
    plain, fast = fibonacci(n), doubled(n)[0]
    run.check(plain == fast, f"Fibonacci's number {n} is {plain} or {fast}")
    far = run.size("fibonacci_index", 5_000, 20_000)
    a, b = doubled(far)
    run.check(b * b - a * b - a * a == (-1) ** far, f"Fibonacci's numbers {far} do not fit")
    run.result(plain, a % (1 << 61))


def fibonacci(n: int) -> int:
    """F(n), in as many calls as it is large."""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def doubled(n: int) -> tuple[int, int]:
    """F(n) and F(n + 1) in log2(n) calls."""
    if n == 0:
        return 0, 1
    a, b = doubled(n // 2)
    c, d = a * (2 * b - a), a * a + b * b
    return (d, c + d) if n % 2 else (c, d)


if __name__ == "__main__":
    sys.exit(main(work, __file__, __doc__))
