"""What one Triton kernel computes, and its parameters.

T steps, B rows (sequences), H units, J states, S sums of a row; N of these get a product with U. A program
owns a block of BM rows for all steps. In a *resident* kernel it holds their states and U, and its block of
units has all HP >= H units, or some if there is no U; with heads it has the HP >= D units of one head, and
holds that head's block of U. In the other kernels GROUP programs share the units of its rows: in a *sliced*
one each holds the part of U that its BN units need, and takes chunks of it, in which each of several `ways`
has BK rows of U: a way is a warp, so that few rows keep many warps busy; in a *streamed* one it reads blocks
of U, (BK, BN), at every step.
"""

import functools
from dataclasses import dataclass
from typing import Any

from elman.cells import Cell
from elman.engine import plan


@dataclass(frozen=True, eq=False)
class Plan(plan.Plan):
    """A kernel in Triton. Made by `plan_for`."""

    ragged: bool = False  # rows have lengths
    streamed: bool = False
    sliced: int = 0  # how many chunks of ways * BK rows a slice of U has
    ways: int = 1
    loaded: int = 1  # chunks of what is multiplied with them whose loads begin together
    staged: int = 1  # of those, how many are in shared memory together

    @functools.cached_property
    def products(self) -> tuple[tuple[str, str], ...]:
        """Return the slots that get a product with U."""
        low, high = self.range("au")
        return self.slots[low:high]

    @functools.cached_property
    def tensors(self) -> tuple[str, ...]:
        """Return the kernel's parameters that are tensors, each contiguous and of these shapes.

        sums (T, B, slots x and a, H): W x and all biases but those of slots u; U (N, H, H), of heads
        (N, H, D), for a streamed backward kernel (H, N, H); bias and gain (N, H); units (weights, H); kept
        (T, B, places, H); mask (B, H); clear (T, B) bytes; order (B): the rows, the longest first; lengths
        (B); s_c (T + 1, B, H) or (1, B, H); zoneout (J, T or 1, B or 1, H).

        Backward: above and up_c (T, B, H): the gradients of the output and of every state; carry (B, J, H);
        totals (blocks of rows, weights, H); hat (T, B, N, H) and rate (T, B): U h normalised, without gain,
        and what it was multiplied by. Sliced, streamed: meetings (blocks of rows); raw (B, N, H) for the
        products before they are normalised.
        """
        recurrent, normed = self.recurrent, self.norm and self.recurrent
        present = {
            "sums": not self.backward,
            "U": recurrent,
            "bias": recurrent and not self.backward and any(letter == "u" for letter, _ in self.slots),
            "gain": normed,
            "units": bool(self.cell.weights),
            "kept": self.keep or self.backward,
            "mask": self.masked and recurrent,
            "zoneout": self.zoneout,
            "clear": self.resets,
            "order": self.ragged,
            "lengths": self.ragged,
            "above": self.backward,
            "carry": self.backward,
            "totals": self.backward and bool(self.cell.weights),
            "hat": normed and self.backward,
            "rate": normed and self.backward,
            "meetings": self.streamed or self.sliced > 0,
            "raw": normed and self.streamed and not self.backward,
        }
        states = [f"s_{c}" for c in self.cell.state]
        every = [f"up_{c}" for c in self.cell.state if self.backward and self.every]
        return (*[name for name, holds in present.items() if holds], *states, *every)

    @functools.cached_property
    def numbers(self) -> tuple[str, ...]:
        """Return the parameters that are numbers of a call."""
        strides = ["zoneout_state", "zoneout_step", "zoneout_row"] if self.zoneout else []
        strides += ["above_step", "above_row"] if self.backward else []
        return ("T", "B", *strides)

    @functools.cached_property
    def constants(self) -> tuple[str, ...]:
        """Return the parameters that are compiled in.

        D: units of a head; ALL: every state is stored at every step, not only the first; EVEN: chunks fill a
        slice; PRECISION: how float32 is multiplied.
        """
        sizes = ["BN", "BK", "GROUP"] if self.streamed or self.sliced else ["HP"]
        sizes += ["EVEN"] if self.sliced else []
        sizes += ["D"] if self.heads > 1 else []
        return ("H", "BM", *sizes, "REVERSE", *(() if self.backward else ("ALL",)), "PRECISION")


@functools.cache
def plan_for(cell: Cell, **options: Any) -> Plan:
    """Return the one Plan with these options."""
    return Plan(cell, **options)
