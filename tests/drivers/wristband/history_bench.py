"""A conversation about stored values, with a band that answers without a radio."""

from collections import deque

ENOUGH = 5000  # notifications and silences; no conversation of these tests has more


class Outcome:
    """How a conversation went: `stored` of every step, and whether it came to its end."""

    def __init__(self):
        self.stored = []
        self.asked = []
        self.done = False

    @property
    def values(self):
        return [(it.at, value(it.reading)) for it in self.stored]


def value(reading):
    (measurement,) = reading.measurements
    return measurement.value


def converse(history, uuid, answer):
    """Until it is over, or nothing follows from silence. `answer`: a request to notifications."""
    outcome, waiting = Outcome(), deque()

    def write(commands):
        for command in commands:
            outcome.asked.append(command.data)
            waiting.extend(answer(command.data))

    write(history.begin())
    for _ in range(ENOUGH):
        step = history.take(uuid, waiting.popleft()) if waiting else history.silent()
        if step is None:
            return outcome
        outcome.stored += step.stored
        write(step.write)
        if step.done:
            assert not step.write
            outcome.done = True
            return outcome
    raise AssertionError("it does not end")
