"""What all tests rely on."""

import os
import signal

from hypothesis import settings

# The same examples at every run, so that a change is judged by itself; HYPOTHESIS_PROFILE=default draws new
# ones, which is how to look for more.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# A shell tells what it starts in the background to ignore Ctrl-C; tests of Ctrl-C need it heard.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
