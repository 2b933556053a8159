"""Freed memory stays in the process inside `retain_freed_memory` and is returned after it."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from elman.training.malloc import retain_freed_memory

def faults(times=6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(10_000_000).zero_()  # 40 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

faults(2)
usual = faults()
with retain_freed_memory():
    faults(15)  # until the heap has grown
    kept, inside = faults(), resident()
print(usual, kept, inside - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel of Linux")
def test_pages_are_not_cleared_again_and_go_back_afterwards() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=120
    )
    usual, kept, back = map(int, done.stdout.split())
    if usual < 100:
        pytest.skip("this C library keeps freed memory anyway")
    assert kept < usual / 10
    assert back > 30_000_000
