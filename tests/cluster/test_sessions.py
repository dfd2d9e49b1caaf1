"""Where a client lands, and what it can do there."""

import contextlib
import subprocess
import threading
import time

import psycopg2
import pytest

from lab.wait import wait_until

WHERE = "select host(inet_server_addr())"


@contextlib.contextmanager
def session(dsn, **more):
    link = psycopg2.connect(dsn, connect_timeout=10, **more)
    link.autocommit = True
    try:
        yield link
    finally:
        link.close()


def ask(link, statement):
    cursor = link.cursor()
    cursor.execute(statement)
    return cursor.fetchone()[0]


def tls(cluster, mode):
    """Options for an unencrypted session, or for one that verifies PostgreSQL's certificate through pgsteer."""
    return {"sslmode": mode} | ({"sslrootcert": cluster.settings.path("tls/ca.crt")} if mode == "verify-full" else {})


def test_psql_on_the_write_port_lands_on_the_primary(cluster, steer):
    leader = cluster.wait_leader()
    result = subprocess.run(["psql", "-XAt", steer.write_dsn(), "-c", WHERE, "-c", "select pg_is_in_recovery()"],
                          capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout.split(), result.stderr) == (0, [leader.address, "f"], "")


def test_read_sessions_are_spread_over_the_replicas(cluster, steer):
    replicas = sorted(node.address for node in cluster.replicas())
    with contextlib.ExitStack() as stack:
        landed = [ask(stack.enter_context(session(steer.read_dsn())), WHERE) for _ in range(6)]
    assert sorted(landed) == sorted(replicas * 3)


@pytest.mark.parametrize("mode", ["disable", "verify-full"])
def test_scram_and_tls_work_as_without_a_proxy(cluster, steer, mode):
    params = {"user": "postgres", "password": cluster.settings.password}
    with session(steer.write_dsn(**params, **tls(cluster, mode))) as link:
        assert ask(link, "select ssl from pg_stat_ssl where pid = pg_backend_pid()") == (mode != "disable")


@pytest.mark.parametrize("mode", ["disable", "verify-full"])
@pytest.mark.parametrize("port", ["write", "read"])
def test_cancel_reaches_the_right_session(cluster, steer, port, mode):
    """With two replicas, cancels sent to a random or alternating node would miss some of these."""
    dsn = (steer.write_dsn if port == "write" else steer.read_dsn)(**tls(cluster, mode))
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(session(dsn)) for _ in range(8)]
        for link in links[::2] + links[1::2]:
            canceller = cancel_when_busy(cluster, link)
            start = time.monotonic()
            with pytest.raises(psycopg2.errors.QueryCanceled):
                link.cursor().execute("select pg_sleep(30)")
            canceller.join(10)
            assert time.monotonic() - start < 10
            assert ask(link, "select 1") == 1


def cancel_when_busy(cluster, link):
    pid = link.info.backend_pid
    node = next(n for n in cluster.nodes.values() if n.address == ask(link, WHERE))

    def wait_and_cancel():
        with contextlib.closing(cluster.connect(node=node)) as observer:
            observer.autocommit = True
            wait_until(lambda: ask(observer, f"select count(*) from pg_stat_activity where pid = {pid} "
                                             "and wait_event = 'PgSleep'"), 10, "the statement to run")
        link.cancel()
    thread = threading.Thread(target=wait_and_cancel, daemon=True)
    thread.start()
    return thread


def test_a_large_result_and_a_large_statement_pass(steer):
    with session(steer.write_dsn(sslmode="disable")) as link:
        text = "x" * 20_000_000
        cursor = link.cursor()
        cursor.execute("select length(%s), repeat('y', 20000000)", (text,))
        length, back = cursor.fetchone()
        assert (length, len(back)) == (len(text), 20_000_000)
