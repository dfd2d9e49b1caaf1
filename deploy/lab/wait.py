"""Bounded waiting, the only place of the lab that sleeps."""

import time


class LabError(Exception):
    """Something a person should read: the message is in plain words, without a traceback."""


def wait_until(condition, seconds, what, every=0.05):
    """Returns the first true value of condition(); LabError when `seconds` pass without one.

    An OSError of the condition counts as "not yet": what is waited for is often not reachable yet.
    """
    deadline = time.monotonic() + seconds
    trouble = None
    while True:
        try:
            value = condition()
            if value:
                return value
            trouble = None
        except OSError as error:
            trouble = error
        if time.monotonic() >= deadline:
            because = f" ({trouble})" if trouble else ""
            raise LabError(f"waited {seconds:g} s in vain for: {what}{because}")
        time.sleep(every)


def pause(seconds):
    """Lets time pass where time itself is the matter: how long a fault lasts, a client's pace."""
    time.sleep(seconds)
