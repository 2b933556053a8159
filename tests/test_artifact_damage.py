"""Damaged, unfinished and foreign model folders: a one-sentence error names each, and no code in it runs."""

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elman import artifact
from elman.artifact import is_artifact, load, save
from elman.atomic import partial, write_partial
from elman.errors import ArtifactError, UsageError
from saving import FILES, alike, model, same


@pytest.mark.parametrize("name", FILES)
def test_every_file_missing_or_a_folder(name: str, tmp_path: Path) -> None:
    save(model(), tmp_path)
    (tmp_path / name).unlink()
    missing = (
        "it has no config.json" if name == "config.json" else f"{name} is missing; copy the whole folder"
    )
    with pytest.raises(ArtifactError, match=missing):
        load(tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(ArtifactError, match=rf"{name} can't be read \(Is a directory\)"):
        load(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(
    name=st.sampled_from(FILES),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    cut=st.booleans(),
)
def test_damage_anywhere(name: str, where: float, bit: int, cut: bool, tmp_path: Path) -> None:
    save(model(), tmp_path / "m")
    file = tmp_path / "m" / name
    before = file.read_bytes()
    content, place = bytearray(before), int(where * len(before))
    if cut:
        content = content[:place]
    else:
        content[place] ^= 1 << bit
    file.write_bytes(content)
    try:
        changed = load(tmp_path / "m")
    except ArtifactError as error:
        assert str(tmp_path / "m") in str(error) and "\n" not in str(error)
    else:  # config.json has no checksum: a flipped letter may make another word there, but no other weights
        assert name == "config.json" and alike(changed.tensors, model().tensors)
    finally:
        file.write_bytes(before)  # or the folder would be a stranger to the next save


class Other(dict[str, Any]):
    """A complete config.json to replace the existing one."""


def edited(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        other = change(config["elman"])
        (folder / "config.json").write_text(json.dumps(other if isinstance(other, Other) else config))

    return edit


def forged(name: str, content: bytes) -> Callable[[Path], Any]:
    """Write other content with a correct checksum, which anyone can compute."""

    def forge(folder: Path) -> None:
        (folder / name).write_bytes(content)
        edited(lambda c: c["files"].update({name: hashlib.sha256(content).hexdigest()}))(folder)

    return forge


class Evil:
    def __reduce__(self) -> Any:
        return pytest.fail, ("the folder's code was run",)


OUT = {
    "../secret.json": "0",
    "..": "0",
    "": "0",
    "/etc/passwd": "0",
    "a/b.json": "0",
    "x.py": "0",
    ".a.json": "0",
}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            edited(lambda c: c.update(format=3, version="9.9\x1b[2J", files=3)),
            r"by elman '9.9\\x1b\[2J' in format 3; this is elman .* \(format 2\): upgrade elman",
        ),
        (edited(lambda c: c.update(format=True)), "'format' is missing or of the wrong kind"),
        (edited(lambda c: c.update(format=0)), "'format' is missing or of the wrong kind"),
        (edited(lambda c: c.update(format="1")), "'format' is missing or of the wrong kind"),
        (edited(lambda c: c.pop("settings")), "'settings' is missing or of the wrong kind"),
        (edited(lambda c: c.update(scores=[])), "'scores' is missing or of the wrong kind"),
        (edited(lambda c: c.update(task=None)), "'task' is missing or of the wrong kind"),
        (edited(lambda c: c.update(files=[])), "'files' is missing or of the wrong kind"),
        (edited(lambda c: c["files"].pop("README.md")), "'README.md' is missing or of the wrong kind"),
        (
            edited(lambda c: c["files"].update({"scaler.json": 1})),
            "the entry 'scaler.json' of 'files' is missing",
        ),
        *[
            (edited(lambda c, name=name: c["files"].update({name: "0"})), f"the entry {name!r} of 'files'")
            for name in OUT
        ],
        (
            edited(lambda c: c["files"].update({f"a{i}.json": "0" for i in range(20)})),
            "a shorter list of 'files' is missing",
        ),
        (edited(lambda c: Other(elman=[1])), "'elman' is missing or of the wrong kind"),
        (
            edited(lambda c: Other(model_type="lstm")),
            "is not a model of elman: its config.json belongs to another program",
        ),
        (lambda f: (f / "config.json").write_text("[1]"), "its config.json belongs to another program"),
        (
            lambda f: (f / "config.json").write_text('{"elman": {"scores": NaN}}'),
            "not valid JSON .*NaN is not JSON",
        ),
        (
            lambda f: (f / "config.json").write_text("[" * 100_000),
            r"config.json is damaged: it is not valid JSON",
        ),
        (lambda f: (f / "config.json").write_text('{"elman": ' + "9" * 9999 + "}"), "it is not valid JSON"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json is damaged"),
        (lambda f: (f / "model.safetensors").write_bytes(pickle.dumps(Evil())), "is damaged or was changed"),
        (forged("model.safetensors", pickle.dumps(Evil())), "unreadable content .*: train the model again"),
        (forged("model.safetensors", b""), "unreadable content .*: train the model again"),
        (
            forged("vocabulary.json", b"[NaN]"),
            "unreadable content .*NaN is not JSON.*: train the model again",
        ),
        (forged("vocabulary.json", b"[" * 100_000), "unreadable content .*: train the model again"),
        (forged("README.md", b"\xff"), "unreadable content .*: train the model again"),
    ],
)
def test_damaged_and_crafted_folders(damage: Callable[[Path], Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("1")
    save(model(), tmp_path / "m")
    damage(tmp_path / "m")
    with pytest.raises(ArtifactError, match=said) as raised:
        load(tmp_path / "m")
    assert str(tmp_path / "m") in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    save(model(), tmp_path / "m")
    file = tmp_path / "m" / name
    file.unlink()
    for target in ("/dev/zero", "/dev/random", "/proc/self/mem", tmp_path / "pipe"):
        file.symlink_to(target)
        if target == tmp_path / "pipe":
            os.mkfifo(target)
        with pytest.raises(ArtifactError, match=name):
            load(tmp_path / "m")
        assert not is_artifact(tmp_path / "m") or name != "config.json"
        file.unlink()
    for target in (tmp_path / "none", file):  # a link to nothing, and to itself
        file.symlink_to(target)
        with pytest.raises(ArtifactError, match=name):
            load(tmp_path / "m")
        file.unlink()


@pytest.mark.parametrize("name", [name for name in FILES if name != "model.safetensors"])
def test_a_file_of_a_terabyte(name: str, tmp_path: Path) -> None:
    """It takes no space on disk, and is refused without being read into memory."""
    save(model(), tmp_path / "m")
    os.truncate(tmp_path / "m" / name, 1 << 40)
    with pytest.raises(ArtifactError, match=rf"{name} can't be read \(it has more than"):
        load(tmp_path / "m")


HEADERS = {
    "a shape that the data don't have": {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 8]},
    "no number and a huge dimension": {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]},
    "a negative dimension": {"dtype": "F32", "shape": [-1, 2], "data_offsets": [0, 8]},
    "an unknown kind": {"dtype": "F31", "shape": [2], "data_offsets": [0, 8]},
    "offsets out of the file": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
    "offsets backwards": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
}


@pytest.mark.parametrize("what", HEADERS)
def test_tensors_that_lie_about_themselves(what: str, tmp_path: Path) -> None:
    save(model(), tmp_path)
    header = json.dumps({"w": HEADERS[what]}).encode()
    forged("model.safetensors", len(header).to_bytes(8, "little") + header + bytes(8))(tmp_path)
    with pytest.raises(ArtifactError, match=r"unreadable content .*: train the model again"):
        load(tmp_path)


def test_folders_without_a_model(tmp_path: Path) -> None:
    gone, empty, file, run = (tmp_path / name for name in ("gone", "empty", "file", "run"))
    with pytest.raises(
        UsageError, match=f"there is no model at {gone}: train one with `elman train TASK DATA"
    ):
        load(gone)
    empty.mkdir()
    file.write_text("")
    for place in (empty, file):
        with pytest.raises(ArtifactError, match=f"{place} is not a model of elman: it has no config.json"):
            load(place)
    run.mkdir()
    (run / "checkpoint.pt").write_text("")
    with pytest.raises(ArtifactError, match="has not finished: run the same command with --resume"):
        load(run)
    assert not any(map(is_artifact, (gone, empty, file, run)))
    with pytest.raises(UsageError, match="there is no model at xxx"):
        load("x" * 5000)


def test_links_are_read_like_files(tmp_path: Path) -> None:
    save(model(), tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "elsewhere")
    (tmp_path / "m" / "model.safetensors").symlink_to(tmp_path / "elsewhere")
    assert same(load(tmp_path / "m"), model())
    (tmp_path / "elsewhere").write_bytes(b"other")
    with pytest.raises(ArtifactError, match=r"model.safetensors is damaged or was changed"):
        load(tmp_path / "m")
    save(model(2), tmp_path / "m")  # replaces the link, not its target
    assert same(load(tmp_path / "m"), model(2)) and (tmp_path / "elsewhere").read_bytes() == b"other"


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_files_that_are_one(link: Callable[[Path, Path], None], tmp_path: Path) -> None:
    """Links take no space, and could ask for any amount of memory."""
    extras = {"first": [1, 2], "second": [1, 2]}
    save(model(extras=extras), tmp_path)
    assert load(tmp_path).extras == extras
    (tmp_path / "second.json").unlink()
    link(tmp_path / "first.json", tmp_path / "second.json")
    with pytest.raises(ArtifactError, match=r"second.json and another file are the same: copy the folder"):
        load(tmp_path)


def test_json_files_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(model(extras={f"part{i}": "x" * 3000 for i in range(4)}), tmp_path)
    monkeypatch.setattr(artifact, "MAX_JSON_BYTES", 10_000)
    with pytest.raises(ArtifactError, match=r"files beside model.safetensors have more than 10000 bytes"):
        load(tmp_path)


def test_a_file_that_waits_under_another_name(tmp_path: Path) -> None:
    """What a kill right after the replacement of config.json leaves behind."""
    save(model(), tmp_path)
    waiting = tmp_path / "model.safetensors"
    write_partial(waiting, waiting.read_bytes())
    waiting.write_bytes(b"the old weights")
    assert same(load(tmp_path), model())
    partial(waiting).write_bytes(b"neither")
    with pytest.raises(ArtifactError, match=r"model.safetensors is damaged or was changed"):
        load(tmp_path)
