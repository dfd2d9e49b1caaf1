"""Waiting with a timeout: the only module of the lab that sleeps."""

import time


class LabError(Exception):
    """An error for the user: printed as a plain message, without a traceback."""


def wait_until(condition, seconds, what, every=0.05):
    """Returns the first true value of condition(), or raises LabError after `seconds`.

    An OSError from the condition counts as "not yet": the target is often not reachable at first.
    """
    deadline = time.monotonic() + seconds
    last_error = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last_error = None
        except OSError as error:
            last_error = error
        if time.monotonic() >= deadline:
            reason = f" ({last_error})" if last_error else ""
            raise LabError(f"timed out after {seconds:g} s waiting for {what}{reason}")
        time.sleep(every)


def pause(seconds):
    """Sleeps where the duration itself matters: the length of a fault, the pace of a client."""
    time.sleep(seconds)
