"""A transcriber as an ONNX graph of a recording that arrives in pieces: any cut gives what the whole gives.

A piece may complete any number of frames and of steps, also none. What the next piece needs are states of
any size: samples of a frame that has begun, frames of the normaliser's window, and of each convolution's.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from elman.data.audio.features import FilterBank
from elman.data.audio.normalise import Normaliser
from elman.export.graph import Dims, Graph, Value
from elman.export.modules import linear, log_softmax, stateful
from elman.export.stack import Lengths
from elman.tasks.transcribe.examples import EDGE_FRAMES
from elman.tasks.transcribe.export import ALL, log_mel, normalised
from elman.tasks.transcribe.features import Features, Sound
from elman.tasks.transcribe.network import Convolution, TranscriberNet

NOTHING: Final = (0,)


def step_graph(network: TranscriberNet, features: Features, normaliser: Normaliser) -> Graph:
    """Return the graph of a piece of one recording → `log_probs` (steps, labels) of the steps that it
    completes, the blank first; for a network that reads in one direction.

    It reads `samples` (N), from -1 to 1 at the model's rate, or ready `frames` (F, W), `final`, whether the
    recording ends with them (1; no, if it is left out), and the states that the piece before returned.
    """
    piece = _Piece(Graph())
    graph = piece.graph
    x = piece.sound(features) if isinstance(features, Sound) else piece.frames(features.width)
    if normaliser.window:
        earlier = piece.state("normaliser", (*NOTHING, features.width), np.float64)
        x, last = normalised(graph, normaliser, x, earlier)
        piece.keep("normaliser", last, features.width, dtype=np.float64)
    else:
        x, _ = normalised(graph, normaliser, x)
    for k, convolution in enumerate(network.front):
        x = piece.convolved(convolution, x, f"front_{k}")
    count = graph.size(x, 0)
    # the operators of layers need a step, which `lengths` then leaves out
    missing = graph.op("Max", graph.op("Sub", graph.ints(1), count), graph.ints(0))
    pads = graph.op("Concat", graph.ints(0, 0), missing, graph.ints(0), axis=0)
    x = graph.op("Unsqueeze", graph.op("Pad", x, pads), graph.ints(1))
    outputs = stateful(graph, network.layers, x, step=False, lengths=Lengths(graph, count, x))
    log_probs = graph.op("Squeeze", log_softmax(graph, linear(graph, network.head, outputs)), graph.ints(1))
    log_probs = piece.between(log_probs, graph.ints(0), count)
    graph.output("log_probs", log_probs, ("steps", network.head.out_features))
    return graph


class _Piece:
    """A piece of a recording in a graph; numbers are vectors of one int64."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.final = graph.input("final", (1,), bool, default=[False])

    def state(self, name: str, shape: Sequence[int], dtype: type = np.float32) -> Value:
        """Declare a state that is zeros of this shape before the first piece; its first size is free."""
        dims: Dims = (f"{name}_in", *shape[1:])
        return self.graph.input(f"state_in_{name}", dims, dtype, default=np.zeros(shape))

    def keep(self, name: str, value: Value, *widths: int, dtype: type = np.float32) -> None:
        self.graph.output(f"state_out_{name}", value, (f"{name}_out", *widths), dtype)

    def between(self, rows: Value, start: Value, end: Value) -> Value:
        return self.graph.op("Slice", rows, start, end, self.graph.ints(0))

    def sound(self, features: Sound) -> Value:
        """Return the features (F, W) of the frames that new samples complete, and silence at the ends."""
        graph, bank = self.graph, features.bank
        done = self.state("frames", (1,), np.int64)
        pending = self.state("samples", NOTHING)
        pending = graph.op("Concat", pending, graph.input("samples", ("samples",)), axis=0)
        start = self._first_sample(bank, done)
        received = graph.op("Add", start, graph.size(pending, 0))
        complete = graph.op("Add", received, graph.ints(bank.left + bank.shift - bank.length))
        complete = graph.op("Div", graph.op("Max", complete, graph.ints(0)), graph.ints(bank.shift))
        every = graph.op("Add", received, graph.ints(bank.shift // 2))
        every = graph.op("Div", every, graph.ints(bank.shift))
        now = graph.op("Max", graph.op("Where", self.final, every, complete), done)
        place = graph.op("Unsqueeze", self._numbers(done, now), graph.ints(1))
        place = graph.op("Mul", place, graph.ints(bank.shift))
        place = graph.op("Add", place, graph.constant(np.arange(bank.length) - bank.left, np.int64))
        twice = graph.op("Max", graph.op("Mul", received, graph.ints(2)), graph.ints(1))
        place = graph.op("Mod", place, twice)  # the recording is mirrored at its ends
        mirror = graph.op("Sub", graph.op("Sub", twice, graph.ints(1)), place)
        place = graph.op("Sub", graph.op("Min", place, mirror), start)
        x = log_mel(graph, bank, graph.op("Gather", pending, place))
        self.keep("frames", now, dtype=np.int64)
        used = graph.op("Sub", self._first_sample(bank, now), start)
        self.keep("samples", self.between(pending, used, graph.ints(ALL)))
        edge = graph.constant(features.edge(bank.filters[:1]))
        return self._with_edges(edge, x, edge, done, now)

    def _first_sample(self, bank: FilterBank, frame: Value) -> Value:
        """Return the first sample that a frame and those after it see."""
        graph = self.graph
        first = graph.op("Sub", graph.op("Mul", frame, graph.ints(bank.shift)), graph.ints(bank.left))
        return graph.op("Max", first, graph.ints(0))

    def _numbers(self, start: Value, end: Value) -> Value:
        ends = (self.graph.op("Squeeze", one) for one in (start, end))
        return self.graph.op("Range", *ends, self.graph.constant(1, np.int64))

    def frames(self, width: int) -> Value:
        """Return the new frames (F, W), and silence at the ends, for which the outermost frames stand."""
        graph = self.graph
        done, last = self.state("frames", (1,), np.int64), self.state("last", (1, width))
        x = graph.input("frames", ("frames", width))
        now = graph.op("Add", done, graph.size(x, 0))
        seen = graph.op("Concat", last, x, axis=0)
        first = graph.op("Min", graph.size(x, 0), graph.ints(1))
        shape = graph.ints(EDGE_FRAMES, width)
        before, after = (
            graph.op("Expand", graph.op("Gather", seen, k, axis=0), shape) for k in (first, graph.ints(-1))
        )
        self.keep("frames", now, dtype=np.int64)
        self.keep("last", self.between(seen, graph.ints(-1), graph.ints(ALL)), width)
        return self._with_edges(before, x, after, done, now)

    def _with_edges(self, before: Value, x: Value, after: Value, done: Value, now: Value) -> Value:
        """Return frames with those before the first and, at the end, after the last."""
        graph = self.graph
        none, edge, begun = graph.ints(0), graph.ints(EDGE_FRAMES), graph.op("Less", graph.ints(0), now)
        begins = graph.op("And", begun, graph.op("Equal", done, none))
        ends = graph.op("And", begun, self.final)
        before, after = (
            self.between(frames, none, graph.op("Where", here, edge, none))
            for frames, here in ((before, begins), (after, ends))
        )
        return graph.op("Concat", before, x, after, axis=0)

    def convolved(self, convolution: Convolution, x: Value, name: str) -> Value:
        """Return the outputs (S, C) that new rows complete: those of `Convolution` over the whole."""
        graph, width, step = self.graph, convolution.width, convolution.step
        before, inputs = convolution.padding_for(1)[0], convolution.in_channels
        x = graph.op("Concat", self.state(name, (before, inputs)), x, axis=0)
        rows = graph.size(x, 0)
        complete = graph.op("Max", graph.op("Sub", rows, graph.ints(width - step)), graph.ints(0))
        rest = graph.op("Max", graph.op("Sub", rows, graph.ints(before + 1 - step)), graph.ints(0))
        count = graph.op("Div", graph.op("Where", self.final, rest, complete), graph.ints(step))
        self.keep(name, self.between(x, graph.op("Mul", count, graph.ints(step)), graph.ints(ALL)), inputs)
        # Conv needs the rows of an output
        needed = graph.op("Mul", graph.op("Sub", count, graph.ints(1)), graph.ints(step))
        needed = graph.op("Add", graph.op("Max", needed, graph.ints(0)), graph.ints(width))
        missing = graph.op("Max", graph.op("Sub", needed, rows), graph.ints(0))
        x = graph.op("Pad", x, graph.op("Concat", graph.ints(0, 0), missing, graph.ints(0), axis=0))
        x = graph.op("Unsqueeze", graph.op("Transpose", x, perm=[1, 0]), graph.ints(0))
        assert convolution.bias is not None
        weight, bias = graph.constant(convolution.weight), graph.constant(convolution.bias)
        x = graph.op("Relu", graph.op("Conv", x, weight, bias, strides=[step]))
        x = graph.op("Transpose", graph.op("Squeeze", x, graph.ints(0)), perm=[1, 0])
        return self.between(x, graph.ints(0), count)
