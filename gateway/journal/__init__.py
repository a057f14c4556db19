"""The durable buffer: events on flash until the far side has them. DESIGN.md gives the format."""

from gateway.journal.journal import DEVICE, Journal, LaneStatus
from gateway.journal.reader import Run
from gateway.journal.receipt import Receipt
from gateway.journal.scrub import Scrubbed
from gateway.journal.segment import HEADER_COPIES

__all__ = ["DEVICE", "HEADER_COPIES", "Journal", "LaneStatus", "Receipt", "Run", "Scrubbed"]
