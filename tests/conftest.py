"""No deadlines for single hypothesis examples: two busy cores say nothing about the code."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
