"""What the other clients see: their logins, their live sessions, the page, and the probes' own clients."""

import asyncio
import contextlib
import dataclasses
import math
import time

from session import Refused, Session

LOGIN_EVERY = 0.1
QUERY_EVERY = 0.05
PAGE_EVERY = 0.2
PATIENCE = 5.0  # a login, query or page that takes longer counts as failed


@dataclasses.dataclass
class Seen:
    """Durations in seconds; a failure is infinitely slow, and `errors` has its text."""

    durations: list = dataclasses.field(default_factory=list)
    errors: dict = dataclasses.field(default_factory=dict)

    def add(self, seconds):
        self.durations.append(seconds)

    def fail(self, why):
        self.durations.append(math.inf)
        self.errors[why] = self.errors.get(why, 0) + 1

    def failures(self):
        return sum(self.errors.values())

    def quantile(self, share):
        """The smallest duration that `share` of all do not exceed; None without any."""
        ranked = sorted(self.durations)
        return ranked[max(0, math.ceil(share * len(ranked)) - 1)] if ranked else None


def _why(error):
    return "no answer within 5 s" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


FAILURES = (OSError, Refused, TimeoutError, asyncio.IncompleteReadError)  # ssl.SSLError is an OSError


class Watch:
    """Runs the victims until stop(). start() returns when every live session is in."""

    def __init__(self, live, login, page=None):
        """`live`: a Way for each live session; `login`: the Way of the logins; `page`: (local address, host, port,
        paths), all of which must answer 200."""
        self.logins, self.queries, self.page = Seen(), Seen(), Seen()
        self.lost = []  # (way, why) of live sessions that ended
        self._live, self._login, self._page = live, login, page
        self._tasks = set()

    async def start(self):
        sessions = [(way, await asyncio.wait_for(Session.open(way), PATIENCE)) for way in self._live]
        for way, session in sessions:
            self._run(self._keep_asking(way, session))
        self._run(self._keep(LOGIN_EVERY, self._log_in))
        if self._page:
            self._run(self._keep(PAGE_EVERY, self._look))

    def forget(self):
        """Starts the figures anew: what was measured until now was the warm-up."""
        self.logins, self.queries, self.page, self.lost = Seen(), Seen(), Seen(), []

    async def stop(self):
        """Lets what has begun finish, so that a login that hangs is counted."""
        for task in [task for task in self._tasks if task.get_name() == "keeps"]:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE + 1)

    def _run(self, coroutine, name="keeps"):
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, every, what):
        """Begins `what` at fixed times, however long the last one takes."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self._run(what(due), "once")
            due += every
            await asyncio.sleep(due - loop.time())

    async def _measured(self, seen, due, action):
        loop = asyncio.get_running_loop()
        try:
            result = await asyncio.wait_for(action, PATIENCE)
            seen.add(loop.time() - due)
            return result
        except FAILURES as error:
            seen.fail(_why(error))
            return None

    async def _log_in(self, due):
        if session := await self._measured(self.logins, due, Session.open(self._login)):
            session.close()

    async def _look(self, due):
        local, host, port, paths = self._page
        await self._measured(self.page, due, _get_all(local, host, port, paths))

    async def _keep_asking(self, way, session):
        """Asks every 50 ms. A session that ends is counted, and another one takes its place."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                try:
                    session = session or await asyncio.wait_for(Session.open(way), PATIENCE)
                    due = max(due + QUERY_EVERY, loop.time())
                    await asyncio.sleep(due - loop.time())
                    began = loop.time()
                    await asyncio.wait_for(session.query("select 1"), PATIENCE)
                    self.queries.add(loop.time() - began)
                except FAILURES as error:
                    if session:
                        self.lost.append((way.name, _why(error)))
                        self.queries.fail(_why(error))
                        session.abort()
                        session = None
                    else:
                        await asyncio.sleep(QUERY_EVERY)
        finally:
            if session:
                session.close()


async def get(local, host, port, path):
    """(status, body) of a path over HTTP/1.0."""
    reader, writer = await asyncio.open_connection(host, port, local_addr=(local, 0))
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        return int(head.split(None, 2)[1]), body.decode()
    except IndexError:
        raise OSError("an empty reply") from None
    finally:
        writer.close()


async def _get_all(local, host, port, paths):
    for path in paths:
        status, _ = await get(local, host, port, path)
        if status != 200:
            raise OSError(f"{path} is {status}")


class ProbeRelay:
    """Passes HTTP requests on to Patroni's REST API, one address for each node, and notes when each came."""

    def __init__(self, targets):
        """`targets`: {(host, port) to listen on: (host, port) of the REST API}"""
        self.times = {address: [] for address in targets}
        self._targets = targets
        self._servers = []

    async def start(self):
        for address, target in self._targets.items():
            self._servers.append(await asyncio.start_server(self._passing(address, target), *address))

    def forget(self):
        """Starts the figures anew, for the nodes that were probed until now: a proxy need not probe all."""
        for times in self.times.values():
            times[:] = [time.monotonic()] if times else []

    def longest_gap(self):
        """The longest time without a probe of some node, from forget() until now, in seconds."""
        now = time.monotonic()
        return max((late - early for times in self.times.values()
                    for early, late in zip(times, [*times[1:], now])), default=0)

    async def stop(self):
        for server in self._servers:
            server.close()

    def _passing(self, address, target):
        async def serve(reader, writer):
            self.times[address].append(time.monotonic())
            with contextlib.suppress(*FAILURES, asyncio.LimitOverrunError):
                request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
                answer, onward = await asyncio.open_connection(*target)
                onward.write(request)
                writer.write(await asyncio.wait_for(answer.read(-1), PATIENCE))
                onward.close()
                await writer.drain()
            writer.close()
        return serve
