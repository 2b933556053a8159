"""Where a training saves its model."""

from pathlib import Path

import pytest

from elman.cli.folders import choose_folder
from elman.errors import UsageError


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


def chosen(
    data: str = "sales.csv", save: Path | None = None, *, resume: bool = False, force: bool = False
) -> str:
    return str(choose_folder("forecast", data, save, resume, force))


def filled(folder: str, *files: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for file in files:
        text = '{"elman": {}}' if file == "config.json" else ""
        Path(folder, file).write_text(text)


@pytest.mark.parametrize(
    ("data", "folder"),
    [
        ("sales.csv", "runs/forecast-sales"),
        ("deep/sales.2024.csv", "runs/forecast-sales.2024"),
        ("sales.csv.gz", "runs/forecast-sales"),
        ("a.x", "runs/forecast-a"),
        ("recordings/", "runs/forecast-recordings"),
        ("-", "runs/forecast-stdin"),
        ("hf:user/name", "runs/forecast-name"),
        ("hf:user/name:train", "runs/forecast-train"),
    ],
)
def test_a_folder_is_named_after_task_and_data(data: str, folder: str) -> None:
    assert chosen(data) == folder
    assert not Path("runs").exists()


def test_the_next_run_gets_the_next_number() -> None:
    filled("runs/forecast-sales", "config.json")
    assert chosen() == "runs/forecast-sales-2"
    filled("runs/forecast-sales-2", "metrics.jsonl")  # a run that was stopped at its beginning
    assert chosen() == "runs/forecast-sales-3"
    filled("runs/forecast-sales-3")
    assert chosen() == "runs/forecast-sales-3"  # which holds nothing
    assert chosen("other.csv") == "runs/forecast-other"


def test_resume_takes_the_last_unfinished_run_and_force_the_last_run() -> None:
    for number, files in (("", ["checkpoint.pt"]), ("-2", ["checkpoint.pt"]), ("-3", ["config.json"])):
        filled(f"runs/forecast-sales{number}", *files)
    assert chosen(resume=True) == "runs/forecast-sales-2"
    assert chosen(force=True) == "runs/forecast-sales-3"
    assert chosen() == "runs/forecast-sales-4"


def test_a_folder_is_left_to_another_training_that_begins_there(monkeypatch: pytest.MonkeyPatch) -> None:
    make = Path.mkdir

    def and_other(path: Path, *more: object, **options: object) -> None:
        make(path, *more, **options)  # type: ignore[arg-type]
        make(path.with_name("other"), exist_ok=True)

    monkeypatch.setattr(Path, "mkdir", and_other)
    assert chosen() == "runs/forecast-sales"
    assert Path("runs/other").is_dir() and not Path("runs/forecast-sales").exists()


def test_a_folder_of_data_has_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("digits").mkdir()
    monkeypatch.chdir("digits")
    assert chosen(".") == "runs/forecast-digits"


def test_without_a_run_there_is_nothing_to_resume_or_replace() -> None:
    assert chosen(resume=True) == chosen(force=True) == "runs/forecast-sales"


def test_several_processes_agree_on_a_folder_which_is_never_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    filled("runs/forecast-sales", "metrics.jsonl")  # of the first process, which was quicker
    assert chosen() == "runs/forecast-sales"
    monkeypatch.setenv("RANK", "0")
    filled("runs/forecast-sales", "config.json")
    with pytest.raises(UsageError, match="already holds a model"):
        chosen()


def test_a_folder_that_is_named_is_never_another(tmp_path: Path) -> None:
    filled("m", "config.json")
    with pytest.raises(UsageError, match="m already holds a model: choose another --save, or --force"):
        chosen(save=Path("m"))
    filled("m", "checkpoint.pt")
    with pytest.raises(UsageError, match="best model of an unfinished run"):
        chosen(save=Path("m"))
    Path("m/config.json").unlink()
    with pytest.raises(UsageError, match="holds an unfinished run: --resume to continue"):
        chosen(save=Path("m"))
    assert chosen(save=Path("m"), resume=True) == chosen(save=Path("m"), force=True) == "m"
    filled("other", "thesis.tex")
    with pytest.raises(UsageError, match=r"holds 'thesis\.tex' but no model"):
        chosen(save=Path("other"))


def test_a_folder_that_can_not_be_made_is_refused_and_leaves_nothing() -> None:
    with pytest.raises(UsageError, match="/proc/x can't be written"):
        chosen(save=Path("/proc/x"))
    Path("file").touch()
    with pytest.raises(UsageError, match="can't be written"):
        chosen(save=Path("file/m"))
    assert chosen(save=Path("deep/er/m")) == "deep/er/m"
    assert not Path("deep").exists()
