"""Drills: inject a fault while writers insert, and report what they saw."""

import contextlib
import dataclasses
import sys
import threading
import time
import uuid

from . import clients, faults, report, timeline, watch
from .drills import DRILLS
from .wait import LabError, pause, wait_until

SETTLE = 3.0  # seconds of writing before the fault, and after the last change


def run_round(cluster, proxy, name, writers=8, say=lambda text: None, lasts=None, **more):
    """One round on a healthy cluster with the proxy running. Returns the summary, see report.summarize.

    `lasts` overrides how many seconds the fault takes; `more` goes into the clients' DSN.
    """
    drill = DRILLS[name]
    if lasts is not None:
        drill = dataclasses.replace(drill, lasts=lasts)
    _check(cluster, drill, name)
    cluster.wait_healthy()
    clients.prepare(cluster)
    leader = cluster.wait_leader()
    run = uuid.uuid4().hex[:12]
    say(f"{drill.about}: {leader.name} leads, {writers} writers insert ...")
    dsn = proxy.write_dsn(**more)
    with _quick_threads(), _undone(cluster, drill, leader.name) as heal, clients.Writers(dsn, writers, run) as group, \
            clients.Readers(dsn, group, run) as readers:
        wait_until(lambda: group.acknowledged_since(0) == writers, cluster.settings.ttl + 30, "every writer's first row")
        pause(SETTLE)
        follow = _change_of_leader if drill.moves else _same_leader
        seen = follow(cluster, drill, leader, group, heal, say)
        pause(SETTLE)
    lost = clients.lost_rows(cluster, group.records, run)
    after, written = cluster.wait_leader(), seen.pop("written")
    abandoned = seen["new"] if written and not timeline.includes(after, *written) else None
    if written and after is leader and after.status()["timeline"] > written[0]:
        seen["visible_until"] = 0.0  # Patroni promoted the old leader again: it is no deposed one
    seen |= report.summarize(group.records, readers, seen.pop("fault_at"), leader.address, seen.pop("new"),
                             seen.pop("found"), seen.pop("visible_until"), lost, abandoned)
    seen["leader_moved"] = after is not leader
    seen["unnoticed"] = report.unnoticed(seen) if drill.unnoticed else None
    return {"drill": name, "via": proxy.name, "sync": cluster.settings.sync} | report.rounded(seen)


def _check(cluster, drill, name):
    s = cluster.settings
    if drill.needs == "relay" and not s.rest_relay:
        raise LabError(f"the drill {name} needs a cluster that was booted with --rest-relay")
    if drill.needs == "netns" and not s.netns:
        raise LabError(f"the drill {name} needs a cluster that was booted with --netns")
    if s.sync and not drill.with_sync:
        raise LabError(f"the drill {name} needs asynchronous mode: PostgreSQL itself would wait for its replica")


@contextlib.contextmanager
def _undone(cluster, drill, name):
    """Gives a function that heals; if the block has not called it, it is called at the end."""
    called = []

    def heal():
        called.append(True)
        drill.heal(cluster, name)
    try:
        drill.prepare(cluster, name)
        yield heal
    finally:
        if not called:
            heal()


def _same_leader(cluster, drill, leader, group, heal, say):
    """Causes the fault and heals it after its time. The leader stays, or may return as another node."""
    fault_at = time.monotonic()
    drill.cause(cluster, leader.name)
    pause(max(0.0, drill.lasts - (time.monotonic() - fault_at)))
    healed_at = time.monotonic()
    heal()
    # Before the cluster is healthy: writes need only the leader, and replicas may come back later.
    served = _all_write(group, cluster.settings.ttl + 60)
    say(f"healed; {'all writers write' if served else 'NOT all writers write'}")
    cluster.wait_healthy()
    return {"fault_at": fault_at, "new": None, "found": None, "visible_until": None, "written": None,
            "served_again": served is not None,
            "served_again_s": None if drill.unnoticed or served is None else served - healed_at}


def _all_write(group, seconds):
    """When every writer had a row acknowledged within the last second; None if that takes too long."""
    def all_write():
        now = time.monotonic()
        return now if group.acknowledged_since(now - 1) == len(group.records) else None
    try:
        return wait_until(all_write, seconds, "every writer", every=0.01)
    except LabError:
        return None


def _change_of_leader(cluster, drill, leader, group, heal, say):
    """Causes the fault, waits until the new leader serves the writers, and heals the old one.

    `visible_until`: how long the new timeline was visible.
    """
    timeout = cluster.settings.ttl + 60
    with watch.LeaderWatch(cluster, but=leader.name) as watcher:
        fault_at = time.monotonic()
        cause = _Background(lambda: drill.cause(cluster, leader.name))
        found = wait_until(lambda: cause.check() and watcher.found, timeout, "a new leader", every=0.02)
    say(f"{found[0]} is writable {found[1] - fault_at:.1f} s after the fault")
    cause.join()
    try:
        _await_writers(group, cluster[found[0]].address, found[1], cluster.settings.ttl + 20, say)
        pause(max(SETTLE, drill.lasts - (time.monotonic() - fault_at)))
    finally:
        with watch.TimelineWatch(cluster, cluster[found[0]], but=leader.name) as newer:
            heal()
            rebuilt = faults.rescue(cluster)
    say(f"{leader.name} is back and the cluster is healthy"
        + (f"; Patroni could not recover {', '.join(rebuilt)}, so it was reinitialized" if rebuilt else ""))
    served = _all_write(group, 60)
    return {"fault_at": fault_at, "new": cluster[found[0]].address, "found": found[1:], "visible_until": newer.last,
            "written": (newer.number, newer.position), "served_again": served is not None, "served_again_s": None}


def _await_writers(group, address, since, seconds, say):
    """Without a proxy a writer can stay on a node that is frozen or orphaned until that node is healed."""
    try:
        wait_until(lambda: group.acknowledged_since(since, address) == len(group.records), seconds, "every writer")
    except LabError:
        say(f"{group.acknowledged_since(since, address)} of {len(group.records)} writers reached the new leader "
            f"within {seconds} s; the others are still waiting")


class _Background:
    """Runs a slow fault on its own thread while the caller watches for the outcome."""

    def __init__(self, action):
        self._action, self._error = action, None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self._action()
        except (LabError, OSError) as error:
            self._error = error

    def check(self):
        """True, or raises what the fault has raised."""
        if self._error:
            raise self._error
        return True

    def join(self):
        self._thread.join(120)
        self.check()


@contextlib.contextmanager
def _quick_threads():
    """Switches threads more often than Python's default, so that no thread reads the clock late."""
    default = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(default)
