"""Members that nobody has written down: they join, serve, leave and are forgotten, without an edit or a reload."""

import contextlib
import http.server
import json
import threading

import pytest
import wire
from conftest import running
from lab import proxy, rest
from lab.node import Node
from lab.wait import wait_until

PORTS = (15200, 15201, 17200)
WHERE = "select host(inet_server_addr())"


class Instance(proxy.Pgsteer):
    """A pgsteer that knows one node and finds the others. `rest_of`: the REST API of that node, if not its own."""

    def __init__(self, cluster, first, rest_of=None):
        super().__init__(cluster, PORTS, name="pgsteer-discovery", nodes=[first])
        self.rest_of = rest_of

    def config(self):
        text = super().config()
        if self.rest_of:
            node = self._nodes[0]
            own = f"{self._rest(node)[0]}:{self._rest(node)[1]}"
            assert own in text
            text = text.replace(own, self.rest_of)
        return '[[cluster]]\nname = "lab"\ndiscover = true\nforget_after = "10s"\n\n' + text

    def names(self):
        return {node["name"] for node in self.status()["nodes"]}

    def serving(self, listener="read_only"):
        return {node["name"] for node in self.status()["nodes"]
                if any(v["listener"] == listener and v["admission"] == "admit" for v in node["verdicts"])}


@contextlib.contextmanager
def reader(steer, stops):
    """Reads through new sessions, one after the other; collects where they landed. Each must succeed, except one of
    each thread that a stopping node ends.

    In clear: where TLS is passed through, a client sees itself that its node is shutting down. By hand: libpq does not
    return what the server says between two statements.
    """
    landed, errors, stop = set(), [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                with wire.idle_session(steer.host, steer.read_port, seconds=10) as link:
                    landed.add(wire.value(link, WHERE))
            except (OSError, wire.ServerError) as error:
                errors.append(str(error))
    threads = [threading.Thread(target=read, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield landed
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    ended = [error for error in errors if error == "57P01 terminating connection due to administrator command"]
    assert errors == ended and len(ended) <= len(threads) * stops


@pytest.fixture
def two_more(cluster):
    """Replicas that are no part of the lab's cluster object: every other test has three nodes."""
    nodes = [Node(name, cluster.settings, cluster.processes, cluster.store) for name in ("pg-4", "pg-5")]
    yield nodes
    for node in nodes:
        cluster.processes.kill_all(node.name)


def test_from_one_node_to_three_to_five_and_back(cluster, steer, two_more):
    leader = cluster.wait_leader()
    everybody = set(cluster.nodes)
    with running(Instance(cluster, leader)) as instance:
        wait_until(lambda: instance.serving() == everybody - {leader.name}, 30, "the replicas to be found and to serve")
        with reader(instance, stops=2) as landed:
            for node in two_more:
                node.prepare()
                node.start_patroni()
            grown = everybody | {"pg-4", "pg-5"}
            wait_until(lambda: instance.serving() == grown - {leader.name}, 60, "the new replicas to serve")
            wait_until(lambda: {node.address for node in two_more} <= landed, 10, "reads on the new replicas")
            for node in two_more:
                node.stop()
            wait_until(lambda: instance.serving() == everybody - {leader.name}, 20, "the new replicas to be out of use")
        wait_until(lambda: instance.names() == everybody, 60, "the replicas that left to be forgotten")
        assert instance.status()["config"]["reloads_done_total"] == 0
        assert instance.status()["clusters"][0]["primary"] == leader.name


class Liar(http.server.ThreadingHTTPServer):
    """Passes on what Patroni's REST API says, with more members in the list."""

    daemon_threads = True

    def __init__(self, address, of, members):
        super().__init__((address, 0), _LiarsHandler)
        self.of, self.members = of, members
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def at(self):
        return f"{self.server_address[0]}:{self.server_address[1]}"


class _LiarsHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = rest.ask(*self.server.of, self.path)
        if self.path == "/cluster":
            body["members"] += self.server.members(self.server)
        text = (json.dumps(body) if isinstance(body, (dict, list)) else body or "").encode()
        self.send_response(status)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(text)

    def log_message(self, *_):
        pass


class Stranger(http.server.BaseHTTPRequestHandler):
    """The primary of another cluster, far ahead."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({
            "state": "running", "role": "master", "server_version": 150018, "timeline": 99,
            "xlog": {"location": 10**12}, "database_system_identifier": "6000000000000000000",
            "patroni": {"version": "3.0.2", "scope": "other"}}).encode())

    def log_message(self, *_):
        pass


def test_a_list_that_lies_changes_nothing(cluster, steer):
    leader = cluster.wait_leader()
    everybody = set(cluster.nodes)
    stranger = http.server.ThreadingHTTPServer(("127.0.0.26", 0), Stranger)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()

    def lies(_):
        strange = f"http://127.0.0.26:{stranger.server_address[1]}/patroni"
        return [{"name": "stranger", "role": "replica", "host": "127.0.0.26", "port": 15432, "api_url": strange},
                {"name": "nowhere", "role": "replica", "host": "127.0.0.27", "port": 15432,
                 "api_url": "http://127.0.0.27:18008/patroni"},
                {"name": "nonsense", "role": "replica", "host": "no such host", "port": 99999, "api_url": "gopher://x"},
                7, None, {"name": ["x"]}]
    liar = Liar("127.0.0.20", (leader.address, cluster.settings.rest_port), lies)
    try:
        with running(Instance(cluster, leader, liar.at)) as instance:
            wait_until(lambda: instance.serving() == everybody - {leader.name}, 30, "the replicas to serve")

            def refused():
                events = [event["text"] for event in instance.status()["events"]]
                return [text for text in events if "stranger" in text and "not used" in text]
            wait_until(refused, 30, "the stranger to be refused")
            for _ in range(20):
                assert instance.serving("read_write") == {leader.name}
                assert not instance.serving() & {"stranger", "nowhere"}
            assert instance.status()["clusters"][0]["alarms"] == []
            wait_until(lambda: "stranger" not in instance.names(), 10, "the stranger to be dropped")
    finally:
        for server in (liar, stranger):
            server.shutdown()
            server.server_close()


def test_a_list_of_ten_megabytes_is_no_list(cluster, steer):
    leader = cluster.wait_leader()
    long = [{"name": f"pg-{number}", "role": "replica", "host": "127.0.0.27", "port": number % 60000 + 1,
             "api_url": "http://127.0.0.27:1/patroni", "filler": "x" * 100} for number in range(50_000)]
    liar = Liar("127.0.0.20", (leader.address, cluster.settings.rest_port), lambda _: long)
    try:
        with running(Instance(cluster, leader, liar.at)) as instance:
            wait_until(lambda: instance.serving("read_write") == {leader.name}, 30, "the primary to serve")
            wait_until(lambda: any("list" in event["text"] for event in instance.status()["events"]), 40,
                       "a word about the list")
            assert instance.names() == {leader.name}
    finally:
        liar.shutdown()
        liar.server_close()
