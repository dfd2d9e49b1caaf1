"""A session that the client terminates is counted as ended by the client, however much of it pgsteer could read."""

import asyncio
import contextlib

import asyncpg
import psycopg2
import pytest

from lab.wait import wait_until
from setup import DATABASE, HOST, PASSWORD, SOME_WAY_IDS, SOME_WAYS, USER, connect
from test_drivers import ssl_context

SESSIONS = 40
# Inside passed-through TLS pgsteer cannot read Terminate, so the side that closes first counts.
UNREADABLE = {"client_closed", "client_aborted", "server_closed", "server_aborted"}
BIG = 2_000_000  # enough for pgsteer to splice, so it does not see every message
some_ways = pytest.mark.parametrize("way", SOME_WAYS, ids=SOME_WAY_IDS)


def ends(steer, name):
    listener = next(listener for listener in steer.status()["listeners"] if listener["name"] == name)
    return {reason: count for reason, count in listener["session_ends"].items() if count}


def ends_of(steer, way, use):
    """How the SESSIONS sessions of `use` ended: {reason: count}."""
    name = f"read_write_{way.listener}"
    before = ends(steer, name)
    use()

    def difference():
        now = ends(steer, name)
        found = {reason: now[reason] - before.get(reason, 0) for reason in now if now[reason] != before.get(reason, 0)}
        return found if sum(found.values()) == SESSIONS else None
    return wait_until(difference, 10, f"{SESSIONS} sessions to end", every=0.1)


def expect(found, way, reason):
    if way.listener == "pass" and way.sslmode != "disable":
        assert set(found) <= UNREADABLE
    else:
        assert found == {reason: SESSIONS}


@some_ways
def test_libpq_terminates(steer, way):
    def use():
        with contextlib.ExitStack() as stack:
            links = [stack.enter_context(contextlib.closing(connect(steer.params("read_write", way))))
                     for _ in range(SESSIONS)]
            for link in links:
                link.cursor().execute("select length(%s)", ("x" * BIG,))
    expect(ends_of(steer, way, use), way, "client_closed")


@some_ways
def test_asyncpg_terminates(cluster, steer, way):
    """It sends further messages together with its long parameter."""
    async def talk():
        links = [await asyncpg.connect(host=HOST, port=steer.port("read_write", way.listener), user=USER, timeout=20,
                                       password=PASSWORD, database=DATABASE, ssl=ssl_context(cluster, way.sslmode))
                 for _ in range(SESSIONS)]
        for link in links:
            assert await link.fetchval("select length($1::text)", "x" * BIG) == BIG
            assert await link.fetchval("select 1") == 1
        await asyncio.gather(*(link.close() for link in links))
    expect(ends_of(steer, way, lambda: asyncio.run(talk())), way, "client_closed")


@some_ways
def test_a_terminated_backend_is_counted_as_ended_by_the_server(cluster, steer, way):
    def use():
        links = [connect(steer.params("read_write", way)) for _ in range(SESSIONS)]
        with contextlib.closing(cluster.connect("postgres")) as killer:
            killer.cursor().execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (USER,))
            killer.commit()
        for link in links:
            with pytest.raises(psycopg2.OperationalError):
                link.cursor().execute("select 1")
            link.close()
    expect(ends_of(steer, way, use), way, "server_closed")
