"""What works on this machine, what is missing, and the next command: ``repro doctor``.

It must also say so where libraries do not import, so nothing but what is always there is imported at its head.
"""

import importlib
import os
import platform
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repro.files import command, size_text

MEND = "`make setup`, or install requirements.lock again"
SMALL_SHARED, FEW_FILES = 1 << 30, 1024  # bytes of shared memory, open files: below these loader processes may fail


class Finding(NamedTuple):
    """One line. ``fault``: something that every run needs does not work."""

    text: str
    fault: bool = False
    command: str = ""  # that brings what is missing


def findings(profile: Path | None = None) -> Iterator[Finding]:
    """All lines, one after the other: of the machine, of one profile and what its runs need, or of every profile's
    datasets.

    Raises FileNotFoundError, ValueError for a profile that is not there or not understood.
    """
    cores, free = os.cpu_count(), size_text(shutil.disk_usage(".").free)
    yield Finding(f"Python {platform.python_version()}, {cores} cores, {free} of disk free")
    tried = list(libraries())
    faults = [finding for finding in tried if finding.fault]
    yield from faults
    if not faults:
        yield Finding(f"libraries: all {len(tried)} import, torch {version('torch')} among them")
    reads = list(video())
    yield from reads
    yield from machine()
    if faults:
        yield Finding("datasets: looked for once the libraries import")
        yield Finding("next: make setup")
        return
    found = list(datasets([profile] if profile else sorted(Path("profiles").glob("*.yaml"))))
    yield from found
    if profile:
        yield from room(profile)
        missing = [finding.command for finding in found if finding.command]
        yield Finding(f"next: {missing[0] if missing else command(shlex.join(['plan', str(profile)]))}")
    elif any(finding.fault for finding in reads):
        yield Finding(f"next: mend what cannot read video, then {command('doctor')}")
    else:
        more = command("doctor profiles/hmdb51.yaml")
        yield Finding(f"next: make book (renders clips, trains on them, builds the report); for real data: {more}")


def libraries() -> Iterator[Finding]:
    """Every library that pyproject.toml asks for: whether it imports, in a version that was asked for."""
    names: dict[str, list[str]] = {}
    for module, distributions in packages_distributions().items():
        for distribution in distributions:
            if not module.startswith("_"):
                names.setdefault(canonicalize_name(distribution), []).append(module)
    try:
        asked = requires("repro") or ()
    except PackageNotFoundError:
        yield Finding(f"repro is not installed, so its libraries are not known; {MEND}", True)
        return
    for needed in map(Requirement, asked):
        name = needed.name
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue  # of tests, export and Slurm
        try:
            found = version(name)
            for module in sorted(names.get(canonicalize_name(name), ())):
                importlib.import_module(module)
            if needed.specifier.contains(found, prereleases=True):
                yield Finding(f"{name} {found}")
            else:
                yield Finding(f"{name} {found} is not {needed.specifier}, as pyproject.toml asks; {MEND}", True)
        except PackageNotFoundError:
            yield Finding(f"{name} is not installed; {MEND}", True)
        except Exception as error:  # any failure to import is what the user came to hear about
            yield Finding(f"{name} does not import ({error}); {MEND}", True)


def video() -> Iterator[Finding]:
    """Which clips can be read."""
    try:
        import cv2

        reads = cv2.videoio_registry.hasBackend(cv2.CAP_FFMPEG)
        yield Finding(
            f"OpenCV {cv2.__version__}, {'reads' if reads else 'CANNOT read'} video through FFmpeg", not reads
        )
    except ImportError as error:
        yield Finding(f"OpenCV does not import ({error}); on a server without libGL use opencv-python-headless", True)
    try:
        import av

        names = av.codecs_available
        yield Finding(f"PyAV {av.__version__}, {'reads' if 'libdav1d' in names else 'CANNOT read'} AV1")
    except ImportError:
        pass  # said with the libraries


def _unused_driver(torch: Any) -> str:
    """What NVIDIA's own tool says of a GPU that torch cannot use; "" where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    asked = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    if said.returncode or not said.stdout.strip():
        return ""
    name, _, driver = said.stdout.splitlines()[0].partition(", ")
    return f"{name} is here, but torch {torch.__version__} cannot use it with driver {driver}: update the driver"


def machine() -> Iterator[Finding]:
    """The GPU, memory, and what a server or a container may withhold."""
    if torch := sys.modules.get("torch"):
        from repro.metrics.memory import available_memory

        if torch.cuda.is_available():
            free, name = size_text(available_memory("cuda")), torch.cuda.get_device_name()
            yield Finding(f"GPU: {name}, {free} of memory free; {torch.cuda.device_count()} in all")
        else:
            yield Finding(f"GPU: {_unused_driver(torch) or 'none'}, runs use the CPU")
        yield Finding(f"memory: {size_text(available_memory('cpu'))} free")
    if not os.access(".", os.W_OK):
        yield Finding("this folder cannot be written: give --results and --work of every command, folders that can")
    home = os.path.expanduser("~")  # as it is where this user has none
    if not os.access(home, os.W_OK):
        yield Finding(
            f"{home} cannot be written: Snakemake and torchvision's weights need a HOME that can "
            '(export HOME="$PWD/build/home", which make does by itself)'
        )
    shared = Path("/dev/shm")
    if shared.is_dir() and (size := shutil.disk_usage(shared).total) < SMALL_SHARED:
        yield Finding(f"{shared} has {size_text(size)}: with workers a batch may not fit; docker run --shm-size=2g")
    if (files := resource.getrlimit(resource.RLIMIT_NOFILE)[0]) < FEW_FILES:
        yield Finding(f"{files} open files are allowed: with workers that may be too few; ulimit -n {FEW_FILES}")
    if shutil.which("git") is None:
        yield Finding("git is not here: records cannot say their commit")


def datasets(paths: Sequence[Path]) -> Iterator[Finding]:
    """Whether the folders that profiles name are there, and what brings them; a line a dataset and place."""
    from repro.data.catalogue import CATALOGUE
    from repro.experiment.profile import read_profile

    named_by: dict[tuple[str, str, str], list[str]] = {}
    renders: dict[Path, str] = {}  # what renders the set of a folder, several profiles'
    for path in paths:
        try:
            profile = read_profile(path)
        except ValueError as error:
            if len(paths) == 1:
                raise
            yield Finding(str(error), fault=True)
            continue
        for each in profile.experiments:
            absent = [folder for folder in (each.videos, each.annotations) if not Path(folder).is_dir()]
            root, brings = Path(each.videos).parent, ""
            if not absent:
                text, mend = f"{each.dataset} is in {root}", ""
            elif profile.demo_set and Path(profile.demo_set["root"]) == root:
                own = "make book" if path.stem == "demo" else shlex.join(["make", "book", f"PROFILE={path}"])
                text, mend = f"{each.dataset}: not rendered yet in {root}", f"`{renders.setdefault(root, own)}` does"
            else:
                layout = each.layout if each.layout in CATALOGUE else "folder"
                text = f"{each.dataset}: there is no folder {absent[0]}"
                brings = command(shlex.join(["prepare", layout, "--root", str(root), "--audit"]))
                mend = f"{brings}, or set videos and annotations"
            names = named_by.setdefault((text, mend, brings), [])
            names += [path.name] if path.name not in names else []
    for (text, mend, brings), names in named_by.items():
        yield Finding(f"{text} ({', '.join(names)}){f'; {mend}' if mend else ''}", command=brings)


def room(path: Path) -> Iterator[Finding]:
    """What the profile's runs need of memory and disk, beside what is here."""
    import torch

    from repro.experiment.profile import read_profile
    from repro.metrics.memory import available_memory
    from repro.training.costs import cost_table

    profile = read_profile(path)
    table = cost_table(profile.experiments, demo_set=profile.demo_set)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for what, needed, free, mend in (
        ("memory a device", table["GB a device"].max(), available_memory(device), "set a smaller batch_size"),
        ("disk", table["GB of disk"].sum(), shutil.disk_usage(".").free, "free some, or name another --work"),
    ):
        enough = needed * 1e9 < free
        text = f"{path}: {needed:,.1f} GB of {what} are needed, {free / 1e9:,.1f} GB are free"
        yield Finding(text if enough else f"{text}: {mend}")
