"""Steps on rows of a table are the layer's steps on those inputs."""

import pytest
import torch

import elman
from compare import tensors
from elman.cells import CELLS
from elman.engine.cpu import host, launch
from elman.engine.cpu.lookup import Lookup
from elman.nn import call_cache
from elman.nn.stream import frozen

V, I, H = 5, 6, 32  # noqa: E741


def made(kind: str, dtype: torch.dtype = torch.float32, **options: object) -> elman.Recurrent:
    torch.manual_seed(1)
    layer = elman.Recurrent(CELLS[kind], I, H, **options)  # type: ignore[arg-type]
    return layer.to(dtype).eval()


def prepared(layer: elman.Recurrent, vectors: torch.Tensor) -> Lookup:
    stack = frozen(layer.stack())
    table = call_cache.lookup(stack, vectors)
    assert table is not None
    return Lookup(stack, table)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"int8": True}], ids=["plain", "bias", "int8"])
@pytest.mark.parametrize("kind", sorted(CELLS))
def test_steps_have_the_bits_of_those_on_the_rows(
    kind: str, options: dict[str, bool], dtype: torch.dtype
) -> None:
    layer, vectors = made(kind, dtype, **options), torch.randn(V, I, dtype=dtype)
    with torch.no_grad():
        single, hx = prepared(layer, vectors), None
        for row in (3, 0, 0, 4):
            wanted, hx = layer.step(vectors[row : row + 1], hx)
            single.look(row)
            assert torch.equal(single.output, wanted)
            for a, b in zip(single.state, tensors(hx), strict=True):
                assert torch.equal(a, b)


def test_units_that_fill_no_panel_and_further_layers() -> None:
    torch.manual_seed(1)
    layer, vectors, hx = elman.GRU(I, 13, 2).eval(), torch.randn(V, I), None
    with torch.no_grad():
        single = prepared(layer, vectors)
        for row in (1, 4, 1):
            wanted, hx = layer.step(vectors[row : row + 1], hx)
            single.look(row)
            assert torch.equal(single.output, wanted)


def test_several_threads_share_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "MIN_TEAM_WORK", 0)
    monkeypatch.setattr(launch, "MIN_SPLIT_WORK", 0)
    monkeypatch.setattr(host, "threads", lambda: 2)
    layer, vectors = made("lstm"), torch.randn(V, I)
    with torch.no_grad():
        single = prepared(layer, vectors)
        wanted, hx = layer.step(vectors[2:3])
        single.look(2)
        torch.testing.assert_close(single.output, wanted, rtol=2e-6, atol=2e-6)
        monkeypatch.setattr(host, "threads", lambda: 1)  # as in a child process
        wanted, _ = layer.step(vectors[4:5], hx)
        single.look(4)
        torch.testing.assert_close(single.output, wanted, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("row", [-1, V, 2**40])
def test_there_is_no_such_row(row: int) -> None:
    with torch.no_grad(), pytest.raises(IndexError, match=f"no row {row} among 5"):
        prepared(made("lstm"), torch.randn(V, I)).look(row)


@pytest.mark.parametrize(
    "options",
    [{"layer_norm": True}, {"bidirectional": True}, {"zoneout": 0.1}, {"engine": "eager"}],
)
def test_what_needs_more_than_a_kernel_has_no_table(options: dict[str, object]) -> None:
    with torch.no_grad():
        assert call_cache.lookup(made("lstm", **options).stack(), torch.randn(V, I)) is None


def test_a_table_is_not_made_of_a_large_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_cache, "MAX_TABLE_NUMBERS", V * 4 * H - 1)
    with torch.no_grad():
        assert call_cache.lookup(made("lstm").stack(), torch.randn(V, I)) is None
