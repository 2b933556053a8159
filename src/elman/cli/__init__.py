"""The command line: the same verbs for every task.

Exit codes: 0 good, 1 the work failed, 2 the call was wrong; 128 and the number of a signal that ended it.
"""

import atexit
import gc
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends without a traceback
    # At its end Python looks through all objects for cycles. PyTorch makes so many that this takes a fifth of
    # the time in which a sentence is answered.
    atexit.register(gc.freeze)
    from elman.cli.app import main as run

    run()
