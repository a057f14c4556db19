"""The faults of a meter, as it was told of them."""

from gateway.model import Kind


def faults(context):
    """What was told."""
    return [seen.detail for seen in context.of(Kind.FAULT)]
