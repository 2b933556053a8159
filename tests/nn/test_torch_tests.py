"""PyTorch's own module tests as an oracle: what it tries its recurrent layers with, ours do as well."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

import elman
from compare import assert_same, gradients, tensors

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections is not supported with oneDNN",
    "ignore::elman.engine.scan.SlowPathWarning",
)
# These inputs reach 9, where units saturate and the gradient's 1 - y² is what is left of two near numbers:
# the compiled kernel's float32 is then 1e-5 from float64, PyTorch's 3e-6.
GRADIENTS = {torch.float32: 3e-5, torch.float64: 1e-10}
NAMES = ("RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell")


@pytest.fixture(scope="module")
def modules() -> Any:
    """PyTorch's samples, which take seconds to import: not while tests are collected."""
    return pytest.importorskip(
        "torch.testing._internal.common_modules",
        reason="PyTorch's internal tests need what isn't installed here (expecttest)",
        exc_type=ImportError,
    )


@pytest.mark.parametrize("engine", ["auto", "eager"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_inputs_of_pytorchs_own_tests(
    modules: Any, name: str, dtype: torch.dtype, training: bool, engine: str
) -> None:
    info = next(m for m in modules.module_db if m.module_cls is getattr(nn, name))
    torch.manual_seed(0)
    samples = info.module_inputs_func(info, "cpu", dtype, True, training)
    assert len(samples) > (1 if name.endswith("Cell") else 10)
    for sample in samples:
        made, given = sample.constructor_input, sample.forward_input
        options = {"dtype": dtype} | made.kwargs
        theirs = getattr(nn, name)(*made.args, **options).train(training)
        ours = getattr(elman, name)(*made.args, **options, engine=engine).train(training)
        ours.load_state_dict(theirs.state_dict())
        expected, leaves = theirs(*given.args, **given.kwargs), tensors([given.args, given.kwargs])
        other = copy.deepcopy((given.args, given.kwargs))
        actual = ours(*other[0], **other[1])
        assert_same(actual, expected, sample.desc or (made.args, made.kwargs))
        asking = [k for k, leaf in enumerate(leaves) if leaf.requires_grad]
        found = gradients(actual, [*(tensors(other)[k] for k in asking), *ours.parameters()])
        wanted = gradients(expected, [*(leaves[k] for k in asking), *theirs.parameters()])
        assert_same(found, wanted, (made.args, made.kwargs), GRADIENTS)
