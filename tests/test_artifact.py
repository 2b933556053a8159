"""Models on disk: what is saved is loaded, and saving is all or nothing."""

import hashlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from elman import artifact
from elman.artifact import check_destination, is_artifact, load, read_config, save
from elman.atomic import write_partial
from elman.errors import ArtifactError, UsageError
from elman.version import __version__
from saving import FILES, model, same


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


# ---- round trips

KINDS = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.none() | st.booleans()
JSON = st.recursive(
    NUMBERS | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8
)
STEMS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True).filter(lambda stem: stem != "config")


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    bits = torch.randint(0, 256, (*shape, 8), dtype=torch.uint8)
    kind = draw(st.sampled_from(KINDS))
    tensor = bits[..., 0] > 99 if kind == torch.bool else bits.view(kind)[..., 0]  # gaps in memory
    return tensor.transpose(0, -1) if shape and draw(st.booleans()) else tensor


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    weights=st.dictionaries(TEXT.filter(lambda name: name != "__metadata__"), tensors(), max_size=4),
    extras=st.dictionaries(STEMS, JSON, max_size=3),
    given_=st.dictionaries(TEXT, JSON, max_size=3),
    card=TEXT,
)
def test_roundtrip(weights: Any, extras: Any, given_: Any, card: str, tmp_path: Path) -> None:
    first = model(tensors=weights, extras=extras, settings=given_, scores=given_, data=given_, card=card)
    save(first, tmp_path / "model")
    assert same(load(tmp_path / "model"), first)
    assert len(names(tmp_path / "model")) == 3 + len(extras)


def test_shared_memory_and_parameters(tmp_path: Path) -> None:
    base = torch.nn.Parameter(torch.arange(8.0))
    shared = {"whole": base, "again": base, "half": base[4:], "every other": base[::2]}
    save(model(tensors=shared), tmp_path)
    assert all(torch.equal(v, shared[k]) and not v.requires_grad for k, v in load(tmp_path).tensors.items())


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_JSON_BYTES", 10_000)
    with pytest.raises(UsageError, match=r"can't be saved: its files .* have more than 10000 bytes"):
        save(model(extras={"vocabulary": ["word"] * 2000}), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_scores_that_are_no_numbers_become_null(tmp_path: Path) -> None:
    odd = {"mase": float("nan"), "all": [float("inf"), (1.0, 2)]}
    save(model(scores=odd, data=odd), tmp_path)
    assert load(tmp_path).scores == load(tmp_path).data == {"mase": None, "all": [None, [1.0, 2]]}


def test_a_path_with_half_a_character(tmp_path: Path) -> None:
    """This is how Python reads a file name that isn't UTF-8."""
    odd = model(data={"source": "caf\udce9.csv"}, card="caf\udce9")
    save(odd, tmp_path)
    assert load(tmp_path).data == odd.data and load(tmp_path).card == "caf\\udce9"


def test_config_holds_what_it_promises(tmp_path: Path) -> None:
    save(model(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())["elman"]
    assert config["task"] == "toy" and config["version"] == __version__ and config["settings"]["hidden"] == 1
    assert config["scores"]["accuracy"] == 0.5 and config["data"]["fingerprint"] == "abc"
    for name, digest in config["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert names(tmp_path) == sorted(["config.json", *config["files"]]) == FILES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"extras": {"../x": 1}}, "'../x' is not a valid file name"),
        ({"extras": {"config": 1}}, "'config' is not a valid file name"),
        ({"extras": {"": 1}}, "'' is not a valid file name"),
        ({"extras": {"x": {1, 2}}}, "not JSON serializable"),
        ({"settings": {"rate": float("nan")}}, "not JSON compliant"),
        ({"tensors": {"x": torch.zeros(2, dtype=torch.complex128)}}, "complex128"),
    ],
)
def test_what_can_not_be_saved(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    save(model(), tmp_path)
    with pytest.raises(UsageError, match=f"^the toy model can't be saved: .*{said}"):
        save(model(2, **change), tmp_path)
    assert same(load(tmp_path), model()) and names(tmp_path) == FILES


# ---- folders


@pytest.mark.parametrize("place", ["a", "a/", "a/b/c", "with space/ünï 日本", "./a/../b", "."])
def test_relative_places(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    if place == ".":
        monkeypatch.chdir("a")
    for number in (1, 2):
        check_destination(place)
        save(model(number), place)
        assert is_artifact(place) and same(load(place), model(number))
        assert same(load(Path(place).absolute()), model(number))  # the working folder is still the same one
    assert [p for p in tmp_path.rglob("*") if p.is_file() and p.name not in FILES] == []


def test_a_linked_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    save(model(), tmp_path / "link")
    save(model(2), tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and same(load(tmp_path / "real"), model(2))


def test_other_files_stay_and_old_ones_go(tmp_path: Path) -> None:
    save(model(), tmp_path)
    (tmp_path / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.png").write_text("picture")
    (tmp_path / "notes.txt").symlink_to("nowhere")
    save(model(2, extras={"labels": [1]}), tmp_path)
    stay = [
        "README.md",
        "config.json",
        "labels.json",
        "metrics.jsonl",
        "model.safetensors",
        "notes.txt",
        "plots",
    ]
    assert names(tmp_path) == stay and (tmp_path / "plots" / "a.png").read_text() == "picture"
    assert load(tmp_path).extras == {"labels": [1]}


def test_foreign_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=f"{tmp_path / 'file'} is a file: a model is saved as a folder"):
        save(model(), tmp_path / "file")
    with pytest.raises(
        UsageError, match=f"{tmp_path} holds 'file' but no model: name a new or an empty folder"
    ):
        check_destination(tmp_path)
    hub = tmp_path / "hub"  # another library's model has a config.json as well
    hub.mkdir()
    (hub / "config.json").write_text('{"architectures": ["elman"], "elman": 1}')
    (hub / "model.safetensors").write_text("weights")
    with pytest.raises(UsageError, match=r"hub holds 'config.json' but no model"):
        save(model(), hub)
    assert (hub / "model.safetensors").read_text() == "weights" and names(hub) == [
        "config.json",
        "model.safetensors",
    ]


def test_the_run_of_a_model_and_what_kills_left_are_no_strangers(tmp_path: Path) -> None:
    for name in ("metrics.jsonl", "checkpoint.pt"):
        (tmp_path / name).write_text("")
        write_partial(tmp_path / name, b"half")
    write_partial(tmp_path / "vocabulary.json", b"half")
    save(model(), tmp_path)
    assert same(load(tmp_path), model())


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save(model(), tmp_path / "m")
    finally:
        os.umask(before)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o750
    assert all(p.stat().st_mode & 0o777 == 0o640 for p in (tmp_path / "m").iterdir())


# ---- all or nothing


def test_killed_while_saving(tmp_path: Path) -> None:
    """One of both models is whole at every moment, and the next save works, even after a second kill."""
    command = [
        sys.executable,
        str(Path(__file__).parent / "helpers" / "killing.py"),
        "saving",
        str(tmp_path),
        "1",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, timeout=500)
    found = json.loads(done.stdout)["found"]
    assert len(found) > 15 and all(moment["again"] for moment in found)
    kept = [moment["kept"] for moment in found]
    assert kept[0] == [1] and kept[-1] == [2] and kept == sorted(kept)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_while_saving(error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each flush to disk and at each move."""
    expected = ArtifactError if isinstance(error, OSError) else KeyboardInterrupt
    for owner, name in ((os, "fsync"), (Path, "replace")):
        work, count, failed = getattr(owner, name), 0, True
        while failed:
            folder, fresh, count = tmp_path / f"{name}{count}", tmp_path / f"new{name}{count}", count + 1
            save(model(), folder)
            for place in (folder, fresh):
                calls = iter(range(1, 99))

                def fail(*arguments: Any, calls: Any = calls, count: int = count) -> Any:
                    if next(calls) == count:
                        raise error
                    return work(*arguments)  # noqa: B023

                with monkeypatch.context() as patch:
                    patch.setattr(owner, name, fail)
                    try:
                        save(model(2), place)
                        failed = False
                    except expected as raised:
                        failed = True
                        if isinstance(raised, ArtifactError):
                            assert str(raised) == (
                                f"{place} can't be written (No space left on device): free some space there"
                            )
            kept = [n for n in (1, 2) if same(load(folder), model(n))]
            assert kept == [2] or names(folder) == FILES
            assert not fresh.exists() or same(load(fresh), model(2))
            assert kept
        assert count > 3


def test_a_full_disk(tmp_path: Path) -> None:
    save(model(), tmp_path)
    big = model(2, tensors={"w": torch.zeros(5000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(
            ArtifactError, match=r"can't be written \(File too large\): free some space there"
        ):
            save(big, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert same(load(tmp_path), model()) and names(tmp_path) == FILES


def test_a_place_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ArtifactError, match=r"can't be written \(Not a directory\): name a folder that you may"
    ):
        save(model(), tmp_path / "file" / "model")


def test_the_facts_of_a_model_without_its_weights(tmp_path: Path) -> None:
    saved = model()
    save(saved, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    config = read_config(tmp_path)
    assert (config["task"], config["scores"], config["data"]) == (saved.task, saved.scores, saved.data)
    with pytest.raises(UsageError, match="there is no model at"):
        read_config(tmp_path / "nope")
