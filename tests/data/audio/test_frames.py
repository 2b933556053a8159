"""Ready frames in arrays, files and parts of files; and what is none."""

import contextlib
import os
import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from elman.data.audio import frames as frames_module
from elman.data.audio.frames import Frames, to_frames
from elman.data.audio.recordings import Recordings, read_recordings
from elman.errors import DataError

MANY = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    np.save(tmp_path / "big.npy", MANY)
    return tmp_path / "big.npy"


def header(shape: str, dtype: str = "<f4") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@given(st.integers(0, 50), st.none() | st.integers(0, 60), st.sampled_from(["f2", "f4", ">f4", "f8"]))
def test_a_part_of_a_file_is_that_of_the_array(
    tmp_path_factory: pytest.TempPathFactory, first: int, count: int | None, dtype: str
) -> None:
    array, path = MANY.astype(dtype), tmp_path_factory.mktemp("part") / "a.npy"
    np.save(path, array)
    wanted = array[first:] if count is None else array[first : first + count]
    valid = len(wanted) > 0 and (count is None or len(wanted) == count)
    for source in (path, array, torch.tensor(array.astype("f4"))):
        frames = Frames(source, first, count)
        if valid:
            assert torch.equal(frames.read("a"), torch.from_numpy(wanted.astype(np.float32)))
            continue
        with pytest.raises(DataError, match=r"a (has 0 frames|ends with frame)"):
            frames.read("a")


def test_columns_in_fortran_order_and_other_forms(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(MANY))
    assert torch.equal(Frames(tmp_path / "a.npy").read("a"), torch.from_numpy(MANY))
    assert torch.equal(Frames(tmp_path / "a.npy", 7, 9).read("a"), torch.from_numpy(MANY[7:16]))
    assert torch.equal(to_frames(MANY.tolist(), "a"), torch.from_numpy(MANY))
    brief = torch.from_numpy(MANY).bfloat16()
    assert torch.equal(to_frames(brief, "a"), brief.float())
    assert to_frames(MANY[:0], "a", 3).shape == (0, 3)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_that_is_cut_off_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Literal["C", "F"]
) -> None:
    """Mapped memory would end the process here."""
    path, real = tmp_path / "a.npy", frames_module.mapped
    np.save(path, np.array(np.zeros((9_000, 3), np.float32), order=order))

    def cut(of: Path) -> Any:
        array = real(of)
        os.truncate(of, 9_000)
        return array

    assert len(Frames(path, 8_000, 9).read("a")) == 9
    monkeypatch.setattr(frames_module, "mapped", cut)
    with pytest.raises(DataError, match=r"a\.npy was cut off while it was read"):
        Frames(path, 8_000, 9).read("a")


def test_a_file_that_python_2_wrote(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(header("(50L, 3L)") + MANY.tobytes())
    assert torch.equal(Frames(tmp_path / "a.npy").read("a"), torch.from_numpy(MANY))


def test_the_digest_is_that_of_the_values(big: Path) -> None:
    assert Frames(big, 3, 4).digest == Frames(MANY[3:7]).digest != Frames(MANY[3:8]).digest
    assert Frames(MANY[0]).digest == Frames(MANY[0]).digest  # of what can't be read, too


def with_value(value: float) -> NDArray[np.float32]:
    array = MANY.copy()
    array[7, 2] = value
    return array


@pytest.mark.parametrize(
    ("array", "problem"),
    [
        (MANY[0], "shape"),
        (MANY[None], "shape"),
        (MANY[:, :0], "shape"),
        (np.zeros((3, 2000), np.float32), "shape"),
        ([[1.0], [1.0, 2.0]], "shape"),
        (None, "shape"),
        (b"text", "shape"),
        (MANY.astype(complex), "complex128"),
        (MANY.astype(int), "int64"),
        (MANY.astype(object), "object"),
        (np.array([["a", "b"]]), "type"),
        (with_value(np.nan), "feature 2 of frame 7 is NaN"),
        (with_value(-np.inf), "feature 2 of frame 7 is -inf, larger"),
        (with_value(1e30), "larger"),
        (MANY.astype("f8") * 1e300, "larger"),
        (MANY[:, :2], "has 2 features in a frame; 3 are needed"),
        (MANY[:0], "0 frames"),
    ],
)
def test_what_is_no_frames_is_one_sentence(array: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem) as caught:
        Frames(array).read("the array", 3)
    assert str(caught.value).startswith("the array") and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"PK\x03\x04" + bytes(100),
        header("(10, 3)"),
        header("(10, 3)")[:60],
        header(f"({10**12}, 13)") + bytes(1000),
        header(f"({10**30}, 13)") + bytes(1000),
        header("(-1, 13)") + bytes(1000),
        header("(1, " * 3000) + bytes(1000),
        header("(10, 3)", "|O") + bytes(1000),
        header("(10, 3)", "nonsense") + bytes(1000),
        header("(10, 3)", "<U9") + bytes(2000),
        header("(0, 3)"),
        header("()") + bytes(8),
        header("10") + bytes(80),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Frames(path).read(str(path))
    assert str(path) in str(caught.value) and len(str(caught.value)) < 300


@given(st.binary(max_size=200), st.integers(0, 127))
def test_bytes_at_random_never_crash(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, keep: int
) -> None:
    path = tmp_path_factory.mktemp("noise") / "a.npy"
    path.write_bytes(header("(10, 3)")[:keep] + noise)
    with contextlib.suppress(DataError):
        assert len(Frames(path).read("a")) > 0


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(DataError, match="Python objects"):
        Frames(tmp_path / "a.npy").read("a")


def frames_of(recordings: Recordings) -> list[tuple[str, int]]:
    used, each = recordings.load_frames(recordings.features)
    return [(one.text, len(frames)) for one, frames in zip(used.all, each, strict=True)]


def test_a_table_takes_parts_of_a_file(big: Path) -> None:
    for columns in ("frames,first_frame,frame_count,text", "path,First_Frame,frames,text"):
        table = big.with_name("t.csv")
        table.write_text(f"{columns}\nbig.npy,0,10,one\nbig.npy,10,40,two\n")
        recordings = read_recordings(table)
        assert recordings.of_frames and frames_of(recordings) == [("one", 10), ("two", 40)]
    table.write_text("frames,first_frame,text\nbig.npy,45,one\nbig.npy,0,two\n")
    assert frames_of(read_recordings(table)) == [("one", 5), ("two", 50)]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ("45,6", r"big.npy \(.*t.csv, row 3\) ends with frame 50, but the file has 50"),
        ("50,1", "ends with frame 50"),
        ("3,0", "has 0 frames"),
        ("-1,5", "row 3: column first_frame must hold a whole number"),
        ("0,2.5", "row 3: column frame_count must"),
        ("0,", "row 3: column frame_count must"),
        ("1e300,1", "row 3: column first_frame must"),
        ("0,many", "no number|not a number"),
    ],
)
def test_a_bad_part_names_file_and_row_or_is_skipped(big: Path, cells: str, problem: str) -> None:
    table = big.with_name("t.csv")
    rows = ["big.npy,0,10,one", f"big.npy,{cells},two", *["big.npy,0,10,three"] * 3]
    table.write_text("\n".join(["frames,first_frame,frame_count,text", *rows]))
    with pytest.raises(DataError, match=problem):
        frames_of(read_recordings(table))
    assert [text for text, _ in frames_of(read_recordings(table, skip_bad=True))] == ["one"] + ["three"] * 3


def test_arrays_in_a_list_of_dicts() -> None:
    rows = [{"frames": MANY[:9], "text": " one  two ", "speaker": 7}, {"frames": MANY, "text": "three"}]
    recordings = read_recordings(rows)
    assert frames_of(recordings) == [("one two", 9), ("three", 50)] and recordings.all[0].speaker == "7"
    assert recordings.fingerprint != read_recordings(rows[::-1]).fingerprint
    named = read_recordings([{"x": torch.from_numpy(MANY)}], audio="x", labelled=False)
    assert frames_of(named) == [("", 50)]
    rows[1]["frames"] = None
    with pytest.raises(DataError, match=r"row 1 \(counted from 0\): column 'frames' is empty"):
        read_recordings(rows)
    rows[1]["frames"] = MANY[:, :2]
    with pytest.raises(DataError, match=r"row 1 .* has 2 features in a frame; 3 are needed"):
        frames_of(read_recordings(rows))


def test_a_folder_of_files_with_their_texts(big: Path) -> None:
    big.with_suffix(".txt").write_text("what is said")
    assert frames_of(read_recordings(big.parent)) == [("what is said", 50)]
    assert frames_of(read_recordings(big, labelled=False)) == [("", 50)]


def test_sound_and_frames_do_not_mix(big: Path) -> None:
    big.with_name("a.wav").write_bytes(b"RIFF")
    table = big.with_name("t.csv")
    table.write_text("path,text\nbig.npy,one\na.wav,two\n")
    with pytest.raises(DataError, match="names both sound and precomputed frames"):
        read_recordings(table)
    with pytest.raises(DataError, match=r"do not exist|does not exist"):
        read_recordings([{"path": "gone.npy", "text": "one"}])
