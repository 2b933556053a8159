"""A language model as ONNX graphs: log-probabilities of the next token, after many tokens or after one."""

from torch import nn

from elman.export.graph import Graph, Value
from elman.export.modules import linear, log_softmax, scaled_rows, stateful, tied_logits, token_input
from elman.tasks.generate.network import LanguageNet


def language_graph(network: LanguageNet, step: bool) -> Graph:
    """Return the graph of `ids` (T, B) → `log_probs` (T, B, V), or of a step (B) → (B, V), with the states of
    the layers as inputs and outputs."""
    graph = Graph()
    x = scaled_rows(graph, network.embedding, token_input(graph, step))
    for k, layer in enumerate(network.layers):
        x = stateful(graph, layer, x, step=step, first=k)  # type: ignore[arg-type]
    if isinstance(network.narrow, nn.Linear):
        x = linear(graph, network.narrow, x)
    if network.logit_scale != 1:
        x = graph.op("Mul", x, graph.constant(network.logit_scale))
    if network.rare is not None:
        log_probs = _adaptive(graph, network.rare, x)
    else:
        logits = tied_logits(graph, x, network.embedding, network.get_parameter("bias"))
        log_probs = log_softmax(graph, logits)
    dims = ("batch",) if step else ("steps", "batch")
    graph.output("log_probs", log_probs, (*dims, network.embedding.num_embeddings))
    return graph


def _adaptive(graph: Graph, softmax: nn.AdaptiveLogSoftmaxWithLoss, x: Value) -> Value:
    """Return the log-probabilities of all tokens: of a rare one, its cluster's plus its own in that."""
    head = log_softmax(graph, linear(graph, softmax.head, x))
    common = softmax.shortlist_size
    sizes = graph.ints(common, *[1] * softmax.n_clusters)
    parts = graph.ops("Split", 1 + softmax.n_clusters, head, sizes, axis=-1)
    for k, tail in enumerate(softmax.tail, start=1):
        own = x
        for layer in tail.children():
            own = linear(graph, layer, own)  # type: ignore[arg-type]  # which they are
        own = log_softmax(graph, own)
        parts[k] = graph.op("Add", own, parts[k])
    return graph.op("Concat", *parts, axis=-1)
