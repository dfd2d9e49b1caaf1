"""A hundred of a hundred cancels reach the right session on the right node, and no other session.

Half of the read sessions are on each replica, so a cancel sent to a random one would miss half the time.
"""

import asyncio
import contextlib
import random

import asyncpg
import psycopg
import pytest
from psycopg import pq

from lab.wait import wait_until
from relays import Haproxy
from setup import DATABASE, HOST, PASSWORD, SOME_WAY_IDS, SOME_WAYS, USER, Way
from test_drivers import ssl_context

SESSIONS, ROUNDS = 50, 2
SLEEP = "select pg_sleep(120)"
some_ways = pytest.mark.parametrize("way", SOME_WAYS, ids=SOME_WAY_IDS)


def wait_busy(cluster, name, count, nodes, spread=True):
    """Waits until `count` sessions of that application_name sleep; if `spread`, some on each of the nodes."""
    def busy():
        found = []
        for node in nodes:
            with contextlib.closing(cluster.connect(node=node)) as observer:
                cursor = observer.cursor()
                cursor.execute("select count(*) from pg_stat_activity where application_name = %s "
                               "and wait_event = 'PgSleep'", (name,))
                found.append(cursor.fetchone()[0])
        return sum(found) == count and all(found) == spread
    wait_until(busy, 30, f"{count} sessions to sleep", every=0.1)


class Sleepers:
    """libpq sessions. PQcancel is always sent unencrypted, even for a session with TLS."""

    def __init__(self, params, count=SESSIONS):
        dsn = psycopg.conninfo.make_conninfo(**params).encode()
        self.links = [pq.PGconn.connect(dsn) for _ in range(count)]
        for link in self.links:
            assert link.status == pq.ConnStatus.OK, link.error_message

    def sleep(self):
        for link in self.links:
            link.send_query(SLEEP.encode())
            link.nonblocking = 1

    def running(self):
        for link in self.links:
            link.consume_input()
        return [link for link in self.links if link.is_busy()]

    def cancel_one(self, link):
        """Whether this statement was cancelled within ten seconds."""
        link.get_cancel().cancel()
        wait_until(lambda: link.consume_input() or not link.is_busy(), 10, "the cancelled statement to end", every=0.002)
        state = link.get_result().error_field(pq.DiagnosticField.SQLSTATE)
        while link.get_result():
            pass
        return state == b"57014"

    def close(self):
        for link in self.links:
            link.finish()


def hundred_by_libpq(cluster, params, nodes):
    hits = 0
    with contextlib.closing(Sleepers(params | {"application_name": "sleeper"})) as sleepers:
        for _ in range(ROUNDS):
            sleepers.sleep()
            wait_busy(cluster, "sleeper", SESSIONS, nodes)
            left = list(sleepers.links)
            random.shuffle(left)
            while left:
                hits += sleepers.cancel_one(left.pop())
                assert len(sleepers.running()) == len(left), "a cancel has hit another session"
    return hits


async def hundred_by_asyncpg(cluster, params, nodes, spread=True):
    """asyncpg sends a cancel over the same kind of connection as the session's: with TLS if that has TLS."""
    hits = 0
    settings = {"application_name": "asleep"}
    links = [await asyncpg.connect(**params, timeout=20, server_settings=settings) for _ in range(SESSIONS)]
    try:
        for _ in range(ROUNDS):
            tasks = [asyncio.ensure_future(link.execute(SLEEP)) for link in links]
            await asyncio.get_running_loop().run_in_executor(None, wait_busy, cluster, "asleep", SESSIONS, nodes,
                                                                spread)
            for task in tasks:
                task.cancel()
            for done in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(done, asyncio.CancelledError)
            # The next statement runs only after the cancelled one has ended.
            hits += sum(await asyncio.wait_for(asyncio.gather(*(link.fetchval("select 1") for link in links)), 30))
    finally:
        for link in links:
            link.terminate()
    return hits


@some_ways
def test_a_hundred_cancels_hit(cluster, steer, way):
    before = cancels(steer)
    assert hundred_by_libpq(cluster, steer.params("read_only", way), cluster.replicas()) == ROUNDS * SESSIONS
    assert cancels(steer) == before + ROUNDS * SESSIONS


def cancels(steer):
    return sum(listener["cancels_total"] for listener in steer.status()["listeners"])


@pytest.mark.parametrize("port, way", [("read_only", Way("terminate", "require")),
                                       ("read_write", Way("pass", "require"))],
                         ids=["terminated-read_only", "passed-read_write"])
def test_a_hundred_cancels_inside_tls_hit(cluster, steer, port, way):
    """Inside passed-through TLS a cancel looks like a login, so it is reliable only if one node serves the listener."""
    params = {"host": HOST, "port": steer.port(port, way.listener), "user": USER, "password": PASSWORD,
             "database": DATABASE, "ssl": ssl_context(cluster, way.sslmode)}
    nodes = [cluster.wait_leader()] if port == "read_write" else cluster.replicas()
    assert asyncio.run(hundred_by_asyncpg(cluster, params, nodes)) == ROUNDS * SESSIONS


def test_a_hundred_cancels_inside_passed_tls_hit_on_replicas_with_client_address(cluster, start):
    """A client that always gets the same replica also reaches it with its cancels."""
    sticky = start("sticky", 25120, pass_='balance = "client_address"')
    params = {"host": HOST, "port": sticky.port("read_only", "pass"), "user": USER, "password": PASSWORD,
             "database": DATABASE, "ssl": ssl_context(cluster, "require")}
    hits = asyncio.run(hundred_by_asyncpg(cluster, params, cluster.replicas(), spread=False))
    assert hits == ROUNDS * SESSIONS


@some_ways
def test_a_hundred_cancels_hit_through_two_pgsteers_behind_one_address(cluster, steer, twin, way):
    """HAProxy alternates between the two, so a cancel arrives at the pgsteer that does not have the session."""
    port = steer.port("read_only", way.listener), twin.port("read_only", way.listener)
    with Haproxy(cluster, [f"{HOST}:{number}" for number in port]) as shared:
        params = steer.params("read_only", way) | {"port": shared.port}
        before = cancels(steer), cancels(twin)
        assert hundred_by_libpq(cluster, params, cluster.replicas()) == ROUNDS * SESSIONS
        assert cancels(steer) > before[0] and cancels(twin) > before[1]
