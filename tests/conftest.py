"""Hypothesis for every test: no deadline, because the machines that run these are shared and slow at times."""

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
