"""Native code that copies weights into panels and samples numbers to notice changed weights.

K what a product sums over, N its columns, C columns of a panel. Rows are given by address: gates in any
order, and a row of zeros for every unit that only fills a panel.
"""

from typing import Final

from elman.engine.cpu.emit.ir import Function, Vector, declarations
from elman.engine.cpu.emit.product import WIDE

# Numbers read of each tensor: an optimiser changes nearly all.
SAMPLES: Final = 64


def _sample(vector: Vector) -> str:
    """`sample(tensors, counts, n)`: mix some numbers of each of n tensors, evenly spaced, into one."""
    kind = f"i{8 * vector.size}"
    wide = "%bits" if kind == "i64" else "%wide"
    widen = "" if kind == "i64" else f"  %wide = zext {kind} %bits to i64\n"
    return f"""
define i64 @sample(ptr %tensors, ptr %counts, i64 %n) nounwind {{
entry:
  br label %tensor
tensor:
  %i = phi i64 [ 0, %entry ], [ %i.next, %tensor.done ]
  %hash.i = phi i64 [ 0, %entry ], [ %hash.next, %tensor.done ]
  %more = icmp ult i64 %i, %n
  br i1 %more, label %begin, label %end
begin:
  %tensor.at = getelementptr ptr, ptr %tensors, i64 %i
  %address = load ptr, ptr %tensor.at
  %count.at = getelementptr i64, ptr %counts, i64 %i
  %count = load i64, ptr %count.at
  %last = sub i64 %count, 1
  br label %look
look:
  %k = phi i64 [ 0, %begin ], [ %k.next, %look ]
  %hash = phi i64 [ %hash.i, %begin ], [ %hash.next, %look ]
  %share = mul i64 %k, %last
  %index = udiv i64 %share, {SAMPLES - 1}
  %place = getelementptr {kind}, ptr %address, i64 %index
  %bits = load {kind}, ptr %place, align {vector.size}
{widen}  %mixed = xor i64 %hash, {wide}
  %product = mul i64 %mixed, 1099511628211
  %high = lshr i64 %product, 29
  %hash.next = xor i64 %product, %high
  %k.next = add i64 %k, 1
  %go = icmp ult i64 %k.next, {SAMPLES}
  br i1 %go, label %look, label %tensor.done
tensor.done:
  %i.next = add i64 %i, 1
  br label %tensor
end:
  ret i64 %hash.i
}}
"""


def packing(vector: Vector) -> str:
    """Return the module with `across`, `along` and `sample`."""
    return declarations(vector) + _sample(vector) + _across(vector) + _along(vector)


def _across(vector: Vector) -> str:
    """`across(rows, to, panels, K)`: (N, K) → (N / C, K, C), C rows a panel by their addresses."""
    f, lanes = Function(vector), vector.lanes
    with f.loop("%panels") as panel, f.loop(WIDE) as half:
        first = f.add(f.mul(panel.index, WIDE), half.index)
        rows = f.at("%rows", f.mul(first, lanes), "ptr")
        row = [f.read(rows, k, "ptr") for k in range(lanes)]
        start = f.add(f.mul(f.mul(panel.index, "%K"), WIDE * lanes), f.mul(half.index, lanes))
        to = f.at("%to", start)
        whole = f.sub("%K", f.new(f"urem i64 %K, {lanes}"))
        with f.loop(whole, step=lanes) as block:
            columns = _transposed(f, [f.load(r, block.index) for r in row])
            for k, column in enumerate(columns):
                f.store(column, to, f.mul(f.add(block.index, k), WIDE * lanes))
        with f.loop("%K", whole) as rest:
            for k in range(lanes):
                value = f.read(row[k], rest.index, vector.element)
                f.write(value, to, f.add(f.mul(rest.index, WIDE * lanes), k), vector.element)
    return f.define("across", "ptr %rows, ptr %to, i64 %panels, i64 %K", linkage="external")


def _transposed(f: Function, rows: list[str]) -> list[str]:
    """Transpose a square of lanes by swapping blocks of 1, 2, 4, ... across the diagonal."""
    v, lanes = f.vector, f.vector.lanes
    size = 1
    while size < lanes:
        for i in range(lanes):
            if i & size:
                continue
            a, b = rows[i], rows[i + size]
            above = [j if not j & size else lanes + j - size for j in range(lanes)]
            below = [j + size if not j & size else lanes + j for j in range(lanes)]
            for k, picks in ((i, above), (i + size, below)):
                mask = ", ".join(f"i32 {p}" for p in picks)
                rows[k] = f.new(f"shufflevector {v.type} {a}, {v.type} {b}, <{lanes} x i32> <{mask}>")
        size *= 2
    return rows


def _along(vector: Vector) -> str:
    """`along(rows, to, K, N)`: (K, N) → (N / C, K, C), zeros beyond N, K rows by their addresses."""
    f, lanes = Function(vector), vector.lanes
    columns = WIDE * lanes
    whole = f.div("%N", columns)
    with f.loop(whole) as panel:
        start = f.mul(f.mul(panel.index, "%K"), columns)
        with f.loop("%K") as row:
            source = f.at(f.read("%rows", row.index, "ptr"), f.mul(panel.index, columns))
            to = f.at("%to", f.add(start, f.mul(row.index, columns)))
            for half in range(WIDE):
                f.store(f.load(source, half * lanes), to, half * lanes)
    left = f.sub("%N", f.mul(whole, columns))
    with f.when(f.compare("ne", left, 0)):
        last = f.at("%to", f.mul(f.mul(whole, "%K"), columns))
        f.clear(last, f.mul("%K", columns))
        with f.loop("%K") as row:
            source = f.at(f.read("%rows", row.index, "ptr"), f.mul(whole, columns))
            f.copy(f.at(last, f.mul(row.index, columns)), source, left)
    return f.define("along", "ptr %rows, ptr %to, i64 %K, i64 %N", linkage="external")
