"""A PostgreSQL client by hand: it can bind its own address, and it never waits longer than told.

libpq can do neither, and a test that measures other clients' waiting must not wait for its own library.
"""

import asyncio
import base64
import dataclasses
import functools
import hashlib
import hmac
import os
import ssl
import struct

SSL_REQUEST = struct.pack("!ii", 8, 80877103)
GOODBYE = b"X" + struct.pack("!i", 4)


@dataclasses.dataclass(frozen=True)
class Way:
    """Where and how a client connects."""

    name: str
    host: str
    port: int
    local: str            # the client's own address
    tls: bool = False
    user: str = "victim"
    password: str = ""
    database: str = "bench"
    header: bytes = b""   # sent before anything else: a PROXY header


class Refused(Exception):
    """The server ended the login or the query; the text has the SQLSTATE if there was one."""


def startup_packet(user, database):
    body = struct.pack("!i", 3 << 16) + f"user\0{user}\0database\0{database}\0\0".encode()
    return struct.pack("!i", len(body) + 4) + body


def _message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


@functools.lru_cache
def trusting_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.lru_cache(maxsize=64)
def _salted(password, salt, rounds):
    """Cached, so that many clients of one user cost this process nothing."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)


class _Scram:
    """SCRAM-SHA-256 without channel binding (RFC 7677)."""

    def __init__(self, password):
        self._password = password
        self._first = "n=,r=" + base64.b64encode(os.urandom(18)).decode()

    def begin(self):
        first = ("n,," + self._first).encode()
        return _message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first)

    def proof(self, challenge):
        words = dict(part.split("=", 1) for part in challenge.split(","))
        salted = _salted(self._password, base64.b64decode(words["s"]), int(words["i"]))
        final = f"c=biws,r={words['r']}"
        everything = f"{self._first},{challenge},{final}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), everything, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature))
        return _message(b"p", f"{final},p={base64.b64encode(proof).decode()}".encode())


class LightTls:
    """The client's end of TLS on a socket of the running loop, in the place of asyncio's reader and writer, for crowds:
    it needs much less CPU. What is written leaves with the next read."""

    def __init__(self, link):
        self._link, self._loop = link, asyncio.get_running_loop()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusting_context().wrap_bio(self._incoming, self._outgoing)
        self._plain = bytearray()

    async def handshake(self):
        """Refused if the server closes meanwhile."""
        await self._patiently(self._tls.do_handshake)

    def write(self, data):
        self._tls.write(data)

    async def readexactly(self, count):
        while len(self._plain) < count:
            self._plain += await self._patiently(self._tls.read, 65536)
        data = bytes(self._plain[:count])
        del self._plain[:count]
        return data

    async def flush(self):
        await self._loop.sock_sendall(self._link, self._outgoing.read())

    async def _patiently(self, action, *words):
        """Does what OpenSSL cannot do at once: sends what it has, and gives it what comes."""
        while True:
            try:
                return action(*words)
            except ssl.SSLWantReadError:
                await self.flush()
                received = await self._loop.sock_recv(self._link, 65536)
                if not received:
                    raise Refused("closed without a word") from None
                self._incoming.write(received)


class Session:
    """One logged-in session."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, way):
        """Connects and logs in, until ReadyForQuery. Refused or OSError if that fails."""
        reader, writer = await asyncio.open_connection(way.host, way.port, local_addr=(way.local, 0))
        session = cls(reader, writer)
        try:
            await session.log_in(way)
            return session
        except asyncio.IncompleteReadError:
            session.abort()
            raise Refused("closed without a word") from None
        except BaseException:
            session.abort()
            raise

    async def log_in(self, way):
        self._writer.write(way.header)
        if way.tls:
            self._writer.write(SSL_REQUEST)
            if await self._reader.readexactly(1) != b"S":
                raise Refused("no TLS")
            await self._writer.start_tls(trusting_context())
        self._writer.write(startup_packet(way.user, way.database))
        scram = _Scram(way.password)
        while True:
            kind, body = await self._receive()
            if kind == b"Z":
                return
            if kind == b"R":
                self._answer(struct.unpack("!i", body[:4])[0], body[4:].decode(), scram)

    def _answer(self, code, text, scram):
        if code == 10:
            self._writer.write(scram.begin())
        elif code == 11:
            self._writer.write(scram.proof(text))
        elif code not in (0, 12):
            raise Refused(f"asks for authentication {code}")

    async def query(self, text):
        """Runs one statement. Refused if the server reports an error or closes."""
        self._writer.write(_message(b"Q", text.encode() + b"\0"))
        try:
            while (await self._receive())[0] != b"Z":
                pass
        except asyncio.IncompleteReadError:
            raise Refused("closed without a word") from None

    async def _receive(self):
        kind = await self._reader.readexactly(1)
        size = struct.unpack("!i", await self._reader.readexactly(4))[0]
        body = await self._reader.readexactly(size - 4)
        if kind == b"E":
            fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
            raise Refused(f"{fields.get(b'C', '')} {fields.get(b'M', '')}")
        return kind, body

    def close(self):
        """Says goodbye and closes."""
        self._writer.write(GOODBYE)
        self._writer.close()

    def abort(self):
        self._writer.transport.abort()
