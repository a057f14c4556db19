"""The weather and the notices: they come from upstream, are kept, and are said while they hold.

`order.py` reads what comes from upstream, `kept.py` is what a power cut leaves, `news.py` has it
said.
"""

from gateway.news.news import News

__all__ = ["News"]
