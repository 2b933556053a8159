"""Generators of requests, answered by a function or by generators of other requests."""

from collections.abc import Generator

import pytest

from elman.stepping import driven, within


def total(numbers: list[int]) -> Generator[int, int, int]:
    found = 0
    for number in numbers:
        found += yield number
    return found


def test_answers_come_from_a_function() -> None:
    assert driven(total([1, 2, 3]), lambda number: 10 * number) == 60
    assert driven(total([]), lambda number: number) == 0


def test_an_error_of_an_answer_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError):
        driven(total([0]), lambda number: 1 // number)


def test_answers_take_requests_of_another_kind() -> None:
    def answer(number: int) -> Generator[str, str, int]:
        return int((yield f"{number}")) + int((yield f"{number + 1}"))

    asked: list[str] = []

    def outer(text: str) -> str:
        asked.append(text)
        return text * 2

    assert driven(within(total([1, 4]), answer), outer) == 11 + 22 + 44 + 55
    assert asked == ["1", "2", "4", "5"]
