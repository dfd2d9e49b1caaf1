"""The cluster, live: a table that refreshes in a terminal, lines of what changed anywhere else."""

import sys
import time

WIDTHS = (6, 18, 20, 10, 9, 11)


def role_of(body):
    if not body:
        return "no answer"
    role = {"master": "primary"}.get(body.get("role"), body.get("role", "?"))
    if body.get("sync_standby"):
        role = "sync replica"
    return f"{role}, {body['state']}" if body.get("state", "running") != "running" else role


def table(cluster, bodies):
    """One row of words per node."""
    position = max((b["xlog"]["location"] for b in bodies.values() if "location" in b.get("xlog", {})), default=0)
    rows = [("node", "address", "role", "timeline", "lag", "maintenance")]
    for name, body in bodies.items():
        replayed = body.get("xlog", {}).get("replayed_location")
        rows.append((name, f"{cluster[name].address}:{cluster.settings.pg_port}", role_of(body),
                     str(body.get("timeline") or "-"),
                     "-" if replayed is None else _bytes(max(0, position - replayed)),
                     "on" if body.get("pause") else "off" if body else "-"))
    return rows


def _bytes(count):
    for unit in ("B", "kB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"


def as_text(rows):
    return "\n".join("  ".join(f"{cell:{width}}" for cell, width in zip(row, WIDTHS)).rstrip() for row in rows)


class View:
    """show() once a second; `heading` is what stays on top of the table in a terminal."""

    def __init__(self, cluster, heading, out=sys.stdout):
        self._cluster, self._heading, self._out = cluster, heading, out
        self._before = {}
        self._changes = []
        self._terminal = out.isatty()
        if not self._terminal:
            print(heading, file=out, flush=True)

    def show(self):
        bodies = self._cluster.survey(timeout=1.5)
        new = self._changed(bodies)
        self._changes = (self._changes + new)[-10:]
        if not self._terminal:
            for line in new:
                print(line, file=self._out, flush=True)
            return
        text = "\n".join([self._heading, "", as_text(table(self._cluster, bodies)), "", *self._changes])
        # Home, each line cleared behind its text, the rest of the screen cleared: nothing flickers.
        cleared = text.replace("\n", "\x1b[K\n")
        self._out.write(f"\x1b[H{cleared}\x1b[K\x1b[J\n")
        self._out.flush()

    def clear(self):
        if self._terminal:
            self._out.write("\x1b[2J\x1b[H")

    def _changed(self, bodies):
        lines = []
        for name, body in bodies.items():
            now = role_of(body) + (f" on timeline {body['timeline']}" if body.get("timeline") else "")
            if self._before.get(name) != now:
                lines.append(f"{time.strftime('%H:%M:%S')}  {name}: {now}")
                self._before[name] = now
        return lines
