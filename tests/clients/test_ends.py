"""A client that says goodbye ends its session itself, whatever of it pgsteer could read."""

import asyncio
import contextlib

import asyncpg
import psycopg2
import pytest

from lab.wait import wait_until
from setup import DATABASE, HOST, PASSWORD, SOME_WAY_IDS, SOME_WAYS, USER, connect
from test_drivers import ssl_context

SESSIONS = 40
# Inside TLS that is passed through nobody can read who said goodbye: the one that closes first ends the session.
UNREADABLE = {"client_closed", "client_aborted", "server_closed", "server_aborted"}
BIG = 2_000_000  # enough for pgsteer to splice, after which it no longer reads along
some_ways = pytest.mark.parametrize("way", SOME_WAYS, ids=SOME_WAY_IDS)


def ends(steer, name):
    listener = next(listener for listener in steer.status()["listeners"] if listener["name"] == name)
    return {word: count for word, count in listener["ends"].items() if count}


def goodbyes(steer, way, use):
    """What SESSIONS more sessions ended by: {word: count}."""
    name = f"read_write_{way.listener}"
    before = ends(steer, name)
    use()

    def difference():
        now = ends(steer, name)
        found = {word: now[word] - before.get(word, 0) for word in now if now[word] != before.get(word, 0)}
        return found if sum(found.values()) == SESSIONS else None
    return wait_until(difference, 10, f"{SESSIONS} sessions to end", every=0.1)


def expect(found, way, word):
    if way.listener == "pass" and way.sslmode != "disable":
        assert set(found) <= UNREADABLE
    else:
        assert found == {word: SESSIONS}


@some_ways
def test_goodbye_of_libpq(steer, way):
    def use():
        with contextlib.ExitStack() as stack:
            links = [stack.enter_context(contextlib.closing(connect(steer.words("read_write", way))))
                     for _ in range(SESSIONS)]
            for link in links:
                link.cursor().execute("select length(%s)", ("x" * BIG,))
    expect(goodbyes(steer, way, use), way, "client_closed")


@some_ways
def test_goodbye_of_asyncpg(cluster, steer, way):
    """Its long parameter is followed by further messages in the same breath."""
    async def talk():
        links = [await asyncpg.connect(host=HOST, port=steer.port("read_write", way.listener), user=USER, timeout=20,
                                       password=PASSWORD, database=DATABASE, ssl=ssl_context(cluster, way.sslmode))
                 for _ in range(SESSIONS)]
        for link in links:
            assert await link.fetchval("select length($1::text)", "x" * BIG) == BIG
            assert await link.fetchval("select 1") == 1
        await asyncio.gather(*(link.close() for link in links))
    expect(goodbyes(steer, way, lambda: asyncio.run(talk())), way, "client_closed")


@some_ways
def test_the_end_of_a_backend_is_the_servers(cluster, steer, way):
    """And where it is, that is said, too."""
    def use():
        links = [connect(steer.words("read_write", way)) for _ in range(SESSIONS)]
        with contextlib.closing(cluster.connect("postgres")) as killer:
            killer.cursor().execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", (USER,))
            killer.commit()
        for link in links:
            with pytest.raises(psycopg2.OperationalError):
                link.cursor().execute("select 1")
            link.close()
    expect(goodbyes(steer, way, use), way, "server_closed")
