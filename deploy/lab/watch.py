"""Sees to the millisecond when a new leader's REST first shows it writable.

It asks the nodes directly, and only from the fault until the answer is there: every look costs Patroni a
query. Without the lease a node is asked every 25 ms; once it has it and is still promoting, every 5 ms.
"""

import threading
import time

from . import rest
from .wait import pause


class LeaderWatch:
    """`with` begins to look. `found` is (node's name, asked at, previous look) or None."""

    def __init__(self, cluster, but=None):
        self._port = cluster.settings.rest_port
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.found = None
        self._threads = [threading.Thread(target=self._look, args=(node,), daemon=True)
                         for node in cluster.nodes.values() if node.name != but]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(5)

    def _look(self, node):
        previous = time.monotonic()
        while not self._stop.is_set():
            asked, status = time.monotonic(), 0
            try:
                status, body = rest.ask(node.address, self._port, "/leader", timeout=1)
                if rest.writable(status, body):
                    with self._lock:
                        self.found = self.found or (node.name, asked, previous)
                    self._stop.set()
                    return
            except OSError:
                pass
            previous = asked
            pause(0.005 if status == 200 else 0.025)


class TimelineWatch:
    """Until when (`last`) did a node answer that it is writable on the timeline of `node` (`number`) or a higher one?

    The old leader (`but`) must get no session as long as that is so. `position`: how far `node` had written, in bytes.
    """

    def __init__(self, cluster, node, but):
        self._nodes = [other for other in cluster.nodes.values() if other.name != but]
        self._port = cluster.settings.rest_port
        body = node.status()
        self.number, self.position = body.get("timeline") or 0, body.get("xlog", {}).get("location", 0)
        self._stop = threading.Event()
        self.last = time.monotonic()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def _look(self):
        while not self._stop.is_set():
            for node in self._nodes:
                asked = time.monotonic()
                try:
                    status, body = rest.ask(node.address, self._port, "/leader", timeout=0.5)
                except OSError:
                    continue
                if "location" in body.get("xlog", {}) and body.get("timeline", 0) >= self.number:
                    self.last = max(self.last, asked)
                    self.position = max(self.position, body["xlog"]["location"])
            pause(0.1)
