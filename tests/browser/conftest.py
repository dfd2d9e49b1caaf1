"""One browser and one stats_demo for all tests here; each test says which state it wants."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from chromium import Chromium  # noqa: E402
from demo import Demo  # noqa: E402


@pytest.fixture(scope="session")
def demo():
    with Demo() as running:
        yield running


@pytest.fixture(scope="session")
def chromium():
    with Chromium() as browser:
        yield browser


class Page:
    """The status page in the browser, showing one of the demo's states."""

    def __init__(self, browser, demo):
        self.browser = browser
        self.demo = demo
        self.js = browser.js
        self.wait_for = browser.wait_for

    def show(self, state, width=1440, height=900, scheme="light"):
        self.demo.show(state)
        self.browser.scheme(scheme)
        self.browser.size(width, height)
        self.browser.events.clear()
        self.browser.open(self.demo.url)
        self.wait_until(state)

    def wait_until(self, state):
        """Until the newest event says that the demo has switched, and the page has shown it."""
        self.wait_for(f"document.querySelector('.event')?.textContent"
                      f".endsWith('the state is now {state}')", f"the state {state} on the page")

    def text(self, selector):
        return self.js(f"[...document.querySelectorAll({selector!r})].map(e => e.innerText)")

    def card(self, name):
        return f"document.querySelector('.node[data-key=\"{name}\"]')"


@pytest.fixture
def page(chromium, demo):
    return Page(chromium, demo)
