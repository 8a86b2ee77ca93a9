"""What several test files share: the real clips and a browser. Absent, they are reasons to skip, unless required."""

import os
from pathlib import Path

import pytest
import tiny
from browser import find_browser, launched


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and official annotations: REPRO_SHARED_DATA, or ../shared/data."""
    return tiny.shared_data()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, for tests/browser.py's audit.

    Open for one file's tests only: playwright's event loop runs meanwhile, and running a notebook needs its own.
    """
    if find_browser() is None:
        if os.environ.get("REPRO_REQUIRE_BROWSER") == "1":
            pytest.fail("no Chromium on this machine (REPRO_REQUIRE_BROWSER=1)", pytrace=False)
        pytest.skip("no Chromium on this machine")
    with launched() as browser:
        yield browser
