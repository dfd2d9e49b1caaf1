"""Faults that the lab can inject. Each is a function that causes it; `injected` also undoes it.

    with faults.injected(cluster, "freeze", "pg-1"):
        ...                                     # pg-1 is frozen
    ...                                         # pg-1 runs again, even if the block raised
"""

import contextlib
import os
import signal
import socket

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


def patch_config(cluster, changes):
    """Changes Patroni's configuration of the whole cluster; None removes a setting."""
    node = next((n for n in cluster.nodes.values() if n.status()), None)
    if node is None:
        raise LabError("no node answers, so Patroni's configuration cannot be changed")
    status, reply = node.ask("/config", method="PATCH", body=changes, timeout=20)
    if status != 200:
        raise LabError(f"Patroni refused: {reply}")


def maintenance(cluster, on):
    """Turns Patroni's maintenance mode on or off and waits until every node that answers shows it."""
    patch_config(cluster, {"pause": True if on else None})

    def shown():
        return all(bool(body.get("pause")) == on for body in cluster.survey().values() if body)
    wait_until(shown, 60, f"maintenance mode to be {'on' if on else 'off'} everywhere", every=0.2)


def hang_rest(cluster, name, hangs=True):
    """The relay in front of the node's REST API accepts and never answers; Patroni's HA loop is not affected."""
    if not cluster.settings.rest_relay:
        raise LabError("this cluster has no REST relays; boot it with --rest-relay")
    cluster[name].send_relay(signal.SIGUSR1 if hangs else signal.SIGUSR2)


def drop_rest(cluster, name):
    """A packet filter on the node drops whatever goes to its REST API. The lab's own requests still pass."""
    s = cluster.settings
    cluster.network.block(cluster[name].name, "rest-drop",
                          f"input ip saddr != {s.host_address} tcp dport {{ {s.rest_port}, {s.relay_port} }} drop")


def undrop_rest(cluster, name):
    cluster.network.unblock(cluster[name].name, "rest-drop")


def fill_backlog(cluster, name):
    """Patroni accepts no REST connection any more, and so many wait that the kernel drops the next one's packets.

    Its HA loop goes on. A connection that its client has closed stays in the backlog.
    """
    if cluster.settings.rest_relay:
        raise LabError("the relay would hide the backlog from the proxy; boot this cluster without --rest-relay")
    node = cluster[name]
    node.stall_rest()
    stalled = f"{node.name}/stall"
    wait_until(lambda: "is stopped" in cluster.processes.tail(stalled, 1), 10, f"Patroni's thread on {name} to stop")
    for _ in range(64):
        try:
            socket.create_connection((node.address, cluster.settings.rest_port), 0.5).close()
        except TimeoutError:
            return
    raise LabError(f"the REST API of {name} still takes connections")


def drain_backlog(cluster, name):
    cluster[name].resume_rest()
    wait_until(lambda: cluster[name].status(timeout=1), 20, f"the REST API of {name}")


def lose_store(cluster, name=None):
    """Every member of the store stands still (SIGSTOP): connections open, and nothing answers."""
    for program in cluster.store.programs():
        cluster.processes.send(program, signal.SIGSTOP)


def regain_store(cluster, name=None):
    for program in cluster.store.programs():
        cluster.processes.send(program, signal.SIGCONT)


def kill_store_leader(cluster, name=None):
    """kill -9 for the store's own leader: the other members elect a new one within seconds."""
    cluster.processes.send(cluster.store.leader(), signal.SIGKILL)


def restart_store(cluster, name=None):
    for node in cluster.nodes:
        cluster.store.start_beside(node)


def failsafe(cluster, on):
    """Turns Patroni's failsafe mode on or off and waits until every node has it so."""
    patch_config(cluster, {"failsafe_mode": True if on else None})

    def shown(node):
        """The members' names are in the store only once the leader has entered them."""
        config, (_, members) = node.ask("/config")[1], node.ask("/failsafe")
        known = isinstance(members, dict) and cluster.nodes.keys() <= members.keys()
        return config.get("failsafe_mode") is True and known if on else "failsafe_mode" not in config
    wait_until(lambda: all(shown(node) for node in cluster.nodes.values()), 60,
               f"failsafe mode to be {'on' if on else 'off'} everywhere", every=0.2)


PARTITIONS = ("store", "pgsteer", "replicas")


def part(cluster, name, others):
    """Cuts a node off from the store, from pgsteer or from the replicas. All packets between them are dropped.

    From the store: the etcd member on the node is cut off from the other members, so it has no quorum, either.
    From the replicas: no replication and no REST; the store is reached.
    """
    s = cluster.settings
    nodes = [node.address for node in cluster.nodes.values() if node.name != name]
    if others == "pgsteer":
        addresses, ports = [s.proxy_host], None
    elif others == "store":
        addresses = [s.store_address] if s.dcs == "zookeeper" else nodes
        ports = (s.client_port, s.peer_port)
    else:
        addresses, ports = nodes, (s.pg_port, s.rest_port)
    hosts = "{ " + ", ".join(addresses) + " }"
    rules = []
    for chain, side in (("input", "saddr"), ("output", "daddr")):
        for end in ("dport", "sport") if ports else ("",):
            which = f" tcp {end} {{ {', '.join(map(str, ports))} }}" if ports else ""
            rules.append(f"{chain} ip {side} {hosts}{which} drop")
    cluster.network.block(cluster[name].name, f"partition-{others}", *rules)


def join(cluster, name, others):
    """Undoes part()."""
    cluster.network.unblock(cluster[name].name, f"partition-{others}")


def lag(cluster, name, lags=True):
    """A replica receives WAL but does not replay it.

    This needs maintenance mode: otherwise Patroni resumes a paused replay in its next loop (ha.py of 3.0.2,
    handle_parameter_change).
    """
    maintenance(cluster, lags)
    verb = "pause" if lags else "resume"
    with contextlib.closing(cluster.connect(node=cluster[name])) as link:
        link.cursor().execute(f"select pg_wal_replay_{verb}()")


def reload(cluster, name):
    """Makes Patroni read its configuration again."""
    cluster[name].send_patroni(signal.SIGHUP)


def tag(cluster, name, tags):
    """Sets a node's tags, for example {"noloadbalance": True}, and waits until its REST API shows them."""
    node = cluster[name]
    node.configure(tags)
    reload(cluster, name)
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
    "rest-drop": (drop_rest, undrop_rest),
    "rest-backlog": (fill_backlog, drain_backlog),
    "store-lost": (lose_store, regain_store),
    "election": (kill_store_leader, restart_store),
} | {f"partition-{others}": (lambda cluster, name, others=others: part(cluster, name, others),
                             lambda cluster, name, others=others: join(cluster, name, others))
     for others in PARTITIONS}


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
