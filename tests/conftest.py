"""What several test files share: the real clips and a browser. Absent, they are reasons to skip, unless required."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import tiny
from browser import find_browser, launched

if "PYTEST_XDIST_WORKER" in os.environ:  # `make test`: a process a core, so one thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)  # covered are the tests' own processes, not those they start

# as after `activate`: messages name `repro`, not its path (repro.files.command)
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def pytest_collection_modifyitems(items) -> None:
    """Files with the most slow tests first, so that processes that share the files end at about the same time."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _figures_are_closed():
    """What a test has drawn, where it drew anything."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips and official annotations: REPRO_SHARED_DATA, or ../shared/data."""
    return tiny.shared_data()


@pytest.fixture(scope="session")
def shared_clips() -> Path:
    """The same folder, or one of stand-ins: for tests that need the datasets' encodings, whatever they show."""
    return tiny.shared_data(stand_ins=True)


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
