"""Settings of a transcriber."""

import pytest

from elman.errors import UsageError
from elman.tasks.transcribe.settings import Settings


@pytest.mark.parametrize(
    "change",
    [
        {"stride": 5},
        {"stride": True},
        {"rate": 44100},
        {"unit": "phone"},
        {"bins": 0},
        {"bins": 4},
        {"bins": 200},
        {"input": "text"},
        {"frame_ms": 0},
    ],
)
def test_a_value_out_of_range_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(change))):
        Settings(**change)  # type: ignore[arg-type]
