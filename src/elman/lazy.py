"""Modules that are imported when they are first used: polars takes longer than to answer a sentence."""

from importlib import import_module
from types import ModuleType
from typing import Any


class Lazy(ModuleType):
    """A module that is imported when an attribute of it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)  # found at once from now on
        return value
