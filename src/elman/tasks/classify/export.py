"""A classifier as ONNX graphs: tokens and n-grams → the probabilities that `predict` returns.

Shapes: T tokens, B texts, K labels, F outputs of a network's layers, M different n-grams of a text.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from torch import Tensor

from elman.data.text.tokenizers import PADDING
from elman.export.graph import Graph, Value
from elman.export.layer import lengths_input
from elman.export.modules import linear, log_softmax, recurrent, rows, stateful, token_input
from elman.export.stack import Lengths
from elman.tasks.classify.blend import Blend
from elman.tasks.classify.evidence import Evidence
from elman.tasks.classify.linear import LinearModel
from elman.tasks.classify.network import ClassifierNet, Ensemble
from elman.tasks.classify.ngrams import MAX_PHRASE_WORDS, PIECE_CHARACTERS

LEAST: Final = float(np.finfo(np.float32).tiny)  # of a norm by which values are divided


def classifier_graph(network: Ensemble, model: LinearModel | None, blend: Blend | None, step: bool) -> Graph:
    """Return the graph of `ids` (T, B), or (B) of a step → `probabilities` (B, K), of each label.

    Whole texts have `lengths` (B), all T tokens by default; a step has the states of the networks as inputs
    and outputs. With a linear model further inputs are the numbers of the text's n-grams so far, `ngrams`
    (B, M), and how often each occurs in it, `counts` (B, M), 0 for padding.
    """
    graph = Graph()
    ids = token_input(graph, step)
    taken = None if step else lengths_input(graph, ids)
    several = network.members[0].several
    each = []
    for k, member in enumerate(network.members):
        if taken is None:
            pooled = _stepped(graph, member, ids, f"m{k}_")
        else:
            pooled = _whole(graph, member, ids, taken)
        logits = linear(graph, member.head, graph.op("Concat", *pooled, axis=1))
        each.append(_answers(graph, logits, several))
    log_probs = each[0]
    if len(each) > 1:
        apart = [graph.op("Unsqueeze", one, graph.ints(0)) for one in each]
        together = graph.op("Concat", *apart, axis=0)
        log_probs = log_softmax(graph, graph.op("ReduceLogSumExp", together, axes=[0], keepdims=0))
    if model is not None and blend is not None:
        other = _answers(graph, _linear_logits(graph, model), several)
        parts = ((blend.network, log_probs), (blend.linear, other))
        log_probs = log_softmax(
            graph, graph.op("Add", *(graph.op("Mul", graph.constant(w), part) for w, part in parts))
        )
    probabilities = graph.op("Exp", log_probs)
    if several:
        probabilities = graph.op("Gather", probabilities, graph.constant(1, np.int64), axis=-1)
    graph.output("probabilities", probabilities, ("batch", network.members[0].head.out_features))
    return graph


def linear_inputs(model: LinearModel) -> dict[str, Any]:
    """Return what metadata say of n-grams: the number of each by its text, in which spaces separate the words
    of a phrase; the most words of a phrase, and the sizes of pieces in characters."""
    known = model.ngrams
    texts = [*known.words]
    for beginning, last in (divmod(key, len(known.words)) for key in known.phrases.tolist()):
        texts.append(f"{texts[beginning]} {known.words[last]}")
    return {
        "phrases": {text: k for k, text in enumerate(texts)},
        "pieces": {piece: k for k, piece in enumerate(known.pieces, known.first_piece)},
        "longest": MAX_PHRASE_WORDS,
        "sizes": [*PIECE_CHARACTERS],
    }


def _answers(graph: Graph, logits: Value, several: bool) -> Value:
    """Return the log-probabilities of the answers, as `elman.tasks.classify.labels.as_answers`."""
    if several:
        yes = graph.op("Unsqueeze", logits, graph.ints(-1))
        no = graph.op("Mul", yes, graph.constant(0.0))
        logits = graph.op("Concat", no, yes, axis=-1)
    return log_softmax(graph, logits)


# ---- the network


def _whole(graph: Graph, member: ClassifierNet, ids: Value, taken: Lengths) -> list[Value]:
    """Return the pools (B, F) over the outputs of whole texts."""
    x = _inputs(graph, member, ids)
    both = member.layers.bidirectional
    outputs = recurrent(graph, member.layers, x, lengths=taken if both else None).output
    total = graph.op("Where", taken.active, outputs, graph.constant(0.0))
    peak = graph.op("Where", taken.active, outputs, graph.constant(-np.inf))
    counts = graph.op("Cast", taken.counts, to=graph.kind(np.float32))
    mean = graph.op(
        "Div",
        graph.op("ReduceSum", total, graph.ints(0), keepdims=0),
        graph.op("Unsqueeze", counts, graph.ints(1)),
    )
    pools = {"mean": mean, "max": graph.op("ReduceMax", peak, axes=[0], keepdims=0)}
    if "last" in member.pools:
        pools["last"] = _last(graph, member, outputs, taken)
    return [pools[name] for name in member.pools]


def _last(graph: Graph, member: ClassifierNet, outputs: Value, taken: Lengths) -> Value:
    """Return the output (B, F) of each text's last step; in the backward direction, of its first."""
    by_text = graph.op("Transpose", outputs, perm=[1, 0, 2])
    at = graph.op("Sub", taken.counts, graph.constant(1, np.int64))
    last = graph.op("GatherND", by_text, graph.op("Unsqueeze", at, graph.ints(1)), batch_dims=1)
    if not member.layers.bidirectional:
        return last
    first = graph.op("Gather", outputs, graph.constant(0, np.int64), axis=0)
    forwards, _ = graph.ops("Split", 2, last, axis=1)
    _, backwards = graph.ops("Split", 2, first, axis=1)
    return graph.op("Concat", forwards, backwards, axis=1)


def _stepped(graph: Graph, member: ClassifierNet, ids: Value, prefix: str) -> list[Value]:
    """Return the pools (B, F) after one more token; they are states like the layers'."""
    width = member.layers.output_size
    words = _recent(graph, member.reach, ids, prefix)
    x = _inputs(graph, member, words)
    if member.evidence is None:
        last = graph.op("Squeeze", x, graph.ints(0))
    else:  # of the last word; those before it only begin its phrases
        last = graph.op("Gather", x, graph.constant(-1, np.int64), axis=0)
    outputs = stateful(graph, member.layers, last, step=True, prefix=prefix)
    pools = {"last": outputs}
    for name, kind, default in (("mean", "Add", 0.0), ("max", "Max", -np.inf)):
        if name in member.pools:
            first = np.full((1, width), default)
            before = graph.input(f"state_in_{prefix}{name}", (None, width), default=first)
            pools[name] = graph.op(kind, before, outputs)
            graph.output(f"state_out_{prefix}{name}", pools[name], ("batch", width))
    if "mean" in member.pools:
        before = graph.input(f"state_in_{prefix}steps", (None, 1), default=np.zeros((1, 1)))
        steps = graph.op("Add", before, graph.constant(1.0))
        graph.output(f"state_out_{prefix}steps", steps, (None, 1))
        pools["mean"] = graph.op("Div", pools["mean"], steps)
    return [pools[name] for name in member.pools]


def _recent(graph: Graph, reach: int, ids: Value, prefix: str) -> Value:
    """Return the ids (1 + reach, B) of this token and of those before it with which its phrases may begin."""
    now = graph.op("Unsqueeze", ids, graph.ints(0))
    if not reach:
        return now
    first = np.full((reach, 1), PADDING)
    before = graph.input(f"state_in_{prefix}words", (reach, None), np.int64, default=first)
    shape = graph.op("Concat", graph.ints(reach), graph.size(ids, 0), axis=0)
    words = graph.op("Concat", graph.op("Expand", before, shape), now, axis=0)
    later = graph.op("Slice", words, graph.ints(1), graph.ints(reach + 1), graph.ints(0))
    graph.output(f"state_out_{prefix}words", later, (reach, "batch"), np.int64)
    return words


def _inputs(graph: Graph, member: ClassifierNet, ids: Value) -> Value:
    """Return what the layers read (T, B, I), given ids (T, B)."""
    x = rows(graph, member.embedding.weight, ids)
    if member.evidence is None:
        return x
    values = [rows(graph, member.evidence.values, one) for one in _ending(graph, member.evidence, ids)]
    return graph.op("Concat", x, *values, axis=2)


def _ending(graph: Graph, evidence: Evidence, ids: Value) -> Sequence[Value]:
    """Return the numbers (T, B) that `elman.tasks.classify.evidence.ending` returns."""
    numbers = [ids]
    for _ in range(evidence.longest - 1):
        before = graph.op("Slice", numbers[-1], graph.ints(0), graph.ints(-1), graph.ints(0))
        pads = graph.ints(1, 0, 0, 0)
        before = graph.op("Pad", before, pads, graph.constant(PADDING, np.int64))
        key = graph.op("Add", graph.op("Mul", before, graph.constant(evidence.words, np.int64)), ids)
        numbers.append(_found(graph, evidence.phrases, key, evidence.words))
    return numbers


def _found(graph: Graph, phrases: Tensor, keys: Value, first: int) -> Value:
    """Return the numbers, from `first` on, of the phrases (P,) that these keys are, PADDING for others: a
    binary search, as ONNX has none."""
    bits = max(len(phrases), 1).bit_length()
    padded = np.full(1 << bits, np.iinfo(np.int64).max)
    padded[: len(phrases)] = phrases.numpy()
    table = graph.constant(padded, np.int64)
    place = graph.op("Mul", keys, graph.constant(0, np.int64))
    for bit in reversed(range(bits)):
        further = graph.op("Add", place, graph.constant(1 << bit, np.int64))
        before = graph.op("LessOrEqual", graph.op("Gather", table, further), keys)
        place = graph.op("Where", before, further, place)
    same = graph.op("Equal", graph.op("Gather", table, place), keys)
    number = graph.op("Add", place, graph.constant(first, np.int64))
    return graph.op("Where", same, number, graph.constant(PADDING, np.int64))


# ---- the linear model


def _linear_logits(graph: Graph, model: LinearModel) -> Value:
    """Return the logits (B, K) of `elman.tasks.classify.linear.LinearModel`."""
    ngrams = graph.input("ngrams", ("batch", "ngrams"), np.int64)
    counts = graph.input("counts", ("batch", "ngrams"))
    logs = graph.op("Log", graph.op("Max", counts, graph.constant(1.0)))
    weight = graph.op("Mul", graph.op("Add", logs, graph.constant(1.0)), rows(graph, model.idf, ngrams))
    present = graph.op("Greater", counts, graph.constant(0.0))
    values = graph.op("Where", present, weight, graph.constant(0.0))
    is_piece = graph.op("GreaterOrEqual", ngrams, graph.constant(model.ngrams.first_piece, np.int64))
    nothing = graph.constant(0.0)
    blocks = graph.op("Where", is_piece, nothing, values), graph.op("Where", is_piece, values, nothing)
    scaled = []
    for block in blocks:
        norm = graph.op("ReduceL2", block, axes=[1])
        scaled.append(graph.op("Div", block, graph.op("Max", norm, graph.constant(LEAST))))
    value = graph.op("Unsqueeze", graph.op("Add", *scaled), graph.ints(1))  # (B, 1, M)
    sums = graph.op("MatMul", value, rows(graph, model.weights, ngrams))
    return graph.op("Add", graph.op("Squeeze", sums, graph.ints(1)), graph.constant(model.bias))
