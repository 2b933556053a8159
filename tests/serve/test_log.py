"""Lines of the log."""

import json
import logging

import pytest

from elman.serve.log import Lines, failed, note


def test_a_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    note("loaded", model="a", seconds=0.5)
    line = json.loads(capsys.readouterr().err)
    assert line["time"] > 1e9 and (line["event"], line["model"], line["seconds"]) == ("loaded", "a", 0.5)


def test_a_failure_says_where_but_not_what(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        int("what a client sent")
    except ValueError as error:
        failed(error)
    logged = capsys.readouterr().err
    line = json.loads(logged)
    assert line["error"] == "ValueError" and "test_log.py:" in line["at"][0] and "client" not in logged


def test_what_libraries_warn_of_is_a_line_without_what_they_fill_in(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = logging.Logger("library")
    logger.addHandler(Lines())
    logger.warning("Cancel %s", "what a client sent")
    try:
        int("what a client sent")
    except ValueError:
        logger.exception("It failed")
    logged = capsys.readouterr().err
    first, second = map(json.loads, logged.splitlines())
    assert (first["event"], first["by"], first["message"]) == ("warning", "library", "Cancel %s")
    assert second["error"] == "ValueError" and "client" not in logged
