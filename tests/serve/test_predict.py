"""POST /v1/predict: the records of `elman predict --json`, and what is refused."""

from typing import Any

import pytest

import elman
from elman.serve.records import plain_value
from saved_models import QUESTIONS, SAVED
from serving import Served

CSV = b"month,sales\n2019-01-01,100\n2019-02-01,110\n"


@pytest.mark.parametrize("task", [*QUESTIONS])
def test_the_answers_are_those_of_the_command_line(served: Served, task: str) -> None:
    model, texts = elman.load(SAVED / task), QUESTIONS[task]
    texts = texts * (12 if task == "classify" else 1)  # more than are answered at once
    expected = [plain_value(one.to_dict()) for one in model.answers(texts)]
    assert served.predict(task, texts).json() == {"model": task, "answers": expected}
    assert served.predict(task, texts[0]).json()["answers"] == expected[:1]


def test_forecasts_after_the_training_data_rows_and_columns(served: Served) -> None:
    model = elman.load(SAVED / "forecast")
    expected = [one.to_dict() for one in model.answers(None, horizon=2)]
    assert served.predict("forecast", None, horizon=2).json()["answers"] == expected
    columns = {"month": ["2019-01-01", "2019-02-01"], "sales": [100, 110]}
    rows = [{"month": "2019-01-01", "sales": 100}, {"month": "2019-02-01", "sales": 110}]
    first = served.predict("forecast", columns).json()["answers"]
    assert len(first) == 6 and first[0]["ds"] == "2019-03-01"
    assert served.predict("forecast", rows).json()["answers"] == first
    headers = {"content-type": "text/csv; charset=utf-8"}
    answer = served.http.post("/v1/predict/forecast?horizon=6", content=CSV, headers=headers)
    assert answer.json()["answers"] == first


def test_a_table_of_texts(served: Served) -> None:
    headers = {"content-type": "text/tab-separated-values"}
    content = "text\tother\nthe film\t1\nthe end\t2\n"
    answer = served.http.post("/v1/predict/classify?at_least=0.99", content=content, headers=headers).json()
    assert [one["text"] for one in answer["answers"]] == ["the film", "the end"]
    assert answer["answers"][0]["label"] is None
    assert served.predict("classify", [{"text": "the film"}]).json()["answers"][0]["text"] == "the film"


def test_a_text_is_no_name_of_a_file(served: Served) -> None:
    name = str(SAVED / "answers.json")
    for task in QUESTIONS:
        assert served.predict(task, name).status_code == 200
    for option in ("future", "against"):
        assert served.predict("forecast", None, **{option: name}).status_code == 422
    assert served.error(served.predict("forecast", name)).startswith("422 input must be a list of rows")


@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        ("classify", "{bad", "400 the JSON is not valid (Expecting property name"),
        ("classify", '{"input": NaN}', "400 the JSON is not valid (NaN is no number of JSON)"),
        ("classify", '{"input": ' + "[" * 100_000, "400 the JSON is nested too deeply"),
        (
            "classify",
            '{"input": ' + "9" * 5000 + "}",
            "400 the JSON is not valid (Exceeds the limit (4300 digits) for integer string conversion: "
            "value has 5000 digits)",
        ),
        (
            "classify",
            '{"input": "\\ud800"}',
            "400 the JSON is not UTF-8, or holds a half",
        ),
        ("classify", "[1]", "400 the JSON must be an object, not list"),
        ("classify", '{"inputs": ""}', "422 there is no field 'inputs'; did you mean 'input'?"),
        ("classify", '{"input": 5}', "422 input must be a text, a list of texts or a table"),
        ("classify", '{"input": []}', "422 input must be a text, a list of texts or a table"),
        ("classify", '{"input": "a", "options": 3}', "422 options must be an object, not int"),
        ("classify", '{"input": "a", "options": {"header": true}}', "422 a 'classify' model takes no option"),
        ("classify", '{"input": "a", "options": {"at_least": 2}}', "422 at_least must be"),
        ("forecast", '{"input": [{"month": "2019-01-01", "sales": "x"}]}', "422 list, row 0"),
        (
            "generate",
            '{"input": "a", "options": {"count": 1000}}',
            "422 count must be a whole number",
        ),
        ("transcribe", "{}", "422 send recordings to /v1/audio/transcriptions"),
        ("nope", "{}", "404 there is no model 'nope'"),
    ],
)
def test_what_is_refused(served: Served, model: str, body: str, error: str) -> None:
    answer = served.http.post(f"/v1/predict/{model}", content=body)
    assert served.error(answer).startswith(error)


def test_a_wrong_cell_of_a_csv_is_named(served: Served) -> None:
    headers: dict[str, Any] = {"content-type": "text/csv"}
    answer = served.http.post("/v1/predict/forecast", content=CSV + b"2019-03-01,oops\n", headers=headers)
    assert served.error(answer).startswith("422 the table, row 4: column 'sales' holds 'oops'")


def test_options_in_an_address_are_texts_where_they_are_no_numbers(served: Served) -> None:
    headers: dict[str, Any] = {"content-type": "text/csv"}
    address = f"/v1/predict/forecast?horizon={'[' * 20_000}"
    answer = served.http.post(address, content=CSV, headers=headers)
    assert served.error(answer).startswith("422 horizon must be a whole number of at least 1, not '[[")
