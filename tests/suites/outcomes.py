"""Results of a run, read from pytest's JUnit file, and how two runs differ."""

import collections
import os
import xml.etree.ElementTree as ElementTree

# From good to bad. A test with several entries (it failed, and so did its clean-up) counts as the worst.
WORDS = ["passed", "xfailed", "skipped", "failed", "error"]
GOOD = ("passed", "xfailed", "skipped")
BAD = ("failed", "error")

Outcome = collections.namedtuple("Outcome", "word text")


class Unfinished(Exception):
    """A run that left no report: it crashed, or was ended at its limit."""


def read(report, home):
    """{node id: Outcome}"""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test, outcome = node_id(case.get("classname"), case.get("name"), home), _outcome(case)
        if test not in found or WORDS.index(outcome.word) > WORDS.index(found[test].word):
            found[test] = outcome
    if not found:
        raise Unfinished(f"{report} names no test")
    return found


def node_id(classname, name, home):
    """tests.test_a.TestB, test_c[1] -> tests/test_a.py::TestB::test_c[1], as pytest takes it."""
    words = classname.split(".") if classname else []
    for count in range(len(words), 0, -1):
        path = os.path.join(*words[:count]) + ".py"
        if os.path.exists(os.path.join(home, path)):
            return "::".join([path, *words[count:], name])
    return name.replace(".", "/") + ".py"  # a file that could not be imported


def _outcome(case):
    for part in case:
        text = (part.get("message") or part.text or "").strip()
        if part.tag == "skipped":
            return Outcome("xfailed" if part.get("type") == "pytest.xfail" else "skipped", text)
        if part.tag == "failure":
            return Outcome("failed", text)
        if part.tag == "error":
            return Outcome("error", text)
    return Outcome("passed", "")


def counts(run):
    return collections.Counter(outcome.word for outcome in run.values())


def worse(run, baseline):
    """Tests that went worse than in the baseline: failed, or were not run although they were there."""
    missing = Outcome("missing", "")
    return sorted(test for test, before in baseline.items()
                  if _rank(run.get(test, missing)) > _rank(before)) + sorted(
                      test for test in run.keys() - baseline.keys() if run[test].word in BAD)


def better(run, baseline):
    return sorted(test for test, outcome in run.items()
                  if test in baseline and _rank(outcome) < _rank(baseline[test]))


def _rank(outcome):
    """0: it did what the suite expects; 1: it did not run; 2: it failed."""
    return {"passed": 0, "xfailed": 0, "skipped": 1, "missing": 2}.get(outcome.word, 2)
