"""For every test: Hypothesis has no deadline, as machines are shared; Ctrl-C reaches every child process.

A shell ignores SIGINT in what it starts in the background, and children inherit that. Tests that press Ctrl-C in a
child would then fail for the way the suite was started.
"""

import signal

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
signal.signal(signal.SIGINT, signal.default_int_handler)
