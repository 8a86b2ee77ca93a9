"""Where a record or a measurement comes from: code, machine and libraries, as they were when it started."""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = ("torch", "torchvision", "opencv-python-headless", "opencv-python", "numpy")


def make_provenance() -> dict[str, Any]:
    """Commit, machine and libraries, now. Whoever measures adds ``seconds`` and ``device`` when done."""
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown: not a git checkout",
        "uncommitted_changes": _changed(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": versions(LIBRARIES),
        "lock": _lock_hash(),
        "driver": _driver(),
    }


def commit_text() -> str:
    """``commit 0123456789``, with a word where its files were changed since; ``unknown commit`` outside git."""
    commit = _git("rev-parse", "HEAD")
    return f"commit {commit[:10]}{' with uncommitted changes' if _changed() else ''}" if commit else "unknown commit"


def machine_text(made: Mapping[str, Any]) -> str:
    """``CPU, 2 threads of AMD EPYC``: device and processor, from what a record says of its making."""
    device = re.sub(r"\b(\d+) thread\(s\)", lambda of: f"{of[1]} thread{'s' * (of[1] != '1')}", made["device"])
    return f"{device} of {made['processor']}"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of those packages that are installed."""
    found = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def commit_known(commit: str) -> bool | None:
    """Whether a commit is in this checkout's history; None where this is no git checkout."""
    if not _git("rev-parse", "HEAD"):
        return None
    # other text could be an option, or a branch's name, which says nothing of the code
    return bool(
        re.fullmatch("[0-9a-f]{7,64}", commit) and _git("rev-parse", "--quiet", "--verify", f"{commit}^{{commit}}")
    )


def _lock_hash() -> str | None:
    """16 hexadecimal digits over requirements.lock, where this is a checkout."""
    lock = Path(__file__).parents[2] / "requirements.lock"
    return hashlib.sha256(lock.read_bytes()).hexdigest()[:16] if lock.is_file() else None


def _driver() -> str | None:
    """The GPU driver's version, where there is one."""
    told = _answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return told.split("\n")[0].strip() or None


def _changed() -> bool:
    """Whether the code has uncommitted changes. Records are no code: a run that finds its own fresh may write other
    threads or folders into it."""
    return bool(_git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)results"))


def _git(*arguments: str) -> str:
    return _answer("git", *arguments)


def _answer(*command: str) -> str:
    """What a command prints; nothing where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    """Its name and, where Linux tells, the widest instructions that torch would use of it: a virtual machine's name is
    often that of a whole family, and rounding goes by these."""
    with suppress(OSError):
        told = dict(re.findall(r"^(\S.*?)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE))
        if name := told.get("model name"):
            flags = told.get("flags", "").split()
            widest = next((words for flag, words in (("avx512f", "AVX512"), ("avx2", "AVX2")) if flag in flags), "")
            return f"{name.strip()} ({widest})" if widest else name.strip()
    return platform.processor() or "unknown"
