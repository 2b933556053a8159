"""Files that are whole or not there, and sentences for places that can't be written."""

import errno
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman.atomic import finite, is_partial, partial, replace_file, write_partial, writing
from elman.errors import TrainingError, UsageError


def test_replace_file_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a b.ä.json"
    with replace_file(path) as file:
        file.write(b"old")
        assert not path.exists()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), replace_file(path) as file:
            file.write(b"half")
            raise error
        assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    with replace_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    partial(path).write_bytes(b"a longer rest of a killed run")
    write_partial(path, b"new")
    assert partial(path).read_bytes() == b"new" and not path.exists()
    assert is_partial(partial(path).name) and not is_partial(path.name) and not is_partial(".partially")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o000, 0o666)])
def test_permissions_follow_the_umask(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with replace_file(tmp_path / "x") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space there"),
        (errno.EDQUOT, "free some space there"),
        (errno.EACCES, "name a folder that you may write to"),
        (errno.EROFS, "name a folder that you may write to"),
    ],
)
def test_writing_says_what_to_do(number: int, advice: str) -> None:
    with pytest.raises(UsageError) as raised, writing(Path("runs/x"), UsageError):
        raise OSError(number, os.strerror(number), "runs/.x.partial")
    assert str(raised.value) == f"runs/x can't be written ({os.strerror(number)}): {advice}"
    with (
        pytest.raises(TrainingError, match=r"^y can't be written \(odd\): "),
        writing(Path("y"), TrainingError),
    ):
        raise OSError("odd")
    with pytest.raises(ValueError, match=r"^mine$"), writing(Path("y"), TrainingError):
        raise ValueError("mine")


NUMBERS = st.floats() | st.integers() | st.none() | st.booleans() | st.text()


@given(st.recursive(NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=9))
def test_finite_only_replaces_what_json_lacks(value: object) -> None:
    def same(old: object, new: object) -> bool:
        if isinstance(old, dict):
            return isinstance(new, dict) and list(old) == list(new) and all(same(old[k], new[k]) for k in old)
        if isinstance(old, list):
            return isinstance(new, list) and len(old) == len(new) and all(map(same, old, new))
        return new is None if isinstance(old, float) and not math.isfinite(old) else new is old

    assert same(value, finite(value))
