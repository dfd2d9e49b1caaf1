"""What can befall a node. Each fault is a function that causes it; `suffering` undoes it again.

    with faults.suffering(cluster, "freeze", "pg-1"):
        ...                                     # pg-1 stands still
                                                # here it runs again, whatever happened inside
"""

import contextlib
import os
import signal

from .wait import LabError, wait_until


def switchover(cluster, candidate=None):
    """A planned change of the leader. Returns the new leader's name once Patroni says it is done."""
    leader = cluster.wait_leader()
    wish = {"leader": leader.name} | ({"candidate": candidate} if candidate else {})
    try:
        status, said = leader.ask("/switchover", method="POST", body=wish, timeout=60)
    except OSError as error:
        raise LabError(f"the switchover was asked for and not answered: {error}") from None
    if status != 200:
        raise LabError(f"Patroni refused the switchover: {said}")
    return cluster.wait_leader(other_than=leader.name).name


def stop(cluster, name):
    """A clean stop of Patroni, which stops its PostgreSQL."""
    cluster[name].stop()


def start(cluster, name):
    """Whatever of the node does not run is started; what is frozen goes on."""
    cluster.processes.signal_all(signal.SIGCONT, f"{cluster[name].name}/")
    cluster[name].start()


def poweroff(cluster, name):
    """kill -9 for all of the node at once: Patroni, PostgreSQL, the store's member."""
    cluster.processes.kill_all(f"{cluster[name].name}/")


def kill_patroni(cluster, name):
    """kill -9 for Patroni alone: its PostgreSQL goes on, an orphan."""
    cluster[name].send_patroni(signal.SIGKILL)
    wait_until(lambda: not cluster[name].patroni_runs(), 10, f"the end of Patroni on {name}", every=0.005)


def freeze(cluster, name):
    """The whole node stands still; the kernel goes on to accept connections for it."""
    cluster.processes.freeze_all(f"{cluster[name].name}/")


def thaw(cluster, name):
    """The frozen node goes on as if nothing had happened, and that is dangerous: with Patroni 3.0.2 and etcd3 a
    leader thawed after its lease ended takes the key back (etcd3.py, _update_leader, puts it unconditionally),
    on its old timeline. rescue() mends a cluster to which that happened."""
    cluster.processes.signal_all(signal.SIGCONT, f"{cluster[name].name}/")


def reset(cluster, name):
    """A frozen node is switched off and on, as an operator with sense would do it."""
    poweroff(cluster, name)
    start(cluster, name)


def rescue(cluster, patience=40):
    """Waits for a whole cluster; what is astray then is built anew, as an operator would do it.

    After a thaw an old leader may have won on its old timeline: the higher one must leave the archive, or every
    standby would go on looking for it. After an orphan went on writing, a standby may have fetched the orphan's
    segments from the archive. Returns the names of the nodes that were built anew.
    """
    try:
        cluster.wait_whole(patience)
        return []
    except LabError:
        pass
    leader = cluster.wait_leader()
    status = leader.status()
    archive = cluster.settings.path("archive")
    for name in os.listdir(archive):
        if name[:8].isalnum() and int(name[:8], 16) > status["timeline"]:
            os.unlink(os.path.join(archive, name))
    streams = {r["application_name"] for r in status.get("replication", []) if r["state"] == "streaming"}
    astray = [node for node in cluster.nodes.values() if node is not leader and node.name not in streams]
    for node in astray:
        node.ask("/reinitialize", method="POST", body={"force": True}, timeout=30)
    cluster.wait_whole()
    return [node.name for node in astray]


def freeze_patroni(cluster, name):
    cluster[name].send_patroni(signal.SIGSTOP)


def thaw_patroni(cluster, name):
    cluster[name].send_patroni(signal.SIGCONT)


def maintenance(cluster, on):
    """Patroni's maintenance mode, waited for until every node that answers shows it."""
    node = next((n for n in cluster.nodes.values() if n.status()), None)
    if node is None:
        raise LabError("no node answers, so nobody can be told about maintenance mode")
    status, said = node.ask("/config", method="PATCH", body={"pause": True if on else None}, timeout=20)
    if status != 200:
        raise LabError(f"Patroni refused: {said}")
    def shown():
        return all(bool(body.get("pause")) == on for body in cluster.survey().values() if body)
    wait_until(shown, 60, f"maintenance mode to be {'on' if on else 'off'} everywhere", every=0.2)


def hang_rest(cluster, name, hangs=True):
    """The node's relayed REST accepts and never answers; its HA loop notices nothing."""
    if not cluster.settings.rest_relay:
        raise LabError("this cluster has no relays in front of its REST; boot it with --rest-relay")
    cluster[name].send_relay(signal.SIGUSR1 if hangs else signal.SIGUSR2)


def lag(cluster, name, lags=True):
    """A replica receives WAL and does not replay it.

    Maintenance mode keeps it so: otherwise Patroni resumes a paused replay in its next loop (ha.py of 3.0.2,
    handle_parameter_change).
    """
    maintenance(cluster, lags)
    verb = "pause" if lags else "resume"
    with contextlib.closing(cluster.connect(node=cluster[name])) as link:
        link.cursor().execute(f"select pg_wal_replay_{verb}()")


def tag(cluster, name, tags):
    """Gives a node these tags, {"noloadbalance": True} say, and waits until its REST shows them."""
    node = cluster[name]
    node.configure(tags)
    node.send_patroni(signal.SIGHUP)
    wait_until(lambda: node.status().get("tags", {}) == tags, 30, f"{name} to show the tags {tags}", every=0.2)


_FAULTS = {  # name: (cause, undo)
    "stop": (stop, start),
    "poweroff": (poweroff, start),
    "kill-patroni": (kill_patroni, start),
    "freeze": (freeze, reset),
    "freeze-patroni": (freeze_patroni, thaw_patroni),
    "hang-rest": (hang_rest, lambda cluster, name: hang_rest(cluster, name, False)),
    "lag": (lag, lambda cluster, name: lag(cluster, name, False)),
    "noloadbalance": (lambda cluster, name: tag(cluster, name, {"noloadbalance": True}),
                      lambda cluster, name: tag(cluster, name, {})),
    "maintenance": (lambda cluster, name: maintenance(cluster, True),
                    lambda cluster, name: maintenance(cluster, False)),
}


@contextlib.contextmanager
def suffering(cluster, fault, name):
    """The node suffers the fault inside the block and is healed after it, and the cluster is whole again."""
    cause, undo = _FAULTS[fault]
    try:
        cause(cluster, name)
        yield
    finally:
        undo(cluster, name)
        rescue(cluster)
