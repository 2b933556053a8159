"""Lists of recordings from every kind of data, and recordings that can't be used."""

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from audio_files import encoded, noise, save
from elman.data.audio.recordings import Recordings, read_recordings
from elman.errors import DataError, UsageError
from tabular import write

CSV = "audio,text,speaker\na.wav,one,x\nsub/b.flac, two  words ,y\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path, "a.wav")
    save(tmp_path, "sub/b.flac", noise(1200))
    return tmp_path


def listed(recordings: Recordings) -> list[tuple[str, str]]:
    return [(Path(r.audio).name if isinstance(r.audio, Path) else "", r.text) for r in recordings.all]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", CSV),
        ("m.tsv", CSV.replace(",", "\t")),
        (
            "m.jsonl",
            '{"path": "a.wav", "sentence": "one"}\n{"path": "sub/b.flac", "sentence": "two words"}\n',
        ),
    ],
)
def test_tables_of_paths(folder: Path, name: str, content: str) -> None:
    path = write(folder, name, content)
    expected = [("a.wav", "one"), ("b.flac", "two words")]
    for data in (path, str(path), folder):  # the one table in a folder is found
        recordings = read_recordings(data)
        assert listed(recordings) == expected
        assert recordings.texts == ["one", "two words"]
        assert recordings.name == str(path)
    assert read_recordings(recordings) is recordings
    speakers = [r.speaker for r in recordings.all]
    assert speakers == (["x", "y"] if "speaker" in content else [None, None])
    used, lengths = recordings.load(8000, len)
    assert (len(used), lengths) == (2, [800, 1200])


def test_tables_in_memory_and_contents_of_files(folder: Path) -> None:
    rows = {"audio": [str(folder / "a.wav")], "said": ["one"]}
    assert listed(read_recordings(rows, text="said")) == [("a.wav", "one")]
    content = encoded(noise(800))
    for cell in (content, {"bytes": content, "path": "a.wav"}):
        recordings = read_recordings(pl.DataFrame({"audio": [cell], "text": ["one"]}))
        assert recordings.load(8000, len)[1] == [800]
        assert recordings.all[0].name == "the recording of DataFrame, row 0 (counted from 0)"
        assert recordings.fingerprint == read_recordings(rows, text="said").fingerprint
    with pytest.raises(DataError, match=r"row 1 .counted from 0.: column 'audio' is empty"):
        read_recordings(pl.DataFrame({"audio": [{"bytes": content}, {"bytes": None}], "text": ["a", "b"]}))


def test_parquet_with_recordings_inside(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"audio": [{"bytes": encoded(noise(900))}], "text": ["one"]}).write_parquet(path)
    assert read_recordings(path).load(8000, len)[1] == [900]


def test_data_sets_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pl.DataFrame({"audio": [{"bytes": encoded(noise(900)), "path": "x"}], "transcription": ["one"]})
    monkeypatch.setattr("elman.data.table.table.from_hub", lambda name: frame)
    recordings = read_recordings("hf:user/digits:train")
    assert (recordings.name, recordings.texts) == ("hf:user/digits:train", ["one"])


def test_folders(folder: Path) -> None:
    write(folder, "a.txt", "one")
    write(folder / "sub", "b.txt", "two")
    assert listed(read_recordings(folder)) == [("a.wav", "one"), ("b.flac", "two")]
    assert read_recordings(folder, pattern="{label}.*").texts == ["a", "b"]
    assert read_recordings(folder, labelled=False).texts == ["", ""]


def test_ljspeech_by_its_metadata(tmp_path: Path) -> None:
    save(tmp_path, "wavs/LJ1.wav")
    metadata = write(tmp_path, "metadata.csv", "LJ1|1|one\n")
    for data in (tmp_path, metadata):
        assert listed(read_recordings(data)) == [("LJ1.wav", "one")]


def test_one_file_needs_no_text(folder: Path) -> None:
    path = folder / "a.wav"
    assert listed(read_recordings(path, labelled=False)) == [("a.wav", "")]
    with pytest.raises(DataError, match=r"a.wav is one recording without a text"):
        read_recordings(path)
    with pytest.raises(DataError, match=r"e.wav does not exist"):
        read_recordings(folder / "e.wav", labelled=False)


def test_missing_files_are_named_at_once(folder: Path) -> None:
    rows = "".join(f"{i}.wav,x\n" for i in range(12))
    path = write(folder, "m.csv", "audio,text\na.wav,one\n" + rows)
    with pytest.raises(DataError) as caught:
        read_recordings(path)
    message = str(caught.value)
    assert message.startswith(f"12 of the 13 files that {path} names do not exist: {folder / '0.wav'}, ")
    assert f"{folder / '9.wav'} and 2 more; paths" in message


def test_strange_paths_are_missing_files(folder: Path) -> None:
    for name in ("x" * 5000, "a\\u0000b"):
        path = write(folder, "m.jsonl", f'{{"audio": "{name}", "text": "x"}}\n')
        with pytest.raises(DataError, match=r"1 of the 1 files|NUL"):
            read_recordings(path)


@pytest.mark.parametrize(
    ("content", "arguments", "error", "message"),
    [
        (
            "a,b\n1,2\n",
            {},
            DataError,
            r"m.csv has the columns 'a', 'b'; name that of the recordings with audio=",
        ),
        ("audio,b\n1,2\n", {}, DataError, "name that of the texts with text="),
        ("audio,b\n1,2\n", {"text": "c"}, DataError, "has no column 'c'"),
        ("audio,text\na.wav,\n", {}, DataError, "row 2: column 'text' is empty"),
        (
            "audio,text\na.wav,x\n",
            {"pattern": "{label}"},
            UsageError,
            "a pattern of file names is for a folder",
        ),
        ("audio,text\na.wav,x\n", {"pattern": "x"}, UsageError, "is not a pattern"),
    ],
)
def test_wrong_tables_and_arguments(
    folder: Path, content: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_recordings(write(folder, "m.csv", content), **arguments)


def test_folders_that_say_nothing(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match=r"holds 2 recordings but no texts; put name.txt beside name.wav"):
        read_recordings(folder)
    with pytest.raises(DataError, match="holds no recordings"):
        read_recordings(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DataError, match=r"a.wav \(pattern x_\{label\}.wav\) has no text; write what is said"):
        read_recordings(folder, pattern="x_{label}.wav")
    with pytest.raises(DataError, match="too many to skip; the first:"):
        read_recordings(folder, pattern="x_{label}.wav", skip_bad=True)
    write(folder, "a.txt", "one")
    with pytest.raises(DataError, match=r"b.flac .no b.txt beside it. has no text"):
        read_recordings(folder)


def bad_folder(folder: Path) -> Path:
    save(folder, "silent.wav", noise(800, level=0))
    save(folder, "short.wav", noise(5))
    save(folder, "loud.wav", np.clip(noise(800, level=3), -1, 1))
    write(folder, "broken.wav", b"RIFF")
    names = ["a", "a", "a", "a", "a", "loud", "silent", "short", "broken", "missing"]
    return write(folder, "m.csv", "audio,text\n" + "".join(f"{name}.wav,one\n" for name in names))


def test_bad_recordings_are_skipped_and_counted(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    recordings = read_recordings(bad_folder(folder), skip_bad=True)
    assert len(recordings) == 9
    with caplog.at_level(logging.WARNING, logger="elman"):
        used, lengths = recordings.load(8000, len)
    assert (len(used), lengths) == (6, [800] * 6)
    skipped, poor = caplog.messages
    assert "skipped 4 of 10 rows of " in skipped
    assert f"the first: {folder / 'silent.wav'} is silent" in skipped
    assert poor.startswith(f"1 of 6 recordings are poor; the first: {folder / 'loud.wav'} is clipped (7")


def test_a_bad_recording_stops_the_reading(folder: Path) -> None:
    rows = {
        "audio": [str(folder / "a.wav"), str(bad_folder(folder).with_name("short.wav"))],
        "text": ["x", "y"],
    }
    with pytest.raises(DataError, match=r"short.wav lasts 0.625 ms"):
        read_recordings(rows).load(8000, len)


def test_parts_and_fingerprints(folder: Path) -> None:
    path = write(folder, "m.csv", CSV)
    whole = read_recordings(path)
    assert whole.take([1]).texts == ["two words"]
    save(folder, "a.wav", noise(800, 1))
    assert len({whole.fingerprint, read_recordings(path).fingerprint, whole.take([0]).fingerprint}) == 2
    assert whole.fingerprint == read_recordings(path).fingerprint


def test_listing_needs_no_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(folder, "m.csv", CSV)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    recordings = read_recordings(path)
    with pytest.raises(UsageError, match=r"pip install 'elman\[speech\]'"):
        recordings.load(8000, len)
