"""Settings of a forecaster, and the defaults that are derived from the data."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from elman.settings import among, argument, between, choice, custom, required, share, whole
from elman.tasks.settings import MAX_LAYERS, MAX_UNITS, TaskSettings, cell, skip_bad

if TYPE_CHECKING:
    from elman.data.series.panel import Panel

MAX_CONTEXT_STEPS: Final = 400
# Number of training windows below which they are trained on more often.
FEW_WINDOWS: Final = 5000
DUPLICATES: Final = ("error", "mean", "sum", "median", "min", "max", "first", "last")
# A longer context, season or horizon is refused: a forecast holds several numbers for each of its steps.
MAX_WINDOW_STEPS: Final = 100_000
MAX_HORIZON_STEPS: Final = 10_000
MAX_LEVELS: Final = 199
MODES: Final = ("direct", "recursive")


@dataclass(frozen=True)
class Arguments:
    horizon: int = required("Steps to look ahead", int)
    time: str | None = argument(None, "Column of the time stamps", auto="recognised")
    value: str | None = argument(None, "Column of the values", auto="recognised")
    series: str | None = argument(None, "Column that names the series, if there are several")
    future: tuple[str, ...] = argument((), "Column known in advance; repeatable", list)
    static: tuple[str, ...] = argument((), "Column constant in a series; repeatable", list)
    frequency: str | None = argument(None, "Step of the series, such as 1h, 1bd, 1mo", auto="inferred")
    header: bool = argument(True, "Whether the first line names the columns", bool)
    skip_bad: bool = skip_bad()


def _are_levels(value: Any) -> bool:
    are_shares = len(value) <= MAX_LEVELS and all(isinstance(q, int | float) and 0 < q < 1 for q in value)
    return are_shares and len(set(value)) == len(value) > 0


def _is_country(value: Any) -> bool:
    from elman.data.series.holidays import CODE  # brings polars, which `--help` does without

    return isinstance(value, str) and CODE.fullmatch(value) is not None


@dataclass(frozen=True)
class Settings(TaskSettings):
    """The network and the quantiles of a forecaster; None is derived from the data."""

    HELP: ClassVar = """Forecast one or many time series, with quantiles.

    Example: elman train forecast sales.csv --time month --value sales --horizon 12 --save runs/sales
    """
    ARGUMENTS: ClassVar = Arguments
    DERIVED: ClassVar = ("batch_size", "epochs", "learning_rate", "patience")

    quantiles: tuple[float, ...] = custom(
        (0.1, 0.5, 0.9),
        "Quantiles to forecast",
        tuple,
        f"different shares between 0 and 1, such as 0.1, 0.5, 0.9; at most {MAX_LEVELS}",
        _are_levels,
    )
    mode: str = choice(
        "direct", "Forecast all steps at once (direct), or feed each step into the next (recursive)", *MODES
    )
    cell: str = cell("lstm")
    hidden: int | None = whole(
        None, "Units per layer", most=MAX_UNITS, auto="from the data", search=among(16, 32, 64, 128)
    )
    layers: int = whole(1, "Layers", most=MAX_LAYERS, search=among(1, 2))
    dropout: float = share(0.1, "Dropout", between(0.0, 0.4))
    context: int | None = whole(
        None, "Number of past steps that the network sees", most=MAX_WINDOW_STEPS, auto="from the data"
    )
    season: int | None = whole(None, "Steps per season", most=MAX_WINDOW_STEPS, auto="from the frequency")
    holidays: str | None = custom(
        None,
        "Country, or its region, whose public holidays are known in advance; needs the extra holidays",
        str,
        "a code such as DE or US-CA",
        lambda value: value is None or _is_country(value),
        "none",
    )
    nonnegative: bool | None = custom(
        None,
        "No forecast below 0; by default, if no value in the data is",
        bool,
        "true, false or none",
        lambda value: value is None or isinstance(value, bool),
        "from the data",
    )
    duplicates: str = choice(
        "error", "What to do with several rows of one series and time stamp", *DUPLICATES
    )

    def __post_init__(self) -> None:
        levels = self.quantiles if isinstance(self.quantiles, list | tuple) else (self.quantiles,)
        object.__setattr__(self, "quantiles", tuple(levels))
        super().__post_init__()
        object.__setattr__(self, "quantiles", tuple(sorted(map(float, levels))))

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels that are computed: the quantiles to forecast and the median, ascending."""
        return tuple(sorted({*self.quantiles, 0.5}))

    @property
    def network_season(self) -> int:
        """The season as the network sees it: 1 if the context is too short for it, which for a recursive
        network is less than two seasons."""
        assert self.season is not None and self.context is not None
        needed = self.season * (2 if self.mode == "recursive" else 1)
        return self.season if needed <= self.context else 1

    @property
    def kept_steps(self) -> int:
        """The steps of the past that a forecast depends on: the context, the last season or those that are
        smoothed, and one before them that holds the last known value."""
        from elman.tasks.forecast.seasonal import smoothed_steps  # brings NumPy, which `--help` does without

        assert self.season is not None and self.context is not None
        return max(self.context, self.season, smoothed_steps(self.season)) + 1


def resolve(settings: Settings, panel: "Panel", horizon: int) -> Settings:
    """Return the settings with the missing ones derived from the data."""
    lengths = [len(series.values) for series in panel.series]
    season = settings.season or panel.frequency.season
    context = settings.context
    if context is None:
        seasons = min(max(336 // season, 1), 7)
        longest = max(max(lengths) - 2 * horizon, 3)
        # A third of a usual series leaves windows to train on; two seasons show what repeats.
        third = sorted(lengths)[len(lengths) // 2] // 3 // season
        seasons = min(seasons, max(third, 2))
        context = min(max(seasons * season, 2 * horizon, 24), MAX_CONTEXT_STEPS, longest)
    values = sum(lengths)
    hidden = settings.hidden or (24 if values < 1000 else 32 if values < 5000 else 64)
    return replace(settings, season=season, context=context, hidden=hidden)


def defaults(windows: int) -> dict[str, Any]:
    """Return the training plan for this number of training windows."""
    few = windows < FEW_WINDOWS
    batch_size = 32 if few else 64
    steps = epoch_windows(windows, batch_size) // batch_size
    return {
        "batch_size": batch_size,
        "epochs": min(max(round(400 / steps), 12), 25),
        "learning_rate": 4e-3 if few else 2e-3,
        "patience": 5,
    }


def epoch_windows(windows: int, batch_size: int) -> int:
    """Return how many of the training windows to draw for an epoch."""
    return max(min(max(windows, 512), 8192), batch_size)
