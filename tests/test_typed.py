"""Values of JSON are read as their annotations say, and any other is named."""

from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.typed import RawText, typed


@dataclass(frozen=True)
class Point:
    x: float
    names: tuple[str, ...] = ()


class Facts(TypedDict):
    rows: int
    column: NotRequired[str]


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        (str, "a", "a"),
        (RawText, "caf\udce9", "caf\udce9"),
        (bool, True, True),
        (int, -3, -3),
        (int, 2**63 - 1, 2**63 - 1),
        (float, 3, 3),
        (float | None, None, None),
        (str | float, 1.5, 1.5),
        (Literal["a", "b"], "b", "b"),
        (list[str], ["a"], ["a"]),
        (tuple[int, ...], [], ()),
        (tuple[tuple[int, ...], ...], [[1], []], ((1,), ())),
        (tuple[str | None, bool], [None, False], (None, False)),
        (tuple[tuple[str, ...] | tuple[float, float], ...], [["a"], [1, 2.5]], (("a",), (1, 2.5))),
        (dict[str, dict[str, float | None]], {"a": {"b": None}}, {"a": {"b": None}}),
        (Point, {"x": 1, "names": ["a"]}, Point(1, ("a",))),
        (Point, {"x": 1.5}, Point(1.5)),
        (Facts, {"rows": 3}, {"rows": 3}),
    ],
)
def test_values_that_fit(kind: Any, value: Any, result: Any) -> None:
    read = typed(kind, value, "part")
    assert read == result and type(read) is type(result)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (str, 5, "part must be a text of whole characters, not 5"),
        (str, None, "part must be a text of whole characters, not None"),
        (str, "caf\udce9", r"part must be a text of whole characters, not 'caf\\udce9'"),
        (RawText, 5, "part must be a text, not 5"),
        (bool, 1, "part must be true or false, not 1"),
        (int, True, "part must be a whole number of 64 bits, not True"),
        (int, 1.0, "part must be a whole number of 64 bits, not 1.0"),
        (int, 2**63, "part must be a whole number of 64 bits, not 9223372036854775808"),
        (float, "1", "part must be a finite number, not '1'"),
        (float, float("inf"), "part must be a finite number, not inf"),
        (float, 10**400, "part must be a finite number, not 1000"),
        (float | None, [], r"part must be a finite number or null, not \[\]"),
        (str | bool, 1, "part must be a text of whole characters or true or false, not 1"),
        (tuple[str, ...] | tuple[float, float], ["a", 1], r"part\[0\] must be a finite number, not 'a'"),
        (Literal["a"], 1, "part must be one of 'a', not 1"),
        (Literal["a"], ["a"], r"part must be one of 'a', not \['a'\]"),
        (tuple[str, ...], "ab", "part must be a list, not 'ab'"),
        (tuple[str, ...], ["a", 2], r"part\[1\] must be a text of whole characters, not 2"),
        (tuple[str, str], ["a"], r"part must be a list of 2, not \['a'\]"),
        (list[list[str]], [["a"], [[]]], r"part\[1\]\[0\] must be a text of whole characters, not \[\]"),
        (dict[str, float], [1], r"part must be an object, not \[1\]"),
        (dict[str, float], {"a\nb": ""}, r"part\['a\\nb'\] must be a finite number, not ''"),
        (Point, {"x": 1, "y": 2}, r"part has unknown or missing entries \['y'\]"),
        (Point, {}, r"part has unknown or missing entries \['x'\]"),
        (Point, {"x": 1, "names": [[]]}, r"part.names\[0\] must be a text of whole characters, not \[\]"),
        (Facts, {"column": "a"}, r"part has unknown or missing entries \['rows'\]"),
        (Facts, {"rows": 1, "column": 1}, r"part.column must be a text of whole characters, not 1"),
    ],
)
def test_values_that_do_not_fit(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as raised:
        typed(kind, value, "part")
    assert len(str(raised.value)) < 200 and "\n" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_any_value_fits_or_is_refused(value: Any) -> None:
    for kind in (str, float | None, list[str], tuple[float, str], dict[str, list[int]], Point, Facts):
        try:
            typed(kind, value, "part")
        except ValueError as error:
            assert str(error).startswith("part") and len(str(error)) < 400
