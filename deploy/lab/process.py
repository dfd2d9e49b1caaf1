"""The processes of a lab. Each runs in its own session and can be found and ended by any command.

A process belongs to the lab if its environment contains the lab's mark, which children inherit, or if it is a
`postgres` that runs in one of the lab's data directories (PostgreSQL overwrites its environment with its process
title). Nothing else is ever signalled. The pid of each started program is saved together with its start time, so
that a process that reuses the pid later is not mistaken for it.
"""

import os
import pwd
import signal
import subprocess

from .wait import LabError, wait_until

MARK = "PGSTEER_LAB"
ACCOUNT = "postgres"
KEPT_ENVIRONMENT = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")


def _stat(pid):
    """(state, start time) of a process, or None if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as source:
            fields = source.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else (fields[0].decode(), int(fields[19]))


class Processes:
    def __init__(self, root, entry=lambda name: None):
        """`entry` gives the path of the network namespace that a named program runs in, or None."""
        self.root = os.path.realpath(root)
        self._entry = entry
        self._children = []
        self._user = {}
        if os.getuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            self._user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def make_dir(self, path, mode=0o700):
        """A directory that the lab's programs may write to."""
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        if self._user:
            os.chown(path, self._user["user"], self._user["group"])

    def check_access(self, path):
        """LabError if the unprivileged account cannot enter the directory."""
        if subprocess.run(["/usr/bin/test", "-x", path], cwd="/", **self._user).returncode:
            raise LabError(f"PostgreSQL refuses to run as root, and the account {ACCOUNT} that it runs as cannot enter "
                           f"{path}; choose a directory under /tmp or one that everybody may enter")

    def write(self, path, text, mode=0o600):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "w") as out:
            out.write(text)
            os.fchmod(descriptor, mode)
            if self._user:
                os.fchown(descriptor, self._user["user"], self._user["group"])

    def log(self, name):
        return os.path.join(self.root, "log", name.replace("/", "-") + ".log")

    def start(self, name, argv, cwd):
        """Starts a program as the unprivileged account, with its output in log(name)."""
        if self.running(name):
            return
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": cwd, "LANG": "C.UTF-8",
                       MARK: f"{self.root}:{name}"}
        environment.update((key, os.environ[key]) for key in KEPT_ENVIRONMENT if key in os.environ)
        space, user = self._entry(name), self._user
        if space:
            # Only root may enter a namespace, so nsenter changes the account. It then becomes the program.
            argv = ["/usr/bin/nsenter", f"--net={space}", "-S", str(user["user"]), "-G", str(user["group"]), *argv]
            user = {}
        with open(self.log(name), "ab") as out:
            child = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=subprocess.STDOUT, start_new_session=True, **user)
        self._children.append(child)
        self.record(name, child.pid)

    def record(self, name, pid):
        found = _stat(pid)
        with open(self._pid_file(name), "w") as out:
            out.write(f"{pid} {found[1] if found else 0}")

    def run(self, argv, cwd, text=""):
        """Runs a short command as the unprivileged account, with `text` as its input. Returns its output; LabError
        if it fails or takes longer than a minute."""
        try:
            done = subprocess.run(argv, cwd=cwd, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=60, **self._user)
        except subprocess.TimeoutExpired:
            raise LabError(f"{argv[0]} did not end within a minute") from None
        if done.returncode:
            raise LabError(f"{argv[0]} failed:\n{done.stdout}")
        return done.stdout

    def _pid_file(self, name):
        return os.path.join(self.root, "run", name.replace("/", "-") + ".pid")

    def pid(self, name):
        """The pid of a started program, or None if it no longer runs."""
        for child in self._children:
            child.poll()
        try:
            with open(self._pid_file(name)) as source:
                pid, start = map(int, source.read().split())
        except (FileNotFoundError, ValueError):
            return None
        found = _stat(pid)
        return pid if found and found[1] == start else None

    def running(self, name):
        return self.pid(name) is not None

    def exit_code(self, name, seconds):
        """Waits for a program that this command has started. -N means: killed by signal N."""
        with open(self._pid_file(name)) as source:
            pid = int(source.read().split()[0])
        child = next(child for child in self._children if child.pid == pid)
        wait_until(lambda: child.poll() is not None, seconds, f"the end of {name}")
        return child.returncode

    def send(self, name, number):
        pid = self.pid(name)
        if pid is None:
            raise LabError(f"{name} is not running")
        os.kill(pid, number)

    def _belongs(self, pid, prefix):
        try:
            with open(f"/proc/{pid}/environ", "rb") as source:
                if any(entry.startswith(f"{MARK}={self.root}:{prefix}".encode())
                       for entry in source.read().split(b"\0")):
                    return True
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")).split()[0] != "postgres":
                return False
            return (os.readlink(f"/proc/{pid}/cwd") + "/").startswith(os.path.join(self.root, prefix))
        except OSError:
            return False

    def members(self, prefix=""):
        """Pids of all living processes whose name starts with `prefix`, children included."""
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid() and self._belongs(entry, prefix) and _stat(entry):
                found.append(int(entry))
        return found

    def signal_all(self, number, prefix=""):
        for pid in self.members(prefix):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill_all(self, prefix=""):
        """kill -9 until nothing is left; processes forked meanwhile are killed in the next pass."""
        def gone():
            self.signal_all(signal.SIGKILL, prefix)
            for child in self._children:
                child.poll()
            return not self.members(prefix)
        wait_until(gone, 20, f"the end of every process of {prefix or self.root}", every=0.01)

    def freeze_all(self, prefix):
        """SIGSTOP until all of its processes are stopped."""
        def still():
            self.signal_all(signal.SIGSTOP, prefix)
            states = [_stat(pid) for pid in self.members(prefix)]
            return all(state is None or state[0] in "Tt" for state in states)
        wait_until(still, 10, f"{prefix} to be frozen", every=0.005)

    def tail(self, name, lines=15):
        try:
            with open(self.log(name), errors="replace") as source:
                return "".join(source.readlines()[-lines:])
        except FileNotFoundError:
            return ""
