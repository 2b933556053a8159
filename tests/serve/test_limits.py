"""Limits are settings, with checks."""

import pytest

from elman.errors import UsageError
from elman.serve.limits import Limits


def test_defaults() -> None:
    limits = Limits()
    assert (limits.sessions, limits.message_bytes, limits.tick) == (5000, 1 << 20, 2)


@pytest.mark.parametrize("wrong", [{"sessions": 0}, {"idle": 0}, {"tick": -1}, {"message_bytes": 10}])
def test_a_value_out_of_range_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"^{next(iter(wrong))} must be"):
        Limits(**wrong)  # type: ignore[arg-type]
