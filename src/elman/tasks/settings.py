"""Keyword arguments of `fit` → a task's settings and a training plan; defaults that several tasks share."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, TypeVar

from elman.errors import UsageError, suggestion
from elman.settings import argument, check, custom, rows
from elman.training.plan import Plan

S = TypeVar("S", bound="TaskSettings")
# Steps over which the weights are averaged, and the share of a shorter run.
EMA_STEPS: Final = 500
EMA_SHARE: Final = 0.04
# The most that a setting may ask for, so that a model's folder can't ask for any amount of memory or time.
MAX_UNITS: Final = 65_536
MAX_LAYERS: Final = 100
MAX_TOKENS: Final = 10_000_000
MAX_STEPS: Final = 1_000_000
MAX_BEAM_WIDTH: Final = 500


@dataclass(frozen=True)
class TaskSettings:
    """The settings of one task, a dataclass of rows (`elman.settings`)."""

    HELP: ClassVar[str]  # what training does, and examples of its command
    ARGUMENTS: ClassVar[type[Any]]  # a dataclass of rows: the arguments of `fit` beside data and settings
    DERIVED: ClassVar[tuple[str, ...]] = ()  # fields of settings and plan whose defaults come from the data
    RENAMED: ClassVar[dict[str, str]] = {}  # fields of elman 0.1.0 that have another name now
    FILES: ClassVar[int] = 1  # number of files that the data may consist of

    def __post_init__(self) -> None:
        if hasattr(self, "cell"):
            object.__setattr__(self, "cell", _chosen_cell(self.cell))
        check(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values: a cell of one's own by its equations."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        if isinstance(values.get("cell", ""), str):
            return values
        from elman.engine.portable import to_json

        return values | {"cell": to_json(values["cell"])}


def cell(default: str) -> Any:
    def names() -> str:
        from elman.cells import CELLS  # brings PyTorch, which `--help` does without

        return f"one of {', '.join(CELLS)}, or your own cell"

    help = "Recurrence: lstm, gru, elman, ... (see `elman show`), or FILE.py:NAME for one of your own"
    return custom(default, help, str, names, _is_cell)


def cell_name(settings: TaskSettings) -> str:
    """Return the name of the cell that the settings choose."""
    chosen: Any = settings.cell  # type: ignore[attr-defined]
    return chosen if isinstance(chosen, str) else str(chosen.name)


def _chosen_cell(value: Any) -> Any:
    """Return the name in CELLS of a cell, or of its name as it may be written, such as "PeepholeLSTM"; a cell
    of one's own, also one saved as JSON values, with its equations as data; anything else unchanged.

    Raises UsageError for a cell that no network can be made of, and for a function that is no cell.
    """
    from elman.cells import CELLS, as_cell
    from elman.engine.portable import from_json, portable

    if isinstance(value, dict):
        return from_json(value)
    try:
        chosen = as_cell(value)
    except UsageError:
        if callable(value) or (isinstance(value, str) and ".py:" in value):
            raise
        return value
    return next((name for name, one in CELLS.items() if one is chosen), None) or portable(chosen)


def _is_cell(value: Any) -> bool:
    from elman.cells import CELLS, Cell

    return value in CELLS if isinstance(value, str) else isinstance(value, Cell)


def skip_bad() -> Any:
    return argument(False, "Skip rows that can't be used, and say how many and which is the first", bool)


def split_choices(
    choices: dict[str, Any], settings: type[S], defaults: dict[str, Any] | None = None
) -> tuple[S, Plan]:
    """Make both dataclasses from one set of choices; `defaults` are the task's own for these data.

    Raises UsageError for an unknown setting, or a value out of its range.
    """
    of_task, of_plan = ({one.name for one in fields(group)} for group in (settings, Plan))
    names = of_task | of_plan
    for name in choices:
        if name not in names:
            today = (settings.RENAMED | Plan.RENAMED).get(name)
            hint = f"; it is called {today!r} now" if today else suggestion(name, names)
            hint = hint or f": there are {', '.join(sorted(names))}"
            raise UsageError(f"there is no setting {name!r}{hint}")
    values = (defaults or {}) | choices
    chosen, plan = ({k: v for k, v in values.items() if k in group} for group in (of_task, of_plan))
    return settings(**chosen), Plan(**plan)


def renamed(values: dict[str, Any], group: type[Any]) -> dict[str, Any]:
    """Return the saved values of a dataclass of settings under today's names."""
    return {group.RENAMED.get(name, name): value for name, value in values.items()}


def default_ema_decay(steps: int, choices: dict[str, Any]) -> float:
    """Return the default decay of the weights' running average for a run of so many steps, or of `max_steps`
    if it is chosen; 0 for a very short one."""
    steps = min(steps, choices.get("max_steps") or steps)
    return max(0.0, 1 - max(1 / EMA_STEPS, 1 / (EMA_SHARE * steps)))


def default_dropout(epochs: int) -> float:
    """Return the default dropout of a language model: the more often a text is read, the more. On the Penn
    Treebank (11 epochs) and DailyDialog (4 epochs) this did far better than 0.35."""
    return min(0.3, 0.1 + epochs / 80)


def table(settings: type[TaskSettings]) -> str:
    """Return a task's settings and training plan as a Markdown table: name, default, range, meaning."""
    lines = ["| setting | default | range | meaning |", "|---|---|---|---|"]
    for name, (row, default) in (rows(settings) | rows(Plan)).items():
        shown = "from the data" if name in settings.DERIVED else row.print_default(default)
        lines.append(f"| `{name}` | {shown} | {row.range()} | {row.help} |")
    return "\n".join(lines) + "\n"
