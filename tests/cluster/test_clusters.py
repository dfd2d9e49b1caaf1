"""Two clusters behind one pgsteer: what happens in one is no matter of the other."""

import contextlib
import signal
import time

import pytest
from conftest import fresh_root, program, running
from lab import clients, faults, proxy
from lab.cluster import Cluster
from lab.node import Node
from lab.settings import Settings
from lab.wait import wait_until
from wire import ask, idle_session

PORTS = (15300, 15301, 17300)
OTHER_WRITE, OTHER_READ = 15302, 15303


class StandbyNode(Node):
    """Of a cluster that follows another one."""

    of = None  # that cluster

    def _patroni_config(self, tags):
        config = super()._patroni_config(tags)
        leader = self.of.wait_leader()
        config["bootstrap"]["dcs"]["standby_cluster"] = {
            "host": leader.address, "port": self.of.settings.pg_port, "create_replica_methods": ["basebackup"]}
        return config


@contextlib.contextmanager
def booted(name, base, follows=None, **settings):
    """A second cluster with two nodes, on other addresses than the first. `follows`: as its standby cluster."""
    made = Cluster(Settings(root=fresh_root(name), pgsteer=program(), base=base, nodes=2, proxy="none", ttl=12,
                            loop_wait=1, retry_timeout=3, pg_port=15432, rest_port=18008, client_port=12379,
                            peer_port=12380, **settings))
    try:
        if follows:
            StandbyNode.of = follows
            made.nodes = {name: StandbyNode(name, made.settings, made.processes, made.store) for name in made.nodes}
            boot_standbys(made)
        else:
            made.boot()
        yield made
    finally:
        made.down()


def boot_standbys(cluster):
    cluster.settings.check_ports()
    cluster.claim()
    for node in cluster.nodes.values():
        node.prepare()
    cluster.store.start()
    for node in cluster.nodes.values():
        node.start()
    wait_until(lambda: standby_leader(cluster), 60, "a standby leader")
    wait_until(lambda: all(node.status().get("state") == "running" for node in cluster.nodes.values()), 60,
               "the nodes of the standby cluster to run")


def standby_leader(cluster):
    for node in cluster.nodes.values():
        with contextlib.suppress(OSError):
            if node.ask("/standby-leader")[0] == 200:
                return node
    return None


class Both(proxy.Pgsteer):
    """In front of two clusters, "orders" and "other". The nodes of both have the same names."""

    def __init__(self, orders, other, write="primary", read="replica"):
        super().__init__(orders, PORTS, name="pgsteer-clusters")
        self.other, self._other_to = other, (write, read)

    def config(self):
        text = super().config().replace("[[node]]\n", '[[node]]\ncluster = "orders"\n')
        text = text.replace("[[listen]]\n", '[[listen]]\ncluster = "orders"\n')
        for node in self.other.nodes.values():
            text += (f'[[node]]\ncluster = "other"\nname = "{node.name}"\nhost = "{node.address}"\nport = 15432\n'
                     f'rest = "http://{node.address}:18008"\n')
        for name, port, to in zip(("other_write", "other_read"), (OTHER_WRITE, OTHER_READ), self._other_to):
            text += f'[[listen]]\ncluster = "other"\nname = "{name}"\nbind = "{self.host}:{port}"\nto = "{to}"\n'
        return '[[cluster]]\nname = "orders"\n[[cluster]]\nname = "other"\n' + text

    def view(self, name):
        return next(one for one in self.status()["clusters"] if one["name"] == name)

    def serving(self, cluster, listener):
        return {node["name"] for node in self.status()["nodes"] if node["cluster"] == cluster
                and any(v["listener"] == listener and v["admission"] == "admit" for v in node["verdicts"])}

    def failovers(self, cluster):
        return [one for one in self.status()["failovers"] if one["cluster"] == cluster]


@contextlib.contextmanager
def undisturbed(steer, cluster):
    """Writers, and idle sessions on both ports, which must not lose anything."""
    clients.prepare(cluster)
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(idle_session(steer.host, port))
                 for port in (steer.write_port, steer.read_port) for _ in range(10)]
        with clients.Writers(steer.write_dsn(), 4, f"clusters {time.monotonic()}") as writers:
            yield
        assert [error for record in writers.records for error in record.errors] == []
        assert all(len(record.acknowledged) > 100 for record in writers.records)
        assert [error for error in map(ask, links) if error] == []


@pytest.fixture(scope="module")
def second():
    with booted("second", 40) as made:
        yield made


def test_one_fails_over_again_and_again_and_the_other_does_not_notice(cluster, steer, second):
    leader = cluster.wait_leader()
    with running(Both(cluster, second)) as both:
        wait_until(lambda: both.serving("other", "other_read"), 20, "the second cluster's replica to serve")
        with undisturbed(both, cluster):
            for _ in range(2):
                new = faults.switchover(second)
                wait_until(lambda: both.view("other")["primary"] == new, 15, "the new primary of the second cluster")  # noqa: B023
                idle_session(both.host, OTHER_WRITE).close()
                second.wait_healthy()
            gone = second.wait_leader()
            second.processes.kill_all(f"{gone.name}/patroni")
            second.processes.kill_all(f"{gone.name}/data")
            wait_until(lambda: both.view("other")["primary"] not in (None, gone.name), 40, "a failover of the second")
            gone.start()
        assert both.view("orders")["primary"] == leader.name
        assert both.failovers("orders") == [] and both.failovers("other") != []
        metrics = both.get("/metrics")[1]
        assert f'pgsteer_primary{{cluster="orders",node="{leader.name}"}} 1' in metrics.replace(" ,", ",")
    second.wait_healthy()


def test_without_the_other_cluster_the_first_serves(cluster, steer, second):
    both = Both(cluster, second)
    with running(both):
        second.processes.signal_all(signal.SIGSTOP)  # its REST APIs accept connections and say nothing
        try:
            wait_until(lambda: both.view("other")["primary"] is None or both.view("other")["fence_seconds"] is not None,
                       30, "the frozen cluster to be in doubt")
            idle_session(both.host, both.write_port).close()
            idle_session(both.host, both.read_port).close()
        finally:
            second.processes.signal_all(signal.SIGCONT)
    second.wait_healthy()


def test_a_cluster_and_its_standby_cluster(cluster, steer):
    with booted("standby", 50, follows=cluster, password=cluster.settings.password) as standbys:
        with running(Both(cluster, standbys, write="primary", read="any")) as both:
            wait_until(lambda: len(both.serving("other", "other_read")) == 2, 30, "the standby cluster to serve reads")
            reader = idle_session(both.host, OTHER_READ)
            assert both.view("other")["primary"] is None
            assert both.view("orders")["primary"] == cluster.wait_leader().name
            leader = standby_leader(standbys)
            with undisturbed(both, cluster):
                leader.stop()
                wait_until(lambda: standby_leader(standbys), 40, "another standby leader")
                leader.start()
            reader.close()
            stays = idle_session(both.host, OTHER_READ)
            faults.switchover(cluster)
            assert ask(stays) is None, "reads of the standby cluster go on"
            assert both.view("orders")["alarms"] == [] and both.view("other")["alarms"] == []
            assert both.serving("other", "other_write") == set()
            stays.close()
    cluster.wait_healthy()
