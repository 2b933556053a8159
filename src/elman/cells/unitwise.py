"""More recurrences without a recurrent matrix: each unit remembers itself alone."""

from torch import exp, sigmoid, sqrt, tanh
from torch.nn.functional import softplus

from elman.cells.declaration import cell


@cell(gates="c f r skip", state="h c", weights="v_f v_r")
def SRU(x, s, w):
    """Simple recurrent unit; W_skip x + b takes the place of x. Lei et al., arXiv:1709.02755, 2017."""
    f, r = sigmoid(x.f + w.v_f * s.c), sigmoid(x.r + w.v_r * s.c)
    c = f * s.c + (1 - f) * x.c
    return r * c + (1 - r) * x.skip, c


@cell(gates="z f o", state="h c")
def QRNN(x, s):
    """Quasi-recurrent network of width 1, fo-pooling. Bradbury et al., arXiv:1611.01576, 2016."""
    f = sigmoid(x.f)
    c = f * s.c + (1 - f) * tanh(x.z)
    return sigmoid(x.o) * c, c


@cell(gates="i f g o", state="h c", weights="u_i u_f u_g u_o")
def IndyLSTM(x, s, w):
    """LSTM with one recurrent weight a gate and unit. Gonnet, Deselaers, arXiv:1903.08023, 2019."""
    i, f = sigmoid(x.i + w.u_i * s.h), sigmoid(x.f + w.u_f * s.h)
    c = f * s.c + i * tanh(x.g + w.u_g * s.h)
    return sigmoid(x.o + w.u_o * s.h) * tanh(c), c


@cell(gates="a c n", state="h", weights="w_a w_c")
def BRC(x, s, w):
    """Bistable cell: where a > 1 a unit keeps one of two values. Vecoven et al., arXiv:2006.05252, 2020."""
    a, c = 1 + tanh(x.a + w.w_a * s.h), sigmoid(x.c + w.w_c * s.h)
    return c * s.h + (1 - c) * tanh(x.n + a * s.h)


@cell(gates="h", state="h z", weights="w c")
def UnICORNN(x, s, w):
    """Undamped oscillators of step 0.1, slowed by c, and alpha 10. Rusch, Mishra, arXiv:2103.05487, 2021."""
    step = 0.1 * sigmoid(w.c)
    z = s.z - step * (tanh(w.w * s.h + x.h) + 10 * s.h)
    return s.h + step * z, z


@cell(gates="r i n", state="h", weights="decay")
def RGLRU(x, s, w):
    """Real-gated linear recurrent unit. De et al., arXiv:2402.19427, 2024 (Griffin).

    `decay` counts from -5, with which a unit begins to forget 3 to 7 percent a step.
    """
    a = exp(-8 * softplus(w.decay - 5) * sigmoid(x.r))
    return a * s.h + sqrt(1 - a * a) * (sigmoid(x.i) * x.n)
