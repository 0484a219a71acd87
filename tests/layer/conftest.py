"""Property tests stop by their number of examples, never by the clock of a busy machine."""

from hypothesis import settings

settings.register_profile("layer", deadline=None, max_examples=100)
settings.load_profile("layer")
