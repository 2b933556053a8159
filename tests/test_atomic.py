"""Files written whole or not at all, errors that give advice, and cached files."""

import errno
import math
import os
from pathlib import Path
from typing import Any

import platformdirs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elman import artifact
from elman.atomic import (
    as_path,
    cache_folder,
    is_partial,
    null_if_infinite,
    open_regular,
    partial,
    read_regular,
    replace_cached,
    replace_file,
    write_partial,
    writing,
)
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


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """Whatever never ends, or has no end yet, is refused before a byte of it is read."""
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_bytes(b"content")
    link.symlink_to(file)
    os.mkfifo(pipe)
    assert read_regular(file) == read_regular(link, 7) == b"content"
    for other in (pipe, Path("/dev/zero"), Path("/dev/tty")):
        with pytest.raises(OSError, match=r"not a regular file|No such device|Permission denied"):
            open_regular(other)
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")
    with pytest.raises(OSError, match="it has more than 6 bytes"):
        read_regular(link, 6)


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
def test_null_if_infinite_only_replaces_what_json_lacks(value: object) -> None:
    def same(old: object, new: object) -> bool:
        if isinstance(old, dict):
            return isinstance(new, dict) and list(old) == list(new) and all(same(old[k], new[k]) for k in old)
        if isinstance(old, list):
            return isinstance(new, list) and len(old) == len(new) and all(map(same, old, new))
        return new is None if isinstance(old, float) and not math.isfinite(old) else new is old

    assert same(value, null_if_infinite(value))


# ---- cached files


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path))
    assert cache_folder("kernels") == tmp_path / "kernels"
    monkeypatch.delenv("ELMAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert cache_folder("corpora") == platformdirs.user_cache_path("elman") / "corpora"


def test_writers_of_one_cached_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "x.o"
    with replace_cached(path) as slow:
        slow.write(b"slow")
        with replace_cached(path) as fast:
            fast.write(b"fast")
        assert path.read_bytes() == b"fast"
    assert path.read_bytes() == b"slow" and list(path.parent.iterdir()) == [path]


def test_a_cached_file_is_whole_or_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replace_cached(tmp_path / "x") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "kernels").write_text("in the way")
    with pytest.raises(OSError, match="kernels"), replace_cached(tmp_path / "kernels" / "x.o"):
        pytest.fail("there is no folder to write to")


@pytest.mark.parametrize("wrong", [None, 3, b"a", "", "a\0b", ["a"]])
def test_what_is_no_path(wrong: Any) -> None:
    with pytest.raises(UsageError, match="folder must be a path, not"):
        as_path(wrong, "folder")
    with pytest.raises(UsageError, match="folder must be a path, not"):
        artifact.load(wrong)
    with pytest.raises(UsageError, match="folder must be a path, not"):
        artifact.check_destination(wrong)
    assert as_path("a/b", "folder") == as_path(Path("a/b"), "folder") == Path("a/b")
