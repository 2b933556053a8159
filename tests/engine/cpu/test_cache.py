"""Kernels on disk are run only where nobody but their user can have put them."""

import os
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elman.atomic import replace_cached
from elman.engine.cpu import cache
from elman.engine.cpu.cache import CacheWarning

NAME, CODE = "x.o", b"some code"
SOMEBODY = 65534

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def warn_again() -> Iterator[None]:
    yield
    cache._WARNED.clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "a" / "b"))
    cache.write(NAME, CODE)
    assert cache.read(NAME) == CODE
    return tmp_path / "a" / "b" / "kernels"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o022])
def test_what_is_created_is_private(umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "a" / "b"))
    before = os.umask(umask)
    try:
        cache.write(NAME, CODE)
        with replace_cached(tmp_path / "c" / "d" / NAME):
            pass
    finally:
        os.umask(before)
    folders = ("a", "a/b", "a/b/kernels", "c", "c/d")
    assert {mode(tmp_path / name) for name in folders} == {0o700}
    assert mode(tmp_path / "a" / "b" / "kernels" / NAME) == 0o600


EXPOSED: dict[str, Callable[[Path], None]] = {
    "its group can write to the folder": lambda folder: folder.chmod(0o770),
    "all can write to the folder": lambda folder: folder.chmod(0o777),
    "a sticky folder of all": lambda folder: folder.chmod(0o1777),
    "all can write to the folder above": lambda folder: folder.parent.chmod(0o777),
    "all can write to a folder higher up": lambda folder: folder.parent.parent.chmod(0o777),
    "its group can write to the file": lambda folder: (folder / NAME).chmod(0o620),
    "all can write to the file": lambda folder: (folder / NAME).chmod(0o666),
}


@pytest.mark.parametrize("exposed", EXPOSED)
def test_code_that_others_can_change_is_not_run(exposed: str, folder: Path) -> None:
    EXPOSED[exposed](folder)
    with pytest.warns(
        CacheWarning, match=r"kernels are not kept in .*: others can write to .*chmod go-w /"
    ) as w:
        assert cache.read(NAME) is None
    assert str(folder) in str(w[0].message) and "ELMAN_CACHE" in str(w[0].message)
    assert cache.read(NAME) is None, "a second warning"


GIVEN_AWAY = {
    "the file": "kernels/x.o",
    "the folder": "kernels",
    "the folder above": ".",
    "one higher up": "..",
}


@root_only
@pytest.mark.parametrize("part", GIVEN_AWAY)
def test_code_of_another_user_is_not_run(part: str, folder: Path) -> None:
    os.chown((folder.parent / GIVEN_AWAY[part]).resolve(), SOMEBODY, SOMEBODY)
    with pytest.warns(CacheWarning, match="belongs to another user"):
        assert cache.read(NAME) is None


@pytest.mark.parametrize("exposed", [name for name in EXPOSED if "folder" in name])
def test_nothing_is_written_where_others_can_write(exposed: str, folder: Path) -> None:
    EXPOSED[exposed](folder)
    with pytest.warns(CacheWarning, match="others can write"):
        cache.write("new.o", CODE)
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_folder_made_private_again_is_used(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.warns(CacheWarning):
        assert cache.read(NAME) is None
    folder.chmod(0o755)
    assert cache.read(NAME) == CODE


def test_a_file_that_is_a_link_or_a_pipe_is_not_run(folder: Path, tmp_path: Path) -> None:
    (folder / NAME).rename(tmp_path / "elsewhere")
    (folder / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.warns(CacheWarning, match="can't be read"):
        assert cache.read(NAME) is None
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)
    cache._WARNED.clear()
    with pytest.warns(CacheWarning, match="is no plain file"):
        assert cache.read(NAME) is None


def test_ones_own_links_are_followed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("a/../a/b")
    (tmp_path / "far").symlink_to(tmp_path / "link")
    for name in ("link", "far"):
        monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / name))
        assert cache.read(NAME) == CODE
    (tmp_path / "a").chmod(0o777)
    with pytest.warns(CacheWarning, match="others can write to .*/a,"):
        assert cache.read(NAME) is None


def test_a_link_in_a_folder_of_all_is_not_followed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "link").symlink_to(folder.parent)
    (tmp_path / "mine").symlink_to(shared / "link")
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "mine"))
    assert cache.read(NAME) == CODE
    shared.chmod(0o1777)
    assert cache.read(NAME) == CODE  # nobody else can exchange it
    if os.geteuid() == 0:
        os.chown(shared / "link", SOMEBODY, SOMEBODY, follow_symlinks=False)
        with pytest.warns(CacheWarning, match="belongs to another user"):
            assert cache.read(NAME) is None
        cache._WARNED.clear()
    shared.chmod(0o777)
    with pytest.warns(CacheWarning, match="others can write"):
        assert cache.read(NAME) is None


def test_links_in_a_circle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "a"))
    with pytest.warns(CacheWarning, match="leads in a circle"):
        assert cache.read(NAME) is None


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELMAN_CACHE", "here")
    cache.write(NAME, CODE)
    assert cache.read(NAME) == CODE and (tmp_path / "here" / "kernels" / NAME).is_file()
    tmp_path.chmod(0o777)
    with pytest.warns(CacheWarning, match="others can write"):
        assert cache.read(NAME) is None


def test_a_file_where_the_folder_should_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ELMAN_CACHE", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="file is no folder") as w:
        assert cache.read(NAME) is None
        cache.write(NAME, CODE)
    assert len(w) == 1


def test_a_full_disk_is_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "replace_cached", full)
    with pytest.warns(CacheWarning, match=r"can't be written \(No space left on device\)") as w:
        cache.write("new.o", CODE)
        cache.write("newer.o", CODE)
    assert len(w) == 1


def test_without_owners_as_on_windows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "geteuid")
    folder.chmod(0o777)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.read(NAME) == CODE
