"""Settings that a plan refuses; and its module must not import PyTorch."""

import math
import subprocess
import sys
from typing import Any

import pytest

from elman.errors import UsageError
from elman.training.plan import PRECISIONS, Plan


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("epochs", 0, "epochs must be a whole number from 1 to 1000000, not 0"),
        ("epochs", 2.5, "epochs must be a whole number from 1 to 1000000, not 2.5"),
        ("batch_size", True, "batch_size must be a whole number from 1 to 100000, not True"),
        ("patience", "3", "patience must be a whole number from 1 to 1000000, not '3'"),
        ("validations", -1, "validations must be a whole number from 1 to 10000, not -1"),
        ("learning_rate", 0, "learning_rate must be a number above 0, not 0"),
        ("learning_rate", "fast", "learning_rate must be a number above 0, not 'fast'"),
        ("learning_rate", math.nan, "learning_rate must be a number above 0, not nan"),
        ("clip", math.inf, "clip must be a number above 0, not inf"),
        ("clip", None, "clip must be a number above 0, not None"),
        ("warmup", 1.0, "warmup must be a share from 0 to below 1, not 1.0"),
        ("ema_decay", 1, "ema_decay must be a share from 0 to below 1, not 1"),
        ("ema_decay", math.nan, "ema_decay must be a share from 0 to below 1, not nan"),
        ("weight_decay", -0.1, "weight_decay must be a number of 0 or more, not -0.1"),
        ("seed", -1, "seed must be a whole number from 0 to 2147483647, not -1"),
        ("device", "gpu", "device must be one of auto, cpu, cuda, not 'gpu'"),
        ("precision", "fp8", "precision must be one of 32-true, bf16-mixed, "),
    ],
)
def test_plan_refuses(setting: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        Plan(**{setting: value})
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_plan_takes_every_precision_and_the_limits(precision: str) -> None:
    plan = Plan(1, 1, weight_decay=0, warmup=0, ema_decay=0, seed=2**31 - 1, precision=precision)
    assert plan.precision == precision


def test_a_plan_needs_no_torch() -> None:
    """The command line takes its options from here and must not wait for PyTorch."""
    program = "import sys, elman.training.plan; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
