"""What clients see of a fault while eight of them write.

The time limits are generous: an instrumented build shares two cores with three nodes. To measure a release
build on an idle machine, use deploy/demo drill.
"""

import contextlib
import select

import psycopg2
import pytest

from lab import drill, faults, lag, watch
from lab.wait import wait_until
import wire

PROMPT = 1.0  # seconds from the new leader's REST to the first write
MOVES = ["switchover", "stop", "poweroff", "kill-patroni"]
UNNOTICED = [("freeze-patroni", 6), ("maintenance", 15), ("rest-hang", 15)]  # two of them last longer than the lease of 12 s


@pytest.mark.parametrize("fault", MOVES)
def test_writes_resume_on_the_new_primary(cluster, steer, fault):
    seen = drill.run_round(cluster, steer, fault, sslmode="disable")
    print(seen)
    assert seen["lost"] == 0
    assert seen["stale_writes"] == 0
    assert seen["rest_to_first_write_s"] < PROMPT
    assert seen["closed_without_a_word"] == 0
    assert set(seen["connect_errors"]) <= {"57P03"}
    assert sum(seen["session_errors"].values()) <= 8
    if fault in ("switchover", "stop"):
        assert seen["connect_errors"] == {}


@pytest.mark.parametrize("fault, seconds", UNNOTICED)
def test_clients_do_not_notice(cluster, steer, fault, seconds):
    seen = drill.run_round(cluster, steer, fault, sslmode="disable", lasts=seconds)
    print(seen)
    assert (seen["lost"], seen["connect_errors"], seen["session_errors"]) == (0, {}, {})
    assert seen["outage_s"] < 1.0


def open_idle(steer, mode):
    """An unencrypted session, or one that pgsteer cannot read; both have a fileno()."""
    if mode == "disable":
        return wire.idle_session(steer.host, steer.write_port)
    return psycopg2.connect(steer.write_dsn(sslmode=mode), connect_timeout=10)


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_an_idle_session_on_a_frozen_primary_is_cut(cluster, steer, mode):
    """PostgreSQL cannot end it, and the idle client sends nothing that could fail, so pgsteer must cut it."""
    leader = cluster.wait_leader()
    with contextlib.closing(open_idle(steer, mode)) as idle:
        with faults.injected(cluster, "freeze", leader.name):
            with watch.LeaderWatch(cluster, but=leader.name) as watcher:
                wait_until(lambda: watcher.found, 60, "a new leader")
            ended, _, _ = select.select([idle.fileno()], [], [], 1.0)
            assert ended, "the session was still open a second after the new leader became writable"
            if mode == "disable":
                kind, body = wire.read_message(idle)
                fields = wire.error_fields(body)
                assert (kind, fields["C"]) == (b"E", "57P01")
                assert fields["M"] == "terminating connection due to administrator command" and fields["D"]
            assert landed(steer.write_dsn()) == cluster[watcher.found[0]].address


def landed(dsn):
    with contextlib.closing(psycopg2.connect(dsn, connect_timeout=10)) as link:
        cursor = link.cursor()
        cursor.execute("select host(inet_server_addr())")
        return cursor.fetchone()[0]


def test_a_lagging_replica_keeps_its_reads_and_gets_no_new_ones(cluster, steer):
    seen = lag.run(cluster, steer, read_s=10)
    assert (seen["long_read"], seen["new_reads_avoid_it"], seen["reads_come_back"]) == ("survived", True, True)


def test_noloadbalance_takes_a_replica_out_of_reads(cluster, steer):
    replica, other = cluster.replicas()

    def places():
        return {landed(steer.read_dsn()) for _ in range(4)}
    with faults.injected(cluster, "noloadbalance", replica.name):
        wait_until(lambda: places() == {other.address}, 10, "reads on the other replica only", every=0.2)
    wait_until(lambda: places() == {replica.address, other.address}, 10, "reads on both replicas", every=0.2)
