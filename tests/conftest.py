"""For every test: Hypothesis has no deadline, as machines are shared; Ctrl-C reaches every child process.

A shell ignores SIGINT in what it starts in the background, and children inherit that. Tests that press Ctrl-C in a
child would then fail for the way the suite was started.
The operator's commands set variables for their children; a test that calls them leaves none to the next one, and none
of the shell that started the suite reaches a test.
"""

import os
import signal
from collections.abc import Iterator
from unittest import mock

import pytest
from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_variables_of_a_room() -> Iterator[None]:
    """Each test begins without a variable of ours, and the environment is put back after it."""
    with mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("CLEANROOM_")]:
            del os.environ[name]
        yield
