"""A first look at data before PyTorch is imported, which takes a second: files and columns that are missing.

Each function of a task takes the training data or None, the data to score on or None, and options of `fit`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from elman.data.table.formats import ENDINGS, ending, open_file, refuse_file_name
from elman.data.table.table import check_path, read_table

Option = Mapping[str, Any]


def first_look(task: str, data: Any, test: Any, options: Option) -> None:
    """Raise DataError or UsageError for data that `fit` or `evaluate` could not read.

    Args:
        data: those to train on, as for `fit`; None where they can be read only once.
        test: those to score on; likewise.
        options: the arguments and settings of `fit` that were chosen.
    """
    _LOOKS[task](data, test, options)
    valid = options.get("valid")
    for path in valid if isinstance(valid, tuple) else [valid]:
        if isinstance(path, str):
            require_file(path)


def require_file(path: str) -> None:
    """Raise DataError or UsageError for a file that does not exist or can't be read."""
    if path != "-" and not path.startswith("hf:") and not Path(path).is_fifo():
        check_path(path)
        open_file(Path(path)).close()


def require_input(task: str, data: str) -> None:
    """Raise DataError for what can only be the name of a file, but of none that exists.

    Args:
        task: of the model that is to answer.
        data: what a user gave: a text where the task answers texts, a file, or "-".
    """
    if data == "-" or os.path.exists(data):  # noqa: PTH110  # which accepts any text
        return
    is_table = task == "classify" and len(data.split()) == 1 and ending(Path(data)) in ENDINGS
    if task in ("forecast", "transcribe") or is_table:
        require_file(data)
    else:
        refuse_file_name(data)


def _reading(options: Option, *names: str) -> dict[str, Any]:
    """Return those of the options that say how to read a table."""
    return {name: options[name] for name in names if name in options}


def _classify(data: Any, test: Any, options: Option) -> None:
    for source in (data, test):
        if source is not None:
            table = read_table(source, **_reading(options, "header", "skip_bad"))
            table.require(options.get("text", "text"), options.get("label", "label"))


def _forecast(data: Any, test: Any, options: Option) -> None:
    from elman.data.series.columns import find_columns
    from elman.data.series.source import join_names, series_table

    def read(source: Any) -> Any:
        return series_table(source, time=time, value=value, **_reading(options, "header", "skip_bad"))

    time, value, series = join_names(options.get("time")), options.get("value"), options.get("series")
    more: Sequence[str] = (*options.get("future", ()), *options.get("static", ()))
    names = [column for column in (time, value, series, *more) if column is not None]
    if data is not None:  # `evaluate` takes the columns of the training data
        chosen = _reading(options, "future", "static", "duplicates")
        columns = find_columns(read(data), time, value, series, **chosen)
        time, value, names = columns.time, columns.value, list(columns.all)
    if test is not None:
        read(test).require(*names)


def _generate(data: Any, test: Any, options: Option) -> None:
    from elman.data.text.sources import is_table_path, open_text

    for source in (data, test):
        if source is None:
            continue
        if is_table_path(source) or options.get("text") is not None:
            read_table(source, **_reading(options, "skip_bad")).complete(options.get("text", "text"))
        else:
            with ExitStack() as stack:
                open_text(source, stack)


def _translate(data: Any, test: Any, options: Option) -> None:
    from elman.data.text.pairs import read_pairs

    names, skip_bad = (options.get("source"), options.get("target")), options.get("skip_bad", False)
    if data is not None:  # `evaluate` takes the columns of the training data
        names = read_pairs(data, *names, skip_bad).columns or (None, None)
    if test is not None:
        read_pairs(test, *(names if isinstance(test, str) else (None, None)), skip_bad)


def _chat(data: Any, test: Any, options: Option) -> None:
    from elman.data.text.conversations import read_conversations

    for source in (data, test):
        if source is not None:
            read_conversations(source, options.get("skip_bad", False))


def _transcribe(data: Any, test: Any, options: Option) -> None:
    for source in (data, test, options.get("phrases") if data is None else None):
        if isinstance(source, str) and not Path(source).is_dir():
            require_file(source)


_LOOKS: Final[Mapping[str, Callable[[Any, Any, Option], None]]] = {
    "classify": _classify,
    "forecast": _forecast,
    "generate": _generate,
    "translate": _translate,
    "chat": _chat,
    "transcribe": _transcribe,
}
