"""deploy/demo: its command line and what each command does."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile

from . import drills
from .settings import TIMINGS, Settings
from .wait import LabError, pause, wait_until

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ACTIONS = {  # command: (takes a node: yes, no or may; help)
    "switchover": ("may", "make another node the leader (NODE, or the one that Patroni picks)"),
    "kill": ("yes", "kill -9 everything on a node: Patroni, PostgreSQL, its etcd member"),
    "kill-patroni": ("yes", "kill -9 a node's Patroni only; its PostgreSQL keeps running"),
    "stop": ("yes", "stop a node cleanly, as `systemctl stop patroni` would"),
    "start": ("yes", "start whatever is not running on a node"),
    "freeze": ("yes", "freeze a node (SIGSTOP)"),
    "thaw": ("yes", "resume a frozen node (SIGCONT)"),
    "lag": ("yes", "stop replay on a replica; it still receives WAL"),
    "unlag": ("yes", "resume replay"),
    "pause": ("no", "turn Patroni's maintenance mode on"),
    "resume": ("no", "turn maintenance mode off"),
    "status": ("no", "print the nodes once"),
    "down": ("no", "end the demo and remove its files"),
}
ABOUT = """\
Boots a real Patroni cluster on loopback addresses (127.0.0.11, .12, .13), puts pgsteer in front of it
(port 5000: primary, 5001: replicas, 7000: status page), and shows its state until Ctrl-C. With --netns each node
has its own network namespace (10.89.10.1, .2, .3; pgsteer 10.89.10.250), so that nodes can be cut off from each other.
The commands below act on a running demo from another terminal."""


def parse(words):
    boot = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = boot.add_argument_group("the cluster to boot")
    group.add_argument("--nodes", type=int, choices=range(1, 8), metavar="N", help="nodes (default 3)")
    group.add_argument("--dcs", choices=("etcd", "zookeeper"), help="Patroni's store (default etcd)")
    group.add_argument("--sync", action="store_true", help="Patroni's synchronous mode")
    group.add_argument("--tls", action="store_true", help="PostgreSQL offers TLS; the lab is its own CA")
    group.add_argument("--timing", choices=sorted(TIMINGS), help="ttl, loop_wait, retry_timeout: fast is 20/2/5 "
                       "(default), patroni uses Patroni's defaults, 30/10/10")
    group.add_argument("--rest-relay", action="store_true", help="put a relay in front of each node's REST API, "
                       "so that a drill can make it hang")
    group.add_argument("--netns", action="store_true", help="put each node into a network namespace of its own, so "
                       "that a drill can cut nodes off from each other (needs root)")
    group.add_argument("--dir", metavar="DIR", help="directory for all files, empty or new (default: a new one "
                       "under $TMPDIR or /tmp)")
    group.add_argument("--keep", action="store_true", help="keep the directory, with the logs, at the end")
    group.add_argument("--base", type=int, metavar="N", help="nodes use 127.0.0.N+1, N+2, ..., or with --netns "
                       "10.89.N.1, .2, ... (default 10)")
    group.add_argument("--listen", metavar="ADDRESS", help="address of the proxy (default 127.0.0.1; not with --netns)")
    group.add_argument("--pgsteer", metavar="PROGRAM", help="use this program instead of building one")
    group.add_argument("--proxy", choices=("pgsteer", "haproxy", "none"), help="the proxy in front (default pgsteer)")

    parser = argparse.ArgumentParser(prog="deploy/demo", description=ABOUT, parents=[boot],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands for a running demo")
    for word, (node, text) in ACTIONS.items():
        command = commands.add_parser(word, help=text, description=text)
        if node != "no":
            command.add_argument("node", metavar="NODE", nargs="?" if node == "may" else None)
    drill = commands.add_parser("drill", parents=[boot], help="run writers during a fault and print what they saw; "
                                "boots its own cluster if no demo runs",
                                formatter_class=argparse.RawDescriptionHelpFormatter,
                                description="Keeps writers inserting and readers reading through port 5000 while the "
                                "cluster suffers a fault,\nundoes it, and prints what they saw.", epilog=drill_list())
    drill.add_argument("drill", metavar="DRILL", choices=(*drills.DRILLS, *drills.EXTRA), help="see below")
    drill.add_argument("--rounds", type=int, default=1, metavar="N", help="repeat, and print the medians")
    drill.add_argument("--writers", type=int, default=8, metavar="N", help="number of writers (default 8)")
    drill.add_argument("--via", choices=("pgsteer", "haproxy", "multihost"), default="pgsteer",
                       help="what the writers connect through (multihost: libpq with a list of hosts)")
    drill.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    return parser.parse_args(words)


def drill_list():
    """The text of --help: each drill, and whether clients may notice it."""
    known = {name: drill.about for name, drill in drills.DRILLS.items()} | drills.EXTRA
    promised = {name for name, drill in drills.DRILLS.items() if drill.unnoticed}
    return ("drills (* clients must notice nothing):\n"
            + "\n".join(f"  {name + (' *' if name in promised else ''):22} {about}" for name, about in known.items()))


def settings_of(given):
    """Settings from the given options, defaults for the rest."""
    values = dict(zip(("ttl", "loop_wait", "retry_timeout"), TIMINGS[getattr(given, "timing", "fast")]))
    for option, field in (("nodes", "nodes"), ("dcs", "dcs"), ("sync", "sync"), ("tls", "tls"), ("keep", "keep"),
                          ("rest_relay", "rest_relay"), ("netns", "netns"), ("base", "base"),
                          ("listen", "proxy_host"), ("pgsteer", "pgsteer"), ("proxy", "proxy")):
        if hasattr(given, option):
            values[field] = getattr(given, option)
    settings = Settings(**values)
    if settings.netns and hasattr(given, "listen"):
        raise LabError("--listen has no effect with --netns: the proxy has its own namespace and address")
    if settings.pgsteer:
        settings.pgsteer = os.path.abspath(settings.pgsteer)
    if settings.dcs == "zookeeper":
        settings.client_port = 2181
    if not 1 <= settings.base <= 254 - settings.nodes:
        raise LabError("--base must be at least 1 and leave room for the nodes: 127.0.0.N+1 up to 127.0.0.254")
    return settings


# --- finding a running demo

def pointer():
    return f"/tmp/pgsteer-demo-{os.getuid()}.json"


def find_demo():
    """The directory of a running or leftover demo, or None."""
    try:
        descriptor = os.open(pointer(), os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor) as source:
        if os.fstat(source.fileno()).st_uid != os.getuid():
            raise LabError(f"{pointer()} belongs to another user; ignoring it")
        root = json.load(source)["root"]
    if not os.path.exists(os.path.join(root, "lab.json")):
        os.unlink(pointer())
        return None
    return root


def point_to(root):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pointer())
    descriptor = os.open(pointer(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump({"root": root}, out)


def running_demo():
    from .cluster import Cluster
    root = find_demo()
    if root is None:
        raise LabError("no demo is running; start one with deploy/demo")
    return Cluster.attach(root)


# --- booting a demo

def prepare(settings, say):
    """Installs packages and builds pgsteer, if needed."""
    run_quietly([os.path.join(REPOSITORY, "deploy", "packages"), "demo"]
                + (["build"] if settings.proxy == "pgsteer" and not settings.pgsteer else []))
    if settings.proxy == "pgsteer" and not settings.pgsteer:
        say("building pgsteer (the first time takes a few minutes) ...")
        run_quietly(["cmake", "--preset", "release"])
        run_quietly(["cmake", "--build", "--preset", "release"])
        settings.pgsteer = os.path.join(REPOSITORY, "build", "release", "pgsteer")
    if settings.proxy == "pgsteer" and not os.access(settings.pgsteer, os.X_OK):
        raise LabError(f"{settings.pgsteer} is not an executable program")


def run_quietly(argv):
    done = subprocess.run(argv, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise LabError(f"`{' '.join(argv)}` failed:\n{done.stdout[-4000:]}")


def clean_up_leftovers(say):
    root = find_demo()
    if root is None:
        return
    from .cluster import Cluster
    left = Cluster.attach(root)
    if left.processes.running("demo"):
        raise LabError(f"a demo is already running in {root}; end it with Ctrl-C there or with deploy/demo down")
    say(f"removing the leftovers of an earlier demo in {root} ...")
    left.down()


@contextlib.contextmanager
def booted(settings, directory, say):
    """A cluster with its proxy; both are always removed after the block."""
    clean_up_leftovers(say)
    settings.check_ports()
    if directory and os.path.exists(directory) and (not os.path.isdir(directory) or os.listdir(directory)):
        raise LabError(f"{directory} is not empty; --dir needs an empty or a new directory")
    prepare(settings, say)
    from . import proxy
    from .cluster import Cluster
    settings.root = os.path.realpath(directory or tempfile.mkdtemp(prefix="pgsteer-demo-"))
    cluster = Cluster(settings)
    try:
        cluster.claim()
        point_to(settings.root)
        say(f"all files are in {settings.root}")
        cluster.boot(say)
        steer = None
        if settings.proxy != "none":
            say(f"starting {settings.proxy} ...")
            steer = proxy.KINDS[settings.proxy](cluster)
            steer.start()
        yield cluster, steer
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("shutting everything down ...")
        cluster.down()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(pointer())


def demo(given):
    from . import view
    settings = settings_of(given)
    with booted(settings, getattr(given, "dir", None), say_to_terminal) as (cluster, steer):
        screen = view.View(cluster, heading(settings))
        screen.clear()
        while True:
            screen.show()
            if steer and not steer.running():
                raise LabError(f"{steer.name} exited unexpectedly; the end of its log:\n"
                               + cluster.processes.tail(steer.name))
            pause(1)


def heading(settings):
    at = settings.proxy_host
    store = "etcd" if settings.dcs == "etcd" else "ZooKeeper"
    lines = [f"{settings.nodes} nodes, {store}, synchronous mode {'on' if settings.sync else 'off'}, "
             f"all files in {settings.root}; Ctrl-C ends it", ""]
    if settings.proxy != "none":
        lines += [f"  {f'psql -h {at} -p {settings.write_port} -U app app':39} writes: the primary",
                  f"  {f'psql -h {at} -p {settings.read_port} -U app app':39} reads: the least busy replica",
                  f"  {f'http://{at}:{settings.page_port}/':39} status page; also /metrics"]
    lines += ["  in another terminal: deploy/demo switchover, kill NODE, start NODE, drill switchover, --help"]
    return "\n".join(lines)


# --- acting on a running demo

def act(given):
    from . import faults, view
    if given.command == "down":
        return down()
    cluster = running_demo()
    name = getattr(given, "node", None)
    if name:
        name = cluster[name].name
    if given.command == "switchover":
        print(f"{faults.switchover(cluster, name)} is the leader now")
    elif given.command == "status":
        print(view.as_text(view.table(cluster, cluster.survey())))
    else:
        {"kill": faults.poweroff, "kill-patroni": faults.kill_patroni, "stop": faults.stop, "start": faults.start,
         "freeze": faults.freeze, "thaw": faults.thaw, "lag": faults.lag,
         "unlag": lambda c, n: faults.lag(c, n, False), "pause": lambda c, n: faults.maintenance(c, True),
         "resume": lambda c, n: faults.maintenance(c, False)}[given.command](cluster, name)
        print({"kill": "{0} is killed; `deploy/demo start {0}` starts it again",
               "kill-patroni": "Patroni on {0} is killed; `deploy/demo start {0}` starts it again",
               "stop": "{0} is stopped; `deploy/demo start {0}` starts it again", "start": "{0} is started",
               "freeze": "{0} is frozen; `deploy/demo thaw {0}` resumes it", "thaw": "{0} runs again",
               "lag": "{0} has stopped replaying, in maintenance mode; `deploy/demo unlag {0}` undoes both",
               "unlag": "{0} replays again; maintenance mode is off",
               "pause": "maintenance mode is on", "resume": "maintenance mode is off"}[given.command].format(name))
    return 0


def down():
    """Ends the demo by a signal to its process; if that is gone, cleans up here."""
    root = find_demo()
    if root is None:
        print("no demo is running")
        return 0
    from .cluster import Cluster
    cluster = Cluster.attach(root)
    if cluster.processes.running("demo"):
        cluster.processes.send("demo", signal.SIGTERM)
        wait_until(lambda: not cluster.processes.running("demo"), 30, "the demo to end")
    if os.path.isdir(root):
        cluster.down()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(pointer())
    print("the demo is down")
    return 0


# --- drills

def drill(given):
    say = say_to_terminal
    if find_demo() and demo_runs():
        if any(hasattr(given, option) for option in ("nodes", "dcs", "sync", "tls", "timing", "dir", "base", "netns")):
            raise LabError("a demo is running and the drill would use it, so boot options have no effect")
        return drill_on(running_demo(), given, say)
    if drills.needs(given.drill):
        setattr(given, {"relay": "rest_relay", "netns": "netns"}[drills.needs(given.drill)], True)
    settings = settings_of(given)
    settings.proxy = {"pgsteer": "pgsteer", "haproxy": "haproxy", "multihost": "none"}[given.via]
    with booted(settings, getattr(given, "dir", None), say) as (cluster, _):
        return drill_on(cluster, given, say)


def demo_runs():
    return running_demo().processes.running("demo")


def drill_on(cluster, given, say):
    from . import drill as runner
    from . import identity, lag, report
    extra = {"lag": lag, "new-identifier": identity}.get(given.drill)
    with beside(cluster, given.via, say) as steer:
        rounds = []
        for number in range(given.rounds):
            if given.rounds > 1:
                say(f"round {number + 1} of {given.rounds}")
            rounds.append(extra.run(cluster, steer, say) if extra else
                          runner.run_round(cluster, steer, given.drill, given.writers, say))
    whole = rounds[0] if extra else report.median_of(rounds)
    if given.json:
        print(json.dumps({"median": whole, "rounds": rounds}, indent=2))
    else:
        print(f"\n{given.drill} via {given.via}"
              + (f", medians of {given.rounds} (rows lost and errors: all rounds)" if given.rounds > 1 else ""))
        print("\n".join((extra or report).lines(whole)))
    return 0


@contextlib.contextmanager
def beside(cluster, via, say):
    """A running proxy of that kind, or else one started on other ports for the drill."""
    from . import proxy
    steer = proxy.KINDS[via](cluster)
    if steer.running():
        yield steer
        return
    s = cluster.settings
    steer = proxy.KINDS[via](cluster, (s.write_port + 100, s.read_port + 100, s.page_port + 100))
    say(f"starting {via} on port {s.write_port + 100} ...")
    try:
        steer.start()
        yield steer
    finally:
        steer.stop()


def say_to_terminal(text):
    print(text, file=sys.stderr, flush=True)


def main(words=None):
    def interrupt(*_):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        given = parse(words)
        if given.command is None:
            return demo(given)
        return drill(given) if given.command == "drill" else act(given)
    except LabError as error:
        print(f"deploy/demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
