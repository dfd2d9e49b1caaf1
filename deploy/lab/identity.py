"""The drill for a new identity: the cluster is initialized anew under its old name, as pg_upgrade would leave it.

PostgreSQL's new database_system_identifier makes it another database for everybody who remembers the old one. pgsteer
must accept it by itself. Rows of before are gone, of course, so this drill checks service, not rows.
"""

import collections
import contextlib
import os
import shutil
import threading
import time

from . import clients
from .wait import LabError, pause, wait_until

SETTLE = 30  # seconds; the default of `identity_settle`


class _Prober:
    """Connects through pgsteer all the time, one short session after another."""

    def __init__(self, dsn):
        self._dsn, self._stop = dsn, threading.Event()
        self.identifiers, self.errors = {}, collections.Counter()  # identifier: first seen
        self._thread = threading.Thread(target=self._probe, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)

    def _probe(self):
        while not self._stop.is_set():
            try:
                with contextlib.closing(clients.Link(f"{self._dsn} connect_timeout=10")) as link:
                    found = link.ask("select system_identifier from pg_control_system()")
                    self.identifiers.setdefault(found, time.monotonic())
            except clients.Refused as refused:
                self.errors[refused.kind] += 1
            pause(0.05)


def reinitialize(cluster, say=lambda text: None):
    """Stops every Patroni, removes the data and the cluster's keys in the store, and starts again. Returns when the new
    leader was writable."""
    leader = cluster.wait_leader()
    others = [node for node in cluster.nodes.values() if node is not leader]
    for node in (*others, leader):
        node.stop()
        shutil.rmtree(node.data)
    archive = cluster.settings.path("archive")
    for name in os.listdir(archive):
        os.unlink(os.path.join(archive, name))
    scope = f"lab{cluster.settings.base}"
    cluster.processes.run(["/usr/bin/patronictl", "-c", os.path.join(leader.home, "patroni.yml"), "remove", scope],
                          leader.home, text=f"{scope}\nYes I am aware\n")
    say("the data and the keys in the store are gone; starting again ...")
    leader.start()
    wait_until(leader.leads, 60, f"{leader.name} to lead the new cluster", every=0.1)
    since = time.monotonic()
    cluster.make_application()
    for node in others:
        node.start()
    cluster.wait_healthy()
    return since


def run(cluster, proxy, say=lambda text: None, settle=SETTLE):
    """`settle`: the `identity_settle` that the proxy was given, in seconds."""
    cluster.wait_healthy()
    old = cluster.wait_leader().status()["database_system_identifier"]
    with _Prober(proxy.write_dsn()) as prober:
        wait_until(lambda: old in prober.identifiers, 30, "a session before the change")
        say("stopping every Patroni ...")
        since = reinitialize(cluster, say)
        healthy = time.monotonic()
        new = cluster.wait_leader().status()["database_system_identifier"]
        if new == old:
            raise LabError(f"the new cluster has the old identifier, {old}")
        say(f"the new cluster is healthy; its identifier is {new}, not {old}")
        with contextlib.suppress(LabError):
            wait_until(lambda: new in prober.identifiers, settle + 30, "a session on the new database")
    served = prober.identifiers.get(new)
    return {"drill": "new-identifier", "via": proxy.name, "old": old, "new": new,
            "leader_to_served_s": served and round(served - since, 2),
            "healthy_to_served_s": served and round(served - healthy, 2),
            "errors": dict(prober.errors), "reads_served": _reads(proxy)}


def _reads(proxy):
    try:
        clients.Link(f"{proxy.read_dsn()} connect_timeout=10").close()
        return True
    except clients.Refused:
        return False


def lines(seen):
    served = seen["leader_to_served_s"]
    if served is None:
        shown = "NO"
    else:
        shown = f"{served:.1f} s after the new leader was writable, {seen['healthy_to_served_s']:.1f} s after all streamed"
    errors = ", ".join(f"{count} x {kind}" for kind, count in sorted(seen["errors"].items())) or "none"
    return [f"  the new database is served:       {shown}",
            f"  reads are served:                 {'yes' if seen['reads_served'] else 'NO'}",
            f"  errors meanwhile:                 {errors}"]
