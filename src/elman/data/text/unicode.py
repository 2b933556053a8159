"""Character classes that tokenizers and vocabularies share, written as the inside of `[...]` of a pattern."""

import unicodedata
from functools import cache
from typing import Final

# Han and kana: Chinese and Japanese put no spaces between words, so each character is a token.
CJK: Final = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@cache
def combining_marks() -> str:
    """Return the combining marks (accents, vowel signs) of the Basic Multilingual Plane."""
    return "".join(c for c in map(chr, range(0x300, 0xFFFF)) if unicodedata.category(c)[0] == "M")
