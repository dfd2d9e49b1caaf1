"""Faults that the lab can inject. Each is a function that causes it; `injected` also undoes it.

    with faults.injected(cluster, "freeze", "pg-1"):
        ...                                     # pg-1 is frozen
    ...                                         # pg-1 runs again, even if the block raised
"""

import contextlib
import os
import signal

from .wait import LabError, wait_until


def switchover(cluster, candidate=None):
    """A planned change of the leader. Returns the new leader's name once Patroni says it is done."""
    leader = cluster.wait_leader()
    request = {"leader": leader.name} | ({"candidate": candidate} if candidate else {})
    try:
        status, reply = leader.ask("/switchover", method="POST", body=request, timeout=60)
    except OSError as error:
        raise LabError(f"no answer to the switchover request: {error}") from None
    if status != 200:
        raise LabError(f"Patroni refused the switchover: {reply}")
    return cluster.wait_leader(other_than=leader.name).name


def stop(cluster, name):
    """A clean stop of Patroni, which stops its PostgreSQL."""
    cluster[name].stop()


def start(cluster, name):
    """Resumes what is frozen on the node and starts what does not run."""
    cluster.processes.signal_all(signal.SIGCONT, f"{cluster[name].name}/")
    cluster[name].start()


def poweroff(cluster, name):
    """kill -9 everything on the node at once: Patroni, PostgreSQL, the store's member."""
    cluster.processes.kill_all(f"{cluster[name].name}/")


def kill_patroni(cluster, name):
    """kill -9 Patroni only: its PostgreSQL keeps running as an orphan."""
    cluster[name].send_patroni(signal.SIGKILL)
    wait_until(lambda: not cluster[name].patroni_runs(), 10, f"the end of Patroni on {name}", every=0.005)


def freeze(cluster, name):
    """Freezes the whole node; the kernel still accepts connections for it."""
    cluster.processes.freeze_all(f"{cluster[name].name}/")


def thaw(cluster, name):
    """Resumes a frozen node. This is dangerous: with Patroni 3.0.2 and etcd3, a leader that resumes after its
    lease has expired takes the key back on its old timeline (etcd3.py, _update_leader, puts it
    unconditionally). rescue() repairs such a cluster."""
    cluster.processes.signal_all(signal.SIGCONT, f"{cluster[name].name}/")


def reset(cluster, name):
    """Powers a frozen node off and on, as a careful operator would."""
    poweroff(cluster, name)
    start(cluster, name)


def rescue(cluster, seconds=40):
    """Waits for a healthy cluster, then reinitializes every node that still does not stream.

    After a thaw the old leader may have won on its old timeline. The higher timeline must then leave the archive, or
    every standby would keep looking for it. After an orphan has written, a standby may have fetched the orphan's
    segments from the archive. Returns the names of the reinitialized nodes.
    """
    try:
        cluster.wait_healthy(seconds)
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
    broken = [node for node in cluster.nodes.values() if node is not leader and node.name not in streams]
    for node in broken:
        node.ask("/reinitialize", method="POST", body={"force": True}, timeout=30)
    cluster.wait_healthy()
    return [node.name for node in broken]


def freeze_patroni(cluster, name):
    cluster[name].send_patroni(signal.SIGSTOP)


def thaw_patroni(cluster, name):
    cluster[name].send_patroni(signal.SIGCONT)


def maintenance(cluster, on):
    """Turns Patroni's maintenance mode on or off and waits until every node that answers shows it."""
    node = next((n for n in cluster.nodes.values() if n.status()), None)
    if node is None:
        raise LabError("no node answers, so maintenance mode cannot be changed")
    status, reply = node.ask("/config", method="PATCH", body={"pause": True if on else None}, timeout=20)
    if status != 200:
        raise LabError(f"Patroni refused: {reply}")
    def shown():
        return all(bool(body.get("pause")) == on for body in cluster.survey().values() if body)
    wait_until(shown, 60, f"maintenance mode to be {'on' if on else 'off'} everywhere", every=0.2)


def hang_rest(cluster, name, hangs=True):
    """The relay in front of the node's REST API accepts and never answers; Patroni's HA loop is not affected."""
    if not cluster.settings.rest_relay:
        raise LabError("this cluster has no REST relays; boot it with --rest-relay")
    cluster[name].send_relay(signal.SIGUSR1 if hangs else signal.SIGUSR2)


def lag(cluster, name, lags=True):
    """A replica receives WAL but does not replay it.

    This needs maintenance mode: otherwise Patroni resumes a paused replay in its next loop (ha.py of 3.0.2,
    handle_parameter_change).
    """
    maintenance(cluster, lags)
    verb = "pause" if lags else "resume"
    with contextlib.closing(cluster.connect(node=cluster[name])) as link:
        link.cursor().execute(f"select pg_wal_replay_{verb}()")


def tag(cluster, name, tags):
    """Sets a node's tags, for example {"noloadbalance": True}, and waits until its REST API shows them."""
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
def injected(cluster, fault, name):
    """Injects the fault for the duration of the block, then undoes it and waits for a healthy cluster."""
    cause, undo = _FAULTS[fault]
    try:
        cause(cluster, name)
        yield
    finally:
        undo(cluster, name)
        rescue(cluster)
