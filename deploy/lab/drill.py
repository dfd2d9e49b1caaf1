"""Drills: inject a fault while writers insert, and report what they saw."""

import contextlib
import dataclasses
import sys
import threading
import time
import uuid

from . import clients, faults, report, watch
from .wait import LabError, pause, wait_until

SETTLE = 3.0  # seconds of writing before the fault, and after the last change


@dataclasses.dataclass(frozen=True)
class Drill:
    about: str
    cause: object  # cluster, leader's name
    heal: object  # the same arguments; called after writes have resumed
    moves: bool = True  # whether the leader changes
    lasts: float = 0.0  # seconds, if the leader does not change
    needs_relay: bool = False


def _nothing(cluster, name):
    pass


def _maintenance_begins(cluster, name):
    faults.maintenance(cluster, True)
    faults.kill_patroni(cluster, name)


def _maintenance_ends(cluster, name):
    faults.start(cluster, name)
    # The lease has expired meanwhile. Ending maintenance before the old leader holds it again would
    # cause an election.
    cluster.wait_leader()
    faults.maintenance(cluster, False)


def _unhang(cluster, name):
    faults.hang_rest(cluster, name, False)


def _hang_and_move(cluster, name):
    faults.hang_rest(cluster, name)
    pause(10)
    faults.switchover(cluster)


DRILLS = {
    "switchover": Drill("a planned switchover", lambda cluster, name: faults.switchover(cluster), _nothing),
    "stop": Drill("a clean stop of Patroni on the leader", faults.stop, faults.start),
    "poweroff": Drill("kill -9 everything on the leader's node", faults.poweroff, faults.start),
    "kill-patroni": Drill("kill -9 Patroni only; its PostgreSQL keeps running", faults.kill_patroni, faults.start),
    "freeze": Drill("the leader's node freezes, and is reset later", faults.freeze, faults.reset),
    "thaw": Drill("the leader's node freezes, and resumes later with stale state", faults.freeze, faults.thaw),
    "freeze-patroni": Drill("Patroni on the leader freezes for 6 s", faults.freeze_patroni, faults.thaw_patroni,
                            moves=False, lasts=6),
    "maintenance": Drill("maintenance mode, with Patroni on the leader killed for 30 s", _maintenance_begins,
                         _maintenance_ends, moves=False, lasts=30),
    "rest-hang": Drill("the leader's REST API hangs for 60 s while it keeps the lease", faults.hang_rest, _unhang,
                       moves=False, lasts=60, needs_relay=True),
    "rest-hang-move": Drill("a switchover while the leader's REST API hangs", _hang_and_move, _unhang,
                            needs_relay=True),
}


def run_round(cluster, proxy, name, writers=8, say=lambda text: None, lasts=None, **more):
    """One round on a healthy cluster with the proxy running. Returns the summary, see report.summarize.

    `lasts` overrides how many seconds a fault without a change of leader takes; `more` goes into the writers' DSN.
    """
    drill = DRILLS[name]
    if drill.needs_relay and not cluster.settings.rest_relay:
        raise LabError(f"the drill {name} needs a cluster that was booted with --rest-relay")
    cluster.wait_healthy()
    clients.prepare(cluster)
    leader = cluster.wait_leader()
    run = uuid.uuid4().hex[:12]
    say(f"{drill.about}: {leader.name} leads, {writers} writers insert ...")
    with _quick_threads(), clients.Writers(proxy.write_dsn(**more), writers, run) as group:
        wait_until(lambda: group.acknowledged_since(0) == writers, 30, "every writer's first row")
        pause(SETTLE)
        if drill.moves:
            fault_at, found, visible_until = _change_of_leader(cluster, drill, leader, group, say)
        else:
            fault_at, found, visible_until = time.monotonic(), None, None
            drill.cause(cluster, leader.name)
            pause(lasts or drill.lasts)
            drill.heal(cluster, leader.name)
            cluster.wait_healthy()
            pause(SETTLE)
    new = cluster[found[0]].address if found else None
    lost = clients.lost_rows(cluster, group.records, run)
    seen = report.summarize(group.records, fault_at, leader.address, new, found and found[1:], visible_until, lost)
    return {"drill": name, "via": proxy.name, "sync": cluster.settings.sync} | report.rounded(seen)


def _change_of_leader(cluster, drill, leader, group, say):
    """Causes the fault, waits until the new leader serves the writers, and heals the old one.

    Returns the time of the fault, what LeaderWatch found, and until when the new timeline was visible.
    """
    timeout = cluster.settings.ttl + 60
    with watch.LeaderWatch(cluster, but=leader.name) as watcher:
        fault_at = time.monotonic()
        cause = _Background(lambda: drill.cause(cluster, leader.name))
        found = wait_until(lambda: cause.check() and watcher.found, timeout, "a new leader", every=0.02)
    say(f"{found[0]} is writable {found[1] - fault_at:.1f} s after the fault")
    cause.join()
    try:
        _await_writers(group, cluster[found[0]].address, found[1], say)
        pause(SETTLE)
    finally:
        with watch.TimelineWatch(cluster, cluster[found[0]]) as timeline:
            drill.heal(cluster, leader.name)
            rebuilt = faults.rescue(cluster)
    say(f"{leader.name} is back and the cluster is healthy"
        + (f"; Patroni could not recover {', '.join(rebuilt)}, so it was reinitialized" if rebuilt else ""))
    wait_until(lambda: group.acknowledged_since(time.monotonic() - 2) == len(group.records), 60,
               "every writer to write on the healthy cluster")
    return fault_at, found, timeline.last


def _await_writers(group, address, since, say):
    """Without a proxy a writer can stay on a node that is frozen or orphaned until that node is healed."""
    try:
        wait_until(lambda: group.acknowledged_since(since, address) == len(group.records), 20, "every writer")
    except LabError:
        say(f"{group.acknowledged_since(since, address)} of {len(group.records)} writers reached the new leader "
            "within 20 s; the others are still waiting")


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
