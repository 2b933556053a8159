"""A forecaster as an ONNX graph: the last values of series → the quantiles that `predict` returns.

Shapes: B series, C steps of context, H steps ahead, F known inputs, S static columns of texts, Q levels.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch

from elman.errors import UsageError
from elman.export.graph import Graph, Value
from elman.export.modules import linear, recurrent, rows
from elman.tasks.forecast.baseline import NAIVE, SEASONAL_NAIVE
from elman.tasks.forecast.calibration import Calibration
from elman.tasks.forecast.network import DirectNet, QuantileHead, RecursiveNet, anchors

ALIKE: Final = 1e-9  # of a context's spread about its level, below which it counts as constant


def forecaster_graph(network: DirectNet | RecursiveNet, calibration: Calibration, nonnegative: bool) -> Graph:
    """Return the graph of `values` (B, C), in float64 and NaN where missing → `quantiles` (B, H, Q).

    Further inputs are, if the network reads such, `known` (B, C + H, F) and `codes` (B, S); and, unless all
    other shares of the forecast are naive ones, `base` (B, H), their mean weighted by shares, and
    `base_spread` (B, H), the mean of their expected errors. `nonnegative` (B) says which series have no
    forecast below 0.

    Raises UsageError for forecasts that are sampled step by step, and for those without a network.
    """
    if isinstance(network, RecursiveNet):
        raise UsageError(
            "this forecaster samples futures one step after another (mode='recursive'), which is no graph of "
            "operators: train one with mode='direct' to export it"
        )
    if not calibration.weight:
        raise UsageError(
            f"this forecast is {calibration.contributions}, which are no network: there is nothing to export"
        )
    graph, shape = Graph(), network.shape
    values = graph.input("values", ("batch", shape.context), np.float64)
    window = _Window(graph, values, shape.season)
    quantiles = graph.op("Cast", _network(graph, network, window), to=graph.kind(np.float64))
    if calibration.weight < 1 and not {*calibration.shares} <= {NAIVE, SEASONAL_NAIVE}:
        base, spread = (graph.input(n, ("batch", shape.horizon), np.float64) for n in ("base", "base_spread"))
    else:
        base, spread = _naive(graph, window, calibration, shape.context, shape.horizon)
    result = _calibrated(graph, calibration, window, quantiles, (base, spread), shape.levels)
    bounded = graph.input("nonnegative", (None,), bool, default=[nonnegative])
    bounded = graph.op("Unsqueeze", bounded, graph.ints(1, 2))
    above = graph.op("Max", result, graph.constant(0.0, np.float64))
    result = graph.op("Where", bounded, above, result)
    graph.output("quantiles", result, ("batch", shape.horizon, len(shape.levels)), np.float64)
    return graph


class _Window:
    """The values of a context as the network reads them; see `elman.data.series.windows`.

    Attributes:
        forwards: (B, C) the values, each gap filled with the last known one, or the first before that.
        scaled: (B, C) in units of `scale` (B, 1) from `center` (B, 1), all gaps filled, in float32.
        observed: (B, C) 1 where a value is known, else 0, in float32.
    """

    def __init__(self, graph: Graph, values: Value, season: int) -> None:
        zero = graph.constant(0.0, np.float64)
        missing = graph.op("IsNaN", values)
        known = graph.op("Where", missing, zero, values)
        observed = graph.op("Cast", graph.op("Not", missing), to=graph.kind(np.float64))
        one = graph.constant(1.0, np.float64)
        count = graph.op("Max", graph.op("ReduceSum", observed, graph.ints(1)), one)
        self.center = graph.op("Div", graph.op("ReduceSum", known, graph.ints(1)), count)
        away = graph.op("Where", missing, zero, graph.op("Sub", values, self.center))
        squares = graph.op("ReduceSum", graph.op("Mul", away, away), graph.ints(1))
        spread = graph.op("Sqrt", graph.op("Div", squares, count))
        level = graph.op("Abs", self.center)
        tenth = graph.op("Mul", level, graph.constant(0.1, np.float64))
        flat = graph.op("Where", graph.op("Greater", tenth, zero), tenth, one)
        least = graph.op("Mul", level, graph.constant(ALIKE, np.float64))
        self.scale = graph.op("Where", graph.op("Greater", spread, least), spread, flat)
        steps = graph.op("Squeeze", graph.size(values, 1))
        number = graph.op("Range", graph.constant(0, np.int64), steps, graph.constant(1, np.int64))
        last = _last_known(graph, missing, number)
        nothing = graph.op("Less", last, graph.constant(0, np.int64))
        first = graph.op("ReduceSum", graph.op("Cast", nothing, to=graph.kind(np.int64)), graph.ints(1))
        source = graph.op("Where", nothing, _later(graph, last, first, number, steps, season), last)
        unknown = graph.op("Less", source, graph.constant(0, np.int64))
        source = graph.op("Max", source, graph.constant(0, np.int64))
        filled = graph.op("GatherElements", known, source, axis=1)
        scaled = graph.op("Div", graph.op("Sub", filled, self.center), self.scale)
        scaled = graph.op("Where", unknown, zero, scaled)
        self.scaled = graph.op("Cast", scaled, to=graph.kind(np.float32))
        self.observed = graph.op("Cast", observed, to=graph.kind(np.float32))
        final = graph.op("Sub", steps, graph.constant(1, np.int64))
        earlier = graph.op("Min", graph.op("Where", nothing, first, last), final)
        self.forwards = graph.op("GatherElements", known, earlier, axis=1)


def _last_known(graph: Graph, missing: Value, number: Value) -> Value:
    """Return the number of the last known value up to each step (B, C), -1 before the first: the running
    maximum, which ONNX lacks, by a comparison of all pairs of steps."""
    earlier, now = (graph.op("Unsqueeze", number, graph.ints(axis)) for axis in (0, 1))
    pairs = graph.op("LessOrEqual", earlier, now)
    none = graph.constant(-1, np.int64)
    known = graph.op("Unsqueeze", graph.op("Where", missing, none, number), graph.ints(1))  # (B, 1, C)
    return graph.op("ReduceMax", graph.op("Where", pairs, known, none), axes=[2], keepdims=0)


def _later(graph: Graph, last: Value, first: Value, number: Value, steps: Value, season: int) -> Value:
    """Return the number (B, C) of the value that stands for each step before the `first` known one (B, 1):
    that of the same phase in the first known season, or the last known one before it; -1 for none."""
    ahead = graph.op("Add", graph.op("Sub", first, number), graph.constant(season - 1, np.int64))
    seasons = graph.op("Div", ahead, graph.constant(season, np.int64))
    later = graph.op("Add", number, graph.op("Mul", seasons, graph.constant(season, np.int64)))
    later = graph.op("Min", later, graph.op("Sub", steps, graph.constant(1, np.int64)))
    return graph.op("GatherElements", last, later, axis=1)


def _network(graph: Graph, network: DirectNet, window: _Window) -> Value:
    """Return the network's quantiles (B, H, Q) in units of the window's scale."""
    shape = network.shape
    past = _past_inputs(graph, window, shape.season)
    ahead = []
    if (known := _known(graph, network)) is not None:
        before, after = graph.ops("Split", 2, known, graph.ints(shape.context, shape.horizon), axis=1)
        past, ahead = graph.op("Concat", past, before, axis=2), [after]
    states = recurrent(graph, network.encoder, graph.op("Transpose", past, perm=[1, 0, 2])).states
    steps = torch.arange(shape.horizon)
    now = torch.full_like(steps, shape.context)
    # anchors are linear in the values: the matrix is what they are of each value alone
    matrix = anchors(torch.eye(shape.context), now + steps, now, shape.season, network.seasons)
    anchored = graph.op("MatMul", window.scaled, graph.constant(matrix.flatten(1)))
    anchored = graph.op("Reshape", anchored, graph.ints(-1, *matrix.shape[1:]))
    position = graph.constant((steps / shape.horizon)[None, :, None])
    batch = graph.op("Concat", graph.size(window.scaled, 0), graph.ints(shape.horizon, 1), axis=0)
    inputs = graph.op("Concat", anchored, *ahead, graph.op("Expand", position, batch), axis=2)
    outputs = recurrent(graph, network.decoder, graph.op("Transpose", inputs, perm=[1, 0, 2]), states).output
    return _quantiles(graph, network.head, graph.op("Transpose", outputs, perm=[1, 0, 2]), anchored)


def _known(graph: Graph, network: DirectNet) -> Value | None:
    """Return the known inputs with the vectors of static texts (B, C + H, ·); None if there are none."""
    shape = network.shape
    steps = shape.context + shape.horizon
    parts = [graph.input("known", ("batch", steps, shape.known))] if shape.known else []
    if network.static.tables:
        codes = graph.input("codes", ("batch", len(network.static.tables)), np.int64)
        for k, table in enumerate(network.static.tables):
            code = graph.op("Gather", codes, graph.ints(k), axis=1)
            vectors = rows(graph, table.weight, code)  # type: ignore[arg-type]
            parts.append(graph.op("Expand", vectors, graph.ints(1, steps, 1)))
    return graph.op("Concat", *parts, axis=2) if parts else None


def _past_inputs(graph: Graph, window: _Window, season: int) -> Value:
    """Return the value, whether it was observed, and its change over a season, for every step (B, C, 3)."""
    ends = [(graph.ints(season), graph.ints(np.iinfo(np.int64).max)), (graph.ints(0), graph.ints(-season))]
    late, early = (
        [graph.op("Slice", x, start, stop, graph.ints(1)) for x in (window.scaled, window.observed)]
        for start, stop in ends
    )
    both = graph.op("Mul", late[1], early[1])
    change = graph.op("Mul", graph.op("Sub", late[0], early[0]), both)
    change = graph.op("Pad", change, graph.ints(0, season, 0, 0))
    parts = [graph.op("Unsqueeze", x, graph.ints(2)) for x in (window.scaled, window.observed, change)]
    return graph.op("Concat", *parts, axis=2)


def _quantiles(graph: Graph, head: QuantileHead, states: Value, anchored: Value) -> Value:
    """Return the ascending quantiles (B, H, Q) of states (B, H, ·) and anchors (B, H, A)."""
    outputs = head.out.out_features
    sizes = head.count, 1, head.middle, outputs - head.count - 1 - head.middle
    parts = graph.ops("Split", 4, linear(graph, head.out, states), graph.ints(*sizes), axis=2)
    weights = graph.op("Softmax", parts[0], axis=-1)
    median = graph.op("ReduceSum", graph.op("Mul", weights, anchored), graph.ints(2))
    median = graph.op("Add", median, parts[1])
    moved = []
    for kind, rises, sums in (
        ("Sub", parts[2], torch.ones(sizes[2], sizes[2]).tril()),
        ("Add", parts[3], torch.ones(sizes[3], sizes[3]).triu()),
    ):
        distances = graph.op("MatMul", graph.op("Softplus", rises), graph.constant(sums))
        moved.append(graph.op(kind, median, distances))
    return graph.op("Concat", moved[0], median, moved[1], axis=2)


def _naive(
    graph: Graph, window: _Window, calibration: Calibration, context: int, horizon: int
) -> tuple[Value, Value]:
    """Return the mean (B, H) of the naive forecasts, and their expected errors (B, H)."""
    season, ahead = calibration.season, np.arange(horizon)
    places: Mapping[str, np.ndarray] = {
        NAIVE: np.full(horizon, context - 1),
        SEASONAL_NAIVE: context - season + ahead % season,
    }
    growth = {SEASONAL_NAIVE: np.sqrt(1 + ahead // season), NAIVE: np.sqrt(1 + ahead)}
    parts, size = [], np.zeros(horizon)
    for name, share in calibration.shares.items():
        if name in places:
            values = graph.op("Gather", window.forwards, graph.constant(places[name], np.int64), axis=1)
            parts.append(graph.op("Mul", values, graph.constant(share, np.float64)))
            size += share * growth[name]
    base = parts[0] if len(parts) == 1 else graph.op("Sum", *parts)
    return base, graph.op("Mul", window.scale, graph.constant(size, np.float64))


def _calibrated(
    graph: Graph,
    calibration: Calibration,
    window: _Window,
    quantiles: Value,
    classical: tuple[Value, Value],
    levels: Sequence[float],
) -> Value:
    """Return what `Calibration.apply` does: the blend, its bands widened, ascending."""
    axis, middle_level = graph.ints(2), graph.constant([list(levels).index(0.5)], np.int64)
    center, scale = (graph.op("Unsqueeze", one, axis) for one in (window.center, window.scale))
    base, spread = (graph.op("Unsqueeze", one, axis) for one in classical)
    weight, rest = (
        graph.constant(share, np.float64) for share in (calibration.weight, 1 - calibration.weight)
    )
    median = graph.op("Gather", quantiles, middle_level, axis=2)
    own = graph.op("Add", center, graph.op("Mul", scale, median))
    middle = graph.op("Add", graph.op("Mul", weight, own), graph.op("Mul", rest, base))
    apart = graph.op("Mul", scale, graph.op("Sub", quantiles, median))
    around = graph.op("Mul", spread, graph.constant(calibration.spread, np.float64))
    distances = graph.op("Add", graph.op("Mul", weight, apart), graph.op("Mul", rest, around))
    factors = graph.constant(calibration.conformal_factors, np.float64)
    moved = graph.op("Add", middle, graph.op("Mul", distances, factors))
    return graph.ops("TopK", 2, moved, graph.ints(len(levels)), axis=2, largest=0)[0]
