"""The network that compares turns with replies as an ONNX graph; the one that writes is a language model.

T tokens, N turns, K = CONTEXT_TURNS, D numbers of a vector, as in the network.
"""

import math

import numpy as np

from elman.export.graph import Graph
from elman.export.layer import lengths_input
from elman.export.modules import linear, recurrent, rows, token_input
from elman.tasks.chat.network import CONTEXT_TURNS, REPLY_SCALE, VECTOR_SCALE, DualEncoder


def ranker_graph(network: DualEncoder) -> Graph:
    """Return the graph of turns, `ids` (T, N) and `lengths` (N), all T by default → their vectors, as
    `contexts` (N, K, D), the last turn before a reply first, and as `replies` (N, D). How well a reply fits
    is the product of its vector and the sum of the contexts."""
    graph = Graph()
    ids = token_input(graph, step=False)
    taken = lengths_input(graph, ids)
    vectors = rows(graph, network.embedding.weight, ids)
    weights = graph.op("Softplus", rows(graph, network.weight.weight, ids))
    weights = graph.op("Where", taken.active, weights, graph.constant(0.0))
    total = graph.op("ReduceSum", graph.op("Mul", vectors, weights), graph.ints(0), keepdims=0)
    counts = graph.op("Cast", taken.counts, to=graph.kind(np.float32))
    bag = graph.op("Div", total, graph.op("Sqrt", graph.op("Unsqueeze", counts, graph.ints(1))))
    scaled = graph.op("Mul", vectors, graph.constant(VECTOR_SCALE))
    outputs = recurrent(graph, network.recurrence, scaled, lengths=taken).output
    masked = graph.op("Where", taken.active, outputs, graph.constant(-np.inf))
    features = graph.op("Concat", bag, graph.op("ReduceMax", masked, axes=[0], keepdims=0), axis=1)
    size = network.reply.out_features
    contexts = graph.op("Mul", linear(graph, network.context, features), graph.constant(network.scale.exp()))
    contexts = graph.op("Reshape", contexts, graph.ints(-1, CONTEXT_TURNS, size))
    replies = linear(graph, network.reply, features)
    replies = graph.op("Mul", replies, graph.constant(REPLY_SCALE / math.sqrt(size)))
    graph.output("contexts", contexts, ("batch", CONTEXT_TURNS, size))
    graph.output("replies", replies, ("batch", size))
    return graph
