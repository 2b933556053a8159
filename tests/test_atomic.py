"""Files written whole or not at all, errors that give advice, and cached files."""

import errno
import math
import os
import threading
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
    check_output,
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


# ---- what is no file


@pytest.mark.parametrize("link", ["link", "link to a link", "link to nothing"])
def test_a_link_stays_and_what_it_leads_to_is_replaced(link: str, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    real = tmp_path / "far" / "real"
    if link != "link to nothing":
        real.write_bytes(b"old")
        real.chmod(0o640)
    (tmp_path / "a").symlink_to("far/real")
    path = tmp_path / "a"
    if link == "link to a link":
        path = tmp_path / "b"
        path.symlink_to("a")
    with replace_file(path) as file:
        file.write(b"new")
    assert path.is_symlink() and real.read_bytes() == b"new" and [*(tmp_path / "far").iterdir()] == [real]
    assert link == "link to nothing" or real.stat().st_mode & 0o777 == 0o640
    with pytest.raises(KeyboardInterrupt), replace_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert real.read_bytes() == b"new"


def test_a_link_is_replaced_where_only_this_program_writes(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    for name in ("x", ".x.partial"):
        (tmp_path / name).symlink_to("mine")
    with replace_file(tmp_path / "x", follow=False) as file:
        file.write(b"new")
    assert not (tmp_path / "x").is_symlink() and (tmp_path / "x").read_bytes() == b"new"
    assert (tmp_path / "mine").read_text() == "keep"


def test_pipes_and_devices_are_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    heard: list[bytes] = []
    for name in ("pipe", "link"):
        reader = threading.Thread(target=lambda: heard.append((tmp_path / "pipe").read_bytes()))
        reader.start()
        with replace_file(tmp_path / name) as file:
            file.write(b"hello")
        reader.join()
    assert heard == [b"hello"] * 2 and (tmp_path / "pipe").is_fifo() and (tmp_path / "link").is_symlink()
    with replace_file(Path(os.devnull)) as file:
        file.write(b"hello")
    sentence = r"^/dev/full can't be written \(No space left on device\): free some space there$"
    full = Path("/dev/full")
    with pytest.raises(UsageError, match=sentence), writing(full, UsageError), replace_file(full) as file:
        file.write(b"hello")
    assert Path("/dev/full").is_char_device()


def test_the_name_of_an_open_descriptor_is_written_to(tmp_path: Path) -> None:
    """A shell's `>> log` is appended to, not replaced."""
    with (tmp_path / "log").open("ab") as log:
        log.write(b"before\n")
        log.flush()
        with replace_file(Path(f"/dev/fd/{log.fileno()}")) as file:
            file.write(b"hello\n")
    assert (tmp_path / "log").read_bytes() == b"before\nhello\n"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("folder", "(Is a directory): name a file"),
        ("nowhere/x", "(No such file or directory): name a file in a folder that exists"),
        ("file/x", "(Not a directory): name a folder that you may write to"),
        ("n" * 300, "(File name too long): choose a shorter name"),
        ("loop", "(Too many levels of symbolic links): name a folder that you may write to"),
    ],
)
def test_places_that_cannot_be_written(name: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path, before = tmp_path / name, sorted(tmp_path.iterdir())
    with pytest.raises(UsageError) as raised, writing(path, UsageError), replace_file(path) as file:
        file.write(b"x")
    assert str(raised.value) == f"{path} can't be written {sentence}"
    if name not in ("n" * 300, "loop"):
        with pytest.raises(UsageError) as raised:
            check_output(path)
        assert str(raised.value) == f"{path} can't be written {sentence}"
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write everywhere, so the answer of the system is made up."""
    path = tmp_path / "x"
    path.touch()
    check_output(path)
    check_output(tmp_path / "new")
    monkeypatch.setattr(os, "access", lambda *_: False)
    for place in (path, tmp_path / "new"):
        with pytest.raises(UsageError, match=r"can't be written \(Permission denied\): name a folder"):
            check_output(place)
    with pytest.raises(PermissionError), replace_file(path):
        pytest.fail("it may not be written")


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
