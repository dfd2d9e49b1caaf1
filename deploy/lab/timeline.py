"""Timelines: what a leader's timeline descends from, and a replica that is stuck on a higher one than the leader's.

The latter arises when an old primary went on after others had been promoted: Patroni starts it as a replica, it cannot stream,
and with pg_rewind and rebuilding off nothing repairs it.
"""

import os

from . import faults
from .wait import LabError, wait_until

PROMOTIONS = 3  # the next leader's timeline is one higher than today's, and must still be lower than the stuck one


def includes(node, timeline, position):
    """Whether what the node has now includes what was written on that timeline up to the position (bytes).

    A history file has a line for each timeline that the current one descends from: its number and where it was left.
    That may be where it began: then nothing of it remains.
    """
    current = node.status()["timeline"]
    if current == timeline:
        return True
    try:
        with open(os.path.join(node.data, "pg_wal", f"{current:08X}.history"), encoding="utf-8") as source:
            lines = [line.split() for line in source if line.strip()[:1].isdigit()]
    except FileNotFoundError:
        return False  # the first timeline has no history
    return any(int(number) == timeline and _bytes(left) >= position for number, left, *_ in lines)


def _bytes(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def stick(cluster, leader):
    """One replica is promoted by hand several times, where Patroni does not see it, and becomes a replica again."""
    faults.patch_config(cluster, {"postgresql": {"use_pg_rewind": False}})
    node = cluster.replicas()[-1]
    node.configure(remove_data_directory_on_rewind_failure=False, remove_data_directory_on_diverged_timelines=False)
    node.stop()
    for _ in range(PROMOTIONS):
        _promote_by_hand(cluster, node)
    node.start()
    timeline = cluster[leader].status()["timeline"]
    wait_until(lambda: _stuck(node.status(), timeline), 60, f"{node.name} to run on a higher timeline", every=0.2)


def _stuck(body, timeline):
    return body.get("state") == "running" and body.get("role") == "replica" and (body.get("timeline") or 0) > timeline + 1


def _promote_by_hand(cluster, node):
    """It reaches nobody meanwhile: neither the leader nor the archive, which would lead other replicas after it."""
    program = os.path.join(cluster.settings.bin_dir, "pg_ctl")
    quiet = ("-c archive_mode=off -c restore_command= -c primary_conninfo= -c primary_slot_name= -c listen_addresses= "
             "-c synchronous_standby_names=")

    def run(*words):
        cluster.processes.run([program, "-D", node.data, "-w", *words], node.home)
    cluster.processes.write(os.path.join(node.data, "standby.signal"), "")
    run("start", "-l", os.path.join(node.home, "by-hand.log"), "-o", quiet)
    run("promote")
    run("stop", "-m", "fast")
    cluster.processes.write(os.path.join(node.data, "standby.signal"), "")


def _ahead(cluster):
    """The nodes on a higher timeline than the leader's."""
    timeline = cluster.wait_leader().status()["timeline"]
    return [node for node in cluster.nodes.values() if (node.status().get("timeline") or 0) > timeline]


def switchover(cluster, leader):
    """To the replica that is not stuck."""
    streams = {r["application_name"] for r in cluster[leader].status().get("replication", [])}
    candidate = next((node.name for node in cluster.nodes.values() if node.name in streams), None)
    if candidate is None:
        raise LabError("no replica streams from the leader")
    faults.switchover(cluster, candidate)


def unstick(cluster, leader):
    """Rebuilds the stuck replica from the leader."""
    faults.patch_config(cluster, {"postgresql": {"use_pg_rewind": True}})
    for node in cluster.nodes.values():
        node.configure()
        faults.reload(cluster, node.name)
    for node in _ahead(cluster):
        node.ask("/reinitialize", method="POST", body={"force": True}, timeout=30)
