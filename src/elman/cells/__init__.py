"""Recurrences as equations. A cell is one function of plain arithmetic on named values:

    x.i    W_i x_t + b_i              the input's part of gate i
    u.i    U_i h_{t-1} + b_i'         the recurrent part of gate i (without `u` there is no recurrent matrix)
    s.c    c_{t-1}                    a state after the previous step
    w.p    one learned number a unit  declared by `weights=`

Every name is a vector of hidden units, and a cell only combines units with themselves: what mixes units (W,
U, a projection) belongs to the layer. The function returns the new states in the order of `state=`; the first
one is the output. It may use + - * /, negation, powers, < and > to choose in `where`, and the functions of
`elman.engine.ops` and `elman.engine.rewrites`: the table of primitives, and what is made of them.
"""

import inspect
from typing import Any, Final

from elman.cells.classic import (
    CIFG,
    GRU,
    LSTM,
    MGU,
    SLSTM,
    UGRNN,
    DampedTrend,
    Elman,
    ElmanReLU,
    IndRNN,
    MinGRU,
    MinLSTM,
    PeepholeLSTM,
    Theta,
)
from elman.cells.declaration import PARTS, Cell, cell, cell_with_id, check_names
from elman.cells.gated import ATR, CFN, JANET, MIRNN, NAS, NBRC, RAN, STAR, FastGRNN, LiGRU
from elman.cells.unitwise import BRC, QRNN, RGLRU, SRU, IndyLSTM, UnICORNN
from elman.errors import UsageError, suggestion

__all__ = [
    "ATR",
    "BRC",
    "CELLS",
    "CFN",
    "CIFG",
    "GRU",
    "JANET",
    "LSTM",
    "MGU",
    "MIRNN",
    "NAS",
    "NBRC",
    "PARTS",
    "QRNN",
    "RAN",
    "RGLRU",
    "SLSTM",
    "SRU",
    "STAR",
    "UGRNN",
    "Cell",
    "DampedTrend",
    "Elman",
    "ElmanReLU",
    "FastGRNN",
    "IndRNN",
    "IndyLSTM",
    "LiGRU",
    "MinGRU",
    "MinLSTM",
    "PeepholeLSTM",
    "Theta",
    "UnICORNN",
    "as_cell",
    "cell",
    "cell_with_id",
    "check_names",
]

# The cells that a network may be made of; DampedTrend and Theta have no weights that an input could turn.
CELLS: Final[dict[str, Cell]] = {
    "elman": Elman,
    "elman-relu": ElmanReLU,
    "lstm": LSTM,
    "gru": GRU,
    "peephole-lstm": PeepholeLSTM,
    "cifg": CIFG,
    "mgu": MGU,
    "ugrnn": UGRNN,
    "indrnn": IndRNN,
    "mingru": MinGRU,
    "minlstm": MinLSTM,
    "slstm": SLSTM,
    "janet": JANET,
    "ran": RAN,
    "li-gru": LiGRU,
    "star": STAR,
    "atr": ATR,
    "cfn": CFN,
    "fastgrnn": FastGRNN,
    "nbrc": NBRC,
    "mi-rnn": MIRNN,
    "nas": NAS,
    "sru": SRU,
    "qrnn": QRNN,
    "indylstm": IndyLSTM,
    "brc": BRC,
    "unicornn": UnICORNN,
    "rg-lru": RGLRU,
}


def as_cell(cell: Any) -> Cell:
    """Return a cell itself, or the built-in one of this name: a key of CELLS, whatever the case.

    Raises UsageError for anything else.
    """
    if isinstance(cell, Cell):
        return cell
    if isinstance(cell, str):
        names = {_letters(name): built_in for name, built_in in CELLS.items()}
        if _letters(cell) in names:
            return names[_letters(cell)]
        plain = "; torch.nn's RNN is 'elman'" if _letters(cell) == "rnn" else ""
        if ".py:" in cell:
            plain = ": in Python import the cell and give it, not its name; only commands take FILE.py:NAME"
        hint = plain or suggestion(cell, CELLS) or f": there are {', '.join(CELLS)}"
        raise UsageError(f"there is no cell {cell!r}{hint}")
    if inspect.isfunction(cell):
        advice = "decorate it with @elman.cell(gates=..., state=...)"
        raise UsageError(f"{cell.__name__} is a plain function, not a cell: {advice}")
    raise UsageError(
        'a cell is one of elman.cells, the name of one ("lstm") or a function decorated with @elman.cell, '
        f"not {cell!r}"
    )


def _letters(name: str) -> str:
    """Return a name as it is compared: "PeepholeLSTM" is "peephole-lstm"."""
    return name.lower().replace("-", "").replace("_", "")
