"""Builds the tests with all mutants in them, and runs them against one mutant."""

import os
import pathlib
import re
import signal
import subprocess

MEMORY = 4 << 30  # bytes; a mutant that collects without end fails to allocate
TARGETS = {"unit": "unit_tests", "simulation": "simulation", "component": "component_tests"}
# Seconds. A mutant that takes longer counts as killed: without one, each suite takes a few seconds.
LIMITS = {"unit": 30, "simulation": 300, "component": 90}
SEEDS = 300  # those of tests/run
# Sources of the tests that are run; the others have nothing to do with the files that are changed.
TESTS = {"unit": ["judge_*_test.cc", "cluster_view_test.cc", "failover_record_test.cc", "report*_test.cc"],
         "component": ["checker*_test.cc"]}


def make(tree, build, suites, jobs):
    """Configures and builds. Returns what the compiler said if it failed, or None."""
    configure = ["cmake", "-S", tree, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=", "-DPGSTEER_TESTS=ON",
                 # Assertions: to read behind the end of a vector is to be killed.
                 f"-DCMAKE_CXX_FLAGS=-O1 -w -D_GLIBCXX_ASSERTIONS -include {tree}/tests/mutation/chosen.h"]
    if not (build / "build.ninja").exists():
        subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    command = ["cmake", "--build", build, "-j", str(jobs), "--target"] + [TARGETS[s] for s in suites]
    made = subprocess.run(command, capture_output=True, text=True)
    return None if made.returncode == 0 else made.stdout + made.stderr


def gtest_filter(tree, suite):
    names = set()
    for pattern in TESTS[suite]:
        for path in (tree / "tests" / suite).glob(pattern):
            names |= set(re.findall(r"^TEST(?:_F|_P)?\(\s*(\w+)", path.read_text(), re.MULTILINE))
    if not names:
        raise SystemExit(f"tests/mutate: no tests for the suite {suite}")
    return ":".join(f"{name}.*:*/{name}.*" for name in sorted(names))


class Suites:
    def __init__(self, tree, build):
        self.build = build
        self.filters = {suite: gtest_filter(tree, suite) for suite in TESTS}

    def kills(self, suite, number):
        """What noticed the mutant: the name of a test, a seed, "timeout" or "crash"; or None."""
        if suite == "simulation":
            code, output = self.run(suite, number, ["--seeds", str(SEEDS), "--from", "1"])
            seed = re.search(r"^seed \d+", output, re.MULTILINE)
            return None if code == 0 else seed.group(0) if seed and code == 1 else code
        passed = []  # at the second attempt
        while True:
            killer = self.gtest(suite, number, self.filters[suite] + "".join(f":-{t}" for t in passed[:1])
                                + "".join(f":{t}" for t in passed[1:]))
            if suite != "component" or killer in (None, "timeout", "crash"):
                return killer
            # These tests live in real time: what fails once may have been too slow on a busy machine.
            if self.gtest(suite, number, killer):
                return killer
            passed.append(killer)

    def gtest(self, suite, number, tests):
        code, output = self.run(suite, number, ["--gtest_fail_fast", "--gtest_brief=1", "--gtest_filter=" + tests])
        if code == 0:
            return None
        failed = re.search(r"\[  FAILED  \] ([\w./]+)", output)
        return failed.group(1) if failed else code if isinstance(code, str) else "crash"

    def run(self, suite, number, arguments):
        """Exit code, or "timeout" or "crash"; and the output."""
        command = ["prlimit", f"--as={MEMORY}", "--core=0", self.build / TARGETS[suite]] + arguments
        process = subprocess.Popen(command, cwd=self.build, text=True, errors="replace", start_new_session=True,
                                   env=dict(os.environ, PGSTEER_MUTANT=str(number)),
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            output, _ = process.communicate(timeout=LIMITS[suite])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return "timeout", ""
        return "crash" if process.returncode < 0 else process.returncode, output


def compiler_errors(said, tree):
    """(file, line, column) of each error."""
    for path, line, column in re.findall(r"^([^\s:]+):(\d+):(\d+): (?:fatal )?error:", said, re.MULTILINE):
        full = (tree / path).resolve() if not path.startswith("/") else pathlib.Path(path)
        yield full, int(line), int(column)
