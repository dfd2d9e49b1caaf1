"""What an application typically does first, with each driver, on both ports and every transport."""

import asyncio
import contextlib
import json
import os
import shutil
import ssl
import subprocess

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import pytest

from setup import (DATABASE, LANDING, PASSWORD, PORTS, REPOSITORY, USER, WAY_IDS, WAYS, connect, expect_landing,
                   landing)

HERE = os.path.dirname(os.path.abspath(__file__))
JDBC = "/usr/share/java/postgresql.jar"
NODE_MODULES = os.path.join(REPOSITORY, "build", "clients", "node_modules")
BIG = 1_000_000  # characters; such a value takes many packets

matrix = pytest.mark.parametrize("way", WAYS, ids=WAY_IDS)
ports = pytest.mark.parametrize("port", PORTS)


@pytest.mark.quick
@ports
@matrix
def test_psql(cluster, steer, port, way):
    script = f"{LANDING};\n\\echo :SERVER_VERSION_NUM\nselect 1/0;\nselect length(repeat('x', {BIG}));\n"
    result = subprocess.run(["psql", "-XAt", "-F,"], input=script, env=steer.environment(port, way),
                            capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "division by zero" in result.stderr and result.stderr.count("\n") == 1
    row, version, length = result.stdout.split()
    address, standby, tls = row.split(",")
    expect_landing(cluster, port, way, {"address": address, "standby": standby == "t", "tls": tls == "t"})
    assert version.startswith("15") and length == str(BIG)


@pytest.mark.quick
@ports
@matrix
def test_psycopg2(cluster, steer, port, way):
    with contextlib.closing(connect(steer.params(port, way))) as link:
        cursor = link.cursor()
        cursor.execute(LANDING)
        expect_landing(cluster, port, way, landing(cursor.fetchone()))
        with pytest.raises(psycopg2.errors.DivisionByZero):
            cursor.execute("select 1/0")
        cursor.execute("select %s", ("x" * BIG,))
        assert cursor.fetchone() == ("x" * BIG,)
        link.autocommit = False
        with link.cursor("by_portions") as portions:  # a server-side cursor
            portions.itersize = 100
            portions.execute("select generate_series(1, 1000)")
            assert [row[0] for row in portions] == list(range(1, 1001))
        link.rollback()


@pytest.mark.quick
@ports
@matrix
def test_psycopg3(cluster, steer, port, way):
    with psycopg.connect(**steer.params(port, way), autocommit=True) as link:
        expect_landing(cluster, port, way, landing(link.execute(LANDING).fetchone()))
        with pytest.raises(psycopg.errors.DivisionByZero):
            link.execute("select 1/0")
        assert link.execute("select %s::text", ("x" * BIG,)).fetchone() == ("x" * BIG,)
        for number in range(20):  # prepared on the server from the second one on
            assert link.execute("select %s::int + 1", (number,), prepare=True).fetchone() == (number + 1,)
        with link.pipeline():
            answers = [link.execute("select %s::int", (number,)) for number in range(200)]
        assert [answer.fetchone()[0] for answer in answers] == list(range(200))
        with link.transaction(), link.cursor(name="by_portions") as portions:
            portions.itersize = 100
            portions.execute("select generate_series(1, 1000)")
            assert [row[0] for row in portions] == list(range(1, 1001))


def ssl_context(cluster, sslmode):
    if sslmode == "disable":
        return False
    if sslmode == "verify-full":
        return ssl.create_default_context(cafile=cluster.settings.path("tls/ca.crt"))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def use_asyncpg(link):
    found = landing(await link.fetchrow(LANDING))
    with pytest.raises(asyncpg.DivisionByZeroError):
        await link.fetch("select 1/0")
    assert await link.fetchval("select $1::text", "x" * BIG) == "x" * BIG
    statement = await link.prepare("select $1::int + 1")
    assert [await statement.fetchval(number) for number in range(20)] == list(range(1, 21))
    async with link.transaction(readonly=True):
        assert [row[0] async for row in link.cursor("select generate_series(1, 1000)", prefetch=100)] == list(
            range(1, 1001))
    return found


def asyncpg_params(steer, port, way):
    return {"host": steer.host, "port": steer.port(port, way.listener), "user": USER, "password": PASSWORD,
            "database": DATABASE, "timeout": 20}


@pytest.mark.quick
@ports
@matrix
def test_asyncpg(cluster, steer, port, way):
    async def talk():
        link = await asyncpg.connect(**asyncpg_params(steer, port, way), ssl=ssl_context(cluster, way.sslmode))
        try:
            return await use_asyncpg(link)
        finally:
            await link.close()
    expect_landing(cluster, port, way, asyncio.run(talk()))


@pytest.mark.quick
@ports
def test_asyncpg_with_direct_tls(cluster, steer, port):
    """PostgreSQL 15 has no direct TLS, so only a terminating listener offers it."""
    way = WAYS[-1]
    assert way.listener == "terminate" and way.sslmode == "verify-full"

    async def talk():
        context = ssl_context(cluster, way.sslmode)
        context.set_alpn_protocols(["postgresql"])
        link = await asyncpg.connect(**asyncpg_params(steer, port, way), ssl=context, direct_tls=True)
        try:
            return await use_asyncpg(link)
        finally:
            await link.close()
    expect_landing(cluster, port, way, asyncio.run(talk()))


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory):
    if not shutil.which("javac") or not os.path.exists(JDBC):
        pytest.skip("javac or pgjdbc is not installed: deploy/packages clients")
    classes = str(tmp_path_factory.mktemp("java"))
    subprocess.run(["javac", "-cp", JDBC, "-d", classes, os.path.join(HERE, "JdbcClient.java")], check=True)
    return classes


def run_client(argv, environment):
    """Runs a client in another language. On success it prints where it landed, as JSON."""
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@ports
@matrix
def test_pgjdbc(cluster, steer, port, way, java_classes):
    """Also cancels a statement, reads in portions and uses server-side prepared statements."""
    found = run_client(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{JDBC}:{java_classes}",
                        "JdbcClient"], steer.environment(port, way) | {"LANDING": LANDING})
    expect_landing(cluster, port, way, found)


@ports
@matrix
def test_node_postgres(cluster, steer, port, way):
    if not os.path.isdir(os.path.join(NODE_MODULES, "pg")):
        pytest.skip("node-postgres is not installed: tests/clients/run installs it")
    found = run_client(["node", os.path.join(HERE, "node_client.js")],
                       steer.environment(port, way) | {"LANDING": LANDING, "NODE_PATH": NODE_MODULES})
    expect_landing(cluster, port, way, found)
