"""Figures of this gateway for Prometheus: what Health knows, over HTTP, if `[metrics]` wants it.

Loaded only then: prometheus_client costs memory. `docs/metrics.md` lists the figures.
"""

from gateway.metrics.figures import Figures
from gateway.metrics.server import MetricsServer

__all__ = ["Figures", "MetricsServer"]
