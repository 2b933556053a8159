"""Packages of the extra "speech", imported when they are first needed."""

import importlib
from typing import Any

from elman.errors import UsageError


def speech_package(name: str) -> Any:
    """Import a package of the extra "speech".

    Raises:
        UsageError: it is not installed, or the C library that it wraps is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        problem = f"audio requires the package {name}; install it with `pip install 'elman[speech]'`."
    except OSError as reason:  # soundfile without libsndfile, sounddevice without PortAudio
        problem = f"{name} does not find its library ({reason}); install that with your system's packages."
    raise UsageError(problem)
