"""Large or long transfers: COPY of a gigabyte, a 100 MB statement, large objects, dumps, an idle LISTEN."""

import contextlib
import hashlib
import os
import select
import subprocess

import psycopg
import pytest

from lab.wait import pause, wait_until
from setup import DATABASE, SOME_WAY_IDS, SOME_WAYS, Way, connect

LINE = 1000  # bytes of a row, including the newline
FILLER = "x" * (LINE - 9)
GIGABYTE = -(-(1 << 30) // LINE)  # rows
some_ways = pytest.mark.parametrize("way", SOME_WAYS, ids=SOME_WAY_IDS)
# One gigabyte per direction where pgsteer splices; 64 MB where it copies every byte.
VOLUMES = pytest.mark.parametrize("way, rows", [(Way("pass", "disable"), GIGABYTE), (Way("pass", "require"), 64 << 10),
                                                (Way("terminate", "require"), 64 << 10),
                                                (Way("terminate", "disable"), 64 << 10)],
                                  ids=["pass-disable-1GB", "pass-require-64MB", "terminate-require-64MB",
                                       "terminate-disable-64MB"])


def portions(rows):
    """The rows in COPY format, a thousand at a time."""
    for first in range(1, rows + 1, 1000):
        yield "".join(f"{number:08d}{FILLER}\n" for number in range(first, min(first + 1000, rows + 1))).encode()


def md5_of(pieces):
    found = hashlib.md5()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


@VOLUMES
def test_copy_out(steer, way, rows):
    statement = (f"copy (select lpad(i::text, 8, '0') || '{FILLER}' from generate_series(1, {rows}) i) to stdout")
    with subprocess.Popen(["psql", "-XAtq", "-c", statement], env=steer.environment("read_only", way),
                          stdout=subprocess.PIPE) as client:
        found = md5_of(iter(lambda: client.stdout.read(1 << 20), b""))
    assert client.returncode == 0
    assert found == md5_of(portions(rows))


@VOLUMES
def test_copy_in(steer, way, rows):
    with psycopg.connect(**steer.params("read_write", way), autocommit=True) as link:
        link.execute("drop table if exists taken_in")
        link.execute("create unlogged table taken_in (line text)")
        with link.cursor().copy("copy taken_in from stdin") as copy:
            for portion in portions(rows):
                copy.write(portion)
        wrong = f"line is distinct from lpad(n::text, 8, '0') || '{FILLER}'"
        counts = link.execute(f"select count(*), sum(n), count(*) filter (where {wrong}) from "
                              "(select line, substr(line, 1, 8)::bigint as n from taken_in) lines").fetchone()
        link.execute("drop table taken_in")
    assert counts == (rows, rows * (rows + 1) // 2, 0)


@pytest.mark.parametrize("port", ["read_write", "read_only"])
@some_ways
def test_a_statement_of_100_mb(steer, port, way):
    text = "0123456789" * 10_000_000
    with psycopg.connect(**steer.params(port, way), autocommit=True) as link:
        row = link.execute(b"select length('%s'), md5('%s')" % (text.encode(), b"short")).fetchone()
        assert row == (len(text), hashlib.md5(b"short").hexdigest())
        # And as a parameter that is sent back.
        back = link.execute("select %b::bytea", (text.encode(),), binary=True).fetchone()[0]
        assert hashlib.md5(back).digest() == hashlib.md5(text.encode()).digest()


@some_ways
def test_large_objects(cluster, steer, way):
    data = os.urandom(16 << 20)
    with contextlib.closing(connect(steer.params("read_write", way))) as link:
        link.autocommit = False
        written = link.lobject(0, "wb")
        for first in range(0, len(data), 1 << 18):
            written.write(data[first:first + (1 << 18)])
        written.close()
        link.commit()
        with contextlib.closing(link.lobject(written.oid, "rb")) as read:
            read.seek(5 << 20)
            assert read.read(1 << 20) == data[5 << 20:6 << 20]
        link.commit()
        cluster.wait_replayed()
        with contextlib.closing(connect(steer.params("read_only", way))) as reader:
            cursor = reader.cursor()
            cursor.execute("select lo_get(%s)", (written.oid,))
            assert cursor.fetchone()[0].tobytes() == data
        link.lobject(written.oid, "rb").unlink()
        link.commit()


@some_ways
def test_pg_dump_and_pg_restore(cluster, steer, way):
    """A dump from a replica, restored to the primary, has the same row checksums."""
    with contextlib.closing(connect(steer.params("read_write", way))) as link:
        cursor = link.cursor()
        cursor.execute("drop database if exists copied")
        cursor.execute("create database copied")
        cursor.execute("drop table if exists goods, orders")
        cursor.execute("create table goods as select i as id, md5(i::text) as name from generate_series(1, 100000) i")
        cursor.execute("alter table goods add primary key (id)")
        cursor.execute("create table orders (id serial primary key, good int references goods, note text)")
        cursor.execute("insert into orders (good, note) select i, repeat('n', 500) from generate_series(1, 20000) i")
        cluster.wait_replayed()
        before = checksums(link)
    dump = subprocess.Popen(["pg_dump", "-Fc"], env=steer.environment("read_only", way), stdout=subprocess.PIPE)
    restore = subprocess.run(["pg_restore", "-d", "copied", "--exit-on-error"], stdin=dump.stdout,
                             env=steer.environment("read_write", way), capture_output=True, text=True, timeout=120)
    dump.stdout.close()
    assert (dump.wait(30), restore.returncode, restore.stderr) == (0, 0, "")
    with contextlib.closing(connect(steer.params("read_write", way, dbname="copied"))) as link:
        assert checksums(link) == before
    with contextlib.closing(connect(steer.params("read_write", way, dbname=DATABASE))) as link:
        link.cursor().execute("drop database copied")


def checksums(link):
    cursor = link.cursor()
    cursor.execute("select (select md5(string_agg(g::text, ',' order by id)) from goods g), "
                   "(select md5(string_agg(o::text, ',' order by id)) from orders o)")
    return cursor.fetchone()


IDLE = 25  # seconds, with a keepalive probe per second: as many as in an hour at one per 2.4 minutes


def test_listen_through_a_long_idle(steer):
    """Keepalive is 1 s here, so 25 s contain 25 probes on either side of the idle sessions."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(contextlib.closing(connect(steer.params("read_write", way))))
                     for way in SOME_WAYS]
        for link in listeners:
            link.cursor().execute("listen news")
        pause(IDLE)
        with contextlib.closing(connect(steer.params("read_write", SOME_WAYS[0]))) as sender:
            sender.cursor().execute("notify news, 'hello'")
        for link in listeners:
            assert select.select([link], [], [], 10)[0]
            wait_until(lambda listener=link: listener.poll() or listener.notifies, 5, "the notification")
            assert [note.payload for note in link.notifies] == ["hello"]
            cursor = link.cursor()
            cursor.execute("select 1")
            assert cursor.fetchone() == (1,)
