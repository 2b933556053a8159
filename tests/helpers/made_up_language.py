"""Sentence pairs of a made-up language in which the words have the opposite order."""

import random
from itertools import product
from typing import Final

WHO: Final = {"kato": "cat", "hundo": "dog", "birdo": "bird", "viro": "man"}
DOES: Final = {"vidas": "sees", "portas": "carries", "trovas": "finds"}
WHAT: Final = {"pomon": "apple", "libron": "book", "domon": "house", "floron": "flower"}


def language(seed: int = 0) -> tuple[list[str], list[str]]:
    """What, verb, who, number → who, number, verb, what; the numbers are rare and copied."""
    rng = random.Random(seed)
    rows = []
    for (who, man), (does, do), (what, thing) in product(WHO.items(), DOES.items(), WHAT.items()):
        for _ in range(5):
            number = rng.randrange(1000, 100_000)
            rows.append((f"{what} {does} la {who} {number}.", f"{man} {number} {do} a {thing}."))
    rng.shuffle(rows)
    return [source for source, _ in rows], [target for _, target in rows]
