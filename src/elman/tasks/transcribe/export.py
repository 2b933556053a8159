"""A transcriber as an ONNX graph: a recording → log-probabilities of labels, its features included.

`export_step` has the graph of a recording that arrives in pieces.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from elman.data.audio.features import PREEMPHASIS, FilterBank
from elman.data.audio.normalise import MIN_DEVIATION, Normaliser
from elman.export.graph import Graph, Value
from elman.export.modules import linear, log_softmax, recurrent
from elman.tasks.transcribe.examples import EDGE_FRAMES
from elman.tasks.transcribe.features import Features, Sound
from elman.tasks.transcribe.network import Convolution, TranscriberNet

ALL: Final = np.iinfo(np.int64).max  # the end of a slice that goes to the end


def transcriber_graph(network: TranscriberNet, features: Features, normaliser: Normaliser) -> Graph:
    """Return the graph of one recording → `log_probs` (steps, labels), the blank first.

    It reads `samples` (N), from -1 to 1 at the model's rate, or ready `frames` (F, W).
    """
    graph = Graph()
    if isinstance(features, Sound):
        x = _recording_mel(graph, features.bank, graph.input("samples", ("samples",)))
        edge = graph.constant(features.edge(features.bank.filters[:1]))
        x = graph.op("Concat", edge, x, edge, axis=0)
    else:
        x = graph.input("frames", ("frames", features.width))
        shape = graph.ints(EDGE_FRAMES, features.width)
        ends = [graph.op("Gather", x, graph.ints(place), axis=0) for place in (0, -1)]
        before, after = (graph.op("Expand", end, shape) for end in ends)
        x = graph.op("Concat", before, x, after, axis=0)
    x, _ = normalised(graph, normaliser, x)
    x = graph.op("Unsqueeze", graph.op("Transpose", x, perm=[1, 0]), graph.ints(0))  # (1, W, F)
    for convolution in network.front:
        x = graph.op("Relu", _convolved(graph, convolution, x))
    outputs = recurrent(graph, network.layers, graph.op("Transpose", x, perm=[2, 0, 1])).output
    log_probs = log_softmax(graph, linear(graph, network.head, outputs))
    log_probs = graph.op("Squeeze", log_probs, graph.ints(1))
    graph.output("log_probs", log_probs, ("steps", network.head.out_features))
    return graph


def _recording_mel(graph: Graph, bank: FilterBank, samples: Value) -> Value:
    """Return the features (F, W) that `elman.data.audio.features.FilterBank` computes of samples (N)."""
    count = graph.op("Squeeze", graph.size(samples, 0))

    def number(value: int) -> Value:
        return graph.constant(value, np.int64)

    frames = graph.op("Add", count, number(bank.shift // 2))
    frames = graph.op("Div", frames, number(bank.shift))
    first = graph.op("Mul", graph.op("Range", number(0), frames, number(1)), number(bank.shift))
    offsets = graph.constant(np.arange(bank.length) - bank.left, np.int64)
    place = graph.op("Add", graph.op("Unsqueeze", first, graph.ints(1)), offsets)  # (F, length)
    twice = graph.op("Mul", count, number(2))
    place = graph.op("Mod", place, twice)  # the recording is mirrored at its ends
    mirror = graph.op("Sub", graph.op("Sub", twice, number(1)), place)
    return log_mel(graph, bank, graph.op("Gather", samples, graph.op("Min", place, mirror)))


def log_mel(graph: Graph, bank: FilterBank, windows: Value) -> Value:
    """Return the features (F, W) of the samples (F, length) of each frame."""
    centred = graph.op("Sub", windows, graph.op("ReduceMean", windows, axes=[1]))
    real, imaginary = (
        graph.op("MatMul", centred, graph.constant(matrix, np.float32)) for matrix in _transform(bank)
    )
    power = graph.op("Add", graph.op("Mul", real, real), graph.op("Mul", imaginary, imaginary))
    energy = graph.op("MatMul", power, graph.constant(bank.filters))
    return graph.op("Log", graph.op("Max", energy, graph.constant(bank.floor)))


def _transform(bank: FilterBank) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return preemphasis, window and the real and the imaginary part of the Fourier transform as two matrices
    (length, points // 2 + 1)."""
    emphasis = np.eye(bank.length) - PREEMPHASIS * np.eye(bank.length, k=1)
    emphasis[0, 0] = 1 - PREEMPHASIS
    waves = np.fft.rfft(np.eye(bank.length), bank.points, axis=1)
    complete = (emphasis * bank.window.double().numpy()) @ waves
    return complete.real, complete.imag


def normalised(
    graph: Graph, normaliser: Normaliser, frames: Value, earlier: Value | None = None
) -> tuple[Value, Value]:
    """Return frames (F, W) normalised as `Normaliser` does, in float64, whose sums lose little; and the last
    frames around the mean of the training data (at most a window, W), which are `earlier` for the next."""
    mean, deviation = normaliser.mean.double(), normaliser.deviation.double()

    def number(value: Any) -> Value:
        return graph.constant(value, np.float64)

    x = graph.op("Cast", frames, to=graph.kind(np.float64))
    x = graph.op("Sub", x, graph.constant(mean))
    if not normaliser.window:
        return graph.op("Cast", graph.op("Div", x, graph.constant(deviation)), to=graph.kind(np.float32)), x
    if earlier is not None:
        x = graph.op("Concat", earlier, x, axis=0)
    sums = [_moving_sum(graph, value, normaliser.window) for value in (x, graph.op("Mul", x, x))]
    ends = graph.op(
        "Range",
        graph.constant(1, np.int64),
        graph.op("Add", graph.op("Squeeze", graph.size(x, 0)), graph.constant(1, np.int64)),
        graph.constant(1, np.int64),
    )
    counts = graph.op("Min", ends, graph.constant(normaliser.window, np.int64))
    counts = graph.op("Unsqueeze", graph.op("Cast", counts, to=graph.kind(np.float64)), graph.ints(1))
    total = graph.op("Add", counts, number(normaliser.prior))
    average = graph.op("Div", sums[0], total)
    squares = graph.op("Add", sums[1], graph.constant(normaliser.prior * deviation.square()))
    variance = graph.op("Sub", graph.op("Div", squares, total), graph.op("Mul", average, average))
    spread = graph.op("Sqrt", graph.op("Max", variance, number(0.0)))
    spread = graph.op("Max", spread, graph.constant(MIN_DEVIATION * deviation))
    scaled = graph.op("Div", graph.op("Sub", x, average), spread)
    if earlier is not None:
        scaled = graph.op("Slice", scaled, graph.size(earlier, 0), graph.ints(ALL), graph.ints(0))
    last = graph.op("Slice", x, graph.ints(-normaliser.window), graph.ints(ALL), graph.ints(0))
    return graph.op("Cast", scaled, to=graph.kind(np.float32)), last


def _moving_sum(graph: Graph, values: Value, window: int) -> Value:
    """Return the sums of the last `window` rows up to each, or of all, where there are fewer."""
    sums = graph.op("CumSum", values, graph.constant(0, np.int64))
    zeros = graph.op("Pad", sums, graph.ints(window, 0, 0, 0))
    earlier = graph.op("Slice", zeros, graph.ints(0), graph.size(values, 0), graph.ints(0))
    return graph.op("Sub", sums, earlier)


def _convolved(graph: Graph, convolution: Convolution, x: Value) -> Value:
    """Return a convolution of (1, inputs, frames) with the zeros of `Convolution.padding_for` around them."""
    before, step = convolution.padding_for(1)[0], convolution.step
    frames = graph.size(x, 2)
    outputs = graph.op("Div", graph.op("Add", frames, graph.ints(step - 1)), graph.ints(step))
    reach = graph.op("Mul", graph.op("Sub", outputs, graph.ints(1)), graph.ints(step))
    after = graph.op("Sub", graph.op("Add", reach, graph.ints(convolution.width - before)), frames)
    after = graph.op("Max", after, graph.ints(0))
    pads = graph.op("Concat", graph.ints(0, 0, before, 0, 0), after, axis=0)
    assert convolution.bias is not None
    weight, bias = graph.constant(convolution.weight), graph.constant(convolution.bias)
    return graph.op("Conv", graph.op("Pad", x, pads), weight, bias, strides=[step])
