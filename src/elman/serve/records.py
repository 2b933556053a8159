"""What models return → values that JSON has, as `elman predict --json` prints them."""

from datetime import date, datetime
from typing import Any


def plain_value(value: Any) -> Any:
    """Return nested lists, objects, texts and numbers. Named tuples become objects; a frame becomes a list of
    its rows, with times as text."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, tuple) and (names := getattr(value, "_fields", None)):
        return {name: plain_value(one) for name, one in zip(names, value, strict=True)}
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
    if isinstance(value, date | datetime):
        return str(value)
    from elman.data.table.frames import to_frame  # brings polars

    return [plain_value(row) for row in to_frame(value, "the answer").iter_rows(named=True)]
