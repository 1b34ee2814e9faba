"""Hypothesis without a deadline: an example that is slow because the machine is busy has shown nothing."""

from hypothesis import settings

settings.register_profile("shared-machine", deadline=None, print_blob=True)
settings.load_profile("shared-machine")
