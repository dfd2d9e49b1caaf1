"""The verdicts of the comparison, with a suite whose results are given. Needs no server."""

import contextlib
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import comparison  # noqa: E402
import outcomes  # noqa: E402
from backend import Mode  # noqa: E402

DIRECT = Mode("direct", "disable")
THROUGH = Mode("clear", "disable", "direct", 'tls = "pass"\n')
TEST = "tests/test_a.py::test_b"


class FakeBackend:
    def clean(self, database):
        pass

    def running(self, mode):
        return contextlib.nullcontext({})


class FakeSuite:
    """`script`: {label of a run: {node id: word}}; a label that is missing has no report."""

    name, database, recreate = "fake", "", False

    def __init__(self, script):
        self._script, self.labels = script, []

    def run(self, label, params, seconds, tests=()):
        self.labels.append(label)
        if label not in self._script:
            raise outcomes.Unfinished(label)
        return {test: outcomes.Outcome(word, "why") for test, word in self._script[label].items()}


def verdicts(**script):
    """({node id: verdict}, number of unexplained ones, labels of the runs)"""
    suite = FakeSuite({label.replace("_", "-"): run for label, run in script.items()})
    compared = comparison.Comparison(FakeBackend(), suite, 1)
    compared.run_direct(DIRECT)
    compared.run_through(THROUGH)
    found = {found.test: found.verdict for found in compared._found}
    return found, len(compared.unexplained()), suite.labels


def test_the_same_results_are_no_difference():
    run = {TEST: "passed", "x": "skipped", "y": "xfailed"}
    assert verdicts(direct=run, clear=run) == ({}, 0, ["direct", "clear"])


@pytest.mark.parametrize("word", ["failed", "error", "skipped"])
def test_a_test_that_goes_worse_each_time_is_unexplained(word):
    bad, good = {TEST: word}, {TEST: "passed"}
    found, unexplained, _ = verdicts(direct=good, clear=bad, clear_again_1=bad, clear_again_2=bad,
                                     direct_again_1=good, direct_again_2=good)
    assert (found, unexplained) == ({TEST: "worse"}, 1)


def test_a_test_that_is_not_run_is_unexplained():
    found, unexplained, _ = verdicts(direct={TEST: "passed", "x": "passed"}, clear={"x": "passed"})
    assert (found, unexplained) == ({TEST: "worse"}, 1)


def test_a_failure_that_a_repeat_does_not_show_is_flaky():
    bad, good = {TEST: "failed"}, {TEST: "passed"}
    found, unexplained, labels = verdicts(direct=good, clear=bad, clear_again_1=bad, clear_again_2=good)
    assert (found, unexplained) == ({TEST: "flaky"}, 0)
    assert labels == ["direct", "clear", "clear-again-1", "clear-again-2"]


def test_a_failure_that_the_direct_connection_shows_when_repeated_is_not_pgsteers():
    bad, good = {TEST: "failed"}, {TEST: "passed"}
    found, unexplained, _ = verdicts(direct=good, clear=bad, clear_again_1=bad, clear_again_2=bad,
                                     direct_again_1=good, direct_again_2=bad)
    assert (found, unexplained) == ({TEST: "direct too"}, 0)


def test_a_failure_by_chance_on_the_direct_connection_hides_none_through_pgsteer():
    bad, good = {TEST: "failed"}, {TEST: "passed"}
    suite = FakeSuite({"direct": bad, "direct-again-1": good, "clear": bad, "clear-again-1": bad, "clear-again-2": bad})
    compared = comparison.Comparison(FakeBackend(), suite, 1)
    compared.run_direct(DIRECT)
    suite._script["direct-again-1"] = suite._script["direct-again-2"] = good
    compared.run_through(THROUGH)
    assert [found.test for found in compared.unexplained()] == [TEST]


def test_a_repeat_without_a_result_excuses_nothing():
    found, unexplained, _ = verdicts(direct={TEST: "passed"}, clear={TEST: "failed"})
    assert (found, unexplained) == ({TEST: "worse"}, 1)


def test_a_failure_that_both_show_is_no_difference():
    bad = {TEST: "failed"}
    assert verdicts(direct=bad, direct_again_1=bad, direct_again_2=bad, clear=bad)[:2] == ({}, 0)


def test_a_known_difference_is_no_failure(monkeypatch):
    monkeypatch.setattr(comparison, "KNOWN", [("fake", "clear", "tests/test_a.py::*", "a reason")])
    bad, good = {TEST: "failed"}, {TEST: "passed"}
    found, unexplained, _ = verdicts(direct=good, clear=bad)
    assert (found, unexplained) == ({TEST: "known"}, 0)


def test_too_many_differences_are_not_repeated():
    tests = [f"t{number}" for number in range(comparison.MOST_REPEATED + 1)]
    found, unexplained, labels = verdicts(direct=dict.fromkeys(tests, "passed"), clear=dict.fromkeys(tests, "failed"))
    assert unexplained == len(found) == len(tests)
    assert labels == ["direct", "clear"]


def test_node_ids_and_the_worst_of_several_entries(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").touch()
    report = tmp_path / "report.xml"
    report.write_text("""<testsuites><testsuite>
        <testcase classname="tests.test_a.TestB" name="test_c[1.5-x]"/>
        <testcase classname="tests.test_a" name="test_d"><failure message="broken"/></testcase>
        <testcase classname="tests.test_a" name="test_d"><error message="and its clean-up"/></testcase>
        <testcase classname="tests.test_a" name="test_e"><skipped type="pytest.xfail" message="known"/></testcase>
        </testsuite></testsuites>""")
    assert outcomes.read(report, tmp_path) == {
        "tests/test_a.py::TestB::test_c[1.5-x]": outcomes.Outcome("passed", ""),
        "tests/test_a.py::test_d": outcomes.Outcome("error", "and its clean-up"),
        "tests/test_a.py::test_e": outcomes.Outcome("xfailed", "known")}


def test_a_report_without_tests_is_no_result(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text("<testsuites><testsuite/></testsuites>")
    with pytest.raises(outcomes.Unfinished):
        outcomes.read(report, tmp_path)
