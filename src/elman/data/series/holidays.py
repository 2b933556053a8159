"""Public holidays of a country, from the package `holidays`."""

import functools
import importlib
import re
from datetime import MAXYEAR, MINYEAR
from typing import Final

import numpy as np
from numpy.typing import NDArray

from elman.data.series.stamps import Stamps
from elman.errors import ElmanError, UsageError

CODE: Final = re.compile(r"([A-Z]{2,3})(?:-([A-Z0-9]{1,4}))?")


def check_country(code: str) -> None:
    """Raise UsageError for a country or region that the package lacks, ElmanError where it is missing."""
    _dates(code, 2000)


def holidays_of_steps(stamps: Stamps, code: str) -> NDArray[np.int64]:
    """Return the number of holidays in each step but the last (n - 1,), from its stamp (n,) to the next; of
    steps shorter than a day, 1 on a holiday.

    Raises:
        UsageError: as `check_country` does, and for stamps that are not dates.
    """
    if stamps.dtype.kind != "M":
        raise UsageError("holidays need stamps that are dates; omit holidays for numbered steps.")
    days = stamps.astype("datetime64[D]")
    first, last = (int(day.astype("datetime64[Y]").astype(int)) + 1970 for day in (days[0], days[-1]))
    years = [_dates(code, year) for year in range(max(first, MINYEAR), min(last, MAXYEAR) + 1)]
    dates = np.sort(np.concatenate([np.array([], "datetime64[D]"), *years]))
    ends = np.maximum(days[1:], days[:-1] + np.timedelta64(1, "D"))
    return np.asarray(np.searchsorted(dates, ends) - np.searchsorted(dates, days[:-1]))


@functools.lru_cache(maxsize=10_000)
def _dates(code: str, year: int) -> NDArray[np.datetime64]:
    try:
        package = importlib.import_module("holidays")
    except ImportError:
        raise ElmanError(
            "holidays requires the package holidays; install it with `pip install 'elman[holidays]'`."
        ) from None
    match = CODE.fullmatch(code)
    try:
        found = package.country_holidays(match[1], match[2], years=year) if match else None
    except NotImplementedError:
        found = None
    if found is None:
        raise UsageError(
            f"the package holidays knows no country or region {code!r:.20}; give one like US-CA."
        )
    return np.array(sorted(found), dtype="datetime64[D]")
