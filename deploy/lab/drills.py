"""The table of drills: what each does to the leader, and what clients may notice. drill.py runs them."""

import dataclasses

from . import faults, timeline
from .wait import pause


def _nothing(cluster, name):
    pass


@dataclasses.dataclass(frozen=True)
class Drill:
    """The functions take the cluster and the leader's name.

    `prepare` comes before the writers. `heal` undoes `prepare` and `cause`; it is called once writes have resumed, and
    in any case at the end. `moves`: whether the leader changes; None: it may. `lasts`: seconds from the fault to the
    repair; where the leader changes, at least.
    """

    about: str
    cause: object
    heal: object
    moves: object = True
    lasts: float = 0.0
    unnoticed: bool = False  # the promise: clients see neither an error nor a gap
    needs: str = ""  # relay: booted with --rest-relay; netns: with --netns
    with_sync: bool = True  # whether it tells anything in synchronous mode
    prepare: object = _nothing


def _unnoticed(about, cause, heal, lasts, **more):
    return Drill(about, cause, heal, moves=False, lasts=lasts, unnoticed=True, **more)


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


def _failsafe_on(cluster, name):
    faults.failsafe(cluster, True)


def _failsafe_over(cluster, name):
    faults.regain_store(cluster)
    cluster.wait_leader()
    faults.failsafe(cluster, False)


def _parted(about, others, **more):
    return Drill(about, lambda cluster, name: faults.part(cluster, name, others),
                 lambda cluster, name: faults.join(cluster, name, others), needs="netns", **more)


DRILLS = {
    "switchover": Drill("a planned switchover", lambda cluster, name: faults.switchover(cluster), _nothing),
    "stop": Drill("a clean stop of Patroni on the leader", faults.stop, faults.start),
    "poweroff": Drill("kill -9 everything on the leader's node", faults.poweroff, faults.start),
    "kill-patroni": Drill("kill -9 Patroni only; its PostgreSQL keeps running", faults.kill_patroni, faults.start),
    "freeze": Drill("the leader's node freezes, and is reset later", faults.freeze, faults.reset),
    "thaw": Drill("the leader's node freezes for 50 s, and resumes with stale state", faults.freeze, faults.thaw,
                  lasts=50),
    "freeze-patroni": _unnoticed("Patroni on the leader freezes for 6 s", faults.freeze_patroni, faults.thaw_patroni, 6),
    "maintenance": _unnoticed("maintenance mode, with Patroni on the leader killed for 30 s", _maintenance_begins,
                              _maintenance_ends, 30),
    "rest-hang": _unnoticed("the leader's REST API hangs for 60 s while it keeps the lease", faults.hang_rest, _unhang, 60,
                            needs="relay"),
    "rest-hang-move": Drill("a switchover while the leader's REST API hangs", _hang_and_move, _unhang, needs="relay"),
    "rest-drop": _unnoticed("a packet filter drops what goes to the leader's REST API, for 60 s", faults.drop_rest,
                            faults.undrop_rest, 60, needs="netns"),
    "rest-backlog": _unnoticed("the leader's REST API accepts nothing and its backlog is full, for 60 s",
                               faults.fill_backlog, faults.drain_backlog, 60),
    "store-lost": Drill("the store is lost for everybody for 60 s, failsafe mode off: Patroni demotes the leader",
                        faults.lose_store, faults.regain_store, moves=None, lasts=60),
    "store-lost-failsafe": _unnoticed("the store is lost for everybody for 60 s, failsafe mode on", faults.lose_store,
                                      _failsafe_over, 60, prepare=_failsafe_on),
    "election": _unnoticed("kill -9 for the leader of the store, which elects another; restarted after 15 s",
                           faults.kill_store_leader, faults.restart_store, 15),
    "partition-store": _parted("the leader is cut off from the store", "store"),
    "partition-pgsteer": _parted("the leader is cut off from pgsteer for 30 s; nobody can serve writes", "pgsteer",
                                 moves=False, lasts=30),
    "partition-replicas": _parted("the leader is cut off from its replicas for 30 s, but not from the store", "replicas",
                                  moves=False, lasts=30, unnoticed=True, with_sync=False),
    "stuck-timeline": Drill("a switchover while a replica is stuck on a higher timeline", timeline.switchover,
                            timeline.unstick, prepare=timeline.stick),
}
EXTRA = {  # drills that report something else than writers
    "lag": "a replica stops replaying while 48 MB are written",
    "new-identifier": "the whole cluster is initialized anew, as after pg_upgrade, while pgsteer runs",
}


def needs(name):
    return DRILLS[name].needs if name in DRILLS else ""
