"""One recording or several, in every form."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from audio_files import encoded, noise, save
from elman.errors import DataError, UsageError
from elman.tasks.transcribe.inputs import read_inputs


def test_one_is_one_and_several_are_several(tmp_path: Path) -> None:
    path = save(tmp_path, "b.wav")
    save(tmp_path, "sub/a.flac")
    table = tmp_path / "t.csv"
    table.write_text("audio\nb.wav\n")
    for one in (path, str(path), encoded(noise(800)), noise(800), torch.zeros(9), [0.0, 0.1], "-"):
        assert read_inputs(one).single and len(read_inputs(one).recordings) == 1
    names = [name for _, name in read_inputs(tmp_path).recordings]
    assert names == [str(path), str(tmp_path / "sub/a.flac")]
    assert read_inputs(table).recordings == [(path, str(path))]
    frame = pl.DataFrame({"audio": [str(path)]})
    assert read_inputs(frame).recordings == [(path, str(path))] and not read_inputs(frame).single
    assert read_inputs([]).recordings == [] and not read_inputs([]).single
    assert read_inputs([np.float32(0.5), np.float32(0.1)]).single
    several = read_inputs([path, np.zeros(3), tmp_path])
    assert not several.single and len(several.recordings) == 4


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no recording 'nowhere'"):
        read_inputs("nowhere")
    with pytest.raises(DataError, match="holds no recordings"):
        read_inputs(tmp_path)
