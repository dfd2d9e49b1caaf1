"""The drill for a lagging replica: its long read survives, new reads avoid it until it has caught up."""

import contextlib
import threading

import psycopg2

from . import faults
from .wait import LabError, wait_until

WHERE = "select host(inet_server_addr())"


def _query(dsn, statement):
    with contextlib.closing(psycopg2.connect(dsn, connect_timeout=10)) as link:
        cursor = link.cursor()
        cursor.execute(statement)
        return cursor.fetchone()[0]


def _nodes_of(dsn, count=12):
    """The nodes that `count` new read sessions land on."""
    return {_query(dsn, WHERE) for _ in range(count)}


class _LongRead:
    """A session on the given replica that is busy for some seconds."""

    def __init__(self, dsn, address, seconds):
        def connect():
            link = psycopg2.connect(dsn, connect_timeout=10)
            link.autocommit = True
            cursor = link.cursor()
            cursor.execute(WHERE)
            if cursor.fetchone()[0] == address:
                return link
            link.close()
            return None
        self._link = wait_until(connect, 20, f"a read session on {address}", every=0.01)
        self.outcome = None
        self._thread = threading.Thread(target=self._read, args=(seconds,), daemon=True)
        self._thread.start()

    def _read(self, seconds):
        try:
            self._link.cursor().execute("select pg_sleep(%s)", (seconds,))
            self.outcome = "survived"
        except psycopg2.Error as error:
            self.outcome = f"ended: {str(error).strip()}"
        self._link.close()

    def join(self):
        self._thread.join(60)
        return self.outcome


def run(cluster, proxy, say=lambda text: None, megabytes=48, read_s=15):
    """`megabytes` of WAL that the replica does not replay; the demo's max_lag is 16 MB."""
    if len(cluster.nodes) < 3:
        raise LabError("the drill lag needs at least three nodes")
    cluster.wait_healthy()
    replica = cluster.replicas()[0]
    wait_until(lambda: replica.address in _nodes_of(proxy.read_dsn()), 20, f"reads on {replica.name}")
    long_read = _LongRead(proxy.read_dsn(), replica.address, read_s)
    say(f"{replica.name} stops replaying while {megabytes} MB are written ...")
    with faults.injected(cluster, "lag", replica.name):
        with contextlib.closing(cluster.connect(user="app")) as link:
            link.autocommit = True
            link.cursor().execute("create table if not exists drill_bulk (filler text)")
            link.cursor().execute("alter table drill_bulk alter filler set storage external")
            link.cursor().execute("insert into drill_bulk select repeat('x', 1000000) "
                                  "from generate_series(1, %s)", (megabytes,))
            link.cursor().execute("drop table drill_bulk")
        avoided = _eventually(lambda: replica.address not in _nodes_of(proxy.read_dsn()))
        outcome = long_read.join()
    back = _eventually(lambda: replica.address in _nodes_of(proxy.read_dsn()))
    return {"drill": "lag", "via": proxy.name, "long_read": outcome, "new_reads_avoid_it": avoided,
            "reads_come_back": back}


def _eventually(condition):
    try:
        return bool(wait_until(condition, 10, "the reads to move", every=0.2))
    except LabError:
        return False


def lines(seen):
    return [f"  the long read on the replica:     {seen['long_read']}",
            f"  new reads avoid it:               {'yes' if seen['new_reads_avoid_it'] else 'NO'}",
            f"  reads come back once it catches up: {'yes' if seen['reads_come_back'] else 'NO'}"]
