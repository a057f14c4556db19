"""The MQTT port, and its one adapter: the only folder that imports aiomqtt.

An Uplink gives Sessions. A Session is one connection, and it tells the truth about it: `publish`
returns on the broker's PUBACK, raises PublishRefused when the PUBACK is a refusal, and a lost link
fails everything that waits at once. Nothing outlives a session: there is no persistent session, no
queue and no resending here, because the journal is the outbox and a second one beside it could
only disagree with it. So each connection is a new client.

What aiomqtt 2.5 leaves to us, each held by a test against a real broker:
- a refused PUBACK looks like a success (its `on_publish` drops the reason code);
- publishes that wait when the link drops fail only after their time-out;
- the broker's Receive Maximum and Maximum Packet Size are not obeyed;
- a connection closed before CONNACK (how some brokers answer a version they do not speak) is
  found by time-out only;
- a small message from the broker waits 40 ms for TCP (`_acknowledge_now`);
- a cancellation that comes with an answer is lost on Python 3.11 (`_wait_for`);
- incoming messages are confirmed before anybody took them, and their queue has no bound.

MQTT 5 is tried first: only there a broker can say no to a publish. A broker that does not speak it
is met with 3.1.1, and the version that worked is kept for the next connection.

A session with a last will ends without DISCONNECT, so that "offline" is always told by the broker,
in one way, whether the process stopped, crashed or lost power.
"""

from gateway.uplink.mqtt import MqttUplink
from gateway.uplink.port import (
    TOPIC_ROOT,
    Message,
    Session,
    Uplink,
    Will,
    ack_topic,
    down_topic,
    offer_topic,
    reply_topic,
    state_topic,
    up_topic,
)
from gateway.uplink.traffic import Traffic

__all__ = [
    "TOPIC_ROOT",
    "Message",
    "MqttUplink",
    "Session",
    "Traffic",
    "Uplink",
    "Will",
    "ack_topic",
    "down_topic",
    "offer_topic",
    "reply_topic",
    "state_topic",
    "up_topic",
]
