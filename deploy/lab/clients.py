"""Applications: writers that insert row after row and keep book of everything they saw.

Each writer is a thread with one connection. It connects again at once after an error, and never repeats a
row whose insert was not acknowledged, so a row is either acknowledged, and then must survive, or in doubt.
All times are time.monotonic().

The writers call libpq through psycopg 3's thin layer and take the first result of a statement: PQexec, which
psycopg2 uses, returns the last one, and with libpq 15 that no longer tells the server's own last words.
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
_KNOWN_TEXTS = (  # libpq does not hand on the SQLSTATE of a failed connect; the server's text tells it
    ("the database system is ", "57P03"), ("cannot connect now", "57P03"),
    ("sorry, too many clients", "53300"), ("too many connections", "53300"),
    ("remaining connection slots", "53300"), ("terminating connection", "57P01"),
    ("password authentication failed", "28P01"), ("no pg_hba.conf entry", "28000"),
)


@dataclasses.dataclass
class Book:
    """What one writer saw."""

    acknowledged: list = dataclasses.field(default_factory=list)  # (seq, sent, acknowledged, node's address)
    connects: list = dataclasses.field(default_factory=list)  # (from, to) of the successful ones
    errors: list = dataclasses.field(default_factory=list)  # (time, "connect" or "session", kind, text)


def kind_of(text, code=None):
    """An SQLSTATE where one was said; otherwise what happened, in words."""
    if code:
        return code
    if "FATAL" in text or "ERROR" in text:
        for part, known in _KNOWN_TEXTS:
            if part in text:
                return known
        said = re.search(r"(?:FATAL|ERROR):\s*(.*)", text)
        return f"said: {said.group(1)}" if said else "said something"
    if "refused" in text:
        return "refused"
    if "timeout expired" in text:
        return "timeout"
    if "session is read-only" in text or "not writable" in text:
        return "no host accepts writes"
    return CLOSED


class Refused(Exception):
    """Text and kind of what libpq said instead of doing what was asked."""

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
        # A FATAL that arrives together with the end of the statement before is a notice to libpq.
        self._last_words = None
        self._pq.notice_handler = self._hear

    def _hear(self, notice):
        code = notice.error_field(pq.DiagnosticField.SQLSTATE) or b""
        if code.startswith((b"57P", b"08")):
            self._last_words = (notice.error_message.decode(errors="replace"), code.decode())

    def ask(self, statement, *values):
        """The first column of the first row, as text."""
        try:
            self._pq.send_query_params(statement.encode(), [str(value).encode() for value in values])
        except psycopg.OperationalError as error:
            raise Refused(*(self._last_words or (str(error),))) from None
        first = self._pq.get_result()
        while self._pq.get_result():
            pass
        if first is None or first.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            state = first and first.error_field(pq.DiagnosticField.SQLSTATE)
            if not state and self._last_words:
                raise Refused(*self._last_words)
            raise Refused(self._pq.error_message.decode(errors="replace"), state and state.decode())
        value = first.get_value(0, 0) if first.ntuples else None
        return value and value.decode()

    def close(self):
        self._pq.finish()


class Writers:
    """N writers on one DSN; `with` starts and ends them. The table is made by prepare()."""

    def __init__(self, dsn, count, run, every=0.002):
        self.books = [Book() for _ in range(count)]
        self._dsn, self._run, self._every = dsn, run, every
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(number, book), daemon=True)
                         for number, book in enumerate(self.books)]

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
        return sum(1 for book in self.books
                   if any(done >= moment and address in (None, at)
                          for _, _, done, at in reversed(book.acknowledged[-50:])))

    def _write(self, number, book):
        link, seq = None, 0
        while not self._stop.is_set():
            if link is None:
                link = self._connect(book)
                continue
            seq += 1
            sent = time.monotonic()
            try:
                at = link.ask(self._insert, self._run, number, seq)
                book.acknowledged.append((seq, sent, time.monotonic(), at))
                pause(self._every)
            except Refused as refused:
                book.errors.append((time.monotonic(), "session", refused.kind, str(refused)))
                link.close()
                link = None
        if link:
            link.close()

    _insert = f"insert into {TABLE} values ($1, $2, $3) returning host(inet_server_addr())"

    def _connect(self, book):
        begun = time.monotonic()
        try:
            link = Link(f"{self._dsn} connect_timeout=10 application_name=drill")
            book.connects.append((begun, time.monotonic()))
            return link
        except Refused as refused:
            book.errors.append((time.monotonic(), "connect", refused.kind, str(refused)))
            pause(0.01)
            return None


def prepare(cluster):
    """The table, made on the leader itself and waited for on the replicas."""
    link = cluster.connect(user="app")
    link.autocommit = True
    link.cursor().execute(f"create table if not exists {TABLE} (run text, writer int, seq int, "
                          "at timestamptz default clock_timestamp(), primary key (run, writer, seq))")
    link.close()
    cluster.wait_replayed()


def lost_rows(cluster, books, run):
    """Acknowledged rows that the leader of now does not have: [(writer, seq), ...]."""
    link = cluster.connect(user="app")
    cursor = link.cursor()
    cursor.execute(f"select writer, seq from {TABLE} where run = %s", (run,))
    there = set(cursor.fetchall())
    link.close()
    return [(number, row[0]) for number, book in enumerate(books) for row in book.acknowledged
            if (number, row[0]) not in there]
