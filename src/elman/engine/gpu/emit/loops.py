"""The parts that forward and backward kernels share: rows and units, addresses, loads and products."""

from collections.abc import Iterator
from contextlib import contextmanager

from elman.engine.gpu.emit.plan import Plan
from elman.engine.gpu.emit.writer import Value, Writer


class Kernel(Writer):
    """Base of both kernels. Shapes of its values: (BM, block of units), rows (BM, 1), units (1, ...)."""

    name = ""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.wide = "[BM, BN]" if plan.streamed or plan.sliced else "[BM, HP]"

    def text(self) -> str:
        plan = self.plan
        parameters = [*plan.tensors, *plan.numbers, *(f"{c}: tl.constexpr" for c in plan.constants)]
        self.put(f"@triton.jit(do_not_specialize={list(plan.numbers)!r})")
        with self.block(f"def {self.name}({', '.join(parameters)}):"):
            self.rows()
            if plan.streamed:
                self.streamed()
            elif plan.sliced:
                self.sliced()
            else:
                self.resident()
        return "\n".join(self.lines) + "\n"

    def resident(self) -> None:
        raise NotImplementedError

    def sliced(self) -> None:
        raise NotImplementedError

    def streamed(self) -> None:
        raise NotImplementedError

    def early(self) -> list[str]:
        """Load what a step reads and no other step writes, as names that end in `_next`; return the names."""
        raise NotImplementedError

    # ---- rows, units and steps

    def rows(self) -> None:
        """Name this program's rows, their lengths and the steps of the longest."""
        self.put(
            "block = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]",
            "live = block < B",
            "row = block.to(tl.int64)",
            *(f"{name} = {name}.to(tl.int64)" for name in self.plan.numbers[1:]),
            "length = row * 0 + T",
            "last = T",
        )
        if self.plan.ragged:
            self.put(
                "row = tl.load(order + block, mask=live, other=0)",
                "length = tl.load(lengths + row, mask=live, other=0)",
                "last = tl.max(tl.max(length, 1), 0).to(tl.int32)",
            )

    def units(self, first: str, size: str) -> None:
        """Name the units of a block, and the place of a row's units in (B, H)."""
        self.put(
            f"unit = {first} + tl.arange(0, {size})[None, :]",
            "real = unit < H",
            "place = row * H + unit",
        )

    def resident_units(self) -> None:
        """Name a resident program's units and, with U, the units `k` that they read; those of a head are
        `local` and `k` among the D of that head."""
        size = "D" if self.plan.heads > 1 else "H"
        if self.plan.heads > 1:
            self.put(
                "local = tl.arange(0, HP)[None, :]",
                "unit = tl.program_id(1) * D + local",
                "real = local < D",
                "place = row * H + unit",
            )
        else:
            self.units("tl.program_id(1) * HP", "HP")
        if self.plan.recurrent:
            self.put("k = tl.arange(0, HP)[:, None]", f"inside = (k < {size}) & real")

    def step(self, forward: bool, turn: str = "turn", end: str = "") -> None:
        """Name the step of a turn, the slots of the states around it, and where rows take it.

        The state after step t is in slot t + 1 going forwards, in slot t going backwards.
        """
        ahead, back = turn, f"last - 1 - ({turn})"
        t, before, after = f"t{end}", f"before{end}", f"after{end}"
        self.put(f"{t} = {ahead if forward else back}", f"{before} = {t}", f"{after} = {t} + 1")
        with self.block("if REVERSE:"):
            self.put(f"{t} = {back if forward else ahead}", f"{before} = {t} + 1", f"{after} = {t}")
        self.put(f"at{end} = {t} * B + row", f"on{end} = live & ({t} < length)")

    def starts(self) -> None:
        """Name the rows that begin a new sequence at this step."""
        if self.plan.resets:
            self.put("start = tl.load(clear + at, mask=on, other=0) != 0")

    @contextmanager
    def steps(self, forward: bool) -> Iterator[None]:
        """Loop over steps, loading what can be loaded early one step ahead: a load takes longer than a step's
        arithmetic."""
        loaded = self._next_step(forward, "0")
        with self.block("for turn in range(last):"):
            self.step(forward)
            self.put("do = on & real")
            self.put(*(f"{name} = {name}_next.to(tl.float32)" for name in loaded if name != "start"))
            if "start" in loaded:
                self.put("start = start_next != 0")
            self._next_step(forward, "turn + 1")
            yield

    def _next_step(self, forward: bool, turn: str) -> list[str]:
        self.step(forward, turn, "_next")
        self.put("on_next = on_next & (t_next >= 0)", "do_next = on_next & real")
        return self.early()

    def load_next(self, name: str, where: str, mask: str = "do_next") -> str:
        """Begin a load whose number is not looked at before the next turn."""
        self.put(f"{name}_next = tl.load({where}, mask={mask}, other=0)")
        return name

    def start_next(self) -> list[str]:
        return [self.load_next("start", "clear + at_next", "on_next")] if self.plan.resets else []

    @contextmanager
    def tiles(self) -> Iterator[None]:
        """Loop over a streamed kernel's blocks of units that are this program's."""
        with self.block("for tile in range(tl.program_id(1), tl.cdiv(H, BN), GROUP):"):
            self.units("tile * BN", "BN")
            self.put("do = on & real")
            yield

    def meet(self) -> None:
        """Wait for the programs that share these rows; each meeting has its own count."""
        self.arrive()
        self.put("arrivals += 1")
        self.wait("arrivals")

    def arrive(self) -> None:
        self.put("arrive(meetings + tl.program_id(0), GROUP)")

    def wait(self, arrivals: str) -> None:
        self.put(f"wait(meetings + tl.program_id(0), {arrivals}, GROUP)")

    # ---- a slice of U

    def by_ways(self) -> None:
        """Name rows, units and the rows of U in the shape of the products, (ways, BM, BK) times
        (ways, BK, BN)."""
        self.put(*(f"{name}_by = {name}[None, :, :]" for name in ("row", "live", "length", "unit")))
        self.put(f"way = tl.arange(0, {self.plan.ways})[:, None, None] * BK")
        self.put(
            "across = way + tl.arange(0, BK)[None, None, :]", "down = way + tl.arange(0, BK)[None, :, None]"
        )

    def by_parts(self, products: list[tuple[str, list[str]]], address: str, on: str, count: str) -> None:
        """Name products of what is read with the chunks of a slice, each summed over its chunks.

        Many loads begin before the first is waited for. Triton would wait at each for its way into shared
        memory, if nothing else were done with it in between: that is why a masked load is masked again.
        """
        ways = self.plan.ways
        self.put(*(f"{name}_parts = tl.zeros([{ways}, BM, BN], tl.float32)" for name, _ in products))
        for chunks in _runs(range(self.plan.sliced), self.plan.loaded):
            for c in chunks:
                self.put(f"row_k = {c * ways} * BK + across", f"inside_{c} = {on}")
                with self.block("if not EVEN:"):
                    self.put(f"inside_{c} = {on} & (row_k < {count})")
                self.put(f"read_{c} = tl.load({address}, mask=inside_{c})")
            for staged in _runs(chunks, self.plan.staged):
                for c in staged:
                    self.put(f"row_k = {c * ways} * BK + across")
                    self.put(f"read_{c} = tl.where(inside_{c}, {self.multiplied(f'read_{c}')}, 0.0)")
                for c in staged:
                    for name, parts in products:
                        self.put(f"{name}_parts = {self.dot(f'read_{c}', parts[c], f'{name}_parts')}")
        self._sum_parts([name for name, _ in products])

    def _sum_parts(self, names: list[str]) -> None:
        """Add what the warps have: several products in one reduction, for each waits for all warps."""
        for begin in range(0, len(names), 4):
            some = names[begin : begin + 4]
            if len(some) == 1:
                self.put(f"{some[0]} = tl.sum({some[0]}_parts, 0)")
            else:
                parts = ", ".join(f"{name}_parts" for name in some)
                self.put(f"{', '.join(some)} = tl.reduce(({parts}), 0, add_{len(some)})")

    def multiplied(self, read: str) -> str:
        """Return what is multiplied with U, of what was read."""
        return read

    # ---- numbers

    def state(self, name: str, slot: str) -> str:
        """Return where a state's slot begins: those of a buffer with one slot are all the same."""
        if name == self.plan.cell.state[0] or self.plan.backward:
            return f"s_{name} + ({slot}) * B * H"
        return f"s_{name} + ({slot}) * B * H * ALL"

    def load(self, to: str, where: str, mask: str) -> None:
        self.put(f"{to} = tl.load({where}, mask={mask}, other=0.0).to(tl.float32)")

    def store(self, where: str, value: str, mask: str) -> None:
        self.put(f"tl.store({where}, {value}, mask={mask})")

    def full(self, value: Value) -> str:
        """Return a value with one number for each row and unit."""
        return value.text if value.wide else f"tl.zeros({self.wide}, tl.float32) + {value.text}"

    def shared(self, program_inputs: set[tuple[str, str]]) -> None:
        """Load the weights of units and the shares of zoneout that the equations read."""
        cell = self.plan.cell
        for index, name in enumerate(cell.weights):
            if ("w", name) in program_inputs:
                self.load(f"w_{name}", f"units + {index} * H + unit", "real")
        for index, name in enumerate(cell.state):
            if ("z", name) in program_inputs:
                where = f"zoneout + {index} * zoneout_state + t * zoneout_step + row * zoneout_row + unit"
                self.load(f"z_{name}", where, "do")

    def dot(self, a: str, b: str, acc: str) -> str:
        return f"tl.dot({a}, {b}, acc={acc}, input_precision=PRECISION)"


def _runs(chunks: range, count: int) -> list[range]:
    return [chunks[k : k + count] for k in range(0, len(chunks), count)]
