"""The compiled engine's promises beyond right numbers: the same bits, however a call is made."""

import copy
import os
import select
import signal
import threading
from typing import Any

import pytest
import torch
from torch import Tensor

import elman
from compare import assert_equal, assert_same, gradients, tensors
from elman.cells import CELLS
from elman.engine.cpu import launch

SIZES = {
    "rows": {"hidden": 48, "batch": 8, "steps": 9},  # each thread has some rows
    "units": {"hidden": 96, "batch": 3, "steps": 6},  # each thread has some units
}


# A kind whose name ends so has layer normalisation.
NORM = "+norm"


def layer_of(
    kind: str, hidden: int, batch: int, steps: int, layers: int = 1, **more: Any
) -> tuple[elman.Recurrent, Tensor]:
    torch.manual_seed(1)
    more["layer_norm"] = kind.endswith(NORM)
    cell = CELLS[kind.removesuffix(NORM)]
    layer = elman.Recurrent(cell, 5, hidden, layers, **more, engine="compiled")
    return layer, torch.randn(steps, batch, 5)


def run(layer: elman.Recurrent, x: Tensor, **call: Any) -> tuple[list[Tensor], list[Tensor]]:
    outputs = layer(x, **call)
    return tensors(outputs), gradients(outputs, layer.parameters())


@pytest.fixture(params=SIZES)
def work(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sizes of a call that two threads share, however small it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    monkeypatch.setattr(launch, "MIN_TEAM_WORK", 0)
    monkeypatch.setattr(launch, "MIN_SPLIT_WORK", 0 if request.param == "units" else 1 << 60)
    on = launch.share_rows(4, SIZES[request.param]["batch"], None, 1)
    assert on.threads == 2 and on.split == (request.param == "units")
    yield SIZES[request.param]
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["lstm", "gru", "indrnn", "gru+norm"])
def test_same_inputs_give_the_same_bits(kind: str, work: dict[str, int]) -> None:
    layer, x = layer_of(kind, **work)
    assert_equal(run(layer, x), run(layer, x))


@pytest.mark.parametrize("kind", ["lstm", "gru", "peephole-lstm", "lstm+norm"])
def test_outputs_do_not_depend_on_the_number_of_threads(kind: str, work: dict[str, int]) -> None:
    layer, x = layer_of(kind, **work)
    lengths = torch.arange(x.shape[1]).mul(3) % (x.shape[0] + 1)
    for call in ({}, {"lengths": lengths}):
        results = []
        for threads in (1, 2, 3, 4, 2):
            torch.set_num_threads(threads)
            results.append(run(layer, x, **call))
        for outputs, grads in results[1:]:
            assert_equal(outputs, results[0][0])
            assert_same(grads, results[0][1])


def test_heads_do_not_depend_on_the_number_of_threads(work: dict[str, int]) -> None:
    """Three heads of one panel each, or more: threads share the units of some."""
    layer, x = layer_of("gru", **work | {"hidden": 96}, heads=3)
    results = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        results.append(run(layer, x))
    for outputs, grads in results[1:]:
        assert_equal(outputs, results[0][0])
        assert_same(grads, results[0][1])


@pytest.mark.parametrize("hidden", [16, 37])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", [*CELLS, "lstm+norm", "gru+norm", "mingru+norm"])
def test_steps_are_the_scan_bit_for_bit(kind: str, batch: int, hidden: int) -> None:
    """With and without gradients, and the one like the other."""
    layer, x = layer_of(kind, hidden, batch, 5, layers=2)
    results = []
    for grad in (True, False):
        with torch.set_grad_enabled(grad):
            state, outputs = None, []
            for x_t in x:
                y, state = layer.step(x_t, state)
                outputs.append(y)
            results += [[torch.stack(outputs), state], layer(x)]
    for other in results[1:]:
        assert_equal(other, results[0])


@pytest.mark.parametrize("kind", ["lstm", "gru", "mingru", "lstm+norm"])
def test_a_row_alone_is_the_row_in_a_batch(kind: str, work: dict[str, int]) -> None:
    rows = work["batch"]
    layer, x = layer_of(kind, **work)
    lengths = [work["steps"] - k % 4 for k in range(rows)]
    whole = tensors(layer(x, lengths=lengths))
    for k in range(rows):
        output, *final = tensors(layer(x[: lengths[k], k : k + 1]))
        assert torch.equal(output, whole[0][: lengths[k], k : k + 1])
        assert_equal(final, [s[:, k : k + 1] for s in whole[1:]])


@pytest.mark.parametrize("hidden", [7, 16])
def test_inputs_of_any_layout(hidden: int) -> None:
    layer, x = layer_of("lstm", hidden, 3, 6, layers=2, bidirectional=True)
    expected = run(layer, x)
    wide = torch.randn(6, 3, 20)
    wide[..., 2:12:2] = x
    assert_same(run(layer, wide[..., 2:12:2]), expected)
    layer.batch_first = True
    swapped = x.transpose(0, 1).contiguous()
    for same in (swapped, x.transpose(0, 1)):
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                assert_equal(layer(same)[0].transpose(0, 1), expected[0][0])


def test_calls_from_several_threads_agree(work: dict[str, int]) -> None:
    layer, x = layer_of("gru", **work)
    expected = run(layer, x)
    found: list[Any] = []

    def call() -> None:
        try:
            for _ in range(5):
                assert_equal(run(layer, x), expected)
                with torch.no_grad():
                    assert_equal(layer(x), expected[0])
            found.append(None)
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [None] * 4


def test_two_threads_that_need_a_new_kernel_at_once() -> None:
    @elman.cell(gates="a", state="h")
    def Fresh(x: Any, u: Any) -> Any:
        return torch.sigmoid(x.a - u.a)

    layer = elman.Recurrent(Fresh, 3, 16, engine="compiled")
    x, found = torch.randn(4, 2, 3), []
    threads = [threading.Thread(target=lambda: found.append(run(layer, x))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert_equal(found[0], found[1])
    assert_equal(found[0], found[2])


def answer(child: int, end: int) -> bytes:
    """What a child process writes; it is killed if it takes too long."""
    ready, _, _ = select.select([end], [], [], 5)
    if not ready:
        os.kill(child, signal.SIGKILL)
    with os.fdopen(end, "rb") as pipe:
        written = pipe.read()
    os.waitpid(child, 0)
    return written


@pytest.mark.parametrize("prepared", [False, True], ids=["new", "prepared"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_computes_the_same(prepared: bool, work: dict[str, int]) -> None:
    """The threads of PyTorch's OpenMP are gone there: kernels do without, also in calls prepared before."""
    layer, x = layer_of("lstm", **work)
    outputs, grads = run(layer, x)  # with a team, which the child doesn't have
    if prepared:
        with torch.no_grad():
            layer(x)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            theirs, gradients_there = run(layer, x)
            assert_equal(theirs, outputs)
            assert_same(gradients_there, grads)
            with torch.no_grad():
                assert_equal(layer(x), outputs)
            os.write(write, b"the same")
        finally:
            os._exit(0)
    os.close(write)
    assert answer(child, read) == b"the same"
    assert_equal(layer(x), outputs)


def test_copies_of_a_layer_share_nothing() -> None:
    layer, x = layer_of("lstm", 16, 2, 4)
    expected = run(layer, x)
    twin = copy.deepcopy(layer)
    with torch.no_grad():
        for p in twin.parameters():
            p.mul_(2)
    assert not torch.equal(twin(x)[0], expected[0][0])
    assert_equal(run(layer, x), expected)
