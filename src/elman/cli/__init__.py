"""The command line: the same verbs for every task.

Exit codes: 0 good, 1 the work failed, 2 the call was wrong; 128 and the number of a signal that ended it.
"""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends without a traceback
    from elman.cli.app import main as run

    run()
