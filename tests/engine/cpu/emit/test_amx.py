"""Products by tiles. That they compute the same is in `test_grouped`, with emulated ones."""

import re

import pytest
import torch

from elman.engine.cpu.emit.amx import LEAST_ROWS
from elman.engine.cpu.emit.grouped import grouped
from elman.engine.cpu.emit.ir import Vector
from grouped_products import GROUPED, Case, Grouped, assembled, columns


@pytest.mark.parametrize(
    ("packing", "instruction"), [("int8 groups", "tdpbusd"), ("bf16 groups", "tdpbf16ps")]
)
def test_a_block_of_32_rows_and_columns_is_four_instructions(packing: Grouped, instruction: str) -> None:
    assembly = assembled(grouped(Vector("float", 16), 32, packing == "int8 groups", "tiles"))
    for down in (1, 2):
        (text,) = re.findall(rf"^block{down}:\n(.*?)^\.Lfunc_end", assembly, re.DOTALL | re.MULTILINE)
        dots = re.findall(rf"{instruction}\s+%tmm(\d), %tmm(\d), %tmm(\d)", text)
        assert len(dots) == len({total for *_, total in dots}) == 2 * down
        assert (
            text.count("tileloadd") == 2 + down
            and text.count("tilestored") == text.count("tilezero") == 2 * down
        )
    (text,) = re.findall(r"^tile_panels:\n(.*?)^\.Lfunc_end", assembly, re.DOTALL | re.MULTILINE)
    assert text.index("ldtilecfg") < text.index("block1") < text.index("tilerelease")


@pytest.mark.parametrize("rows", [1, LEAST_ROWS, 40])
def test_integers_have_the_bits_that_vectors_give(rows: int) -> None:
    source, weight = torch.randn(rows, 150), torch.randn(columns(), 150)
    case = Case("int8 groups", "generic", source, torch.randn(rows, columns()), weight, 0, 1)
    vectors, tiles = case.to.clone(), case.to.clone()
    case.into(vectors, slice(None), 0, 1)
    case._replace(instructions="emulated tiles").into(tiles, slice(None), 0, 1)
    assert torch.equal(vectors, tiles)


@pytest.mark.parametrize("packing", GROUPED)
def test_rows_of_a_tile_beyond_the_last_are_not_written(packing: Grouped) -> None:
    source, to = torch.randn(17, 64), torch.zeros(40, columns())
    case = Case(packing, "emulated tiles", source, to, torch.randn(columns(), 64), 0, 1)
    case.into(to[:17], slice(None), 0, 1)
    assert to[:17].all() and not to[17:].any()
