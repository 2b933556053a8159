"""Covariates that are texts (promotions, weather, events): each text of a column as a code.

A code is an index into the texts of its column, or their number for a text that is none of them. A missing
row has NaN. An empty cell is a text of its own, "", where training has seen some, and else missing.
"""

import logging
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from elman.data.table.formats import shorten
from elman.data.table.table import MISSING_NUMBERS, Table, is_text
from elman.errors import DataError

Codes = NDArray[np.float64]
Texts = tuple[str, ...]
MAX_CATEGORIES: Final = 20  # of a column; an empty cell is one more
MIN_ROWS: Final = 2  # of a category
_TRUTH: Final = {"yes": "true", "no": "false"}
_log = logging.getLogger("elman")


@dataclass(frozen=True)
class Categories:
    """The categories of a column: its most frequent texts in training.

    Attributes:
        texts: most frequent first; last an empty cell, if there are some.
        rest: number of other texts in training, which share an input.
    """

    texts: Texts
    rest: int

    @classmethod
    def fit(cls, codes: Codes, texts: Texts, column: str) -> "Categories":
        """Choose the categories of a column of codes (rows,) of texts.

        Raises:
            DataError: most rows have a text of their own, so that they are an identifier or free text.
        """
        rows: Counter[str] = Counter()
        spelling: dict[str, str] = {}
        numbers, counts = np.unique(codes[~np.isnan(codes)].astype(np.int64), return_counts=True)
        for number, count in sorted(zip(numbers.tolist(), counts.tolist(), strict=True), key=lambda c: -c[1]):
            text = texts[number]
            rows[_key(text)] += count
            spelling.setdefault(_key(text), text)  # the most frequent one
        frequent = [key for key, count in rows.most_common() if key and count >= MIN_ROWS]
        kept = frequent[:MAX_CATEGORIES] + ([""] if rows[""] >= MIN_ROWS else [])
        covered = sum(rows[key] for key in kept)
        distinct = sum(1 for key in rows if key)
        # Fewer texts may be the months of one year, or events that are yet to return.
        if distinct > MAX_CATEGORIES and covered < rows.total() / 2:
            raise DataError(
                f"column {shorten(column)} holds {distinct} different texts in {rows.total()} rows, as an "
                "identifier or free text does; give a column of categories that return, such as types of "
                "promotions, or omit it."
            )
        return cls(tuple(spelling[key] for key in kept), sum(1 for key in rows if key and key not in kept))

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.texts) + (self.rest > 0)

    def inputs(self, codes: Codes) -> NDArray[np.float32]:
        """Return an input (rows, width) of 0 or 1 for each category, and one for all other texts. Without
        others in training, a new text has only zeros, as an input that was never trained would be noise."""
        return np.asarray(codes[:, None] == np.arange(self.width), np.float32)

    def __str__(self) -> str:
        named = [shorten(text) if text else "empty" for text in self.texts]
        return ", ".join([*named, f"{self.rest} other"] if self.rest else named)


def code(text: str, texts: Texts) -> float:
    """Return the code of a text, or of another spelling of it; NaN for an empty one that is not among
    `texts`."""
    if text.strip() in texts:
        return float(texts.index(text.strip()))
    key = _key(text)
    codes = [i for i, one in enumerate(texts) if _key(one) == key]
    return float(codes[0]) if codes else float(len(texts)) if key else float("nan")


def recoded(codes: Codes, old: Texts, new: Texts) -> Codes:
    """Return codes of the texts `old` as codes of the texts `new`. Raises ValueError for codes of none."""
    numbers = np.nan_to_num(codes, nan=0.0)
    if not np.isin(numbers, np.arange(len(old) + 1)).all():
        raise ValueError(f"a code of a category is none from 0 to {len(old)}")
    if old == new:
        return codes
    known = {_key(text): float(i) for i, text in reversed([*enumerate(new)])}
    same, rest = {text: float(i) for i, text in enumerate(new)}, float(len(new))
    others = [known.get(_key(text), rest if _key(text) else np.nan) for text in old]
    table = np.array([same.get(text, other) for text, other in zip(old, others, strict=True)] + [rest])
    return np.where(np.isnan(codes), np.nan, table[numbers.astype(np.int64)])


def are_categories(cells: pl.Series) -> bool:
    """Return whether a column is one of texts: fewer than half of its cells are numbers."""
    if not is_text(cells.dtype):
        return False
    present = cells.cast(pl.String).str.strip_chars().drop_nulls()
    present = present.filter(~present.str.to_lowercase().is_in(MISSING_NUMBERS))
    return present.cast(pl.Float64, strict=False).null_count() > len(present) / 2


def read_codes(table: Table, column: str, fitted: Texts | None) -> tuple[Codes, Texts]:
    """Return a column's codes (rows,) and the texts that they are of: those of a model, or all of the column.

    A warning names texts that are new to a model.

    Raises:
        DataError: the column holds lists or bytes.
    """
    cells = table.frame[column]
    if cells.dtype.is_nested() or cells.dtype == pl.Binary:
        raise DataError(f"column {shorten(column)} of {table.name} holds lists or bytes; give texts.")
    if cells.dtype.is_float() and bool((cells.fill_nan(None).drop_nulls() % 1 == 0).all()):
        cells = cells.fill_nan(None).cast(pl.Int64, strict=False)
    filled = cells.cast(pl.String).str.strip_chars().fill_null("")
    texts: Texts = tuple(filled.unique().sort().to_list())
    codes = filled.rank("dense").to_numpy().astype(np.float64) - 1
    if fitted is None:
        return codes, texts
    warn_of_new([text for text in texts if code(text, fitted) == len(fitted)], column, f"{table.name}: ")
    return recoded(codes, texts, fitted), fitted


def warn_of_new(texts: Sequence[str], column: str, where: str = "") -> None:
    """Log a warning that these texts of a column are none of its categories, if there are any."""
    if not texts:
        return
    named = ", ".join(map(shorten, texts[:3])) + (", ..." if len(texts) > 3 else "")
    one = len(texts) == 1
    verdict = "is no category of the model and counts" if one else "are no categories of the model and count"
    _log.warning(f"{where}column {shorten(column)} holds {named}, which {verdict} as other")


def truth(cells: pl.Series) -> pl.Series:
    """Return a column of the words yes and no, or true and false, as 1 and 0, and any other column as it
    is: a column of truth values may be numbers in one table and words in the next."""
    if not is_text(cells.dtype):
        return cells
    words = cells.cast(pl.String).str.strip_chars().str.to_lowercase().replace(_TRUTH)
    present = words.filter(~words.is_in(MISSING_NUMBERS)).drop_nulls()
    if not len(present) or not present.is_in([*_TRUTH.values()]).all():
        return cells
    return words.replace({"true": "1", "false": "0"})


def _key(text: str) -> str:
    """Return what is the same for all spellings of a text: an accent may be a character of its own."""
    word = unicodedata.normalize("NFC", text.strip().casefold())
    return _TRUTH.get(word, word)
