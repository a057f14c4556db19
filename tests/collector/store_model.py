"""What a store must hold, in plain Python: every event kept in a dictionary, every answer worked
out of all of them anew."""

import json
from collections import Counter, defaultdict

from collector.books import Book
from collector.delivery import Outcome
from collector.fleet import DEFAULT_QUIET_AFTER_S, GatewayFacts
from collector.storage.words import clean_json
from gateway.codec import gap_of
from gateway.errors import DecodeError
from gateway.model import URGENT_KINDS, Kind, Lane, TimeQuality

SYNCHRONISED = TimeQuality.SYNCHRONISED


def same_json(text):
    """JSON in one form; PostgreSQL writes all the digits of 1e300."""
    loaded = json.loads(
        text, parse_int=lambda digits: int(digits) if len(digits) < 21 else float(digits)
    )
    return json.dumps(loaded, sort_keys=True)


class ModelStore:
    def __init__(self, outputs=()):
        self.outputs = outputs
        self.events = {}  # (journal, lane, seq): (gateway, row)
        self.conflicting = set()
        self.totals = defaultdict(Counter)  # by (journal, lane)
        self.heard_of = {}  # (journal, lane): (ms, gateway)
        self.line = []

    def commit(self, deliveries, now_ms):
        return tuple(self._keep(it, now_ms) for it in deliveries)

    def _keep(self, delivery, now_ms):
        counts = Counter()
        stream = delivery.journal, delivery.lane
        for row in delivery.rows:
            counts[self._put(delivery, row, (*stream, row.seq))] += 1
        self.totals[stream] += counts
        self.heard_of[stream] = now_ms, delivery.gateway
        return Outcome(True, counts["stored"], counts["duplicates"], counts["conflicts"])

    def _put(self, delivery, row, key):
        if key not in self.events:
            self.events[key] = delivery.gateway, row
            if row.event.kind in URGENT_KINDS:
                self.line += [(output, key) for output in self.outputs]
            return "stored"
        if self.events[key][1].digest == row.digest or (key, row.digest) in self.conflicting:
            return "duplicates"
        self.conflicting.add((key, row.digest))
        return "conflicts"

    # --- true times ---

    def anchors(self):
        found = {}
        for (journal, _, _), (_, row) in self.events.items():
            stamp = row.event.stamp
            if row.event.kind is Kind.ANCHOR and stamp.quality is SYNCHRONISED:
                boot, told = (journal, stamp.boot), (stamp.uptime_ms, stamp.wall_ms)
                found[boot] = min(told, found.get(boot, told))
        return found

    def time_of(self, journal, row, anchors):
        stamp = row.event.stamp
        anchor = anchors.get((journal, stamp.boot))
        if stamp.quality is SYNCHRONISED or anchor is None:
            return stamp.wall_ms, stamp.quality.name.lower()
        return anchor[1] - anchor[0] + stamp.uptime_ms, "anchored"

    def rows(self):
        anchors = self.anchors()
        return sorted(
            (
                *(journal.hex(), gateway, lane.name.lower(), seq, row.event.device),
                *(row.event.kind.name.lower(), *self.time_of(journal, row, anchors)),
                *(row.event.stamp.boot.hex(), row.event.stamp.uptime_ms, row.digest),
                same_json(clean_json(row.body)),
            )
            for (journal, lane, seq), (gateway, row) in self.events.items()
        )

    # --- books ---

    def books(self):
        lost = defaultdict(set)
        for (journal, _, _), (_, row) in self.events.items():
            if row.event.kind is Kind.GAP:
                try:
                    gap = gap_of(row.event)
                except DecodeError:
                    continue
                lost[journal, gap.lane] |= set(range(gap.first, gap.last + 1))
        return sorted(
            (self._book(stream, lost[stream]) for stream in {*self.totals, *lost}),
            key=lambda it: (it.gateway, it.journal, it.lane),
        )

    def _book(self, stream, lost):
        journal, lane = stream
        stored = {seq for (*place, seq) in self.events if tuple(place) == stream}
        totals = self.totals[stream] if stream in self.totals else Counter()
        other = self.heard_of.get((journal, Lane(1 - lane)))
        _, gateway = self.heard_of.get(stream) or other
        return Book(
            gateway, journal.hex(), lane, max({0} | stored | lost), len(stored),
            len(lost - stored), totals["duplicates"], totals["conflicts"],
        )  # fmt: skip

    # --- fleet ---

    def fleet(self):
        owners = defaultdict(list)
        for journal in {journal for journal, _ in self.heard_of}:
            lanes = [
                (-self.heard_of[journal, lane][0], lane.name, self.heard_of[journal, lane][1])
                for lane in Lane
                if (journal, lane) in self.heard_of
            ]
            heard, _, gateway = min(lanes)
            owners[gateway].append((-heard, journal.hex(), journal))
        return [self._facts(gateway, sorted(owners[gateway])) for gateway in sorted(owners)]

    def _facts(self, gateway, owned):
        anchors, told = self.anchors(), []
        for _, _, journal in owned:
            seqs = sorted(
                seq for (of, lane, seq) in self.events if (of, lane) == (journal, Lane.ROUTINE)
            )
            told += [(journal, self.events[journal, Lane.ROUTINE, seq][1]) for seq in seqs]
        facts = {"quiet_after_s": DEFAULT_QUIET_AFTER_S}
        faults, devices = {}, {}
        for journal, row in told:
            event, detail = row.event, row.event.detail
            if event.kind is Kind.GATEWAY:
                facts["clock"] = self.time_of(journal, row, anchors)[1]
                if detail.get("state") == "alive":
                    facts["quiet_after_s"] = detail.get("quiet_after_s", DEFAULT_QUIET_AFTER_S)
                    measured = {it.name: it.value for it in event.measurements}
                    for name in ("backlog_urgent", "backlog_routine"):
                        facts[name] = measured.get(name)
                elif detail.get("state") == "started":
                    facts["version"] = detail["version"]
                    faults, devices = {}, {}  # who is still wrong says so again
            elif event.kind is Kind.FAULT:
                faults[event.device, detail["fault"]] = detail["active"]
            elif event.kind is Kind.DEVICE:
                devices[event.device] = detail["state"]
        return GatewayFacts(
            gateway=gateway,
            journals=len(owned),
            heard_ms=owned[-1][0],
            faults=tuple(sorted(key for key, active in faults.items() if active)),
            offline=tuple(
                sorted(it for it, state in devices.items() if state in ("offline", "failed"))
            ),
            **facts,
        )
