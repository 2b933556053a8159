"""Forecasts of real series as parts of the demo."""

from typing import Any, Final

from elman.demo import pictures
from elman.demo.part import Measure, Part, score_table
from elman.demo.series import SHOWS
from elman.demo.series import run as forecast

MEASURES: Final = {
    "mase": Measure("MASE ↓", "{:.3f}", min),
    "smape": Measure("sMAPE, % ↓", "{:.2f}", min),
    "crps": Measure("CRPS ↓", "{:.4f}", min),
    "coverage": Measure("in the 80 % band", "{:.1%}"),
}
SETTINGS: Final[dict[str, Any]] = {"epochs": 6, "hidden": 48}


def run(key: str, progress: bool, quick: bool) -> Part:
    """Forecast a data set of `elman.demo.series.SHOWS` over its last fifth."""
    settings = {"epochs": 1, "hidden": 8} if quick else SETTINGS
    shown = forecast(SHOWS[key], progress, **settings)
    scores = shown.scores
    return Part(
        title=shown.show.title,
        about=(
            f"A forecast of {scores['source']}. Trained on the {scores['trained on']} values before "
            f"{scores['cutoff']}; scored on {scores['windows']} forecasts of up to {scores['horizon']} steps."
        ),
        table=score_table({"elman": scores["scores"], **scores["baselines"]}, MEASURES),
        verdict=verdict(scores),
        scores=scores,
        notes=scores["notes"],
        figures=[(pictures.forecasts(shown), "Each line is one forecast from the values before it.")],
    )


def verdict(scores: dict[str, Any]) -> str:
    """Return one honest sentence about a series."""
    errors = {name: each["mase"] for name, each in scores["baselines"].items()}
    better = min(errors, key=lambda name: errors[name])
    least = 1 - scores["scores"]["mase"] / errors[better]
    if least >= 0.05:
        return f"The forecast is {least:.0%} better than {better}, the best of the simple forecasts."
    if least > -0.05:
        return (
            f"The forecast is about as good as {better} ({least:+.1%}): the past alone holds little that a "
            "network could learn."
        )
    return f"The forecast is worse than {better} by {-least:.0%}: use {better} here."
