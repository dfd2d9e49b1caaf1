"""A running pgsteer gets another configuration, under load: no error, no lost session."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import pytest
from conftest import running
from lab import proxy
from lab.wait import wait_until
from wire import ask, first_answer, idle_session

PORTS = (15100, 15101, 17100)
LOAD_SECONDS = 120  # at most
IDLE = 40  # on either port


class Instance(proxy.Pgsteer):
    """A pgsteer of its own, whose configuration is put together anew for each reload."""

    def __init__(self, cluster):
        super().__init__(cluster, PORTS, name="pgsteer-reload")
        self.everybody = list(self._nodes)

    def change(self, nodes=None, edit=lambda text: text, more=""):
        """Everything must go well. `nodes`: those that the file names; `edit`: what else is done to its text."""
        self._nodes = nodes or self.everybody
        answer = self.reload(edit(self.config()) + more)
        assert not answer["last_reload_failed"], answer
        return answer["last_reload_changes"]

    def node(self, name):
        return next((node for node in self.status()["nodes"] if node["name"] == name), None)

    def admits(self, name, listener="read_only"):
        node = self.node(name)
        return bool(node) and any(v["listener"] == listener and v["admission"] == "admit" for v in node["verdicts"])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.cluster.processes.pid(self.name)}/fd"))


@pytest.fixture
def instance(cluster, steer):  # `steer`: the cluster is healthy
    with running(Instance(cluster)) as made:
        yield made


@contextlib.contextmanager
def load(steer):
    """pgbench on both ports, for as long as the block takes. It must lose no session and see no error."""
    pgbench = f"{steer.settings.bin_dir}/pgbench"
    subprocess.run([pgbench, "-i", "-q", steer.write_dsn()], check=True, capture_output=True, timeout=60)
    # What goes wrong is said at once, beside a line of progress every second.
    words = [pgbench, "-n", "-M", "prepared", "-c", "8", "-T", str(LOAD_SECONDS), "-P", "1"]
    runs = [subprocess.Popen([*words, *kind, dsn], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for kind, dsn in ((["-N"], steer.write_dsn()), (["-S"], steer.read_dsn()))]
    try:
        yield
        assert [run.poll() for run in runs] == [None, None], "the load ended before the block"
    finally:
        for run in runs:
            run.kill()
    for run in runs:
        said = run.communicate()[1].splitlines()
        assert said and [line for line in said if not re.fullmatch(r"progress: .* 0 failed", line)] == []


@contextlib.contextmanager
def idle_sessions(steer):
    """They say nothing meanwhile; at the end each of them still answers."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(idle_session(steer.host, port))
                 for port in (steer.write_port, steer.read_port) for _ in range(IDLE)]
        yield
        assert [error for error in map(ask, links) if error] == []


def replica_and_others(cluster, instance):
    """A replica, and the nodes without it."""
    gone = cluster.replicas()[0]
    return gone, [node for node in instance.everybody if node is not gone]


def test_it_stops_while_something_leaves(cluster, instance):
    """The session of a listener that was removed ends with the rest."""
    more = f'[[listen]]\nname = "late"\nbind = "127.0.0.1:{PORTS[2] + 1}"\nto = "primary"\n'
    instance.change(more=more)
    with contextlib.closing(idle_session("127.0.0.1", PORTS[2] + 1)) as link:
        instance.change()
        assert ask(link) is None
        assert any(listener["leaving"] for listener in instance.status()["listeners"])
        cluster.processes.send(instance.name, signal.SIGTERM)
        wait_until(lambda: not instance.running(), 10, "pgsteer to end")
        assert "administrator" in ask(link) or "closed" in ask(link)


def test_everything_changes_under_load_and_nobody_notices(cluster, instance):
    gone, others = replica_and_others(cluster, instance)
    instance.change(others)
    wait_until(lambda: not instance.node(gone.name), 10, "the removed node to be gone")
    with idle_sessions(instance), load(instance):
        assert instance.change() == [f'node "{gone.name}" is new']
        wait_until(lambda: instance.admits(gone.name), 10, "the new node to serve reads")
        assert instance.change(edit=lambda text: text.replace('max_lag = "16MB"', 'max_lag = "8MB"')) == [
            'listener "read_only": max_lag "16MB" becomes "8MB"']
        instance.change(edit=lambda text: text.replace("port = 15432", "port = 15432\nweight = 3\nmax_connections = 200"))
        instance.change(edit=lambda text: text.replace("[health]", '[health]\ninterval = "500ms"\ntimeout = "1500ms"'))
        instance.change(more='[log]\nlevel = "debug"\nformat = "json"\n')
        instance.change(edit=lambda text: text.replace("[stats]", "[stats]\nthreads = 3"))
        write = f'"{instance.host}:{PORTS[0]}"'
        instance.change(edit=lambda text: text.replace(write, f'[{write}, "{instance.host}:15102"]'))
        idle_session(instance.host, 15102).close()
        instance.change()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((instance.host, 15102), 5)
        refused = instance.reload(instance.config().replace('to = "replica"', 'to = "replicas"'))
        assert refused["last_reload_failed"] and "replicas" in refused["last_reload_error"]
        instance.change(others)
        assert instance.node(gone.name)["leaving"], "it has the sessions of the load"
        assert not instance.admits(gone.name)
        instance.change()
        wait_until(lambda: instance.admits(gone.name), 10, "the node that is back to serve reads")


def test_many_reloads_leave_nothing_behind(instance):
    with idle_sessions(instance):
        instance.change()
        before = instance.descriptors()
        for _ in range(30):
            instance.change()
        wait_until(lambda: instance.descriptors() <= before, 5, "descriptors to be as few as before")
    assert instance.status()["config"]["reloads_failed_total"] == 0


def test_a_removed_node_serves_its_sessions_and_goes_with_the_last(cluster, instance):
    gone, others = replica_and_others(cluster, instance)
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(idle_session(instance.host, instance.read_port)) for _ in range(4)]
        assert instance.change(others) == [f'node "{gone.name}" is removed']
        assert [error for error in map(ask, links) if error] == []
        assert instance.node(gone.name)["leaving"]
    wait_until(lambda: not instance.node(gone.name), 10, "the node to be gone with its last session")


def test_a_removed_node_is_cut_after_drain_timeout(cluster, instance):
    gone, others = replica_and_others(cluster, instance)
    short = lambda text: text.replace('max_lag = "16MB"', 'drain_timeout = "2s"')  # noqa: E731
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(idle_session(instance.host, instance.read_port)) for _ in range(4)]
        instance.change(others, short)
        wait_until(lambda: not instance.node(gone.name), 15, "the removed node to be gone")
        answers = [ask(link) for link in links]
    ended = [answer for answer in answers if answer]
    assert len(ended) == 2 and all("57P01" in answer and "removed" in answer for answer in ended), answers


def test_without_its_primary_in_the_file_nobody_writes(cluster, instance):
    leader = cluster.wait_leader()
    session = idle_session(instance.host, instance.write_port)
    instance.change([node for node in instance.everybody if node is not leader],
                    lambda text: text.replace('to = "primary"', 'to = "primary"\nhold = "1s"'))
    assert ask(session) is None, "it may end by itself"
    kind, fields = first_answer(instance.host, instance.write_port)
    assert kind == b"E" and fields["C"] == "57P03"
    instance.change()
    idle_session(instance.host, instance.write_port).close()
    assert ask(session) is None
    session.close()


def test_a_file_with_errors_changes_nothing(cluster, instance):
    with socket.socket() as taken:
        taken.bind((instance.host, 0))
        taken.listen()
        port = taken.getsockname()[1]
        for edit, said in (
                (lambda text: text + "\nnonsense = 1\n", "nonsense"),
                (lambda text: text.replace(f":{PORTS[1]}", f":{port}"), f"{port}"),
                (lambda text: text.replace('to = "replica"', 'to = "replica"\ntls = "terminate"\n'
                                           'tls_certificate = "/none"\ntls_key = "/none"'), "/none"),
                (lambda text: text.replace("[stats]", '[stats]\nthreads = 3\n').replace(
                    f":{PORTS[2]}", f":{port}"), f"{port}")):
            number = instance.status()["config"]["number"]
            answer = instance.reload(edit(instance.config()))
            assert answer["last_reload_failed"] and said in answer["last_reload_error"], answer
            assert answer["number"] == number
            idle_session(instance.host, instance.write_port).close()
            idle_session(instance.host, instance.read_port).close()
    assert instance.change() == []


def test_a_listener_that_is_for_the_primary_now_ends_its_sessions_on_replicas(instance):
    write = idle_session(instance.host, instance.write_port)
    read = idle_session(instance.host, instance.read_port)
    instance.change(edit=lambda text: text.replace('to = "replica"\nmax_lag = "16MB"', 'to = "primary"'))
    wait_until(lambda: ask(read), 5, "the session on a replica to end")
    assert ask(write) is None
    assert first_answer(instance.host, instance.read_port)[0] == b"R"
    read.close()
    write.close()
