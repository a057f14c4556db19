"""The devices of a home for Home Assistant, by its MQTT discovery: one retained message a device.

Sources: home-assistant.io, "MQTT" (discovery with a device payload) and its pages on `sensor.mqtt`,
`binary_sensor.mqtt` and `event.mqtt`; developers.home-assistant.io, "Sensor entity", for device
classes, their units and state classes.

- What a device measures appears when it is first told, and is kept over restarts (`kept.py`).
- States are retained, so they are there after a restart of Home Assistant; whether a call is open
  is one of them. That somebody called or pressed is an event and is not: nothing must ring again
  because something was restarted.
- What is unknown is unavailable: everything of this gateway when the broker has lost the mirror,
  until all is told anew, and everything of a device when hearth says that it is offline.
- `tests/mirror/with_home_assistant.py` holds all of this against the program itself.
"""

from gateway.mirror.home_assistant.home import HomeAssistant

__all__ = ["HomeAssistant"]
