"""What every room does with files, the same way: written whole or not at all, checked, held by one process, said."""

import difflib
import errno
import os
import shlex
import shutil
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeGuard, TypeVar

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Strict, TypeAdapter, ValidationError, model_validator
from tqdm import tqdm

if TYPE_CHECKING:
    import pandas as pd

SECONDS_BETWEEN_LINES = 20  # of progress in a log
T = TypeVar("T")

Many = Annotated[tuple[T, ...], Strict(False)]
"""A field of a :class:`Written` model: a list in the file, a tuple once it is read."""


# ---- written whole


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A draft beside ``path`` to write; it takes that name, on the disk, only when the block ends without an error.

    An earlier file stays as it is until then, and no draft stays behind. Raises OSError that names file and mend where
    the disk is full.
    """
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")  # two processes may write side by side
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        with open(draft, "rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException as error:  # an interruption, too, leaves no half-written file
        draft.unlink(missing_ok=True)
        if is_disk_full(error):
            message = f"{path}: the disk is full; what was there before is kept. Free some space and start again"
            raise OSError(error.errno, message) from None
        raise


def write_whole(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file by :func:`whole`; text is UTF-8."""
    with whole(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def best_effort(path: Path) -> Iterator[None]:
    """Around writing a cache: in a folder that cannot be written the work goes on without it, and a line says so."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        print(f"{path}: cannot be written, so it is found out anew each time", file=sys.stderr, flush=True)


def is_disk_full(error: BaseException) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


# ---- held by one process


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``, which the system gives up however this process ends; it goes with the block.

    Raises BlockingIOError when another process holds it, OSError where it cannot be made.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BlockingIOError(f"{path}: another process is at this work; wait for it, or stop it") from None
    try:
        yield
    finally:
        Path(path).unlink(missing_ok=True)  # nobody waits for it
        lock.release()


# ---- checked


class Written(BaseModel):
    """A part of a file that people write: unknown names and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: Any) -> Any:
        if isinstance(values, Mapping):
            check_names(values, [field.alias or name for name, field in cls.model_fields.items()], "")
        return values


def check_names(values: Iterable[str], known: Sequence[str], what: str) -> None:
    """Raise ValueError for the first name in ``values`` that is not ``known``, and say which one is near."""
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ValueError(f"{what}: unknown name {name!r}; {hint}".removeprefix(": "))


def checked(kind: type[T], values: Any, where: str) -> T:
    """The values as ``kind``, a :class:`Written` model or another type that pydantic knows.

    Raises ValueError ``where: field: what is wrong`` for the first fault, and says how many more there are.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ValueError(": ".join(part for part in (where, fault_text(error, values)) if part)) from None


def fault_text(error: ValidationError, values: Any = None) -> str:
    """``field: what is wrong`` for the first fault, and how many more there are.

    values: what was checked, so that an entry of a list is named by its own name.
    """
    first, *more = error.errors(include_url=False)
    place = ".".join(_place(first["loc"], values))
    text = first["msg"].removeprefix("Value error, ")
    if first["type"] not in ("value_error", "missing"):
        text = f"{first['input']!r}: {text[0].lower()}{text[1:]}"
    also = f" (and {len(more)} more)" if more else ""
    return ": ".join(part for part in (place, text) if part) + also


def _place(location: Sequence[str | int], values: Any) -> Iterator[str]:
    """The parts of a fault's place: an entry of a list by its own name where it has one, else by its number from 0."""
    for part in location:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):  # a field that is missing
            values = None
        name: Any = part
        if isinstance(part, int) and isinstance(values, Mapping):
            kinds = {"name": str, "id": str, "method": str, "file": str, "number": int}
            name = next((values[key] for key, kind in kinds.items() if isinstance(values.get(key), kind)), part)
        yield str(name)


def read_toml(path: Path, **options: Any) -> dict[str, Any]:
    """What a TOML file holds; options as for ``tomllib.loads``. Raises ValueError that names the file and the line."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"), **options)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not readable as TOML in UTF-8: {error}; mend that line") from None


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises ValueError that names the file and the line, OSError where it is not there."""
    import yaml

    try:
        return yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}; mend that line") from None


def read_table(path: Path, mend: str) -> "pd.DataFrame":
    """A parquet file. Raises ValueError that names it and the mend where it is missing or spoilt."""
    import pandas as pd  # not for those who only need a lock or a message

    try:
        return pd.read_parquet(path)
    except Exception as error:  # of a spoilt file pandas and pyarrow raise whatever their own code stumbles over
        said = " ".join(str(error).split())
        raise ValueError(f"{path}: cannot be read ({type(error).__name__}: {said}); {mend}") from None


def is_utf8(text: str) -> bool:
    """Whether the text, which may be a file's name, can be written as UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


# ---- said as it goes on


def watched() -> bool:
    """A person is watching: a terminal, or a kernel that a Jupyter server started (papermill's has no session)."""
    return sys.stderr.isatty() or "JPY_SESSION_NAME" in os.environ


def command(arguments: str) -> str:
    """``repro`` with these arguments as a shell takes it here: by name where it finds this one, else by the path."""
    program, found = Path(sys.executable).with_name("repro"), shutil.which("repro")
    if not program.is_file() or (found and os.path.samefile(found, program)):
        return f"repro {arguments}"
    here = Path.cwd()
    return f"{shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))} {arguments}"


def size_text(count: float) -> str:
    """Bytes as people say them, in decimal units: 6.9 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} bytes"


@contextmanager
def progress(total: int | None, title: str, unit: str = "clip", *, done: int = 0) -> Iterator[Callable[..., None]]:
    """A function to call after each one, or with how many: a bar where a person is watching, else a line now and then.

    Args:
        total: None where it is not known.
        unit: of what is counted, in the singular; "B" for bytes.
        done: of an earlier run.
    """
    start = said = time.monotonic()
    first = done
    show = size_text if unit == "B" else lambda count: f"{count:,.0f}"
    name = "" if unit == "B" else f" {unit}s"
    with tqdm(total=total, initial=done, desc=title, unit=unit, unit_scale=unit == "B", disable=not watched()) as bar:

        def advance(count: int = 1) -> None:
            nonlocal done, said
            done += count
            bar.update(count)
            now = time.monotonic()
            if not bar.disable or now - said < SECONDS_BETWEEN_LINES:
                return
            said, rate = now, max(done - first, 1) / (now - start)
            of = f" of {show(total)}" if total is not None else ""
            left = f", about {(total - done) / rate / 60:.0f} minutes to go" if total is not None else ""
            pace = f"{size_text(rate)}" if unit == "B" else f"{rate:.1f}"
            print(f"{title}: {show(done)}{of}{name}, {pace} a second{left}", file=sys.stderr, flush=True)

        yield advance
