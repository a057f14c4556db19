"""No deadlines for single examples: two busy cores say nothing about a codec."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
