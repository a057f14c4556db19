"""The faults of a meter, as it was told of them."""

from gateway.model import Kind


def faults(context):
    """What was told; not that polls every 30 ms are more than a busy machine can do."""
    told = [seen.detail for seen in context.of(Kind.FAULT)]
    return [detail for detail in told if detail["fault"] != "overloaded"]
