"""Every event once more, as JSON that anybody can read: for `mosquitto_sub`, and Home Assistant.

Best effort, and beside the guarantee: the mirror is told of an event once the journal has it, waits
for nobody, and what does not fit into its queue is dropped and counted. It has an MQTT session of
its own, perhaps with a broker of its own, and its failures are its own.

    hearth/v1/GATEWAY/mirror                            "online", "offline"; retained
    hearth/v1/GATEWAY/json/DEVICE                       each event, see `message.py`
    hearth/v1/GATEWAY/home/DEVICE/...                   for Home Assistant, see `home_assistant/`
"""

from gateway.mirror.mirror import Mirror

__all__ = ["Mirror"]
