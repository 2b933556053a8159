"""The parts that both kernels share."""

from elman.cells import CELLS
from elman.engine.gpu.emit.forward import Forward
from elman.engine.gpu.emit.plan import plan_for
from elman.engine.gpu.emit.writer import Value


def test_lengths_are_read_only_if_there_are_some() -> None:
    texts = [Forward(plan_for(CELLS["gru"], ragged=ragged)).text() for ragged in (False, True)]
    assert ["tl.load(lengths" in text for text in texts] == [False, True]
    assert all("for turn in range(last):" in text for text in texts)


def test_offsets_are_of_64_bits() -> None:
    """T * B * H may pass 2^31."""
    text = Forward(plan_for(CELLS["gru"], zoneout=True)).text()
    for name in ("B", "zoneout_state", "zoneout_step", "zoneout_row"):
        assert f"    {name} = {name}.to(tl.int64)" in text
    assert "row = block.to(tl.int64)" in text and "at = t * B + row" in text


def test_a_number_of_each_unit_becomes_one_of_each_row() -> None:
    forward = Forward(plan_for(CELLS["gru"]))
    assert forward.full(Value("v1")) == "v1"
    assert forward.full(Value("1.0", wide=False)) == "tl.zeros([BM, HP], tl.float32) + 1.0"
