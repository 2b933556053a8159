"""The shared character classes against the Unicode database, for every code point."""

import re
import sys
import unicodedata

from elman.data.text.unicode import CJK, combining_marks

CODE_POINTS = [chr(code) for code in range(sys.maxunicode + 1)]


def matched(characters: str) -> list[str]:
    return re.findall(f"[{characters}]", "".join(CODE_POINTS))


def test_combining_marks_are_the_mark_categories_of_the_basic_plane() -> None:
    marks = [c for c in CODE_POINTS if unicodedata.category(c) in ("Mn", "Mc", "Me") and c <= "\uffff"]
    assert matched(combining_marks()) == list(combining_marks()) == marks


def test_cjk_holds_every_ideograph_and_kana_letter() -> None:
    characters = set(matched(CJK))
    names = {c: unicodedata.name(c, "") for c in CODE_POINTS}
    for prefix in ("CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH"):
        assert characters >= {c for c, name in names.items() if name.startswith(prefix)}
    kana = {c for c, name in names.items() if name.startswith(("HIRAGANA LETTER", "KATAKANA LETTER"))}
    assert characters >= {c for c in kana if c <= "\u30ff"}


def test_cjk_holds_no_letter_of_a_script_with_spaces() -> None:
    letters = [c for c in matched(CJK) if c.isalpha()]
    scripts = {re.split("[ -]", unicodedata.name(c))[0] for c in letters}
    assert scripts == {"CJK", "HIRAGANA", "KATAKANA"}
