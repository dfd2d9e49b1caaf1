"""PostgreSQL's own programs: pgbench, base backups, WAL, logical decoding."""

import contextlib
import filecmp
import os
import re
import signal
import subprocess

import pytest

from lab.wait import wait_until
from setup import PORTS, SOME_WAY_IDS, SOME_WAYS, Way, connect, slot_name

some_ways = pytest.mark.parametrize("way", SOME_WAYS, ids=SOME_WAY_IDS)


def run(argv, environment, seconds=60):
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def bench_tables(cluster, steer):
    run(["pgbench", "-i", "-q", "-s", "2"], steer.environment("read_write", Way("pass", "require")))
    cluster.wait_replayed()


@pytest.mark.parametrize("protocol", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("port", PORTS)
@some_ways
def test_pgbench(steer, bench_tables, port, way, protocol):
    kind = ["-b", "tpcb-like"] if port == "read_write" else ["-S"]
    output = run(["pgbench", "-n", "-c", "8", "-j", "2", "-t", "100", "-M", protocol, *kind], steer.environment(port, way))
    assert "transactions actually processed: 800/800" in output
    assert "failed transactions: 0 " in output


def replicator(cluster, steer, port, way):
    return steer.environment(port, way, user="replicator", password=cluster.settings.password)


@pytest.mark.parametrize("wal", ["stream", "fetch"])
@pytest.mark.parametrize("port", PORTS)
@some_ways
def test_pg_basebackup(cluster, steer, tmp_path, port, way, wal):
    """-X stream uses two connections, which may go to different replicas."""
    home = str(tmp_path / "backup")
    run(["pg_basebackup", "-D", home, "-X", wal, "-c", "fast"], replicator(cluster, steer, port, way))
    assert "successfully verified" in run(["pg_verifybackup", home], {"PATH": cluster.settings.bin_dir + ":/usr/bin:/bin"})


@contextlib.contextmanager
def program(argv, environment):
    child = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
        errors = child.communicate(timeout=30)[1]
    assert child.returncode == 0, errors


@some_ways
def test_pg_receivewal(cluster, steer, tmp_path, way):
    environment, leader = replicator(cluster, steer, "read_write", way), cluster.wait_leader()
    slot = slot_name("received", way)
    run(["pg_receivewal", "--create-slot", "-S", slot], environment)
    with contextlib.closing(cluster.connect("postgres")) as link:
        link.autocommit = True
        cursor = link.cursor()
        with program(["pg_receivewal", "-D", str(tmp_path), "-S", slot, "--synchronous"], environment):
            wait_until(lambda: any(name.endswith(".partial") for name in os.listdir(tmp_path)), 30, "the first WAL")
            cursor.execute("create table if not exists noise (text text)")
            cursor.execute("insert into noise select repeat('n', 1000) from generate_series(1, 2000)")
            cursor.execute("select pg_walfile_name(pg_current_wal_lsn())")
            segment = cursor.fetchone()[0]
            cursor.execute("select pg_switch_wal()")
            wait_until(lambda: (tmp_path / segment).exists(), 30, f"{segment} to be complete")
        assert filecmp.cmp(tmp_path / segment, os.path.join(leader.data, "pg_wal", segment), shallow=False)
        cursor.execute("drop table noise")
    run(["pg_receivewal", "--drop-slot", "-S", slot], environment)


@some_ways
def test_pg_recvlogical(cluster, steer, tmp_path, way):
    slot, out = slot_name("decoded", way), str(tmp_path / "out")
    environment = steer.environment("read_write", way, user="postgres", password=cluster.settings.password)
    run(["pg_recvlogical", "-d", environment["PGDATABASE"], "-S", slot, "--create-slot", "-P", "test_decoding"],
        environment)
    with contextlib.closing(connect(steer.params("read_write", way))) as link:
        cursor = link.cursor()
        cursor.execute("drop table if exists decoded")
        cursor.execute("create table decoded (id int primary key)")
        reader = ["pg_recvlogical", "-d", environment["PGDATABASE"], "-S", slot, "--start", "-f", out, "-F", "1"]
        with program(reader, environment):
            for number in range(100):  # row by row, so that they arrive as a stream and not in one piece
                cursor.execute("insert into decoded values (%s)", (number,))
            wait_until(lambda: len(decoded_rows(out)) == 100, 30, "the decoded rows", every=0.2)
        assert decoded_rows(out) == list(range(100))
    run(["pg_recvlogical", "-d", environment["PGDATABASE"], "-S", slot, "--drop-slot"], environment)


def decoded_rows(path):
    try:
        with open(path) as source:
            return [int(number) for number in re.findall(r"table public.decoded: INSERT: id\[integer\]:(\d+)", source.read())]
    except FileNotFoundError:
        return []
