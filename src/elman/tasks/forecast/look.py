"""What the lens sees of a forecaster: its network, as it reads the ends of series."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from torch import Tensor, nn

from elman.data.series.panel import Panel
from elman.data.series.stamps import format_stamp
from elman.data.series.windows import Windows
from elman.lens.view import View
from elman.tasks.forecast.history import ends, tail
from elman.tasks.forecast.network import DirectNet, RecursiveNet
from elman.tasks.forecast.predictor import Predictor, make_store

FORECAST: Final = "The whole model's forecast, with the classical forecasts in it."
NOTE: Final = "values of earlier seasons also reach the forecast directly, past the recurrent layers"


class Ahead(nn.Module):
    """A network as it forecasts, with gradients: all steps ahead at once, or of a recursive one the first."""

    def __init__(self, network: DirectNet | RecursiveNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, windows: Windows) -> Tensor:
        """Return quantiles (B, S, Q) of the steps ahead."""
        if isinstance(self.network, RecursiveNet):
            return self.network.first_ahead(windows)[0][:, -1:]
        quantiles: Tensor = self.network(windows)
        return quantiles


def view(predictor: Predictor, panel: Panel) -> View:
    """Return the view of the series of a panel and of the forecast that continues each."""
    network, cutoffs = predictor.network, ends(panel)
    windows = make_store(network, predictor.features, panel).cut(cutoffs)
    context, horizon, middle = network.shape.context, network.shape.horizon, network.levels.index(0.5)
    first = 0 if isinstance(network, DirectNet) else network.lead - 1
    stamps = [_stamps(panel, k, cutoff - context, context + horizon) for k, cutoff in cutoffs]
    unit, scale = panel.frequency.in_words()
    return View(
        module=Ahead(network).eval(),
        input=(windows,),
        score=lambda quantiles: quantiles[..., middle].mean(1),
        scored="median ahead, in spreads of the past",
        answers=_answers(predictor, panel, [one[context:] for one in stamps]),
        labels={
            "network.encoder": tuple(one[first:context] for one in stamps),
            "network.decoder": tuple(one[context:] for one in stamps),
        },
        unit=unit,
        scale=scale,
        notes=(NOTE,),
        extras=(
            ("forecast", "What does it forecast?", FORECAST, lambda number: _drawn(predictor, panel, number)),
        ),
    )


def _drawn(predictor: Predictor, panel: Panel, number: int) -> Any:
    from elman.tasks.forecast.plot import forecasts

    shown = replace(panel, series=panel.series[number : number + 1])
    shown = tail(shown, max(predictor.settings.kept_steps, 3 * predictor.network.shape.horizon))
    return forecasts(shown, predictor.quantiles(shown, ends(shown)), predictor.settings.levels)


def _stamps(panel: Panel, series: int, begin: int, count: int) -> tuple[str, ...]:
    return tuple(format_stamp(stamp) for stamp in panel.local_stamps(panel.series[series], begin, count))


def _answers(predictor: Predictor, panel: Panel, ahead: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the forecast of the first and the last step ahead of each series, with its outer quantiles."""
    levels = predictor.settings.levels
    middle, each = levels.index(0.5), list[str]()
    for series, stamps, quantiles in zip(
        panel.series, ahead, predictor.quantiles(panel, ends(panel)), strict=True
    ):
        steps = [0] if len(stamps) == 1 else [0, len(stamps) - 1]
        shown = [
            f"{quantiles[k, middle]:.4g} ({quantiles[k, 0]:.4g} to {quantiles[k, -1]:.4g}) at {stamps[k]}"
            for k in steps
        ]
        each.append(f"{series.name}: {', '.join(shown)}" if series.name else ", ".join(shown))
    return tuple(each)
