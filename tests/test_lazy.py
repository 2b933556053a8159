"""Modules that are imported when they are first used."""

import sys

import pytest

from elman.lazy import Lazy


def test_a_module_is_imported_by_its_first_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    module = Lazy("colorsys")
    assert "colorsys" not in sys.modules
    assert module.rgb_to_hsv is sys.modules["colorsys"].rgb_to_hsv
    assert vars(module)["rgb_to_hsv"] is module.rgb_to_hsv


def test_submodules_and_their_exceptions_are_those_of_the_module() -> None:
    import polars

    lazy = Lazy("polars")
    assert lazy.exceptions is polars.exceptions
    assert isinstance(polars.DataFrame({"a": [1]}), lazy.DataFrame)


def test_what_a_module_lacks_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such"):
        Lazy("colorsys").no_such  # noqa: B018
    with pytest.raises(ModuleNotFoundError):
        Lazy("no_such_module_at_all").anything  # noqa: B018
