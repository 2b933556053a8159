"""The questions asked about a tensor before a kernel reads its memory, and the memory around it."""

import mmap
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import elman
import guard_pages
from elman.engine import memory
from elman.errors import UsageError

SHAPE, F32 = (2, 3), torch.float32


def shrunk(tensor: Tensor, size: int = 0) -> Tensor:
    """Free a tensor's memory, or all but some bytes."""
    tensor.untyped_storage().resize_(size)
    return tensor


def negative(*shape: int, dtype: torch.dtype = torch.complex64) -> Tensor:
    """A tensor with PyTorch's lazy negative bit."""
    tensor = torch.randn(*shape, dtype=dtype).conj().imag
    assert tensor.is_neg()
    return tensor


def unaligned(count: int, offset: int = 1) -> Tensor:
    return torch.frombuffer(bytearray(4 * count + offset), dtype=F32, offset=offset, count=count)


class Own(Tensor):
    """A subclass that could keep its numbers anywhere."""


def test_a_plain_tensor_gives_its_address() -> None:
    for tensor in (torch.randn(SHAPE), nn.Parameter(torch.randn(SHAPE)), torch.randn(9, 3)[4:6]):
        assert memory.find(tensor, SHAPE, F32) == tensor.data_ptr()
        assert memory.plain("x", tensor, SHAPE, F32) is tensor


NO_ADDRESS: dict[str, Any] = {
    "no tensor": [[1.0, 2.0, 3.0]] * 2,
    "another shape": torch.randn(3, 2),
    "another rank": torch.randn(6),
    "another dtype": torch.randn(SHAPE).double(),
    "no memory": torch.randn(SHAPE).to("meta"),
    "a subclass": torch.randn(SHAPE).as_subclass(Own),
    "sparse": torch.randn(SHAPE).to_sparse(),
    "of oneDNN": torch.randn(SHAPE).to_mkldnn(),
    "freed": shrunk(torch.randn(SHAPE)),
    "cut": shrunk(torch.randn(SHAPE), 23),
    "cut before its end": shrunk(torch.randn(4, 3)[2:], 47),
    "every second": torch.randn(2, 6)[:, ::2],
    "transposed": torch.randn(3, 2).T,
    "expanded": torch.randn(1, 3).expand(SHAPE),
    "lazily negative": negative(*SHAPE),
    "between the words": unaligned(6).view(SHAPE),
}


@pytest.mark.parametrize("kind", NO_ADDRESS)
def test_any_other_gives_none(kind: str) -> None:
    assert memory.find(NO_ADDRESS[kind], SHAPE, F32) == 0


@pytest.mark.parametrize("kind", list(NO_ADDRESS)[-5:])
def test_what_can_be_made_plain_is_copied(kind: str) -> None:
    tensor = NO_ADDRESS[kind]
    copy = memory.plain("x", tensor, SHAPE, F32)
    assert copy is not tensor and memory.find(copy, SHAPE, F32) and torch.equal(copy, tensor)


SENTENCES = {
    "no tensor": "weight_hh must be a tensor, not list",
    "another shape": r"weight_hh must be \(2, 3\), not \(3, 2\)",
    "another dtype": "weight_hh is torch.float64 but must be torch.float32",
    "no memory": "weight_hh is on meta but must be on cpu",
    "a subclass": "weight_hh must be a plain tensor for a kernel, not Own",
    "sparse": "weight_hh must be a dense tensor, not torch.sparse_coo",
    "freed": "weight_hh needs 24 bytes, but its storage has only 0: it has been freed or resized",
    "cut before its end": "weight_hh needs 48 bytes, but its storage has only 47",
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_the_rest_is_refused_by_name(kind: str) -> None:
    with pytest.raises(UsageError, match=SENTENCES[kind]):
        memory.plain("weight_hh", NO_ADDRESS[kind], SHAPE, F32)


def test_rows_may_stand_anywhere() -> None:
    wide = torch.randn(2, 6)
    assert memory.find_rows(wide[:, 3:], SHAPE, F32) == wide.data_ptr() + 12
    assert memory.find_rows(torch.randn(1, 3).expand(SHAPE), SHAPE, F32) != 0
    refused = (wide[:, ::2], negative(2, 6)[:, :3], shrunk(torch.randn(2, 6)[:, :3], 32), unaligned(12))
    assert [memory.find_rows(t, SHAPE, F32) for t in refused] == [0, 0, 0, 0]
    assert memory.find_rows(wide[:, ::6], (2, 1), F32) == wide.data_ptr()


@pytest.mark.parametrize("kind", NO_ADDRESS)
def test_numbers_may_stand_anywhere_in_memory_that_is_there(kind: str) -> None:
    tensor, strided = NO_ADDRESS[kind], ("every second", "transposed", "expanded")
    assert memory.find_strided(tensor, SHAPE, F32) == (tensor.data_ptr() if kind in strided else 0)


def test_a_cut_tensor_of_any_strides_is_found_out() -> None:
    for bytes_ in (16, 17, 20):  # of the five numbers that every second of three reaches
        tensor = shrunk(torch.randn(6)[::2], bytes_)
        assert bool(memory.find_strided(tensor, (3,), F32)) == (bytes_ == 20)


MAKERS: list[Callable[[Tensor], Tensor]] = [
    lambda t: t.double(),
    lambda t: t.to("meta"),
    lambda t: t.as_subclass(Own),
    lambda t: t.T,
    lambda t: t[1:],
    lambda t: t[..., ::2],
    lambda t: t.unsqueeze(0),
    lambda t: t[:1].expand(3, *t.shape[1:]),
    lambda t: torch.complex(t, t).conj().imag if t.dtype == F32 and not t.is_meta else t,
    lambda t: shrunk(t.clone(), 8) if not t.is_meta else t,
    lambda t: t.clone(),
    lambda t: t.flip(0),
]


@given(st.lists(st.sampled_from(range(len(MAKERS))), max_size=4), st.booleans())
def test_a_tensor_is_plain_or_refused(steps: list[int], rows: bool) -> None:
    tensor = torch.arange(16.0).view(4, 4) + 1
    cut = False
    for k in steps:
        if cut:  # PyTorch's own operations would read what is no longer there
            break
        tensor = MAKERS[k](tensor)
        cut = bool(memory.storage_problem(tensor)) if tensor.layout is torch.strided else False
    try:
        plain = memory.plain("x", tensor, tuple(tensor.shape), F32, rows)
    except UsageError:
        assert cut or tensor.dtype != F32 or tensor.is_meta or type(tensor) is Own
    else:
        assert not cut and torch.equal(plain, tensor) and not plain.is_neg()
        assert plain.is_contiguous() or (rows and (plain.stride(-1) == 1 or plain.shape[-1] == 1))


def sparse_mapping(count: int) -> Tensor:
    """Floats that take no memory until they are written."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return torch.frombuffer(mmap.mmap(-1, 4 * count, flags=flags), dtype=F32)


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory that is mapped but not there")
@pytest.mark.parametrize("layout", ["steps", "rows"])
def test_indices_have_64_bits(layout: str) -> None:
    """Steps, or rows, that lie more than 2^31 numbers apart, in inputs and in gradients."""
    apart, shape = (1 << 31) + 5, (2, 2, 3)
    try:
        numbers = sparse_mapping(apart + 16)
    except OSError:
        pytest.skip("this machine maps no memory beyond what it has")
    strides = (apart, 3, 1) if layout == "steps" else (3, apart, 1)
    far, near = numbers.as_strided(shape, strides), torch.randn(shape)
    far.copy_(near)
    layer = elman.GRU(3, 5, engine="compiled")
    expected, actual = layer(near, lengths=[2, 1]), layer(far, lengths=[2, 1])
    assert torch.equal(actual[0], expected[0])
    upstream = sparse_mapping(apart + 32).as_strided(
        (2, 2, 5), (apart, 5, 1) if layout == "steps" else (5, apart, 1)
    )
    upstream.copy_(torch.randn(2, 2, 5))
    results = [
        torch.autograd.grad(output, layer.parameters(), g)
        for output, g in ((expected[0], upstream.contiguous()), (actual[0], upstream))
    ]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    with torch.no_grad():
        assert torch.equal(layer(far)[0], layer(near)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect by its Linux name")
@pytest.mark.parametrize(("side", "inside", "beside"), [("end", 8, 12), ("begin", 0, -4)])
def test_kernels_read_and_write_no_number_beside_their_tensors(side: str, inside: int, beside: int) -> None:
    """Arguments and the engine's own buffers stand at pages without access: to read there ends it all."""
    command = [sys.executable, guard_pages.__file__, side, "lstm", f"{inside}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert done.stdout.split() == ["lstm", f"{inside}"], "idle modules follow"
    assert done.returncode == 0
    command = [sys.executable, guard_pages.__file__, side, f"{beside}"]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == -signal.SIGSEGV


def test_separate_tensors_share_memory_with_nobody() -> None:
    whole, other = torch.randn(4, 6), torch.randn(3)
    tensors = [whole[:2], whole[2:], other, torch.randn(2, 3), torch.randn(3, 2).t()]
    results = memory.separate(tensors, [other, torch.randn(5)])
    assert all(torch.equal(a, b) and a.is_contiguous() for a, b in zip(results, tensors, strict=True))
    places = [t.untyped_storage().data_ptr() for t in results]
    assert len({*places, other.untyped_storage().data_ptr()}) == len(tensors) + 1
    assert results[0].data_ptr() == whole.data_ptr() and results[3] is tensors[3]  # no needless copies
