"""More recurrences with a recurrent matrix, each as its paper has it, biases in both products."""

from torch import relu, sigmoid, tanh

from elman.cells.declaration import cell


@cell(gates="f c", state="h")
def JANET(x, u, s):
    """LSTM with a forget gate only, which writes a little more than it forgets. van der Westhuizen, Lasenby,
    arXiv:1804.04849, 2018."""
    f = x.f + u.f
    return sigmoid(f) * s.h + (1 - sigmoid(f - 1)) * tanh(x.c + u.c)


@cell(gates="i f c", state="h c")
def RAN(x, u, s):
    """Recurrent additive network, of plain inputs. Lee, Levy, Zettlemoyer, arXiv:1705.07393, 2017."""
    i, f = sigmoid(x.i + u.i), sigmoid(x.f + u.f)
    c = i * x.c + f * s.c
    return tanh(c), c


@cell(gates="z n", state="h")
def LiGRU(x, u, s):
    """Light GRU, rectified, without reset, for layer_norm=True. Ravanelli et al., arXiv:1803.10225, 2018."""
    z = sigmoid(x.z + u.z)
    return z * s.h + (1 - z) * relu(x.n + u.n)


@cell(gates="k z", state="h")
def STAR(x, u, s):
    """Stackable recurrent cell. Turkoglu et al., arXiv:1911.11033, 2019."""
    k = sigmoid(x.k + u.k)
    return tanh((1 - k) * s.h + k * tanh(x.z))


@cell(gates="p", state="h")
def ATR(x, u, s):
    """Twin gates from the sum and the difference of two products. Zhang et al., arXiv:1810.12546, 2018."""
    i, f = sigmoid(x.p + u.p), sigmoid(x.p - u.p)
    return i * x.p + f * s.h


@cell(gates="f i c", state="h")
def CFN(x, u, s):
    """Chaos-free network: without inputs its state fades. Laurent, von Brecht, arXiv:1612.06212, 2016."""
    f, i = sigmoid(x.f + u.f), sigmoid(x.i + u.i)
    return f * tanh(s.h) + i * tanh(x.c)


@cell(gates="h", state="h", weights="b_z zeta nu")
def FastGRNN(x, u, s, w):
    """Gate and candidate of the same two products. Kusupati et al., arXiv:1901.02358, 2019.

    `b_z` is what the gate's bias has more than the candidate's. `zeta` and `nu` count from the paper's first
    values, 1 and -4.
    """
    z = sigmoid(x.h + u.h + w.b_z)
    return (sigmoid(w.zeta + 1) * (1 - z) + sigmoid(w.nu - 4)) * tanh(x.h + u.h) + z * s.h


@cell(gates="a c n", state="h")
def NBRC(x, u, s):
    """Neuromodulated bistable cell: where a > 1 a unit keeps one of two values. Vecoven et al.,
    arXiv:2006.05252, 2020."""
    a, c = 1 + tanh(x.a + u.a), sigmoid(x.c + u.c)
    return c * s.h + (1 - c) * tanh(x.n + a * s.h)


@cell(gates="h", state="h", weights="alpha beta_x beta_u")
def MIRNN(x, u, s, w):
    """Elman's network with multiplicative integration of both products. Wu et al., arXiv:1606.06630, 2016.

    The weights count from the paper's first values: 1 for the product, a half for each alone.
    """
    both = (1 + w.alpha) * x.h * u.h
    return tanh(both + (0.5 + w.beta_u) * u.h + (0.5 + w.beta_x) * x.h)


@cell(gates="a b c d e f g o", state="h c")
def NAS(x, u, s):
    """The cell that neural architecture search has found. Zoph, Le, arXiv:1611.01578, 2016."""
    first = tanh(sigmoid(x.a + u.a) * relu(x.b + u.b))
    second = tanh(sigmoid(x.c + u.c) + relu(x.d * u.d))
    third = tanh(tanh(x.e + u.e) * sigmoid(x.f + u.f))
    fourth = sigmoid(tanh(x.g + u.g) + sigmoid(x.o + u.o))
    c = tanh(first + s.c) * second
    return tanh(c * tanh(third + fourth)), c
