"""What all tests rely on."""

import signal

# A shell tells what it starts in the background to ignore Ctrl-C; tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
