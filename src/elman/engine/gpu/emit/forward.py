"""The forward kernel: the product with U, then the equations, step by step."""

from collections.abc import Iterator
from contextlib import contextmanager

from elman.engine.gpu.emit.loops import Kernel
from elman.engine.gpu.emit.writer import Value
from elman.engine.plan import EPSILON


class Forward(Kernel):
    """From the first step to the last; `old_c` is state c before a step, 0 where a sequence starts."""

    name = "forward"

    def resident(self) -> None:
        self.resident_units()
        size = "D" if self.plan.heads > 1 else "H"
        for n, (_, name) in enumerate(self.plan.products):
            where = f"U + ({n} * H + unit) * {size} + k"
            self.put(f"U_{name} = tl.load({where}, mask=inside, other=0.0)")
        self._constants()
        with self._states_in_registers():
            if self.plan.recurrent:
                self._products()
            self._new_states()
            states = self.plan.cell.state
            self._store_states({c: f"now_{c}" for c in states})
            self._keep()

    @contextmanager
    def _states_in_registers(self) -> Iterator[None]:
        """Loop over steps from the initial states; `old_c` is the state before a step."""
        plan, states = self.plan, self.plan.cell.state
        self.put("first = row * 0")
        with self.block("if REVERSE:"):
            self.put("first = length")
        for c in states:
            self.load(f"now_{c}", self.state(c, "first") + " + place", "live & real")
        with self.steps(forward=True):
            for c in states:
                self.put(f"old_{c} = tl.where(start, 0.0, now_{c})" if plan.resets else f"old_{c} = now_{c}")
            yield
        for c in states[1:]:
            with self.block("if not ALL:"):
                self.store(f"s_{c} + place", f"now_{c}", "live & real")

    def _new_states(self) -> None:
        new = self._equations()
        for c in self.plan.cell.state:
            self.put(f"now_{c} = tl.where(do, {new[c]}, now_{c})")

    def _constants(self) -> None:
        """Load what stays the same for all steps beside U: bias and gain, weights, the mask."""
        plan = self.plan
        for n, (letter, name) in enumerate(plan.products):
            self._load_affine(n, letter, name)
        if plan.masked and plan.recurrent and not plan.sliced:
            self.load("dropped", "mask + place", "live & real")
        self.shared({("w", name) for name in plan.cell.weights})

    def early(self) -> list[str]:
        low, high = self.plan.range("xa")
        inputs = self._inputs()
        names = [
            self.load_next(f"x_{name}", f"sums + (at_next * {high - low} + {k}) * H + unit")
            for k, (letter, name) in enumerate(self.plan.slots[low:high])
            if (letter, name) in inputs
        ]
        return names + self.start_next()

    def _inputs(self) -> set[tuple[str, str]]:
        return {node.args for node in self.plan.pair.forward.nodes if node.op == "input"}

    def _load_affine(self, n: int, letter: str, name: str) -> None:
        if letter == "u":
            self.load(f"bias_{name}", f"bias + {n} * H + unit", "real")
        if self.plan.norm:
            self.load(f"gain_{name}", f"gain + {n} * H + unit", "real")

    def _products(self) -> None:
        """Name U h of every slot that has one u_gate, with its bias but for slots a."""
        plan, h = self.plan, f"old_{self.plan.cell.state[0]}"
        self.put(f"read = {h} * dropped" if plan.masked else f"read = {h}")
        self.put("read = read.to(U.dtype.element_ty)")
        for letter, name in plan.products:
            self.put(f"u_{name} = {self.dot('read', f'U_{name}', f'tl.zeros({self.wide}, tl.float32)')}")
            if letter == "u" and not plan.norm:
                self.put(f"u_{name} = u_{name} + bias_{name}")
        if plan.norm:
            self._normalise()

    def _normalise(self) -> None:
        """Normalise the products of a row over the units of all gates; those beyond H are 0."""
        names = [name for _, name in self.plan.products]
        count = f"({len(names)} * H)"
        totals = " + ".join(f"tl.sum(u_{name}, 1, keep_dims=True)" for name in names)
        self.put(f"mean = ({totals}) / {count}")
        for name in names:
            self.put(f"u_{name} = tl.where(real, u_{name} - mean, 0.0)")
        squares = " + ".join(f"tl.sum(u_{name} * u_{name}, 1, keep_dims=True)" for name in names)
        self.put(f"rate = 1.0 / tl.sqrt(({squares}) / {count} + {EPSILON})")
        for name in names:
            self.put(f"u_{name} = u_{name} * rate * gain_{name} + bias_{name}")

    def _equations(self) -> dict[str, str]:
        """Compute the new states; return their names. `_keep` stores what the backward pass needs."""
        plan, pair, inputs = self.plan, self.plan.pair, self._inputs()
        low, high = plan.range("xa")
        for letter, name in plan.slots[low:high]:
            if letter == "a" and (letter, name) in inputs:
                self.put(f"a_{name} = x_{name} + u_{name}" if plan.recurrent else f"a_{name} = x_{name}")
        self.shared({leaf for leaf in inputs if leaf[0] == "z"})

        def leaf(letter: str, name: str) -> Value:
            return Value(f"{'old' if letter == 's' else letter}_{name}", wide=letter != "w")

        self._values = self.evaluate(pair.forward, leaf)
        outputs = zip(plan.cell.state, pair.forward.outputs, strict=True)
        return {c: self.full(self._values[k]) for c, k in outputs}

    def _keep(self) -> None:
        plan = self.plan
        for index, k in enumerate(plan.pair.kept.values() if plan.keep else ()):
            value = self.full(self._values[k])
            self.store(f"kept + (at * {plan.places} + {index}) * H + unit", value, "do")

    def _store_states(self, values: dict[str, str]) -> None:
        """Store the states after a step: the first, which is the output, and the others if there is room."""
        for k, (c, value) in enumerate(values.items()):
            where = f"{self.state(c, 'after')} + place"
            if k == 0 or self.plan.streamed:
                self.store(where, value, "do")
            else:
                with self.block("if ALL:"):
                    self.store(where, value, "do")

    # ---- a slice of U for each program

    def sliced(self) -> None:
        plan, h = self.plan, self.plan.cell.state[0]
        self.units("tl.program_id(1) * BN", "BN")
        self.by_ways()
        for n, (_, name) in enumerate(plan.products):
            for c in range(plan.sliced):
                self.put(f"k = {c * plan.ways} * BK + down")
                where = f"U + ({n} * H + unit_by) * H + k"
                self.put(f"U_{name}_{c} = tl.load({where}, mask=(k < H) & (unit_by < H), other=0.0)")
        self._constants()
        with self._states_in_registers():
            self.put("on_by = live_by & (t < length_by)")
            if plan.resets:
                self.put("on_by = on_by & (tl.load(clear + t * B + row_by, mask=on_by, other=0) == 0)")
            self.wait("turn")
            where = f"{self.state(h, 'before')} + row_by * H + row_k"
            self.by_parts(self._slices(), where, "on_by", "H")
            self._biases()
            self._new_states()
            self.store(f"{self.state(h, 'after')} + place", f"now_{h}", "do")
            self.arrive()
            for other in plan.cell.state[1:]:
                with self.block("if ALL:"):
                    self.store(f"{self.state(other, 'after')} + place", f"now_{other}", "do")
            self._keep()

    def _slices(self) -> list[tuple[str, list[str]]]:
        chunks = range(self.plan.sliced)
        return [(f"u_{name}", [f"U_{name}_{c}" for c in chunks]) for _, name in self.plan.products]

    def multiplied(self, read: str) -> str:
        if not self.plan.masked:
            return read
        self.load("dropped", "mask + row_by * H + row_k", "live_by & (row_k < H)")
        return f"({read} * dropped).to(U.dtype.element_ty)"

    # ---- U read at every step

    def streamed(self) -> None:
        plan = self.plan
        self.put("arrivals = 0")
        with self.block("for turn in range(last):"):
            self.step(forward=True)
            self.starts()
            if plan.norm:
                self._streamed_norm()
            with self.tiles():
                self._read_sums()
                if plan.norm:
                    self._read_normalised()
                else:
                    self._streamed_products()
                    self._biases()
                for c in plan.cell.state:
                    self.load(f"old_{c}", f"{self.state(c, 'before')} + place", self._readable("do"))
                self.shared({("w", name) for name in plan.cell.weights})
                self._store_states(self._equations())
                self._keep()
            self.meet()

    def _read_sums(self) -> None:
        low, high = self.plan.range("xa")
        for k, (letter, name) in enumerate(self.plan.slots[low:high]):
            if (letter, name) in self._inputs():
                self.load(f"x_{name}", f"sums + (at * {high - low} + {k}) * H + unit", "do")

    def _readable(self, mask: str) -> str:
        return f"{mask} & ~start" if self.plan.resets else mask

    def _streamed_products(self) -> None:
        plan, h = self.plan, self.plan.cell.state[0]
        for _, name in plan.products:
            self.put(f"u_{name} = tl.zeros([BM, BN], tl.float32)")
        with self.block("for begin in range(0, H, BK):"):
            self.put("other = begin + tl.arange(0, BK)", "row_k = other[None, :]", "k = other[:, None]")
            mask = self._readable("on & (row_k < H)")
            where = f"{self.state(h, 'before')} + row * H + row_k"
            self.load("read", where, mask)
            if plan.masked:
                self.load("dropped", "mask + row * H + row_k", "live & (row_k < H)")
                self.put("read = read * dropped")
            self.put("read = read.to(U.dtype.element_ty)")
            for n, (_, name) in enumerate(plan.products):
                where = f"U + ({n} * H + unit) * H + k"
                self.put(f"part = tl.load({where}, mask=(k < H) & real, other=0.0)")
                self.put(f"u_{name} = {self.dot('read', 'part', f'u_{name}')}")

    def _biases(self) -> None:
        for n, (letter, name) in enumerate(self.plan.products):
            if letter == "u":
                if self.plan.streamed:
                    self._load_affine(n, letter, name)
                self.put(f"u_{name} = u_{name} + bias_{name}")

    def _streamed_norm(self) -> None:
        """Store the products of all gates, then name the mean of each row and the rate."""
        count = len(self.plan.products)
        with self.tiles():
            self._streamed_products()
            for n, (_, name) in enumerate(self.plan.products):
                self.store(f"raw + (row * {count} + {n}) * H + unit", f"u_{name}", "do")
        self.meet()
        self._over_raw("mean", "v")
        self._over_raw("rate", "tl.where(inside, (v - mean) * (v - mean), 0.0)")
        self.put(f"rate = 1.0 / tl.sqrt(rate + {EPSILON})")

    def _over_raw(self, name: str, value: str) -> None:
        """Average over the stored products of each row."""
        count = f"{len(self.plan.products)} * H"
        self.put(f"{name} = tl.zeros([BM, 1], tl.float32)")
        with self.block(f"for begin in range(0, {count}, BK):"):
            self.put("row_k = begin + tl.arange(0, BK)[None, :]", f"inside = on & (row_k < {count})")
            self.load("v", f"raw + row * ({count}) + row_k", "inside")
            self.put(f"{name} += tl.sum({value}, 1, keep_dims=True)")
        self.put(f"{name} = {name} / ({count})")

    def _read_normalised(self) -> None:
        count = len(self.plan.products)
        for n, (letter, name) in enumerate(self.plan.products):
            self._load_affine(n, letter, name)
            self.load(f"u_{name}", f"raw + (row * {count} + {n}) * H + unit", "do")
            self.put(f"u_{name} = (u_{name} - mean) * rate * gain_{name} + bias_{name}")
