"""Summarizes the writers' records: what clients saw, as numbers and as a few lines of text."""

import collections
import statistics

from .clients import CLOSED


NOTICED = 1.0  # seconds without a write; a healthy cluster on a busy machine stays well below


def longest_gap(moments):
    """The longest gap between neighbours in a sorted list, and when it began."""
    return max(((b - a, a) for a, b in zip(moments, moments[1:])), default=(0.0, 0.0))


def summarize(records, readers, fault_at, old, new, found, visible_until, lost, abandoned=None):
    """`readers` have looked for the rows of these records. `old` and `new` are the addresses of the leaders before and after (`new` None: no change). `found` is (asked,
    previous poll) of the new leader's REST API; its timeline was visible until `visible_until`. `abandoned`: the address
    of a leader whose timeline Patroni gave up for another. Rows that it had acknowledged are discarded by Patroni,
    whatever clients connect through, and so they are counted apart.
    """
    discarded = _acknowledged_at(records, abandoned) & set(lost)
    rows = sorted((done, at) for record in records for _, _, done, at in record.acknowledged)
    after = [done for done, at in rows if at == new]
    errors = [error for record in records for error in record.errors]
    last_old = max((done for done, at in rows if at == old), default=None)
    seen = {
        "acknowledged": len(rows),
        "lost": len(lost) - len(discarded),
        "discarded": len(discarded), "abandoned": abandoned is not None,
        "outage_s": longest_gap([done for done, _ in rows])[0],
        "outage_writer_s": max(longest_gap([row[2] for row in record.acknowledged])[0] for record in records),
        "connect_errors": dict(collections.Counter(e[2] for e in errors if e[1] == "connect")),
        "session_errors": dict(collections.Counter(e[2] for e in errors if e[1] == "session")),
        "reads": readers.reads,
        "stale_reads": sum(1 for _, writer, expected, _, _ in readers.stale if (writer, expected) not in discarded),
        "read_errors": dict(collections.Counter(kind for _, kind, _ in readers.errors)),
        "closed_without_a_word": sum(1 for e in errors if e[2] == CLOSED),
        "slowest_connect_s": max((to - start for record in records for start, to in record.connects), default=0.0),
        "sessions": sum(len(record.connects) for record in records),
        "fault_to_new_leader_s": None, "rest_to_first_write_s": None, "rest_uncertainty_s": None,
        "old_leader_wrote_for_s": None, "stale_writes": 0,
    }
    if new and found:
        asked, previous = found
        seen |= {
            "fault_to_new_leader_s": asked - fault_at,
            "rest_uncertainty_s": asked - previous,
            "rest_to_first_write_s": after[0] - asked if after else None,
            # One that leads again afterwards has written then.
            "old_leader_wrote_for_s": None if abandoned else max(0.0, last_old - fault_at) if last_old else 0.0,
            "stale_writes": sum(1 for done, at in rows if at == old and asked < done < visible_until),
        }
    return seen


def _acknowledged_at(records, address):
    return {(number, row[0]) for number, record in enumerate(records) for row in record.acknowledged if row[3] == address}


def unnoticed(seen):
    """Whether clients saw no error, no lost row, no stale read, and no wait that a person would notice."""
    errors = seen["connect_errors"] or seen["session_errors"] or seen["read_errors"]
    return not errors and not seen["lost"] and not seen["stale_reads"] and seen["outage_s"] < NOTICED


def rounded(seen):
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in seen.items()}


def median_of(rounds):
    """Medians of the numbers; lost rows, stale rows and errors are summed over all rounds. What must hold in every
    round holds if it did in all."""
    result = {}
    for key, value in rounds[0].items():
        values = [one[key] for one in rounds if one.get(key) is not None]
        if key in ("lost", "discarded", "stale_writes", "stale_reads"):
            result[key] = sum(values)
        elif isinstance(value, dict):
            result[key] = dict(sum((collections.Counter(v) for v in values), collections.Counter()))
        elif isinstance(value, bool):
            result[key] = all(values)
        elif isinstance(value, str):
            result[key] = value
        else:
            result[key] = statistics.median(values) if values else None
    return result


def _seconds(value):
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if abs(value) < 1 else f"{value:.2f} s"


def _errors(counts):
    return ", ".join(f"{count} x {kind}" for kind, count in sorted(counts.items())) or "none"


def lines(seen):
    """The summary as text."""
    text = [
        ("rows acknowledged", f"{seen['acknowledged']:.0f}, lost {seen['lost']}"
                              + (f", discarded by Patroni {seen['discarded']}" if seen["discarded"] else "")
                              + (f", on a deposed leader {seen['stale_writes']}" if seen["stale_writes"] else "")),
        ("reads of these rows", f"{seen['reads']:.0f}, stale {seen['stale_reads']}, errors "
                                f"{_errors(seen['read_errors'])}"),
        ("longest gap between writes", f"{_seconds(seen['outage_s'])} over all writers, "
                                       f"{_seconds(seen['outage_writer_s'])} for the worst writer"),
    ]
    if seen["fault_to_new_leader_s"] is not None:
        text += [
            ("the old leader took writes for", f"{_seconds(seen['old_leader_wrote_for_s'])} after the fault"),
            ("fault to new leader writable", _seconds(seen["fault_to_new_leader_s"])),
            ("... then to the first write", f"{_seconds(seen['rest_to_first_write_s'])} (the REST API was last polled "
                                            f"{_seconds(seen['rest_uncertainty_s'])} before it showed the leader)"),
        ]
    text += [
        ("connect errors", _errors(seen["connect_errors"])),
        ("session errors", _errors(seen["session_errors"])),
        ("slowest connect (held)", _seconds(seen["slowest_connect_s"])),
    ]
    if seen["served_again_s"] is not None:
        text.append(("all write again after the repair", _seconds(seen["served_again_s"])))
    if not seen["served_again"]:
        text.append(("SERVICE", "not every writer wrote again"))
    if seen["unnoticed"] is not None:
        text.append(("clients noticed", "nothing" if seen["unnoticed"] else "THE FAULT, which they should not have"))
    return [f"  {label + ':':34}{value}" for label, value in text]
