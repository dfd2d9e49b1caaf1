"""The lab's network: loopback addresses, or a network namespace for each node (--netns).

On loopback every node shares one network stack: the source address of a connection does not tell which node opened it,
so no filter can separate two of them. With namespaces each node has its own stack, and rules of nftables in a node's
own namespace decide whom it reaches:

    clients and the lab itself   10.89.B.254   in the namespace of the machine, interface pgsteer-B
    the proxy                    10.89.B.250   pgsteer-B-proxy
    ZooKeeper, if chosen         10.89.B.240   pgsteer-B-store
    the nodes                    10.89.B.N     pgsteer-B-pg-N
    a bridge, without address                  pgsteer-B-switch

B is the lab's base. In the namespace of the machine there is nothing but that one interface: no rule, no bridge, no
forwarding. A file in the lab's directory says that the lab owns the namespaces, so any command can remove them later,
and a lab that found them in use does not remove those of another.
"""

import ipaddress
import json
import os
import subprocess

from .wait import LabError, wait_until

PLACES = "/run/netns"  # where iproute2 keeps names
SWITCH = "switch"


def _run(*argv, text=None, check=True):
    try:
        done = subprocess.run(argv, input=text, stdin=None if text is not None else subprocess.DEVNULL, timeout=10,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is not installed; run deploy/packages demo") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(argv)}` did not end within 10 s") from None
    if check and done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed:\n{done.stdout}")
    return done.stdout


class Loopback:
    """All nodes in the namespace of the machine."""

    def __init__(self, settings):
        pass

    def check(self):
        pass

    def create(self):
        pass

    def remove(self):
        pass

    def entry(self, program):
        """The path of the namespace that a program runs in, or None."""
        return None

    def block(self, node, label, *rules):
        raise LabError("on loopback addresses nodes cannot be separated; boot this cluster with --netns")

    def unblock(self, node, label):
        raise LabError("this cluster has no namespaces; boot it with --netns")


class Namespaces:
    """Needs root, iproute2 and nftables. create() and remove() may be repeated at any time."""

    def __init__(self, settings):
        self._settings = settings
        self._prefix = f"pgsteer-{settings.base}-"
        self._interface = f"pgsteer-{settings.base}"
        self._owned = settings.path("network")  # exists while the namespaces are this lab's

    # --- making and removing it

    def check(self):
        """LabError if the addresses are in use, by another lab or by another network of the machine."""
        if os.getuid() != 0:
            raise LabError("--netns needs root: only root may create network namespaces")
        users = [pid for name in self._existing() for pid in _run("ip", "netns", "pids", name, check=False).split()]
        if users and not os.path.exists(self._owned):
            raise LabError(f"the namespaces {self._prefix}* are in use, by the processes {' '.join(users[:5])}; end "
                           "that lab, or choose another with --base")
        wanted = ipaddress.ip_network(self._settings.network)
        for route in json.loads(_run("ip", "-j", "-4", "route", "show", "table", "all", "type", "unicast") or "[]"):
            if route["dst"] == "default" or route.get("dev") == self._interface:
                continue
            if wanted.overlaps(ipaddress.ip_network(route["dst"], strict=False)):
                raise LabError(f"{wanted} overlaps with the machine's network {route['dst']}; choose another --base")

    def create(self):
        self.check()
        self._remove_all()
        with open(self._owned, "w", encoding="utf-8"):
            pass
        switch = self._name(SWITCH)
        _run("ip", "netns", "add", switch)
        _run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "bridge", "up")
        for member, address in self._members().items():
            space = self._name(member)
            _run("ip", "netns", "add", space)
            _run("ip", "link", "add", "eth0", "netns", space, "type", "veth", "peer", member, "netns", switch)
            self._plug(member, address, "eth0", "-n", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
        _run("ip", "link", "add", self._interface, "type", "veth", "peer", "machine", "netns", switch)
        self._plug("machine", self._settings.host_address, self._interface)

    def _plug(self, port, address, interface, *where):
        switch = self._name(SWITCH)
        _run("ip", "-n", switch, "link", "set", port, "master", "bridge", "up")
        _run("ip", *where, "addr", "add", f"{address}/24", "dev", interface)
        _run("ip", *where, "link", "set", interface, "up")

    def remove(self):
        """Removes what this lab has created. The lab's processes must have ended."""
        if os.path.exists(self._owned):
            self._remove_all()
            os.unlink(self._owned)

    def _remove_all(self):
        _run("ip", "link", "delete", self._interface, check=False)
        for name in self._existing():
            _run("ip", "netns", "delete", name)
        # The kernel ends a namespace a little later, and the interface with it.
        wait_until(lambda: not self._existing() and not os.path.exists(f"/sys/class/net/{self._interface}"), 10,
                   f"the end of the namespaces {self._prefix}*", every=0.01)

    def _existing(self):
        names = os.listdir(PLACES) if os.path.isdir(PLACES) else []
        return sorted(name for name in names if name.startswith(self._prefix))

    def _members(self):
        s = self._settings
        store = {"store": s.store_address} if s.dcs == "zookeeper" else {}
        return {name: s.address(name) for name in s.node_names()} | {"proxy": s.proxy_host} | store

    def _name(self, member):
        return self._prefix + member

    # --- using it

    def entry(self, program):
        """The path of the namespace that a program runs in. Programs are named like pg-1/patroni."""
        first = program.split("/")[0]
        member = first if first in self._settings.node_names() else "store" if first == "zookeeper" else "proxy"
        return os.path.join(PLACES, self._name(member))

    def block(self, node, label, *rules):
        """Adds packet filter rules to a node: "input ..." or "output ...", in the words of nftables.

        They go into a table of their own, named by `label`, and replace those that it had. unblock() removes them.
        """
        chains = "".join(
            f" chain {chain} {{ type filter hook {chain} priority 0\n"
            + "".join(f" {rule.split(None, 1)[1]}\n" for rule in rules if rule.split()[0] == chain) + " }\n"
            for chain in ("input", "output"))
        table = f"table inet {self._table(label)}"
        self._nft(node, f"{table}\ndelete {table}\n{table} {{\n{chains}}}\n")

    def unblock(self, node, label):
        table = f"table inet {self._table(label)}"
        self._nft(node, f"{table}\ndelete {table}\n")

    def _table(self, label):
        return "lab_" + label.replace("-", "_")

    def _nft(self, node, script):
        _run("ip", "netns", "exec", self._name(node), "nft", "-f", "-", text=script)


def make(settings):
    return Namespaces(settings) if settings.netns else Loopback(settings)
