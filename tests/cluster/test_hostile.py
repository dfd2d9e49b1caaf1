"""A few seconds of the attacks that once silenced pgsteer. tests/hostile/run is the long form, with its own bounds."""

import os
import subprocess

from conftest import REPOSITORY, program

# Each of these kept other clients from logging in, or the checks and the page from their descriptors. Times mean little
# under the sanitizers and on a busy machine, so the bound is wide.
ATTACKS = ("silent-password", "descriptors", "cancels", "slow-http")


def test_strangers_silence_neither_logins_nor_checks_nor_the_page():
    words = ["--seconds", "2", "--login-p99", "4500", "--via", "pgsteer", "--pgsteer", program()]
    words += [word for attack in ATTACKS for word in ("--attack", attack)]
    done = subprocess.run([os.path.join(REPOSITORY, "tests", "hostile", "run"), *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
