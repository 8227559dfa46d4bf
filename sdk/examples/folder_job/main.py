"""Counts words in the text that travels beside it."""

from __future__ import annotations

from pathlib import Path


def main(words: list[str]) -> dict[str, int]:
    text = Path(__file__).with_name("text.txt").read_text().split()
    print(f"{len(text)} words")
    return {word: text.count(word) for word in words}
