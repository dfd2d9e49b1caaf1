"""Faults between nodes: dropped packets, partitions, a lost store; and what a cluster looks like after surgery.

Each node has its own network namespace. The drills that are not here (election, partition-replicas, store-lost, thaw)
take longer; deploy/demo drill runs them.
"""

import os

import pytest

from conftest import boot, running
from lab import drill, identity, proxy

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may create network namespaces")

SETTLE = 3  # seconds of identity_settle
PROMPT = 1.0  # seconds from the new leader's REST to the first write
UNNOTICED = ["rest-drop", "rest-backlog", "store-lost-failsafe"]


@pytest.fixture(scope="module")
def cluster():
    made = boot("netns", base=70, netns=True)
    yield made
    made.down()


@pytest.fixture(scope="module")
def session_steer(cluster):
    with running(proxy.Pgsteer(cluster, health=f'identity_settle = "{SETTLE}s"')) as steer:
        yield steer


def promotions(cluster):
    """How often Patroni has promoted a node, by its own word: what pgsteer thinks of it excuses nothing."""
    total = 0
    for name in cluster.nodes:
        with open(cluster.processes.log(f"{name}/patroni"), errors="replace") as log:
            total += log.read().count("promoted self to leader")
    return total


def run(cluster, steer, fault, changes=1, **more):
    """`changes`: how often the leader may change, if Patroni promotes no more often. Each writer may lose its session as
    often."""
    before = promotions(cluster)
    seen = drill.run_round(cluster, steer, fault, **more)
    print(seen)
    changes = max(changes, promotions(cluster) - before)
    assert (seen["lost"], seen["stale_reads"], seen["stale_writes"], seen["served_again"]) == (0, 0, 0, True)
    assert sum(seen["session_errors"].values()) <= 8 * changes
    # A second change may end a login of the first. libpq 15 counts connect_timeout=10 in whole seconds of the clock, so
    # it may fire just before `hold` ends.
    assert set(seen["connect_errors"]) <= {"57P03", "timeout"} | ({"57P01"} if changes > 1 else set())
    return seen


@pytest.mark.parametrize("fault", UNNOTICED)
def test_clients_do_not_notice(cluster, steer, fault):
    """They last longer than the lease of 12 s, at whose end pgsteer would have to cut an orphan."""
    assert run(cluster, steer, fault, lasts=15)["unnoticed"]


def test_a_leader_without_the_store_is_followed_by_another(cluster, steer):
    """When it reaches the store again, Patroni 3.0.2 may take the key back (etcd3.py puts it unconditionally) and discard
    what the other wrote, through any proxy. It may also restart PostgreSQL once more."""
    seen = run(cluster, steer, "partition-store", changes=2)
    assert seen["closed_without_a_word"] == 0
    assert seen["rest_to_first_write_s"] < PROMPT


def test_a_leader_that_pgsteer_cannot_reach_serves_again_after_the_partition(cluster, steer):
    """Nobody else leads meanwhile, so the way back needs no proof but that it is reached again."""
    seen = run(cluster, steer, "partition-pgsteer", lasts=16)
    assert not seen["leader_moved"]
    assert seen["served_again_s"] < 3


def test_a_node_stuck_on_a_higher_timeline_delays_a_new_leader_for_the_ttl_alone(cluster, steer):
    """It refused every leader until somebody removed that node."""
    seen = run(cluster, steer, "stuck-timeline")
    assert seen["leader_moved"]
    assert seen["rest_to_first_write_s"] < cluster.settings.ttl + 3


def test_a_new_system_identifier_is_accepted_without_a_restart(cluster, steer):
    """The last test here: the cluster is another one afterwards. It stayed foreign until pgsteer was restarted."""
    seen = identity.run(cluster, steer, settle=SETTLE)
    print(seen)
    assert seen["leader_to_served_s"] is not None and seen["healthy_to_served_s"] < SETTLE + 5
    assert seen["reads_served"]
    assert set(seen["errors"]) <= {"57P01", "57P03"}
