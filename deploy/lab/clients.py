"""Applications: writers that insert row after row, and readers that look for those rows; they record what they see.

Each writer is a thread with one connection. After an error it reconnects at once. It never repeats a row whose
insert was not acknowledged: an acknowledged row must survive, the fate of any other row is unknown.
All times are time.monotonic().

The writers call libpq through psycopg 3's thin layer and take the first result of a statement. psycopg2 uses
PQexec, which returns the last result; with libpq 15 that one no longer contains the server's final error.
"""

import dataclasses
import re
import threading
import time

import psycopg
from psycopg import pq

from .wait import pause

TABLE = "drill_rows"
CLOSED = "closed without a word"
_KNOWN_TEXTS = (  # libpq does not expose the SQLSTATE of a failed connect, so it is derived from the text
    ("the database system is ", "57P03"), ("cannot connect now", "57P03"),
    ("sorry, too many clients", "53300"), ("too many connections", "53300"),
    ("remaining connection slots", "53300"), ("terminating connection", "57P01"),
    ("password authentication failed", "28P01"), ("no pg_hba.conf entry", "28000"),
)


@dataclasses.dataclass
class Record:
    """What one writer saw."""

    acknowledged: list = dataclasses.field(default_factory=list)  # (seq, sent, acknowledged, node's address)
    connects: list = dataclasses.field(default_factory=list)  # (from, to), successful ones only
    errors: list = dataclasses.field(default_factory=list)  # (time, "connect" or "session", kind, text)


def kind_of(text, code=None):
    """The SQLSTATE if known; otherwise a short description of what happened."""
    if code:
        return code
    if "FATAL" in text or "ERROR" in text:
        for part, known in _KNOWN_TEXTS:
            if part in text:
                return known
        message = re.search(r"(?:FATAL|ERROR):\s*(.*)", text)
        return f"error: {message.group(1)}" if message else "error without text"
    if "refused" in text:
        return "refused"
    if "timeout expired" in text:
        return "timeout"
    if "session is read-only" in text or "not writable" in text:
        return "no host accepts writes"
    return CLOSED


class Refused(Exception):
    """An error from libpq: its text and its kind."""

    def __init__(self, text, code=None):
        super().__init__(text.strip())
        self.kind = kind_of(text, code)


class Link:
    """One libpq connection in autocommit."""

    def __init__(self, dsn):
        self._pq = pq.PGconn.connect(dsn.encode())
        if self._pq.status != pq.ConnStatus.OK:
            text = self._pq.error_message.decode(errors="replace")
            self._pq.finish()
            raise Refused(text)
        # libpq reports a FATAL that arrives together with the end of the previous statement as a notice.
        self._final_error = None
        self._pq.notice_handler = self._on_notice

    def _on_notice(self, notice):
        code = notice.error_field(pq.DiagnosticField.SQLSTATE) or b""
        if code.startswith((b"57P", b"08")):
            self._final_error = (notice.error_message.decode(errors="replace"), code.decode())

    def ask(self, statement, *values):
        """The first column of the first row, as text.

        In the extended protocol the server says that the statement is done, and commits only then: what it ends in
        between was not acknowledged (postgres.c, exec_execute_message() and the case for Sync).
        """
        try:
            self._pq.send_query_params(statement.encode(), [str(value).encode() for value in values])
        except psycopg.OperationalError as error:
            raise Refused(*(self._final_error or (str(error),))) from None
        first = self._pq.get_result()
        while self._pq.get_result():
            pass
        if first is None or first.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            state = first and first.error_field(pq.DiagnosticField.SQLSTATE)
            if not state and self._final_error:
                raise Refused(*self._final_error)
            raise Refused(self._pq.error_message.decode(errors="replace"), state and state.decode())
        if self._pq.transaction_status != pq.TransactionStatus.IDLE:
            raise Refused(*(self._final_error or (self._pq.error_message.decode(errors="replace"),)))
        value = first.get_value(0, 0) if first.ntuples else None
        return value and value.decode()

    def close(self):
        self._pq.finish()


class Writers:
    """N writers on one DSN; `with` starts and stops them. prepare() creates their table."""

    def __init__(self, dsn, count, run, every=0.002):
        self.records = [Record() for _ in range(count)]
        self._dsn, self._run, self._every = dsn, run, every
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number, record), daemon=True)
                         for number, record in enumerate(self.records)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def acknowledged_since(self, moment, address=None):
        """How many of the writers had a row acknowledged after `moment` (by that node)."""
        return sum(1 for record in self.records
                   if any(done >= moment and address in (None, at)
                          for _, _, done, at in reversed(record.acknowledged[-50:])))

    def _write(self, number, record):
        link, seq = None, 0
        while not self._stop.is_set():
            if link is None:
                link = self._connect(record)
                continue
            seq += 1
            sent = time.monotonic()
            try:
                at = link.ask(self._insert, self._run, number, seq)
                record.acknowledged.append((seq, sent, time.monotonic(), at))
                pause(self._every)
            except Refused as refused:
                record.errors.append((time.monotonic(), "session", refused.kind, str(refused)))
                link.close()
                link = None
        if link:
            link.close()

    _insert = f"insert into {TABLE} values ($1, $2, $3) returning host(inet_server_addr())"

    def _connect(self, record):
        start = time.monotonic()
        try:
            link = Link(f"{self._dsn} connect_timeout=10 application_name=drill")
            record.connects.append((start, time.monotonic()))
            return link
        except Refused as refused:
            record.errors.append((time.monotonic(), "connect", refused.kind, str(refused)))
            pause(0.01)
            return None


class Readers:
    """Long sessions that read what the writers have had acknowledged; `with` starts and stops them.

    They read through the port of the primary, where a read must never go back behind an acknowledged write. One that
    does is stale: it came from a node that is no longer the primary, or the row is lost.
    """

    def __init__(self, dsn, writers, run, count=2, every=0.02):
        self.reads, self.stale, self.errors = 0, [], []  # stale: (time, writer, expected, found, node's address)
        self._dsn, self._writers, self._run, self._every = dsn, writers, run, every
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._read, daemon=True) for _ in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _read(self):
        link, turn = None, 0
        while not self._stop.is_set():
            try:
                link = link or Link(f"{self._dsn} connect_timeout=10 application_name=drill-reader")
                turn = (turn + 1) % len(self._writers.records)
                self._compare(link, turn)
            except Refused as refused:
                with self._lock:
                    self.errors.append((time.monotonic(), refused.kind, str(refused)))
                if link:
                    link.close()
                    link = None
            pause(self._every)
        if link:
            link.close()

    def _compare(self, link, writer):
        rows = self._writers.records[writer].acknowledged
        expected = rows[-1][0] if rows else 0
        found, at = link.ask(self._select, self._run, writer).split()
        with self._lock:
            self.reads += 1
            if int(found) < expected:
                self.stale.append((time.monotonic(), writer, expected, int(found), at))

    _select = (f"select coalesce(max(seq), 0) || ' ' || host(inet_server_addr()) from {TABLE} "
               "where run = $1 and writer = $2")


def prepare(cluster):
    """Creates the table on the leader and waits until the replicas have it."""
    link = cluster.connect(user="app")
    link.autocommit = True
    link.cursor().execute(f"create table if not exists {TABLE} (run text, writer int, seq int, "
                          "at timestamptz default clock_timestamp(), primary key (run, writer, seq))")
    link.close()
    cluster.wait_replayed()


def lost_rows(cluster, records, run):
    """Acknowledged rows that are missing on the current leader: [(writer, seq), ...]."""
    link = cluster.connect(user="app")
    cursor = link.cursor()
    cursor.execute(f"select writer, seq from {TABLE} where run = %s", (run,))
    found = set(cursor.fetchall())
    link.close()
    return [(number, row[0]) for number, record in enumerate(records) for row in record.acknowledged
            if (number, row[0]) not in found]
