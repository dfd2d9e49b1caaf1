"""Direct runs, runs through pgsteer, and the tests that differ, each with a verdict."""

import dataclasses
import fnmatch
import time

import outcomes
from known import KNOWN

REPEATS = 2
MOST_REPEATED = 40  # where more tests differ, chance is no explanation, and repeating them would take too long


@dataclasses.dataclass
class Difference:
    test: str
    mode: str
    verdict: str  # "worse", "known", "flaky", "direct too", "better"
    text: str


class Comparison:
    """Runs a suite in one mode after another. `limit`: seconds for one run."""

    def __init__(self, backend, suite, limit):
        self._backend, self._suite, self._limit = backend, suite, limit
        self._direct_modes = {}
        self.rows = []  # (mode, run, tests that went worse)
        self._runs = {}
        self._found = []

    def run_direct(self, mode):
        """The reference. What fails in it is repeated alone, so that a failure by chance hides nothing."""
        self._direct_modes[mode.name] = mode
        with self._running(mode) as params:
            run = self._whole(mode, params)
            bad = [test for test, outcome in run.items() if outcome.word in outcomes.BAD]
            for test in bad[:MOST_REPEATED]:
                for again in self._repeat(mode, params, test):
                    if again.word in outcomes.GOOD:
                        self._note(test, mode, "flaky", run[test].text)
                        run[test] = again
                        break
        self._runs[mode.name] = run
        self.rows.append((mode, run, []))

    def run_through(self, mode):
        baseline = self._runs[mode.against]
        with self._running(mode) as params:
            run = self._whole(mode, params)
            worse = outcomes.worse(run, baseline)
            few = len(worse) <= MOST_REPEATED
            if few:
                worse = [test for test in worse if not self._by_chance(mode, params, test, run, baseline)]
        if few and worse:
            direct = self._direct_modes[mode.against]
            with self._running(direct) as params:
                worse = [test for test in worse if not self._direct_too(mode, direct, params, test, run)]
        for test in worse:
            text = run[test].text if test in run else "did not run"
            reason = self._known(mode, test)
            self._note(test, mode, "known" if reason else "worse", reason or text)
        for test in outcomes.better(run, baseline):
            self._note(test, mode, "better", baseline[test].text)
        self.rows.append((mode, run, worse))

    def unexplained(self):
        return [found for found in self._found if found.verdict == "worse"]

    def differences(self):
        for found in self._found:
            yield f"{found.mode}: {found.verdict}: {found.test}: {' '.join(found.text.split())[:400]}"

    def _whole(self, mode, params):
        began = time.monotonic()
        run = self._suite.run(mode.name, params, self._limit)
        print(f"{self._suite.name} {mode.name}: {len(run)} tests in {time.monotonic() - began:.0f} s", flush=True)
        return run

    def _running(self, mode):
        self._backend.clean(self._suite.database if self._suite.recreate else None)
        return self._backend.running(mode)

    def _repeat(self, mode, params, test):
        for number in range(1, REPEATS + 1):
            try:
                again = self._suite.run(f"{mode.name}-again-{number}", params, 180, [test])
            except outcomes.Unfinished as problem:
                yield outcomes.Outcome("missing", str(problem))
            else:
                yield again.get(test, outcomes.Outcome("missing", ""))

    def _by_chance(self, mode, params, test, run, baseline):
        """Whether a test that went worse goes as on the direct connection if it is repeated alone."""
        for again in self._repeat(mode, params, test):
            if not outcomes.worse({test: again}, {test: baseline[test]} if test in baseline else {}):
                self._note(test, mode, "flaky", run[test].text if test in run else "did not run")
                run[test] = again
                return True
        return False

    def _direct_too(self, mode, direct, params, test, run):
        """Whether a test that went worse does so on the direct connection, too, if it is repeated there."""
        for again in self._repeat(direct, params, test):
            if again.word in outcomes.BAD and test in run:
                self._note(test, mode, "direct too", run[test].text)
                return True
        return False

    def _known(self, mode, test):
        """The reason why a proxy cannot keep this test in this mode, or None."""
        return next((reason for suite, name, pattern, reason in KNOWN if (suite, name) == (self._suite.name, mode.name)
                     and fnmatch.fnmatchcase(test, pattern)), None)

    def _note(self, test, mode, verdict, text):
        self._found.append(Difference(test, mode.name, verdict, text))


def table(comparison):
    lines = ["| mode | passed | failed | skipped | expected to fail | more than direct |",
             "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for mode, run, worse in comparison.rows:
        count = outcomes.counts(run)
        more = len(worse) if mode.against else "-"
        lines.append(f"| {mode.name} | {count['passed']} | {count['failed'] + count['error']} | {count['skipped']} | "
                     f"{count['xfailed']} | {more} |")
    return "\n".join(lines) + "\n"
