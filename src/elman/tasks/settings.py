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
            _refuse_own_cell(self.cell)
        check(self)
        if hasattr(self, "cell"):
            object.__setattr__(self, "cell", _cell_name(self.cell))


def cell(default: str) -> Any:
    def names() -> str:
        from elman.cells import CELLS  # brings PyTorch, which `--help` does without

        return f"one of {', '.join(CELLS)}"

    help = "Recurrence: lstm, gru, elman, ...; see `elman show`"
    return custom(default, help, str, names, lambda value: _cell_name(value) is not None)


def _refuse_own_cell(value: Any) -> None:
    """Raise UsageError for a cell, or for a class or function in its place, that elman doesn't have."""
    if callable(value) and _cell_name(value) is None:
        name = getattr(value, "name", None) or getattr(value, "__name__", type(value).__name__)
        advice = "choose one by its name, or train a network of your own with elman.Recurrent"
        raise UsageError(
            f"a model is saved with the name of its cell, but elman has no cell {name!s:.60}: {advice}"
        )


def _cell_name(value: Any) -> str | None:
    """Return the name in CELLS of a cell, or of its name as it may be written, such as "PeepholeLSTM"; None
    for anything else."""
    from elman.cells import CELLS, as_cell

    try:
        chosen = as_cell(value)
    except UsageError:
        return None
    return next((name for name, built_in in CELLS.items() if built_in is chosen), None)


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
