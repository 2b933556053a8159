"""PyTorch's own kernels against finite differences and the eager engine, and what they can't do."""

from typing import Any

import pytest
import torch

import elman
from compare import assert_same, gradients
from elman.cells import CELLS
from gradcheck import check

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore::elman.engine.scan.SlowPathWarning"),
]


CLASSIC = ("elman", "elman-relu", "gru", "lstm")


@pytest.mark.parametrize("kind", CLASSIC)
def test_gradients_of_the_vendor_engine(kind: str) -> None:
    torch.manual_seed(5)
    options = {"bidirectional": True, "dtype": torch.float64, "engine": "vendor"}
    check(elman.Recurrent(CELLS[kind], 2, 3, **options))
    check(elman.Recurrent(CELLS[kind], 2, 3, **options), lengths=[0, 2])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", CLASSIC)
def test_vendor_is_eager_in_float32(kind: str, bidirectional: bool) -> None:
    """Where oneDNN has an LSTM of its own."""
    torch.manual_seed(6)
    layer = elman.Recurrent(CELLS[kind], 5, 16, 2, bidirectional=bidirectional)
    x = torch.randn(7, 4, 5, requires_grad=True)
    for lengths in (None, [7, 7, 7, 7], [0, 7, 0, 0], [3, 0, 7, 5]):
        results = []
        for engine in ("vendor", "eager"):
            layer.engine = engine
            result = layer(x, lengths=lengths)
            results.append((result, gradients(result, [x, *layer.parameters()])))
        assert_same(*results)


OBSTACLES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("mgu", {}, {}, "no kernel for this cell"),
    ("lstm", {}, {"lengths": [0, 0]}, "a sequence longer than 0"),
    ("lstm", {}, {"reset": torch.zeros(3, 2, dtype=torch.bool)}, "don't reset within a sequence"),
    ("lstm", {}, {"return_states": True}, "the last state only"),
    ("lstm", {"zoneout": 0.1}, {}, "no zoneout"),
    ("gru", {"recurrent_dropout": 0.1}, {}, "no recurrent dropout"),
    ("gru", {"layer_norm": True}, {}, "no layer normalisation"),
    ("elman", {"proj_size": 2}, {}, "projects the LSTM only"),
]


@pytest.mark.parametrize(("kind", "options", "call", "reason"), OBSTACLES)
def test_explain_says_why_the_vendor_engine_is_out(
    kind: str, options: dict[str, Any], call: dict[str, Any], reason: str
) -> None:
    x = torch.randn(3, 2, 2)
    layer = elman.Recurrent(CELLS[kind], 2, 3, **options)
    before = torch.get_rng_state()
    explained = layer.explain(x, **call)
    if layer.proj_size:
        assert explained.startswith("eager: kernels have no ") and reason in explained
    else:
        assert explained == "compiled: its equations are one fused kernel over the whole sequence"
    assert torch.equal(before, torch.get_rng_state())
    layer.engine = "vendor"
    with pytest.raises(elman.UsageError, match=f'engine="vendor" can\'t run this: .*{reason}.*engine="auto"'):
        layer(x, **call)
    layer.engine = "eager"
    assert layer.explain(x, **call) == "eager: asked for"


def test_outside_training_recurrent_dropout_is_no_obstacle() -> None:
    layer = elman.GRU(2, 3, recurrent_dropout=0.5, weight_dropout=0.5, engine="vendor").eval()
    assert layer.explain(torch.randn(3, 2, 2)) == "vendor: PyTorch's fused kernel computes the same"
