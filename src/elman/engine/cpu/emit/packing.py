"""Native code that copies weights into panels, and mixes all or some numbers to notice changed weights.

K what a product sums over, N its columns, C columns of a panel. Rows are given by address: gates in any
order, and a row of zeros for every unit that only fills a panel.
"""

from typing import Final

from elman.engine.cpu.emit.ir import Function, Vector, declarations
from elman.engine.cpu.emit.product import WIDE

# Numbers read of each tensor: an optimiser changes nearly all.
SAMPLES: Final = 64
# Vectors that `checksum` mixes side by side, so that they don't wait for each other's multiplication.
CHAINS: Final = 8
# Odd, so that a product can be undone: of 32 and of 64 bits.
ODD_32: Final = 2654435761
ODD_64: Final = 1099511628211


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
  %product = mul i64 %mixed, {ODD_64}
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


def _checksum(vector: Vector) -> str:
    """`checksum(tensors, counts, n)`: mix all numbers of each of n tensors into one.

    Every step h ← mix(h ^ word), of a lane and of the sum over lanes, can be undone, and the two words of a
    double meet in one step: a change of one number always changes the result.
    """
    lanes = vector.lanes * vector.size // 4
    kind, pair, block = f"<{lanes} x i32>", f"<{lanes // 2} x i64>", CHAINS * lanes
    words = vector.size // 4
    chains = range(CHAINS)
    phis = "".join(
        f"  %h{c} = phi {kind} [ zeroinitializer, %begin ], [ %h{c}.next, %mix ]\n" for c in chains
    )
    steps = "".join(
        f"""  %at{c} = getelementptr i32, ptr %place, i64 {c * lanes}
  %word{c} = load {kind}, ptr %at{c}, align 4
  %in{c} = xor {kind} %h{c}, %word{c}
  %product{c} = mul {kind} %in{c}, splat (i32 {ODD_32})
  %high{c} = lshr {kind} %product{c}, splat (i32 15)
  %h{c}.next = xor {kind} %product{c}, %high{c}
"""
        for c in chains
    )
    total, fold = "%hash.i", ""
    for c in chains:
        fold += f"  %pairs{c} = bitcast {kind} %h{c} to {pair}\n"
        for k in range(lanes // 2):
            name = f"%fold{c}.{k}"
            fold += f"  {name}.pair = extractelement {pair} %pairs{c}, i64 {k}\n" + _mixed(
                name, total, f"{name}.pair"
            )
            total = name
    rest = _mixed("%tail.next", "%tail", "%wide")
    return f"""
define i64 @checksum(ptr %tensors, ptr %counts, i64 %n) nounwind {{
entry:
  br label %tensor
tensor:
  %i = phi i64 [ 0, %entry ], [ %i.next, %tensor.done ]
  %hash.i = phi i64 [ 0, %entry ], [ %tail, %tensor.done ]
  %more = icmp ult i64 %i, %n
  br i1 %more, label %begin, label %end
begin:
  %tensor.at = getelementptr ptr, ptr %tensors, i64 %i
  %address = load ptr, ptr %tensor.at
  %count.at = getelementptr i64, ptr %counts, i64 %i
  %count = load i64, ptr %count.at
  %words = mul i64 %count, {words}
  %blocks = udiv i64 %words, {block}
  br label %look
look:
  %k = phi i64 [ 0, %begin ], [ %k.next, %mix ]
{phis}  %go = icmp ult i64 %k, %blocks
  br i1 %go, label %mix, label %fold
mix:
  %start = mul i64 %k, {block}
  %place = getelementptr i32, ptr %address, i64 %start
{steps}  %k.next = add i64 %k, 1
  br label %look
fold:
{fold}  %first = mul i64 %blocks, {block}
  br label %rest
rest:
  %w = phi i64 [ %first, %fold ], [ %w.next, %word ]
  %tail = phi i64 [ {total}, %fold ], [ %tail.next, %word ]
  %left = icmp ult i64 %w, %words
  br i1 %left, label %word, label %tensor.done
word:
  %word.at = getelementptr i32, ptr %address, i64 %w
  %bits = load i{8 * vector.size}, ptr %word.at, align {vector.size}
  %wide = {"zext i32 %bits to i64" if words == 1 else "add i64 %bits, 0"}
{rest}  %w.next = add i64 %w, {words}
  br label %rest
tensor.done:
  %i.next = add i64 %i, 1
  br label %tensor
end:
  ret i64 %hash.i
}}
"""


def _mixed(name: str, total: str, word: str) -> str:
    """Mix one word of 64 bits into a total."""
    return f"""  {name}.in = xor i64 {total}, {word}
  {name}.product = mul i64 {name}.in, {ODD_64}
  {name}.high = lshr i64 {name}.product, 29
  {name} = xor i64 {name}.product, {name}.high
"""


def packing(vector: Vector) -> str:
    """Return the module with `across`, `along`, `sample` and `checksum`."""
    parts = (_sample(vector), _checksum(vector), _across(vector), _along(vector))
    return declarations(vector) + "".join(parts)


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
