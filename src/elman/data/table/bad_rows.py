"""Rows that can't be used: the first one stops the reading, or all are skipped, counted and reported once."""

import logging
from typing import Final

from elman.errors import DataError

MAX_BAD_SHARE: Final = 0.5  # of the rows; where more are bad, the data are not what they are taken for
ADVICE: Final = "To leave out such rows, use --skip-bad (in Python, skip_bad=True)."

_log = logging.getLogger("elman")


class BadRows:
    """What to do about bad rows of one table or file, and those skipped so far. With `advise`, the error of
    the first names the setting that skips them, which every caller of the reader must have."""

    def __init__(self, skip: bool = False, *, advise: bool = False) -> None:
        self.skip = skip
        self._advise = advise
        self._lines: set[int] = set()  # in which they start, so that none counts twice
        self._first: tuple[int, str] | None = None

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: int, problem: DataError) -> None:
        """Raise the problem of the row that starts on `line`, or skip that row."""
        if not self.skip:
            if self._advise:
                raise DataError(f"{problem} {ADVICE}") from None
            raise problem
        self._lines.add(line)
        if self._first is None or line < self._first[0]:
            self._first = line, str(problem)

    def report(self, name: str, kept: int) -> None:
        """Warn of the skipped rows, once.

        Args:
            name: of the data.
            kept: number of rows that can be used.

        Raises:
            DataError: more than half of all rows are bad.
        """
        if self._first is None:
            return
        count = f"{len(self):,} of {kept + len(self):,} rows of {name}"
        if len(self) > MAX_BAD_SHARE * (kept + len(self)):
            raise DataError(f"{count} can't be used, too many to skip; the first: {self._first[1]}")
        _log.warning("skipped %s; the first: %s", count, self._first[1])
        self._lines, self._first = set(), None


STOP: Final = BadRows()  # never changes
