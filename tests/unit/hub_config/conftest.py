"""Hypothesis for this folder: no clock (the machine is shared) and no files beside the tests."""

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None, database=None)
settings.load_profile("shared-machine")
