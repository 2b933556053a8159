"""The server's log on standard error: a line of JSON for each request, without what was said in it."""

import json
import logging
import sys
import time
import traceback
from typing import Any


def note(event: str, **facts: Any) -> None:
    """Write a line."""
    line = {"time": round(time.time(), 3), "event": event} | facts
    print(json.dumps(line), file=sys.stderr, flush=True)


def failed(error: BaseException) -> None:
    """Write where an exception came from. Its message is left out, since it may quote what a client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    note(
        "failed",
        error=type(error).__name__,
        at=[f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in frames[-6:]],
    )


class Lines(logging.Handler):
    """Write the warnings of libraries, such as uvicorn's, as lines. What they fill in is left out, since it
    may quote what a client sent."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        if record.exc_info is not None and record.exc_info[1] is not None:
            failed(record.exc_info[1])
        else:
            note(record.levelname.lower(), by=record.name, message=str(record.msg))
