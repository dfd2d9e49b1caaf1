"""The whole cluster: boot it, attach to it, query it, shut it down."""

import concurrent.futures
import contextlib
import os
import shutil

import psycopg2

from . import network, store, tls
from .node import Node
from .process import Processes
from .settings import Settings
from .wait import LabError, wait_until


class Cluster:
    """boot() starts a new cluster; attach() finds one that another command has booted."""

    def __init__(self, settings):
        self.settings = settings
        self.network = network.make(settings)
        self.processes = Processes(settings.root, self.network.entry)
        self.store = store.make(settings, self.processes)
        self.nodes = {name: Node(name, settings, self.processes, self.store) for name in settings.node_names()}

    @classmethod
    def attach(cls, root):
        return cls(Settings.load(root))

    def __getitem__(self, name):
        if name not in self.nodes:
            raise LabError(f"there is no node {name!r}; the nodes are {', '.join(self.nodes)}")
        return self.nodes[name]

    # --- start and stop

    def boot(self, say=lambda text: None):
        """Boots a healthy cluster from nothing, with a role and a database `app`."""
        s, processes = self.settings, self.processes
        s.check_ports()
        self.network.check()
        self.claim()
        self.network.create()
        if s.tls:
            tls.make_certificates(s, processes)
        for node in self.nodes.values():
            node.prepare()
        say(f"starting {'etcd' if s.dcs == 'etcd' else 'ZooKeeper'} ...")
        self.store.start()
        first, *others = self.nodes.values()
        say(f"starting {first.name} ...")
        first.start()
        wait_until(first.leads, 60, f"{first.name} to lead the new cluster (see log/pg-1-patroni.log)", every=0.2)
        say(f"starting {', '.join(node.name for node in others)} ...")
        for node in others:
            node.start()
        self.make_application()
        wait_until(self.healthy, 120, "the replicas to stream (see log/pg-*-patroni.log)", every=0.2)

    def claim(self):
        """Creates the lab's directory and records this process as the one that runs the lab."""
        s = self.settings
        for path in (s.root, s.path("log"), s.path("run")):
            os.makedirs(path, exist_ok=True)
            os.chmod(path, 0o755)
        self.processes.check_access(s.root)
        self.processes.make_dir(s.path("archive"))
        self.processes.record("demo", os.getpid())
        s.save()

    def make_application(self):
        """`app` needs no password: it has no rights beyond its own database."""
        with contextlib.closing(self.connect("postgres")) as link:
            link.autocommit = True
            link.cursor().execute("create role app login")
            link.cursor().execute("create database app owner app")

    def down(self):
        """Ends every process of the lab and removes its network, and its directory unless `keep` is set."""
        try:
            self.processes.kill_all()
        finally:
            self.network.remove()
        if not self.settings.keep:
            shutil.rmtree(self.settings.root, ignore_errors=True)

    # --- queries

    def survey(self, timeout=3):
        """{name: body of GET /patroni or {}} of all nodes, queried in parallel."""
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            return dict(zip(self.nodes, pool.map(lambda node: node.status(timeout), self.nodes.values())))

    def leader(self, timeout=3):
        """The node that is writable and has the lease, or None."""
        with concurrent.futures.ThreadPoolExecutor(len(self.nodes)) as pool:
            leads = list(pool.map(lambda node: node.leads(timeout), self.nodes.values()))
        return next((node for node, yes in zip(self.nodes.values(), leads) if yes), None)

    def wait_leader(self, seconds=60, other_than=None):
        def found():
            node = self.leader(timeout=1)
            return node if node and node.name != other_than else None
        return wait_until(found, seconds, "a node to lead" + (f" instead of {other_than}" if other_than else ""), every=0.1)

    def replicas(self):
        leader = self.wait_leader()
        return [node for node in self.nodes.values() if node is not leader]

    def healthy(self):
        """Whether there is one leader and every other node streams from it on its timeline."""
        bodies = self.survey()
        leaders = [b for b in bodies.values() if b.get("role") in ("master", "primary")]
        if len(leaders) != 1 or leaders[0].get("state") != "running":
            return False
        leader = leaders[0]
        streams = [r for r in leader.get("replication", []) if r["state"] == "streaming"]
        followers = [b for b in bodies.values() if b is not leader]
        caught_up = all(b.get("state") == "running" and b.get("timeline") == leader.get("timeline")
                        for b in followers)
        sync_ready = not self.settings.sync or any(b.get("sync_standby") for b in followers)
        return caught_up and sync_ready and len(streams) == len(followers)

    def wait_healthy(self, seconds=120):
        wait_until(self.healthy, seconds, "the cluster to be healthy again", every=0.2)

    def wait_replayed(self, seconds=30):
        """Waits until every replica has replayed what the leader has written so far."""
        position = self.wait_leader().status()["xlog"]["location"]
        wait_until(lambda: all(body.get("xlog", {}).get("replayed_location", position) >= position
                               for body in self.survey().values()), seconds, "the replicas to replay", every=0.1)

    def connect(self, database="app", node=None, user="postgres", **options):
        """A direct connection to a node (default: the leader), bypassing any proxy."""
        at = node or self.wait_leader()
        return psycopg2.connect(host=at.address, port=self.settings.pg_port, user=user, dbname=database,
                                password=self.settings.password, connect_timeout=5, **options)
