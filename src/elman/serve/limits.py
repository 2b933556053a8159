"""Limits of the server. Each is one row, from which its command-line option is made."""

from dataclasses import dataclass

from elman.settings import amount, check, number, whole


@dataclass(frozen=True)
class Limits:
    """The limits of a server.

    Attributes:
        idle: in seconds, as are `deadline` and `drain`; `tick` is in milliseconds.
    """

    sessions: int = whole(5000, "Live sessions of a model at a time")
    queue: int = whole(64, "Requests that may wait for a model")
    message_bytes: int = whole(1 << 20, "Bytes of a message or of a JSON body", least=1024)
    upload_bytes: int = whole(64 << 20, "Bytes of a table or of a recording", least=1024)
    uploads: int = whole(16, "Bodies larger than a message that are received or answered at a time")
    idle: float = number(600, "Seconds without a message after which a session is closed")
    deadline: float = number(60, "Seconds within which an answer, or its next piece, has to come")
    tick: float = amount(2, "Milliseconds in which arrivals are gathered for one kernel call", most=1000)
    drain: float = amount(10, "Seconds that open requests have after SIGTERM", most=3600)

    def __post_init__(self) -> None:
        check(self)
