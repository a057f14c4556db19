"""The drivers hearth brings: one folder a kind of device, each with wire, link and driver."""
