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
        self.wide = "[BM, BN]" if plan.streamed else "[BM, HP]"

    def text(self) -> str:
        plan = self.plan
        parameters = [*plan.tensors, *plan.numbers, *(f"{c}: tl.constexpr" for c in plan.constants)]
        self.put(f"@triton.jit(do_not_specialize={list(plan.numbers)!r})")
        with self.block(f"def {self.name}({', '.join(parameters)}):"):
            self.rows()
            if plan.streamed:
                self.streamed()
            else:
                self.resident()
        return "\n".join(self.lines) + "\n"

    def resident(self) -> None:
        raise NotImplementedError

    def streamed(self) -> None:
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

    def step(self, forward: bool) -> None:
        """Name the step of a turn, the slots of the states around it, and where rows take it.

        The state after step t is in slot t + 1 going forwards, in slot t going backwards.
        """
        ahead, back = "turn", "last - 1 - turn"
        self.put(f"t = {ahead if forward else back}", "before = t", "after = t + 1")
        with self.block("if REVERSE:"):
            self.put(f"t = {back if forward else ahead}", "before = t + 1", "after = t")
        self.put("at = t * B + row", "on = live & (t < length)")
        if self.plan.resets:
            self.put("start = tl.load(clear + at, mask=on, other=0) != 0")

    @contextmanager
    def tiles(self) -> Iterator[None]:
        """Loop over a streamed kernel's blocks of units that are this program's."""
        with self.block("for tile in range(tl.program_id(1), tl.cdiv(H, BN), GROUP):"):
            self.units("tile * BN", "BN")
            self.put("do = on & real")
            yield

    def meet(self) -> None:
        """Wait for the programs that share these rows; each meeting has its own count."""
        with self.block("if GROUP == 1:"):
            self.put("tl.debug_barrier()")
        with self.block("else:"):
            self.put("arrivals += GROUP", "meet(meetings + tl.program_id(0), arrivals)")

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
