"""A lab's addresses, ports and timing: plain values, saved in ROOT/lab.json."""

import dataclasses
import json
import os
import secrets
import socket

from .wait import LabError

TIMINGS = {"fast": (20, 2, 5), "patroni": (30, 10, 10)}  # ttl, loop_wait, retry_timeout


@dataclasses.dataclass
class Settings:
    """`base` 10 puts the nodes on 127.0.0.11, .12, ... and a separate store on 127.0.0.10.

    With `netns` they are on 10.89.10.1, .2, ..., each in a network namespace of its own (see network).
    """

    root: str = ""
    base: int = 10
    nodes: int = 3
    dcs: str = "etcd"
    ttl: int = 20
    loop_wait: int = 2
    retry_timeout: int = 5
    sync: bool = False
    tls: bool = False
    rest_relay: bool = False
    netns: bool = False
    pg_port: int = 5432
    rest_port: int = 8008
    relay_port: int = 8009
    client_port: int = 2379
    peer_port: int = 2380
    proxy_host: str = ""  # default: 127.0.0.1, or with `netns` the address of the proxy's namespace
    write_port: int = 5000
    read_port: int = 5001
    page_port: int = 7000
    proxy: str = "pgsteer"  # pgsteer, haproxy or none
    pgsteer: str = ""  # path of the program
    keep: bool = False
    password: str = dataclasses.field(default_factory=lambda: secrets.token_hex(12))

    def __post_init__(self):
        self.proxy_host = self.proxy_host or (f"10.89.{self.base}.250" if self.netns else "127.0.0.1")

    def node_names(self):
        return [f"pg-{number}" for number in range(1, self.nodes + 1)]

    def address(self, node):
        number = int(node.rsplit("-", 1)[1])
        return f"10.89.{self.base}.{number}" if self.netns else f"127.0.0.{self.base + number}"

    @property
    def store_address(self):
        return f"10.89.{self.base}.240" if self.netns else f"127.0.0.{self.base}"

    @property
    def host_address(self):
        """Where the lab itself and its clients connect from."""
        return f"10.89.{self.base}.254" if self.netns else "127.0.0.1"

    @property
    def network(self):
        """All of the lab's addresses."""
        return f"10.89.{self.base}.0/24" if self.netns else "127.0.0.0/8"

    @property
    def bin_dir(self):
        return "/usr/lib/postgresql/15/bin"

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def save(self):
        temporary = self.path("lab.json.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(dataclasses.asdict(self), out, indent=2)
        os.replace(temporary, self.path("lab.json"))

    @staticmethod
    def load(root):
        """LabError if another user owns the file: he could have prepared it."""
        name = os.path.join(root, "lab.json")
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(descriptor) as source:
                if os.fstat(source.fileno()).st_uid != os.getuid():
                    raise LabError(f"{name} belongs to another user; refusing to use it")
                return Settings(**json.load(source))
        except FileNotFoundError:
            raise LabError(f"there is no lab in {root}") from None

    def sockets(self):
        """Every (address, port, purpose) that the lab will listen on."""
        wanted = []
        for node in self.node_names():
            at = self.address(node)
            wanted += [(at, self.pg_port, f"PostgreSQL of {node}"), (at, self.rest_port, f"REST of {node}")]
            if self.rest_relay:
                wanted.append((at, self.relay_port, f"REST relay of {node}"))
            if self.dcs == "etcd":
                wanted += [(at, self.client_port, f"etcd of {node}"), (at, self.peer_port, f"etcd of {node}")]
        if self.dcs == "zookeeper":
            wanted.append((self.store_address, self.client_port, "ZooKeeper"))
        if self.proxy != "none":
            for port, use in ((self.write_port, "writes"), (self.read_port, "reads"), (self.page_port, "the page")):
                wanted.append((self.proxy_host, port, f"{self.proxy}: {use}"))
        return wanted

    def check_ports(self):
        """LabError that names every port that is in use. In a namespace all of them are free."""
        if self.netns:
            return
        taken = []
        for address, port, use in self.sockets():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((address, port))
                except OSError as error:
                    taken.append(f"  {address}:{port} ({use}): {error.strerror}")
        if taken:
            raise LabError("these addresses are in use:\n" + "\n".join(taken)
                           + "\nEnd the programs that use them (see `ss -ltnp`), or choose others (see --help).")
