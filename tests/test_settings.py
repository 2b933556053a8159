"""Every kind of row accepts the values of its range, and refuses all others with a sentence."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from elman import settings as rows_of
from elman.cells import CELLS
from elman.errors import UsageError
from elman.settings import Row, check, is_number, is_whole, plain, rows
from elman.tasks.settings import cell

LARGEST = sys.float_info.max
WORDS = ["word", "subword", "lstm", "LSTM", "none", "None", "", "1", "true"]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10),
    st.integers(),
    st.floats(-0.5, 3),
    st.floats(),
    st.sampled_from([*WORDS, *CELLS, -0.0, 1.0, math.nan, math.inf, 10**400, -(10**400)]),
    st.text(max_size=4),
    st.lists(st.integers(0, 3), max_size=2),
    st.tuples(st.floats(0, 1)),
)


@pytest.mark.parametrize("kind", [np.int8, np.uint64, np.int64, np.array, torch.tensor])
def test_scalars_of_other_libraries_are_whole_numbers(kind: Any) -> None:
    assert type(plain(kind(7))) is int
    assert plain(kind(7)) == 7


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble, np.array, torch.tensor])
def test_scalars_of_other_libraries_are_numbers(kind: Any) -> None:
    assert type(plain(kind(0.25))) is float
    assert plain(kind(0.25)) == 0.25


@pytest.mark.parametrize("kind", [np.bool_, np.array, torch.tensor])
def test_scalars_of_other_libraries_are_flags(kind: Any) -> None:
    assert plain(kind(True)) is True


def test_what_is_no_number_stays_as_it_is() -> None:
    day, wait, word = np.datetime64("2020-01-01", "ns"), np.timedelta64(1, "ns"), np.str_("x")
    for value in (
        None,
        "x",
        [1],
        (np.int64(1),),
        day,
        wait,
        word,
        np.array("x"),
        np.ones(1),
        1j,
        np.complex64(1),
    ):
        assert plain(value) is value
    several = torch.ones(1)
    assert plain(several) is several


def whole(value: Any) -> bool:
    return type(value) is int


def finite(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST


# A row, its range in words, and the values of that range by another definition.
KINDS: dict[str, tuple[Any, str, Callable[[Any], bool]]] = {
    "whole": (
        rows_of.whole(3, "help"),
        "a whole number of at least 1",
        lambda v: whole(v) and v >= 1,
    ),
    "whole to most": (
        rows_of.whole(3, "help", least=0, most=5),
        "a whole number from 0 to 5",
        lambda v: whole(v) and v in range(6),
    ),
    "whole or derived": (
        rows_of.whole(None, "help", least=2),
        "a whole number of at least 2",
        lambda v: v is None or (whole(v) and v >= 2),
    ),
    "number": (
        rows_of.number(1.0, "help"),
        "a number above 0",
        lambda v: finite(v) and v > 0,
    ),
    "number to most": (
        rows_of.number(0.9, "help", most=1.0),
        "a number above 0 and at most 1",
        lambda v: finite(v) and 0 < v <= 1,
    ),
    "amount": (rows_of.amount(0.0, "help"), "a number of 0 or more", lambda v: finite(v) and v >= 0),
    "share": (rows_of.share(0.5, "help"), "a share from 0 to below 1", lambda v: finite(v) and 0 <= v < 1),
    "flag": (rows_of.flag(False, "help"), "true or false", lambda v: type(v) is bool),
    "choice": (
        rows_of.choice("word", "help", "word", "subword"),
        "one of word, subword",
        lambda v: type(v) is str and v in ("word", "subword"),
    ),
    "choice or none": (
        rows_of.choice("word", "help", "word", None),
        "one of word, None",
        lambda v: v is None or (type(v) is str and v == "word"),
    ),
    "cell": (
        cell("lstm"),
        f"one of {', '.join(CELLS)}, or your own cell",
        lambda v: type(v) is str and v.lower() in CELLS,
    ),
    "custom": (
        rows_of.custom(2, "help", int, "an even number", lambda v: whole(v) and v % 2 == 0),
        "an even number",
        lambda v: whole(v) and v % 2 == 0,
    ),
}


def group(row: Any) -> type[Any]:
    """A group of settings of one row."""

    @dataclass(frozen=True)
    class Group:
        some_setting: Any = row

        def __post_init__(self) -> None:
            check(self)

    return Group


@pytest.mark.parametrize("kind", KINDS)
@given(VALUES)
@example(True)
@example(math.nan)
@example(math.inf)
@example(-math.inf)
@example(10**400)
@example(LARGEST)
@example(0)
@example(1)
@example(1.0)
@example(None)
def test_a_row_accepts_its_range_and_nothing_else(kind: str, value: Any) -> None:
    row, phrase, holds = KINDS[kind]
    settings = group(row)
    if holds(value):
        assert settings(value).some_setting is value
        return
    with pytest.raises(UsageError) as raised:
        settings(value)
    assert str(raised.value) == f"some_setting must be {phrase}, not {value!r:.200}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_lies_in_its_range(kind: str) -> None:
    row, phrase, _ = KINDS[kind]
    settings = group(row)
    ((name, (said, default)),) = rows(settings).items()
    assert (name, default) == ("some_setting", settings().some_setting)
    assert said.range() == phrase
    cells = "lstm, gru, elman, ... (see `elman show`)"
    listed = {"cell": f"Recurrence: {cells}, or FILE.py:NAME for one of your own"}
    listed |= {"choice": "help: word, subword", "choice or none": "help: word, none"}
    assert said.help == listed.get(kind, "help")


@dataclass(frozen=True)
class Mixed:
    horizon: int = rows_of.required("steps to look ahead", int)
    text: str = rows_of.argument("text", "column of the text")
    valid: Any = rows_of.argument(None, "other data", auto="a tenth")
    hidden: int = rows_of.whole(8, "units")
    season: int | None = rows_of.whole(None, "steps", auto="from the data")
    rate: float = rows_of.number(0.1, "rate")
    plain: int = 3


def test_rows_of_a_group_in_their_order() -> None:
    table = rows(Mixed)
    assert [*table] == ["horizon", "text", "valid", "hidden", "season", "rate"]
    assert [default for _, default in table.values()] == [MISSING, "text", None, 8, None, 0.1]
    assert [row.kind for row, _ in table.values()] == [int, str, str, int, int, float]
    shown = [row.default for row, _ in table.values()]
    assert shown == [None, None, "a tenth", None, "from the data", None]


def test_the_reader_of_an_argument_checks_it() -> None:
    table = rows(Mixed)
    for name, value in (("horizon", "six"), ("text", 3), ("text", "none")):
        row: Row = table[name][0]
        assert row.holds(value) and row.range() == ""
    assert not table["text"][0].holds(None)  # so that the command line takes "none" as a word


def test_the_first_wrong_setting_is_named() -> None:
    @dataclass(frozen=True)
    class Two:
        hidden: int = rows_of.whole(8, "units")
        dropout: float = rows_of.share(0.1, "dropout")
        plain: int = 3

        def __post_init__(self) -> None:
            check(self)

    assert Two(plain="anything") == Two(8, 0.1, "anything")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^hidden must be a whole number of at least 1, not 0$"):
        Two(hidden=0, dropout=2.0)
    with pytest.raises(UsageError, match=r"^dropout must be a share from 0 to below 1, not 2\.0$"):
        Two(dropout=2.0)


def test_booleans_are_no_numbers() -> None:
    assert is_whole(0) and not is_whole(False) and not is_whole(1.0)
    assert is_number(1) and is_number(0.5) and not is_number(True) and not is_number("1")
    assert not any(map(is_number, (math.nan, math.inf, -math.inf, 10**400)))


def test_settings_need_no_torch() -> None:
    program = "import sys, elman.settings; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
