"""Models by name, loaded when they are used, and replaced while sessions are open."""

import asyncio
import gc
import os
import shutil
import threading
import time
import weakref
from pathlib import Path

import pytest

from elman.errors import ArtifactError, UsageError
from elman.pretrained import folder_of
from elman.serve import shelf
from elman.serve.answers import ApiError
from elman.serve.limits import Limits
from elman.serve.loaded import Loaded
from elman.serve.shelf import Shelf, named_folders
from saved_models import SAVED


def test_names_are_the_folders_or_given() -> None:
    folders = named_folders(["runs/reviews", "b=runs/reviews", "runs/sales/"])
    assert folders == {
        "reviews": Path("runs/reviews"),
        "b": Path("runs/reviews"),
        "sales": Path("runs/sales"),
    }
    with pytest.raises(UsageError, match="two models are called 'a': give one of them another name"):
        named_folders(["x/a", "y/a"])
    with pytest.raises(UsageError, match="'my model' can't be in an address"):
        named_folders(["runs/my model"])


def test_models_that_come_with_elman_have_their_short_names() -> None:
    folders = named_folders(["elman:sales", "year=elman:sales"])
    assert folders["sales"] == folders["year"] == folder_of("elman:sales")
    with pytest.raises(UsageError, match="'a/b' can't be in an address: give a name of letters"):
        named_folders(["a/b=elman:sales"])
    with pytest.raises(UsageError, match="there is no model 'elman:sails'"):
        named_folders(["elman:sails"])


def test_a_folder_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a model of elman"):
        Shelf({"a": tmp_path}, Limits())
    with pytest.raises(UsageError, match="there is no model at"):
        Shelf({"a": tmp_path / "nope"}, Limits())


def test_a_model_is_loaded_once_and_again_when_it_was_replaced(tmp_path: Path) -> None:
    async def use() -> None:
        folder = tmp_path / "a"
        shutil.copytree(SAVED / "classify", folder)
        entry = Shelf({"a": folder}, Limits())["a"]
        assert not entry.is_loaded
        first, same = await asyncio.gather(entry.loaded(), entry.loaded())
        assert first is same
        others = set(threading.enumerate())
        stream = await first.ticker.open()
        threads = [one for one in threading.enumerate() if one not in others]
        os.utime(folder / "config.json", ns=(1, 2))  # as a save does
        assert await entry.loaded() is first  # until the new one is in memory
        while (second := await entry.loaded()) is first:
            await asyncio.sleep(0.001)
        assert await first.ticker.call(stream, "result") == await second.run(second.model.predict, "")
        first.ticker.close(stream)
        while first.sessions:
            await asyncio.sleep(0.001)
        gone = weakref.ref(first)
        del first, same, stream
        gc.collect()
        assert gone() is None  # and its threads end
        while any(thread.is_alive() for thread in threads):
            await asyncio.sleep(0.01)
        entry.close()

    asyncio.run(asyncio.wait_for(use(), 100))


def test_a_damaged_replacement_changes_nothing_of_what_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def use() -> None:
        folder = tmp_path / "a"
        shutil.copytree(SAVED / "classify", folder)
        entry = Shelf({"a": folder}, Limits())["a"]
        loaded, before = await entry.loaded(), (entry.task, entry.scores, entry.card, entry.created)
        shutil.copy(SAVED / "chat/config.json", folder)  # whose weights do not fit
        while '"event": "not loaded"' not in capsys.readouterr().err:
            assert await entry.loaded() is loaded
            await asyncio.sleep(0.001)
        assert await entry.loaded() is loaded
        assert (entry.task, entry.scores, entry.card, entry.created) == before
        entry.close()

    asyncio.run(asyncio.wait_for(use(), 100))


def test_loading_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use() -> None:
        entry = Shelf({"a": SAVED / "classify"}, Limits(deadline=0.01))["a"]
        with pytest.raises(TimeoutError):
            await entry.loaded()
        while not entry.is_loaded:  # for those who ask later
            await asyncio.sleep(0.001)
        assert await entry.loaded() is entry.current
        entry.close()

    def slow(*args: object) -> Loaded:
        time.sleep(0.1)
        return Loaded(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shelf, "Loaded", slow)
    asyncio.run(asyncio.wait_for(use(), 100))


def test_a_model_that_is_damaged_or_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def use() -> None:
        folder = tmp_path / "a"
        shutil.copytree(SAVED / "classify", folder)
        entry = Shelf({"a": folder}, Limits())["a"]
        (folder / "model.safetensors").write_bytes(b"nonsense")
        with pytest.raises(ApiError, match=r"^the model 'a' can't be loaded: the server's log says why$"):
            await entry.loaded()
        shutil.copy(SAVED / "classify/model.safetensors", folder)
        loaded = await entry.loaded()
        shutil.rmtree(folder)
        assert await entry.loaded() is loaded
        await asyncio.sleep(0.05)
        assert await entry.loaded() is loaded
        entry.close()

    asyncio.run(asyncio.wait_for(use(), 100))
    assert '"event": "not loaded"' in capsys.readouterr().err
