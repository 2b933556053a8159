"""Findings as text and as plain data."""

import math

from elman.lens.finding import Finding


def test_a_finding_is_a_sentence_and_plain_data() -> None:
    finding = Finding(
        "window", "It is short", {"steps": math.inf, "units": [1, math.nan], "layer": "l0"}, "a longer one"
    )
    assert str(finding) == "It is short. Try: a longer one."
    assert finding.to_dict() == {
        "kind": "window",
        "sentence": "It is short",
        "figures": {"steps": None, "units": [1, None], "layer": "l0"},
        "advice": "a longer one",
    }
