"""What hostile and unlucky clients do. None of them needs a password, but for `tls-reconnect`, a crowd of good ones.

Each attack is a function of an Attacker; the last lines of this file list them with their numbers. Attackers keep their
connections bounded in number and rate, and end at a time that is set before they begin.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import os
import random
import socket
import ssl
import struct

from session import GOODBYE, SSL_REQUEST, LightTls, Refused, Session, Way, startup_packet

IP_BIND_ADDRESS_NO_PORT = 24
ERRORS = (OSError, asyncio.IncompleteReadError, TimeoutError, Refused)


class Attacker:
    """Opens connections to one address, from several of its own, until its time is up."""

    def __init__(self, target, addresses, count, rate, seconds, password="", ready=lambda: None):
        """`count`: connections at the same time; `rate`: new ones a second; `ready`: called when the attack is fully
        there."""
        self.target, self.count, self.rate, self.seconds, self.password = target, count, rate, seconds, password
        self.addresses = itertools.cycle(addresses)
        self.loop = asyncio.get_running_loop()
        self.ready = ready
        self.opened = self.refused = self.done = 0

    async def connect(self):
        """A connected socket; OSError otherwise."""
        link = socket.socket()
        try:
            link.setblocking(False)
            link.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            link.bind((next(self.addresses), 0))
            await self.loop.sock_connect(link, self.target)
            self.opened += 1
            return link
        except OSError:
            self.refused += 1
            link.close()
            raise

    async def until_closed(self, link):
        """Reads and forgets until the other side closes."""
        while await self.loop.sock_recv(link, 65536):
            pass

    async def crowd(self, visit):
        """Keeps `count` connections in which visit(link) runs; one that ends is replaced."""
        began = asyncio.Semaphore(200)  # connections that are being opened

        async def member():
            while True:
                with contextlib.suppress(*ERRORS):
                    async with began:
                        link = await self.connect()
                    with contextlib.closing(link):
                        await visit(link)
                        self.done += 1
                await asyncio.sleep(0.2)

        await self.for_its_time([member() for _ in range(self.count)])

    async def stream(self, visit):
        """Begins visit(link) `rate` times a second; at most `count` are open."""
        free = asyncio.Semaphore(self.count)

        async def one():
            with contextlib.suppress(*ERRORS):
                async with free:
                    with contextlib.closing(await self.connect()) as link:
                        await visit(link)
                        self.done += 1

        async def source():
            due, running = self.loop.time(), set()
            while True:
                while due <= self.loop.time():
                    due += 1 / self.rate
                    if not free.locked():
                        task = asyncio.create_task(one())
                        running.add(task)
                        task.add_done_callback(running.discard)
                await asyncio.sleep(max(0.001, due - self.loop.time()))

        await self.for_its_time([source()])

    async def for_its_time(self, coroutines=()):
        """Runs them until the time is up. None of them ends by itself but by a bug, which is raised."""
        tasks = [asyncio.create_task(one) for one in coroutines]
        await asyncio.sleep(1)
        self.ready()
        await asyncio.sleep(self.seconds)
        for task in tasks:
            if task.done():
                task.result()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


async def nothing(attacker):
    """The machine without an attack: what the other rows are compared with."""
    await attacker.for_its_time()


async def silent_password(attacker):
    """Asks to log in and never answers the password request."""
    packet = startup_packet("victim", "bench")

    async def visit(link):
        await attacker.loop.sock_sendall(link, packet)
        await attacker.until_closed(link)

    await attacker.crowd(visit)


async def ssl_requests(attacker):
    """Asks for TLS, waits for the answer, and says nothing more for two seconds."""
    async def visit(link):
        await attacker.loop.sock_sendall(link, SSL_REQUEST)
        await asyncio.wait_for(attacker.until_closed(link), 2)

    await attacker.stream(visit)


async def silent_sockets(attacker):
    """Connects and says nothing."""
    await attacker.crowd(attacker.until_closed)


async def descriptors(attacker):
    """Takes descriptors in every way a stranger can: silent, in the middle of a login, before TLS."""
    openings = itertools.cycle((b"", startup_packet("victim", "bench"), SSL_REQUEST))

    async def visit(link):
        await attacker.loop.sock_sendall(link, next(openings))
        await attacker.until_closed(link)

    await attacker.crowd(visit)


async def slow_startup(attacker):
    """Sends a startup packet at one byte a second."""
    packet = startup_packet("victim" * 10, "bench" * 10)
    await attacker.crowd(lambda link: _drip(attacker, link, packet))


async def slow_http(attacker):
    """Sends a request at one byte a second."""
    request = b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 200 + b"\r\n\r\n"
    await attacker.crowd(lambda link: _drip(attacker, link, request))


async def _drip(attacker, link, data):
    closed = asyncio.ensure_future(attacker.until_closed(link))
    try:
        for byte in data:
            await attacker.loop.sock_sendall(link, bytes([byte]))
            if (await asyncio.wait({closed}, timeout=1))[0]:
                return
    finally:
        closed.cancel()
        with contextlib.suppress(asyncio.CancelledError, *ERRORS):
            await closed


async def cancels(attacker):
    """Cancel requests with random keys; waits for the close as libpq does."""
    async def visit(link):
        await attacker.loop.sock_sendall(link, struct.pack("!ii", 16, 80877102) + os.urandom(8))
        await asyncio.wait_for(attacker.until_closed(link), 10)

    await attacker.stream(visit)


def _hello():
    """A ClientHello as libpq's OpenSSL would send it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


async def tls_abandoned(attacker):
    """Begins a TLS handshake, lets the server do its part, and leaves."""
    hello = _hello()

    async def visit(link):
        await attacker.loop.sock_sendall(link, SSL_REQUEST)
        if await asyncio.wait_for(attacker.loop.sock_recv(link, 1), 5) == b"S":
            await attacker.loop.sock_sendall(link, hello)
            await asyncio.wait_for(attacker.loop.sock_recv(link, 4096), 5)

    await attacker.stream(visit)


async def tls_reconnect(attacker):
    """Not hostile: every client of an application reconnects with TLS at the same moment, logs in and leaves. Those
    that are turned away count as refused; those that are not in at the end are none of both."""
    way = Way("crowd", *attacker.target, "", password=attacker.password)

    async def one():
        try:
            with contextlib.closing(await attacker.connect()) as link:
                await attacker.loop.sock_sendall(link, SSL_REQUEST)
                if await attacker.loop.sock_recv(link, 1) != b"S":
                    raise Refused("no TLS")
                tls = LightTls(link)
                await tls.handshake()
                await Session(tls, tls).log_in(way)
                tls.write(GOODBYE)
                await tls.flush()
                attacker.done += 1
        except ERRORS:
            attacker.refused += 1

    attacker.ready()
    tasks = [asyncio.create_task(one()) for _ in range(attacker.count)]
    await asyncio.wait(tasks, timeout=2 * attacker.seconds)
    for task in tasks:
        task.cancel()


async def half_open(attacker):
    """Connects and resets, every other time with half a startup packet before."""
    packet = startup_packet("victim", "bench")

    async def visit(link):
        if random.random() < 0.5:
            await attacker.loop.sock_sendall(link, packet[:random.randrange(1, len(packet))])
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    await attacker.stream(visit)


async def proxy_headers(attacker):
    """Fragments of PROXY headers: cut short, overlong, of both versions, from an address that may send them."""
    second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
    fragments = [b"PROXY TCP4 192.0.2.1 ", b"PROXY " + b"9" * 120, second + b"\0\x0c" + b"\1\2\3",
                 second + b"\xff\xff" + b"x" * 1000, b"PROXY TCP4 999.1.1.1 1.1.1.1 1 1\r\n", second[:7],
                 b"PROXY UNKNOWN\r\n" + startup_packet("victim", "bench")[:9]]

    async def visit(link):
        await attacker.loop.sock_sendall(link, random.choice(fragments))
        await asyncio.wait_for(attacker.until_closed(link), 5)

    await attacker.stream(visit)


async def session_polling(attacker):
    """Thousands of idle sessions, while four clients ask for the session table without a pause."""
    host, port = attacker.target
    page = (host, port - 1)  # the stats address stands one below the listener for replicas
    links = []
    for _ in range(attacker.count):
        with contextlib.suppress(OSError):
            link = await attacker.connect()
            links.append(link)
            await attacker.loop.sock_sendall(link, startup_packet("victim", "bench"))
            await asyncio.wait_for(attacker.loop.sock_recv(link, 4096), 5)

    async def poll():
        while True:
            try:
                reader, writer = await asyncio.open_connection(*page, local_addr=(next(attacker.addresses), 0))
                writer.write(f"GET /api/v1/sessions HTTP/1.0\r\nHost: {page[0]}:{page[1]}\r\n\r\n".encode())
                answered = (await reader.read(-1)).startswith(b"HTTP/1.1 200")
                writer.close()
            except OSError:
                answered = False
            attacker.done += answered
            attacker.refused += not answered
            if not answered:
                await asyncio.sleep(0.1)

    try:
        await attacker.for_its_time([poll() for _ in range(4)])
    finally:
        for link in links:
            link.close()


@dataclasses.dataclass(frozen=True)
class Attack:
    name: str
    run: object           # async function of an Attacker
    clients: int          # connections at the same time
    rate: int = 0         # new ones a second; 0: as many as needed
    port: str = "main"    # main, terminate, stats, replicas or balancer
    tls: bool = False     # whether the victim logs in with TLS, on a listener that terminates it
    friendly: bool = False  # whether its clients are no attackers, and must be served as well
    descriptors: int = 0  # the proxy's limit of descriptors; 0: as the machine has it

    def size(self):
        return f"{self.rate}/s" if self.rate else str(self.clients)


ATTACKS = (
    Attack("nothing", nothing, 0),
    Attack("silent-password", silent_password, 256),
    Attack("ssl-requests", ssl_requests, 2000, rate=600),
    Attack("silent-sockets", silent_sockets, 1500, descriptors=600),
    Attack("descriptors", descriptors, 1500, descriptors=600),
    Attack("slow-startup", slow_startup, 1000),
    Attack("cancels", cancels, 500, rate=500),
    Attack("tls-reconnect", tls_reconnect, 2000, port="terminate", tls=True, friendly=True),
    Attack("tls-abandoned", tls_abandoned, 500, rate=300, port="terminate", tls=True),
    Attack("slow-http", slow_http, 320, port="stats"),
    Attack("session-polling", session_polling, 3000, port="replicas"),
    Attack("half-open", half_open, 500, rate=1000),
    Attack("proxy-headers", proxy_headers, 1000, rate=200, port="balancer"),
)
