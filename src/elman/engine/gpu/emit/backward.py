"""The backward kernel, from the last step to the first: the later one's gradient through U, the equations."""

from collections.abc import Iterator
from contextlib import contextmanager

from elman.engine.gpu.emit.loops import Kernel
from elman.engine.gpu.emit.writer import Value

Results = dict[tuple[str, str], Value]


class Backward(Kernel):
    """`d_c` is the gradient of state c from later steps, `through` what h's has through U."""

    name = "backward"

    def resident(self) -> None:
        plan = self.plan
        self.resident_units()
        for n, (_, name) in enumerate(plan.products):
            where = f"U + ({n} * H + k) * H + unit"
            if plan.heads > 1:
                where = f"U + ({n} * H + tl.program_id(1) * D + k) * D + local"
            self.put(f"U_{name} = tl.load({where}, mask=inside, other=0.0)")
            if plan.norm:
                self.load(f"gain_{name}", f"gain + {n} * H + unit", "real")
        self.put(f"through = tl.zeros({self.wide}, tl.float32)")
        with self._gradients_in_registers():
            results = self._equations()
            self._gates(results)
            self._states_back(results)
            if plan.recurrent:
                self._through()
            self._add_totals(results)

    @contextmanager
    def _gradients_in_registers(self) -> Iterator[None]:
        """Loop over steps from the last, with the gradients of the states and of weights of units."""
        plan, states = self.plan, self.plan.cell.state
        for index, c in enumerate(states):
            self.load(f"d_{c}", self._carry(index), "live & real")
        for name in plan.cell.weights:
            self.put(f"total_{name} = tl.zeros({self.wide}, tl.float32)")
        if plan.masked and plan.recurrent:
            self.load("dropped", "mask + place", "live & real")
        self.shared({("w", name) for name in plan.cell.weights})
        with self.steps(forward=False):
            yield
        for index, c in enumerate(states):
            self.store(self._carry(index), f"d_{c}", "live & real")
        for index, name in enumerate(plan.cell.weights):
            self.store(self._total(index), f"tl.sum(total_{name}, 0, keep_dims=True)", "real")

    def _states_back(self, results: Results) -> None:
        for c in self.plan.cell.state:
            self._following(f"d_{c}", results.get(("s", c)))

    def _add_totals(self, results: Results) -> None:
        for name in self.plan.cell.weights:
            if ("w", name) in results:
                self.put(f"total_{name} += tl.where(do, {self.full(results['w', name])}, 0.0)")

    def _carry(self, index: int) -> str:
        return f"carry + (row * {len(self.plan.cell.state)} + {index}) * H + unit"

    def _total(self, index: int) -> str:
        return f"totals + (tl.program_id(0) * {len(self.plan.cell.weights)} + {index}) * H + unit"

    def _kept(self, place: str | int, at: str = "at") -> str:
        return f"kept + ({at} * {self.plan.places} + {place}) * H + unit"

    def _following(self, name: str, value: Value | None) -> None:
        """Set what the step before gets where a row takes this one: nothing across a sequence's start."""
        new = self.full(value) if value else "0.0"
        if value and self.plan.resets:
            new = f"tl.where(start, 0.0, {new})"
        self.put(f"{name} = tl.where(do, {new}, {name})")

    def _inputs(self) -> set[tuple[str, str]]:
        return {node.args for node in self.plan.pair.backward.nodes if node.op == "input"}

    def _read(self, end: str = "") -> list[tuple[str, str]]:
        """Return what a step reads, as names and addresses; `end` is of the names of the step."""
        plan, states, inputs = self.plan, self.plan.cell.state, self._inputs()
        read = []
        for c in states:
            if ("s", c) in inputs:
                read.append((f"before_{c}", f"{self.state(c, f'before{end}')} + place"))
            if ("new", c) in inputs:
                read.append((f"new_{c}", f"{self.state(c, f'after{end}')} + place"))
        for index, name in enumerate(plan.pair.kept):
            if ("kept", name) in inputs:
                read.append((f"kept_{name}", self._kept(index, f"at{end}")))
        read.append(("above_h", f"above + t{end} * above_step + row * above_row + unit"))
        if plan.every:
            read += [(f"above_{c}_every", f"up_{c} + at{end} * H + unit") for c in states]
        return read

    def early(self) -> list[str]:
        return [self.load_next(name, where) for name, where in self._read("_next")] + self.start_next()

    def _equations(self) -> Results:
        """Compute the gradients of the equations' inputs from what was read."""
        plan, pair, states = self.plan, self.plan.pair, self.plan.cell.state
        inputs = self._inputs()
        for c in states:
            if ("s", c) in inputs:
                value = f"tl.where(start, 0.0, before_{c})" if plan.resets else f"before_{c}"
                self.put(f"old_{c} = {value}")
        self.shared({leaf for leaf in inputs if leaf[0] == "z"})
        for k, c in enumerate(states):
            self._of_new_state(k, c)

        def leaf(letter: str, name: str) -> Value:
            written = {"d": f"g_{name}", "s": f"old_{name}"}.get(letter, f"{letter}_{name}")
            return Value(written, wide=letter != "w")

        values = self.evaluate(pair.backward, leaf)
        results = dict(zip(pair.gradients, (values[k] for k in pair.backward.outputs), strict=True))
        self.put("tl.debug_barrier()  # gradients are stored where threads have read values")
        if plan.noted:
            for c in states:
                self.store(f"up_{c} + at * H + unit", self.full(results["new", c]), "do")
        return results

    def _of_new_state(self, k: int, c: str) -> None:
        """Name the gradient of a new state: from later steps, from the output, of every state."""
        self.put(f"g_{c} = d_{c}")
        if k == 0:
            self.put(f"g_{c} = g_{c} + above_h")
            if self.plan.recurrent:
                self.put(f"g_{c} = g_{c} + {'through * dropped' if self.plan.masked else 'through'}")
        if self.plan.every:
            self.put(f"g_{c} = g_{c} + above_{c}_every")

    def _gates(self, results: Results) -> None:
        """Store the gradients of the sums; name those of U h u_gate."""
        for k, slot in enumerate(self.plan.slots):
            value = self.full(results[slot]) if slot in results else f"tl.zeros({self.wide}, tl.float32)"
            to = f"u_{slot[1]}" if slot in self.plan.products else "gate"
            self.put(f"{to} = tl.where(do, {value}, 0.0)")
            self.store(self._kept(k), to, "do")

    def _through(self) -> None:
        plan = self.plan
        if plan.norm:
            self._of_normalised()
        self.put(f"sum = tl.zeros({self.wide}, tl.float32)")
        for _, name in plan.products:
            self.put(f"sum = {self.dot(f'u_{name}.to(U.dtype.element_ty)', f'U_{name}', 'sum')}")
        self._following("through", Value("sum"))

    def _of_normalised(self) -> None:
        """Turn gradients of normalised products into those of the products."""
        plan = self.plan
        count = len(plan.products)
        self.put("r = tl.load(rate + at, mask=on, other=0.0)")
        plain, crossed = [], []
        for n, (_, name) in enumerate(plan.products):
            self.load(f"hat_{name}", f"hat + (at * {count} + {n}) * H + unit", "do")
            self.put(f"u_{name} = u_{name} * gain_{name}")
            plain.append(f"tl.sum(u_{name}, 1, keep_dims=True)")
            crossed.append(f"tl.sum(u_{name} * hat_{name}, 1, keep_dims=True)")
        self.put(f"shift = ({' + '.join(plain)}) / ({count} * H)")
        self.put(f"slope = ({' + '.join(crossed)}) / ({count} * H)")
        for _, name in plan.products:
            self.put(f"u_{name} = tl.where(do, r * (u_{name} - shift - hat_{name} * slope), 0.0)")

    # ---- a slice of U for each program

    def sliced(self) -> None:
        plan = self.plan
        self.units("tl.program_id(1) * BN", "BN")
        self.by_ways()
        count = f"({len(plan.products)} * H)"
        for c in range(plan.sliced):
            self.put(f"k = {c * plan.ways} * BK + down")
            self.put(f"U_{c} = tl.load(U + k * H + unit_by, mask=(k < {count}) & (unit_by < H), other=0.0)")
        with self._gradients_in_registers():
            self._later("row_by", "live_by & (t < length_by)", "length_by")
            self.wait("turn")
            low, _ = plan.range("au")
            where = f"kept + (later_at * {plan.places} + {low}) * H + row_k"
            through = [f"U_{c}" for c in range(plan.sliced)]
            self.by_parts([("through", through)], where, "passes", count)
            results = self._equations()
            self._gates(results)
            self.arrive()
            self._states_back(results)
            self._add_totals(results)

    # ---- U read at every step

    def streamed(self) -> None:
        plan, states = self.plan, self.plan.cell.state
        self.put("arrivals = 0")
        with self.block("for turn in range(last):"):
            self.step(forward=False)
            self.starts()
            self._later("row", "on", "length")
            if plan.norm:
                self._streamed_norm()
            with self.tiles():
                self._streamed_through()
                for index, c in enumerate(states):
                    self.load(f"d_{c}", self._carry(index), "do")
                if plan.masked:
                    self.load("dropped", "mask + place", "do")
                self.shared({("w", name) for name in plan.cell.weights})
                for name, where in self._read():
                    self.load(name, where, "do")
                results = self._equations()
                self._gates(results)
                for index, c in enumerate(states):
                    self._following(f"d_{c}", results.get(("s", c)))
                    self.store(self._carry(index), f"d_{c}", "do")
                self._add_weights(results)
            self.meet()

    def _later(self, row: str, on: str, length: str) -> None:
        """Name the step after this one, and the rows that take it from this one's state."""
        self.put("later = t + 1")
        with self.block("if REVERSE:"):
            self.put("later = t - 1")
        self.put(f"later_at = later * B + {row}", f"passes = {on} & (later >= 0) & (later < {length})")
        if self.plan.resets:
            self.put("passes = passes & (tl.load(clear + later_at, mask=passes, other=1) == 0)")

    def _streamed_through(self) -> None:
        self.put("through = tl.zeros([BM, BN], tl.float32)")
        count = f"{len(self.plan.products)} * H"
        with self.block(f"for begin in range(0, {count}, BK):"):
            self.put("other = begin + tl.arange(0, BK)", "row_k = other[None, :]", "k = other[:, None]")
            self._read_later(count)
            self.put(f"part = tl.load(U + unit * ({count}) + k, mask=(k < {count}) & real, other=0.0)")
            self.put(f"through = {self.dot('read.to(U.dtype.element_ty)', 'part', 'through')}")

    def _read_later(self, count: str) -> None:
        """Read some of the later step's gradients of U h, which are contiguous."""
        low, _ = self.plan.range("au")
        self.put(f"inside = passes & (row_k < {count})")
        where = f"kept + (later_at * {self.plan.places} + {low}) * H + row_k"
        self.load("read", where, "inside")
        if self.plan.norm:
            self._read_hat(count)
            self.put("read = tl.where(inside, r * (read - shift - hats * slope), 0.0)")

    def _read_hat(self, count: str) -> None:
        self.load("hats", f"hat + later_at * ({count}) + row_k", "inside")
        self.load("gains", "gain + row_k", f"row_k < {count}")
        self.put("read = read * gains")

    def _streamed_norm(self) -> None:
        """Name the sums over a row that the later step's gradients of U h need."""
        low, _ = self.plan.range("au")
        count = f"{len(self.plan.products)} * H"
        self.put("r = tl.load(rate + later_at, mask=passes, other=0.0)")
        self.put("shift = tl.zeros([BM, 1], tl.float32)", "slope = tl.zeros([BM, 1], tl.float32)")
        with self.block(f"for begin in range(0, {count}, BK):"):
            self.put("row_k = begin + tl.arange(0, BK)[None, :]", f"inside = passes & (row_k < {count})")
            where = f"kept + (later_at * {self.plan.places} + {low}) * H + row_k"
            self.load("read", where, "inside")
            self._read_hat(count)
            self.put("shift += tl.sum(read, 1, keep_dims=True)")
            self.put("slope += tl.sum(read * hats, 1, keep_dims=True)")
        self.put(f"shift = shift / ({count})", f"slope = slope / ({count})")

    def _add_weights(self, results: Results) -> None:
        for index, name in enumerate(self.plan.cell.weights):
            if ("w", name) in results:
                self.load("total", self._total(index), "real")
                value = f"tl.where(do, {self.full(results['w', name])}, 0.0)"
                self.store(self._total(index), f"total + tl.sum({value}, 0, keep_dims=True)", "real")
