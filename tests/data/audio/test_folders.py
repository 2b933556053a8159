"""Layouts of folders."""

from pathlib import Path

import pytest

from audio_files import save
from elman.data.audio.folders import Folder, is_ljspeech, ljspeech
from elman.data.audio.names import NamePattern
from elman.errors import DataError
from tabular import write


def said(folder: Path, pattern: str | None = None, labelled: bool = True) -> list[tuple[str, str | None]]:
    names = NamePattern.of(pattern) if pattern else None
    return [(entry.path.name, entry.text) for entry in Folder(folder).entries(names, labelled)]


def test_texts_beside_recordings(tmp_path: Path) -> None:
    for name in ("b.wav", "sub/a.FLAC", "c.mp3"):
        save(tmp_path, name)
    write(tmp_path, "b.txt", "Hello\r\n")
    write(tmp_path / "sub", "a.txt", " ")
    assert said(tmp_path) == [("b.wav", "Hello\n"), ("c.mp3", None), ("a.FLAC", "")]
    assert said(tmp_path, labelled=False) == [("b.wav", ""), ("c.mp3", ""), ("a.FLAC", "")]
    write(tmp_path, "b.txt", b"\xff\xfea\0")
    with pytest.raises(DataError, match=r"b.txt is UTF-16"):
        said(tmp_path)


def test_no_layout(tmp_path: Path) -> None:
    assert said(tmp_path) == []
    save(tmp_path, "b.wav")
    assert said(tmp_path) == []


def test_librispeech(tmp_path: Path) -> None:
    for name in ("84-121-0000.flac", "84-121-0001.flac"):
        save(tmp_path, "84/121/" + name)
    lines = "84-121-0000 GO DO YOU HEAR\n84-121-0001\n84-121-0002 YES\n"
    write(tmp_path / "84/121", "84-121.trans.txt", lines)
    expected = [("84-121-0000.flac", "GO DO YOU HEAR"), ("84-121-0001.flac", ""), ("84-121-0002.flac", "YES")]
    assert said(tmp_path) == expected
    assert {entry.speaker for entry in Folder(tmp_path).entries(None, True)} == {"84"}
    assert Folder(tmp_path).entries(None, True)[1].where.endswith("84-121.trans.txt, line 2")


def test_ljspeech(tmp_path: Path) -> None:
    save(tmp_path, "wavs/LJ001.wav")
    metadata = write(
        tmp_path, "metadata.csv", 'LJ001|In 1886, "so"|In eighteen eighty-six, "so"\nLJ002|Yes\nLJ003\n'
    )
    expected = [("LJ001.wav", 'In eighteen eighty-six, "so"'), ("LJ002.wav", "Yes"), ("LJ003.wav", None)]
    assert said(tmp_path) == expected
    assert [entry.path.parent.name for entry in ljspeech(metadata)] == ["wavs"] * 3
    assert is_ljspeech(metadata)
    write(tmp_path, "metadata.csv", "file_name,text\n")
    assert not is_ljspeech(metadata)
    assert not is_ljspeech(tmp_path / "wavs")


def test_labels_in_names(tmp_path: Path) -> None:
    for name in ("7_jackson_1.wav", "noise.wav"):
        save(tmp_path, name)
    assert said(tmp_path, "{label}_{speaker}_{n}.wav") == [("7_jackson_1.wav", "7"), ("noise.wav", None)]


def test_the_table_of_a_folder(tmp_path: Path) -> None:
    assert Folder(tmp_path).table() is None
    table = write(tmp_path, "a.csv", "audio,text\n")
    write(tmp_path, "a.txt", "")
    assert Folder(tmp_path).table() == table
    write(tmp_path, "b.jsonl", "{}")
    assert Folder(tmp_path).table() is None
    metadata = write(tmp_path, "metadata.jsonl", "{}")
    assert Folder(tmp_path).table() == metadata
