"""Patroni's store: an etcd member on each node, or one ZooKeeper on a separate address."""

import http.client
import json
import socket

from .wait import LabError, wait_until


class Etcd:
    def __init__(self, settings, processes):
        self._settings, self._processes = settings, processes

    def patroni_section(self):
        hosts = [f"{self._settings.address(n)}:{self._settings.client_port}" for n in self._settings.node_names()]
        return {"etcd3": {"hosts": hosts}}

    def start(self):
        for node in self._settings.node_names():
            self.start_beside(node)
        wait_until(self._healthy, 30, "etcd to elect its leader (see log/pg-1-etcd.log)")

    def programs(self):
        return [f"{node}/etcd" for node in self._settings.node_names()]

    def leader(self):
        """The program that leads the store."""
        for node in self._settings.node_names():
            status = self._status(node)
            if status.get("leader") and status["leader"] == status.get("header", {}).get("member_id"):
                return f"{node}/etcd"
        raise LabError("etcd has no leader")

    def _status(self, node):
        link = http.client.HTTPConnection(self._settings.address(node), self._settings.client_port, timeout=2)
        try:
            link.request("POST", "/v3/maintenance/status", "{}")
            return json.loads(link.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            return {}
        finally:
            link.close()

    def start_beside(self, node):
        """Starts a node's member; one that was killed continues from its data directory."""
        s = self._settings
        home = s.path(node)
        client, peer = f"http://{s.address(node)}:{s.client_port}", f"http://{s.address(node)}:{s.peer_port}"
        everyone = ",".join(f"{n}=http://{s.address(n)}:{s.peer_port}" for n in s.node_names())
        self._processes.start(f"{node}/etcd", [
            "/usr/bin/etcd", "--name", node, "--data-dir", f"{home}/etcd", "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", everyone, "--initial-cluster-state", "new",
            "--initial-cluster-token", f"lab-{s.base}", "--auto-compaction-retention", "1"], home)

    def _healthy(self):
        link = http.client.HTTPConnection(self._settings.address("pg-1"), self._settings.client_port, timeout=2)
        try:
            link.request("GET", "/health")
            return b'"true"' in link.getresponse().read()
        except http.client.HTTPException:
            return False
        finally:
            link.close()


class ZooKeeper:
    def __init__(self, settings, processes):
        self._settings, self._processes = settings, processes

    def patroni_section(self):
        return {"zookeeper": {"hosts": [f"{self._settings.store_address}:{self._settings.client_port}"]}}

    def start(self):
        s = self._settings
        home = s.path("zookeeper")
        self._processes.make_dir(home)
        self._processes.write(f"{home}/zoo.cfg", (
            f"tickTime=1000\nmaxSessionTimeout=60000\ndataDir={home}/data\nclientPort={s.client_port}\n"
            f"clientPortAddress={s.store_address}\nadmin.enableServer=false\n4lw.commands.whitelist=ruok\n"))
        self._processes.start("zookeeper", [
            "/usr/bin/java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "-cp", "/usr/share/java/zookeeper.jar", "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            f"{home}/zoo.cfg"], home)
        wait_until(self._healthy, 40, "ZooKeeper to answer (see log/zookeeper.log)", every=0.2)

    def programs(self):
        return ["zookeeper"]

    def leader(self):
        raise LabError("the lab has one ZooKeeper, so it elects nobody; use --dcs etcd")

    def start_beside(self, node):
        """ZooKeeper runs on no node: it survives the loss of any of them."""

    def _healthy(self):
        with socket.create_connection((self._settings.store_address, self._settings.client_port), 2) as link:
            link.sendall(b"ruok")
            return link.recv(16) == b"imok"


def make(settings, processes):
    return {"etcd": Etcd, "zookeeper": ZooKeeper}[settings.dcs](settings, processes)
