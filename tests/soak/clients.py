"""Everything at once: the clients of the soak. Each is a thread that repeats its step() until it is stopped.

A step that fails is noted with the time from its begin to its end; verdict.py judges whether a switchover explains it.
"""

import contextlib
import dataclasses
import http.client
import itertools
import os
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import psycopg
import psycopg2
from lab.clients import CLOSED, Link, Refused, kind_of
from psycopg import pq
from setup import SOME_WAYS, connect

ROWS = 200_000
ROW = "x" * 100
STRANGERS = [f"127.66.0.{number}" for number in range(1, 5)]


@dataclasses.dataclass
class Note:
    """One step that failed. Times are time.monotonic()."""

    client: str
    began: float
    ended: float
    kind: str  # SQLSTATE, or what happened in words
    text: str


class Wrong(Exception):
    """The step ended without an error, but not with what was asked for."""


class Client(threading.Thread):
    """`every`: the time from one step's begin to the next one's, at the least."""

    def __init__(self, steer, name, every):
        super().__init__(name=name, daemon=True)
        self.steer, self.every = steer, every
        self.steps, self.notes = 0, []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                self.step()
                self.steps += 1
            except (psycopg2.Error, psycopg.Error, Refused, OSError, http.client.HTTPException, Wrong) as error:
                self.note(began, error)
                self.reset()
            self.stopping.wait(max(0.05, began + self.every - time.monotonic()))
        self.reset()

    def note(self, began, error):
        if self.stopping.is_set():
            return
        if isinstance(error, Refused):
            kind = error.kind
        elif isinstance(error, (psycopg2.Error, psycopg.Error)):
            kind = kind_of(str(error), getattr(error, "pgcode", None) or getattr(error, "sqlstate", None))
        else:
            kind = f"{type(error).__name__}: {error}"
        self.notes.append(Note(self.name, began, time.monotonic(), kind, str(error).strip()))

    def step(self):
        raise NotImplementedError

    def reset(self):
        """Gives up what the step has opened."""

    def stop(self):
        self.stopping.set()


class Sessions(Client):
    """Long sessions that ask in turn: small results, and now and then one of 600 kB."""

    def __init__(self, steer, port, way, count, every):
        super().__init__(steer, f"{count} sessions, {port} {way.listener} {way.sslmode}", every)
        self._dsn = psycopg.conninfo.make_conninfo(**steer.params(port, way))
        self._links = [None] * count
        self._turn = itertools.count()

    def step(self):
        turn = next(self._turn)
        at = turn % len(self._links)
        self._at = at
        self._links[at] = self._links[at] or Link(self._dsn)
        size = 600_000 if turn % 20 == 0 else 100
        if len(self._links[at].ask("select repeat('x', $1::int)", size)) != size:
            raise Wrong("a result of the wrong size")

    def reset(self):
        whole = self.stopping.is_set()
        for at in range(len(self._links)) if whole else [self._at]:
            if self._links[at]:
                self._links[at].close()
                self._links[at] = None


class Logins(Client):
    """Logs in and leaves, on every port and transport in turn."""

    def __init__(self, steer, ports, ways, every):
        super().__init__(steer, "logins", every)
        self._params = itertools.cycle([steer.params(port, way) for port in ports for way in ways])

    def step(self):
        link = connect(next(self._params))
        try:
            link.cursor().execute("select 1")
        finally:
            link.close()


class CopyOut(Client):
    """One COPY to the client of about 20 MB."""

    def __init__(self, steer, port, way, every):
        super().__init__(steer, f"COPY out, {port} {way.listener} {way.sslmode}", every)
        self._params = steer.params(port, way)

    def step(self):
        with psycopg.connect(**self._params, autocommit=True) as link:
            with link.cursor().copy(f"copy (select repeat('x', {len(ROW)}) from generate_series(1, {ROWS})) "
                                    "to stdout") as copy:
                lines = sum(bytes(data).count(b"\n") for data in copy)
        if lines != ROWS:
            raise Wrong(f"{lines} rows of {ROWS}")


class CopyIn(CopyOut):
    """One COPY to the server of about 20 MB, into a table of its own that ends with the session."""

    _PORTION = 1000

    def __init__(self, steer, port, way, every):
        super().__init__(steer, port, way, every)
        self.name = self.name.replace("out", "in")

    def step(self):
        with psycopg.connect(**self._params, autocommit=True) as link:
            cursor = link.cursor()
            cursor.execute("create temp table rows (value text)")
            with cursor.copy("copy rows from stdin") as copy:
                for _ in range(ROWS // self._PORTION):
                    copy.write(f"{ROW}\n" * self._PORTION)
            count = cursor.execute("select count(*) from rows").fetchone()[0]
        if count != ROWS:
            raise Wrong(f"{count} rows of {ROWS}")


class Cancels(Client):
    """A statement that would sleep for 20 s is cancelled while it runs."""

    def __init__(self, steer, ports, ways, every):
        super().__init__(steer, "cancels", every)
        self._params = itertools.cycle([steer.params(port, way) for port in ports for way in ways])

    def step(self):
        link = connect(next(self._params))
        killer = threading.Timer(0.3, _cancel, [link])
        killer.start()
        try:
            link.cursor().execute("select pg_sleep(20)")
        except psycopg2.errors.QueryCanceled:
            return
        finally:
            killer.join()
            link.close()
        raise Wrong("a cancel missed its statement")


def _cancel(link):
    """In its own thread, which must not fail: if the session has ended meanwhile, its own thread says so."""
    with contextlib.suppress(psycopg2.Error):
        link.cancel()


class Pauser(Client):
    """Asks for 60 MB, reads a little, pauses, and reads the rest."""

    _COUNT = 60_000

    def __init__(self, steer, port, way, pauses):
        super().__init__(steer, f"pauses reading, {port} {way.listener} {way.sslmode}", 1)
        params = steer.params(port, way)
        self._dsn = psycopg.conninfo.make_conninfo(**params)
        self._pauses = itertools.cycle(pauses)

    def step(self):
        link = pq.PGconn.connect(self._dsn.encode())
        try:
            if link.status != pq.ConnStatus.OK:
                raise psycopg.OperationalError(link.error_message.decode(errors="replace"))
            link.send_query(f"select repeat('x', 1000) from generate_series(1, {self._COUNT})".encode())
            link.set_single_row_mode()
            count = 0
            while result := link.get_result():
                if result.status == pq.ExecStatus.FATAL_ERROR:
                    raise psycopg.OperationalError(result.error_message.decode(errors="replace"))
                count += result.ntuples
                if count == 100:
                    self.stopping.wait(next(self._pauses))
                if self.stopping.is_set():
                    return
            if count != self._COUNT:
                raise Wrong(f"{count} rows of {self._COUNT}")
        finally:
            link.finish()


class Strangers(Client):
    """A crowd that never logs in: silent, before TLS, or without a password. Whoever is hung up on comes again."""

    def __init__(self, steer, ports, count):
        super().__init__(steer, f"{count} strangers", 0.2)
        user = b"user\0nobody\0database\0nothing\0\0"
        startup = struct.pack("!ii", len(user) + 8, 3 << 16) + user
        self._openings = itertools.cycle((b"", b"", b"", struct.pack("!ii", 8, 80877103), startup))
        self._targets = itertools.cycle([(steer.host, port) for port in ports])
        self._locals = itertools.cycle(STRANGERS)
        self._links, self._count = set(), count

    def step(self):
        while len(self._links) < self._count:
            link = socket.create_connection(next(self._targets), 5, source_address=(next(self._locals), 0))
            self._links.add(link)
            link.sendall(next(self._openings))
        readable, _, _ = select.select(self._links, [], [], 0)
        for link in readable:
            try:
                alive = link.recv(4096)
            except OSError:
                alive = b""
            if not alive:
                self._links.discard(link)
                link.close()

    def reset(self):
        for link in self._links:
            link.close()
        self._links = set()


class Page(Client):
    """Everything that the stats address serves. /ready may be 503 while there is no primary."""

    PATHS = ("/live", "/ready", "/", "/api/v1/status", "/api/v1/sessions", "/metrics")

    def __init__(self, steer, every):
        super().__init__(steer, "page and metrics", every)

    def step(self):
        for path in self.PATHS:
            status, _ = self.steer.get(path)
            if status != 200:
                raise Wrong(f"{path} is {status}")


class Pgbench(Client):
    """pgbench for 20 s at a time. It ends with its first lost session, so every switchover costs a run."""

    def __init__(self, steer, port, way, options, sessions=4):
        super().__init__(steer, f"pgbench {' '.join(options)}, {port} {way.listener} {way.sslmode}", 0.5)
        self._words = [f"{steer.settings.bin_dir}/pgbench", "-n", "-c", str(sessions), "-T", "20", *options]
        self._environment = steer.environment(port, way)
        self._running = None

    def step(self):
        self._running = subprocess.Popen(self._words, env=self._environment, cwd="/", stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                         start_new_session=True)
        out = self._running.communicate()[0]
        if self._running.returncode or "aborted" in out:
            raise _PgbenchEnded(out)

    def note(self, began, error):
        if self.stopping.is_set():
            return
        if not isinstance(error, _PgbenchEnded):
            super().note(began, error)
            return
        lines = [line for line in str(error).splitlines() if re.search("error:|FATAL|ERROR|abort", line)]
        kinds = {kind_of(line) if "FATAL" in line or "ERROR" in line else CLOSED for line in lines} or {CLOSED}
        for kind in kinds:
            self.notes.append(Note(self.name, began, time.monotonic(), kind, "; ".join(lines[:3])))

    def stop(self):
        super().stop()
        if self._running and self._running.poll() is None:
            os.kill(self._running.pid, signal.SIGINT)


class _PgbenchEnded(Wrong):
    """Its output."""


def crew(steer, seconds):
    """All clients, not started."""
    clear, passed, terminated = SOME_WAYS
    listeners = [steer.port(port, transport) for port in ("read_write", "read_only") for transport in
                 ("pass", "terminate")]
    ports = ("read_write", "read_only")
    long = min(70, seconds / 3)
    return [
        Pgbench(steer, "read_write", clear, ["-R", "100"]),
        Pgbench(steer, "read_only", terminated, ["-S", "-M", "prepared", "-R", "200"]),
        Sessions(steer, "read_write", clear, 40, 0.05), Sessions(steer, "read_write", passed, 5, 0.1),
        Sessions(steer, "read_only", terminated, 10, 0.1), Sessions(steer, "read_only", passed, 5, 0.1),
        CopyOut(steer, "read_write", clear, 3), CopyOut(steer, "read_only", terminated, 5),
        CopyIn(steer, "read_write", clear, 3), CopyIn(steer, "read_write", passed, 5),
        Logins(steer, ports, SOME_WAYS, 0.2), Cancels(steer, ports, SOME_WAYS, 1),
        Pauser(steer, "read_only", clear, (long, 3)), Pauser(steer, "read_only", terminated, (3, long)),
        Pauser(steer, "read_write", passed, (20,)),
        Strangers(steer, listeners, 150), Page(steer, 1),
    ]


def prepare(steer):
    """pgbench's tables."""
    clear = SOME_WAYS[0]
    subprocess.run([f"{steer.settings.bin_dir}/pgbench", "-i", "-q", "-s", "2"], check=True, cwd="/",
                   env=steer.environment("read_write", clear), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=120)


def stop(clients):
    for client in clients:
        client.stop()
    deadline = time.monotonic() + 30
    for client in clients:
        client.join(max(0.1, deadline - time.monotonic()))
    return [client.name for client in clients if client.is_alive()]


