"""The model card of a forecaster, in Markdown."""

from elman.data.series.panel import Panel
from elman.tasks.forecast.scores import Evaluation
from elman.tasks.forecast.settings import Settings
from elman.version import __version__


def card(
    settings: Settings,
    history: Panel,
    source: dict[str, object],
    notes: tuple[str, ...],
    validation: Evaluation,
) -> str:
    """What was trained on what, how good it is beside the naive forecasts, and how to use it."""
    quantiles = ", ".join(f"{100 * q:g}" for q in settings.quantiles)
    lines = [
        f"# Forecaster of {history.columns.value}",
        "",
        f"Trained by elman {__version__} on {source['rows']} rows of {source['source']}: "
        f"{len(history.series)} series, step {history.frequency}, season {settings.season}.",
        f"A {settings.cell} network of {settings.hidden} units looks back {settings.context} steps and "
        f"{validation.horizon} steps ahead ({settings.mode}); quantiles: {quantiles} %.",
        "",
        "On the last horizons of every series, which the network was not trained on:",
        "",
        "```",
        str(validation),
        "```",
        "",
        *(f"- {note}" for note in notes),
        *([""] if notes else []),
        "```python",
        "import elman",
        "",
        'model = elman.load("this folder")',
        "model.predict()                 # what comes after the training data",
        'model.predict("newer.csv")      # what comes after newer values',
        "```",
        "",
    ]
    return "\n".join(lines)
