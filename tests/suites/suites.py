"""The suites: how each is prepared from its repository, pointed at a server, and run."""

import os
import shlex
import shutil
import signal
import subprocess
import sys

import outcomes

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # the one that has Debian's drivers


class Suite:
    """A working copy of the suite's tests, without the driver's sources: the installed driver is what runs."""

    name = ""
    repository = ""
    tag = ""          # the version that Debian 12 packages
    database = ""
    recreate = False  # whether each mode gets a new database
    arguments = ()    # for pytest: what is left out does not touch a server
    copied = ()       # files beside tests/

    def __init__(self, source, work, select):
        if not os.path.isdir(os.path.join(source, "tests")):
            sys.exit(f"there is no {self.name} in {source}; get it with\n"
                     f"  git clone --depth 1 --branch {self.tag} {self.repository}")
        self.home = os.path.join(work, self.name)
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)
        shutil.copytree(os.path.join(source, "tests"), os.path.join(self.home, "tests"))
        for name in self.copied:
            shutil.copy(os.path.join(source, name), self.home)
        self._select = list(select)

    def environment(self, params):
        raise NotImplementedError

    def run(self, label, params, seconds, tests=()):
        """Runs the suite, or some of its tests. Returns {node id: Outcome}; Unfinished if there is no result."""
        report, log = (os.path.join(self.home, f"{label}.{end}") for end in ("xml", "log"))
        if os.path.exists(report):
            os.remove(report)
        environment = {
            "PATH": f"{HERE}/bin:/usr/lib/postgresql/15/bin:/usr/bin:/bin", "HOME": self.home, "LANG": "C.UTF-8",
            "PYTHONPATH": f"{HERE}/plugins", "PYTHONDONTWRITEBYTECODE": "1"} | self.environment(params)
        argv = [PYTHON, "-m", "pytest", "-p", "steady", "-q", "--tb=short", "--timeout=90", f"--junitxml={report}",
                "-o", "junit_logging=no", *self.arguments, *(tests or self._select)]
        with open(log, "wb") as out:
            out.write(f"$ {shlex.join(argv)}\n".encode())
            out.flush()
            # Tests of Ctrl-C need SIGINT, which a shell's background job ignores.
            child = subprocess.Popen(argv, cwd=self.home, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                                     stderr=subprocess.STDOUT, start_new_session=True,
                                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
            try:
                child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
            finally:  # whatever the tests have started belongs to the child's process group
                try:
                    os.killpg(child.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                child.wait()
        if not os.path.exists(report):
            raise outcomes.Unfinished(f"{self.name} {label}: exit code {child.returncode}, no report; see {log}")
        return outcomes.read(report, self.home)


class Psycopg(Suite):
    name = "psycopg"
    repository = "https://github.com/psycopg/psycopg"
    tag = "3.1.7"
    database = "psycopg_suite"
    recreate = True
    copied = ("pyproject.toml",)
    arguments = ("-m", "not mypy", "-k", "not leak", "--ignore=tests/crdb", "--ignore=tests/scripts",
                 "--ignore=tests/test_typing.py")

    def environment(self, params):
        dsn = " ".join(f"{key}='{value}'" for key, value in (params | {"dbname": self.database}).items())
        return {"PSYCOPG_TEST_DSN": dsn, "PSYCOPG_IMPL": "python"}


class Asyncpg(Suite):
    name = "asyncpg"
    repository = "https://github.com/MagicStack/asyncpg"
    tag = "v0.27.0"
    database = "postgres"  # several tests name it
    copied = ("pytest.ini",)
    arguments = ("-p", "asyncpg_suite", "-p", "no:asyncio",
                 "--ignore=tests/test__sourcecode.py", "--ignore=tests/test__environment.py")

    def environment(self, params):
        return {"PG" + key.upper(): str(value) for key, value in (params | {"database": self.database}).items()}


SUITES = {suite.name: suite for suite in (Psycopg, Asyncpg)}
