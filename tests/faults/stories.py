"""All the stories, by name, in the order in which they are told."""

import stories_acks
import stories_broker
import stories_collector
import stories_gateway
import stories_hostile
import stories_network
from story import STORIES as _REGISTERED

_ROOMS = (
    stories_broker,
    stories_collector,
    stories_acks,
    stories_network,
    stories_gateway,
    stories_hostile,
)
STORIES = {
    name: it
    for room in _ROOMS
    for name, it in _REGISTERED.items()
    if it.tell.__module__ == room.__name__
}
