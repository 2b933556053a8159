"""The cells that the textbooks have, their next of kin, and two that smooth a series."""

from torch import exp, maximum, relu, sigmoid, tanh, where
from torch.nn.functional import softplus

from elman.cells.declaration import cell


@cell(gates="h", state="h")
def Elman(x, u, s):
    """The simple recurrent network. Elman, "Finding structure in time", Cognitive Science 14, 1990."""
    return tanh(x.h + u.h)


@cell(gates="h", state="h")
def ElmanReLU(x, u, s):
    """Elman's network with rectified units. Le, Jaitly, Hinton, arXiv:1504.00941, 2015."""
    return relu(x.h + u.h)


@cell(gates="i f g o", state="h c")
def LSTM(x, u, s):
    """Long short-term memory with a forget gate. Hochreiter, Schmidhuber 1997; Gers et al. 2000."""
    i, f, o = sigmoid(x.i + u.i), sigmoid(x.f + u.f), sigmoid(x.o + u.o)
    c = f * s.c + i * tanh(x.g + u.g)
    return o * tanh(c), c


@cell(gates="r z n", state="h")
def GRU(x, u, s):
    """Gated recurrent unit, reset after the product as in cuDNN. Cho et al., arXiv:1406.1078, 2014."""
    r, z = sigmoid(x.r + u.r), sigmoid(x.z + u.z)
    n = tanh(x.n + r * u.n)
    return (1 - z) * n + z * s.h


@cell(gates="i f g o", state="h c", weights="p_i p_f p_o")
def PeepholeLSTM(x, u, s, w):
    """LSTM whose gates see the memory cell. Gers, Schmidhuber, Schraudolph, JMLR 3, 2002."""
    i, f = sigmoid(x.i + u.i + w.p_i * s.c), sigmoid(x.f + u.f + w.p_f * s.c)
    c = f * s.c + i * tanh(x.g + u.g)
    return sigmoid(x.o + u.o + w.p_o * c) * tanh(c), c


@cell(gates="f g o", state="h c")
def CIFG(x, u, s):
    """LSTM with coupled input and forget gates. Greff et al., arXiv:1503.04069, 2015."""
    f, o = sigmoid(x.f + u.f), sigmoid(x.o + u.o)
    c = f * s.c + (1 - f) * tanh(x.g + u.g)
    return o * tanh(c), c


@cell(gates="f n", state="h")
def MGU(x, u, s):
    """Minimal gated unit, reset after the product. Zhou et al., arXiv:1603.09420, 2016."""
    f = sigmoid(x.f + u.f)
    return (1 - f) * s.h + f * tanh(x.n + f * u.n)


@cell(gates="c g", state="h")
def UGRNN(x, u, s):
    """Update-gate RNN. Collins, Sohl-Dickstein, Sussillo, arXiv:1611.09913, 2017."""
    g = sigmoid(x.g + u.g)
    return g * s.h + (1 - g) * tanh(x.c + u.c)


@cell(gates="h", state="h", weights="u_h")
def IndRNN(x, s, w):
    """Independently recurrent units: one recurrent weight each. Li et al., arXiv:1803.04831, 2018."""
    return relu(x.h + w.u_h * s.h)


@cell(gates="z n", state="h")
def MinGRU(x, s):
    """GRU whose gates don't look back, in its plain form. Feng et al., arXiv:2410.01201, 2024."""
    z = sigmoid(x.z)
    return (1 - z) * s.h + z * x.n


@cell(gates="f i n", state="h")
def MinLSTM(x, s):
    """LSTM whose normalised gates don't look back, in its plain form. Feng et al., arXiv:2410.01201, 2024."""
    f, i = sigmoid(x.f), sigmoid(x.i)
    return (f * s.h + i * x.n) / (f + i)


@cell(gates="i f z o", state="h c n m")
def SLSTM(x, u, s):
    """Scalar LSTM with exponential gates, stabilised. Beck et al., arXiv:2405.04517, 2024 (xLSTM)."""
    i = x.i + u.i
    # n is 0 only before the first step (afterwards it is at least 1): then there is nothing to keep
    f = where(s.n > 0, s.m - softplus(-(x.f + u.f)), i)
    m = maximum(f, i)
    write, keep = exp(i - m), exp(f - m)
    c = keep * s.c + write * tanh(x.z + u.z)
    n = keep * s.n + write
    return sigmoid(x.o + u.o) * c / n, c, n, m


@cell(gates="y known", state="ahead trend", weights="alpha beta phi")
def DampedTrend(x, s, w):
    """Exponential smoothing with a damped trend, as error correction. Gardner, McKenzie, Man. Sci. 31, 1985.

    `ahead` is the forecast of the next step, the level and a damped trend. With beta and phi of 0 this is
    simple smoothing. A step that is not `known` (0) carries the state on.
    """
    error = x.known * (x.y - s.ahead)
    trend = w.phi * s.trend + w.beta * error
    return s.ahead + w.alpha * error + w.phi * trend, trend


@cell(gates="y known intercept slope now", state="ahead level one time", weights="alpha lift")
def Theta(x, s, w):
    """Smoothing lifted by the line fitted so far: the dynamic theta method. Fiorucci et al., IJF 32, 2016.

    `lift` is 1 - 1/theta. The line `intercept + slope * now` is smoothed as the values are (`one` and `time`
    are smoothed 1 and `now`), and what smoothing lags behind it is added.
    """
    rate = w.alpha * x.known
    level = s.level + rate * (x.y - s.level)
    one, time = s.one + rate * (1 - s.one), s.time + rate * (x.now - s.time)
    return level + w.lift * (x.intercept * (1 - one) + x.slope * (x.now + 1 - time)), level, one, time
