"""A translator as ONNX graphs: the encoder, and one step of the decoder.

S steps of the source, B sentences, E values of an embedding, H units, V target ids, as in the network.
"""

import numpy as np

from elman.data.text.tokenizers import UNKNOWN
from elman.export.graph import Graph, Value
from elman.export.layer import lengths_input, state_outputs
from elman.export.modules import (
    linear,
    log_softmax,
    recurrent,
    scaled_rows,
    stateful,
    tied_logits,
    token_input,
)
from elman.export.stack import States
from elman.tasks.translate.copying import NUM_SLOTS
from elman.tasks.translate.network import LOGIT_SCALE, EncoderDecoder


def encoder_graph(network: EncoderDecoder) -> Graph:
    """Return the graph of `ids` (S, B) and `lengths` (B), all S by default → what each step reads: `keys`
    (B, H, S), `values` (B, S, H), `padding` (B, S), and the decoder's first states."""
    graph = Graph()
    ids = token_input(graph, step=False)
    taken = lengths_input(graph, ids)
    x, final = scaled_rows(graph, network.source, ids), list[States]()
    for layer in network.encoder:
        x, final = recurrent(graph, layer, x, lengths=taken)  # type: ignore[arg-type]
    output = network.query_rnn.cell.state[0]
    last = graph.op("Concat", *(state[output] for state in final), axis=1)
    starts = graph.op("Tanh", linear(graph, network.bridge, last))
    entries = network.bridge.out_features // network.query_rnn.hidden_size
    parts = iter(graph.ops("Split", entries, starts, axis=1))
    for layer, name in ((network.query_rnn, "query_"), (network.output_rnn, "decoder_")):
        began = {state: next(parts) for state in layer.cell.state}
        state_outputs(graph, layer.stack(), [began], prefix=name)
    values = graph.op("Transpose", x, perm=[1, 0, 2])
    keys = graph.op("Transpose", linear(graph, network.key, values), perm=[0, 2, 1])
    active = graph.op("Transpose", graph.op("Squeeze", taken.active, graph.ints(2)), perm=[1, 0])
    hidden = network.key.out_features
    graph.output("keys", keys, ("batch", hidden, "steps"))
    graph.output("values", values, ("batch", "steps", hidden))
    graph.output("padding", graph.op("Not", active), ("batch", "steps"), bool)
    return graph


def decoder_graph(network: EncoderDecoder) -> Graph:
    """Return the graph of one step: `ids` (B), what the encoder returned, and the states → `log_probs`
    (B, V), `attention` (B, S) and the next states.

    `slots` (B) is how many words of each source can be copied, 0 by default: slot k, which stands for word k,
    is the last id but `NUM_SLOTS` - k. The unknown token has a probability of 0.
    """
    graph = Graph()
    size, targets = network.target.embedding_dim, network.target.num_embeddings
    hidden = network.key.out_features
    ids = token_input(graph, step=True)
    keys = graph.input("keys", ("batch", hidden, "steps"))
    values = graph.input("values", ("batch", "steps", hidden))
    padding = graph.input("padding", ("batch", "steps"), bool)
    x = scaled_rows(graph, network.target, ids)
    if network.input_feeding:
        before = graph.input("state_in_features", (None, size), default=np.zeros((1, size)))
        shape = graph.op("Concat", graph.size(ids, 0), graph.ints(size), axis=0)
        x = graph.op("Concat", x, graph.op("Expand", before, shape), axis=1)
    query = stateful(graph, network.query_rnn, x, step=True, prefix="query_")
    scores = graph.op("MatMul", graph.op("Unsqueeze", query, graph.ints(1)), keys)  # (B, 1, S)
    hidden_steps = graph.op("Unsqueeze", padding, graph.ints(1))
    weights = graph.op("Softmax", graph.op("Where", hidden_steps, graph.constant(-np.inf), scores), axis=-1)
    context = graph.op("Squeeze", graph.op("MatMul", weights, values), graph.ints(1))
    joined = graph.op("Concat", query, context, axis=1)
    output = stateful(graph, network.output_rnn, joined, step=True, prefix="decoder_")
    features = linear(graph, network.combine, graph.op("Concat", output, context, axis=1))
    features = graph.op("Tanh", features)
    scaled = graph.op("Mul", features, graph.constant(LOGIT_SCALE))
    logits = tied_logits(graph, scaled, network.target, network.bias)
    logits = graph.op("Where", _banned(graph, targets), graph.constant(-np.inf), logits)
    log_probs = log_softmax(graph, logits)
    graph.output("log_probs", log_probs, ("batch", targets))
    graph.output("attention", graph.op("Squeeze", weights, graph.ints(1)), ("batch", "steps"))
    if network.input_feeding:
        graph.output("state_out_features", features, ("batch", size))
    return graph


def _banned(graph: Graph, targets: int) -> Value:
    """Return which ids (B, V) can't be written: the unknown token, and slots without a word."""
    ids = np.arange(targets)
    slot = graph.constant(ids - (targets - NUM_SLOTS), np.int64)
    count = graph.op("Unsqueeze", graph.input("slots", (None,), np.int64, default=[0]), graph.ints(1))
    empty = graph.op("GreaterOrEqual", slot, graph.op("Max", count, graph.constant(0, np.int64)))
    return graph.op("Or", empty, graph.constant(ids == UNKNOWN, bool))
