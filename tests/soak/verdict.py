"""Judges a soak: what grew, what does not add up, and which errors no switchover explains."""

import collections
import dataclasses
import statistics

from lab.clients import CLOSED
from samples import NEVER_FALL, by_listener

# What a switchover may cost a client: PostgreSQL's and pgsteer's own words, and a close where no word is possible.
COST = {"57P01", "57P02", "57P03", "08006", "08003", "server closed", CLOSED}
# While there is no primary, the page says so, and a cancel may find its statement ended or its node gone.
COST_WORDS = ("/ready is 503", "a cancel missed", "closed unexpectedly", "SSL connection has been closed",
              "EOF detected", "Connection reset")


@dataclasses.dataclass(frozen=True)
class Bound:
    """The median of the last third may be at most `factor` times that of the second third, plus `more`."""

    column: str
    factor: float
    more: int


# 10 % is more than the wave of one switchover leaves in a median of thirds. What is added is the slack of small numbers.
BOUNDS = (Bound("rss_kib", 1.10, 8 << 10), Bound("threads", 1, 0), Bound("descriptors", 1.10, 20),
          Bound("sockets", 1.10, 20), Bound("pipes", 1.10, 8))
# AddressSanitizer keeps what was freed in a quarantine that fills for minutes.
SANITIZER_BOUNDS = (Bound("rss_kib", 1.25, 64 << 10), *BOUNDS[1:])

# At rest, probes and the scrape itself have sockets: two nodes' worth more than at the start at most.
REST_SLACK = 6


def growth(rows, bounds):
    """[(column, median of the second third, of the last third, allowed)]"""
    third = len(rows) // 3
    middle, last = rows[third:2 * third], rows[2 * third:]
    found = []
    for bound in bounds:
        early, late = (statistics.median(row[bound.column] for row in part) for part in (middle, last))
        found.append((bound.column, early, late, early * bound.factor + bound.more))
    return found


def falls(rows):
    """Counters that went back."""
    return [f"{column} fell from {early[column]} to {late[column]}" for column in NEVER_FALL
            for early, late in zip(rows, rows[1:]) if late[column] < early[column]]


def at_rest(before, after, series):
    """What is wrong with the sample after the load, compared with the one before it."""
    found = [f"{column} is {after[column]} at rest" for column in ("clients", "held", "sessions") if after[column]]
    for column in ("sockets", "threads"):
        if after[column] > before[column] + (REST_SLACK if column == "sockets" else 0):
            found.append(f"{column} at rest: {after[column]}, before the load {before[column]}")
    begun, live = by_listener(series, "pgsteer_clients_total"), by_listener(series, "pgsteer_clients")
    for listener, ended in by_listener(series, "pgsteer_session_ends_total").items():
        if begun[listener] != ended + live[listener]:
            found.append(f"{listener}: {begun[listener]:.0f} clients begun, {ended:.0f} ended, "
                         f"{live[listener]:.0f} live")
    return found


def explained(note, windows):
    overlaps = any(note.began <= end and note.ended >= begin for begin, end in windows)
    known = note.kind in COST or any(word in note.text for word in COST_WORDS)
    return overlaps and known


def errors(notes, windows):
    """(Counter of the explained by kind, list of the others)"""
    counted = collections.Counter(note.kind for note in notes if explained(note, windows))
    return counted, [note for note in notes if not explained(note, windows)]
