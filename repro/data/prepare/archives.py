"""The files inside rar, zip and tar archives, one after the other, by the libraries for each.

rar and zip have a directory: their entries open in any order, in any process. tar, with or without gzip, is a stream,
and so is rar packed as one block ("solid"). A tar cut into parts is read as one stream, without joining the files.

``rarfile`` unpacks stored entries itself and calls a program for compressed ones: ``unrar`` or ``unar``. Others that
it knows did not do on Debian 12: ``bsdtar`` does not take its arguments, ``7zz`` is built without rar.
"""

import functools
import gzip
import io
import stat
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from multiprocessing import parent_process
from pathlib import Path
from typing import IO, Any, NamedTuple

import rarfile

from repro.files import progress

CHUNK = 1 << 20  # bytes
DAMAGE = (rarfile.Error, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)
MAGIC = {b"Rar!": ".rar", b"PK\3\4": ".zip", b"PK\5\6": ".zip"}


class ArchiveError(ValueError):
    """An archive is hostile, damaged or cut short; the message names it and the entry."""


class ToolMissing(OSError):
    """No program here unpacks compressed rar entries; the message names the one to install."""


class Entry(NamedTuple):
    """One file in an archive."""

    name: str
    size: int  # bytes
    open: Callable[[], Any]  # a context that gives the file, to read its bytes from


class Directory(NamedTuple):
    """The files of a rar or zip archive."""

    entries: list[Entry]
    solid: bool  # compressed as one block: no entry can be had without those before it


def entries(paths: Sequence[Path], verb: str) -> Iterator[Entry]:
    """The files of an archive, or of one tar in parts, in its order; read each, if at all, before asking for the next.
    ``verb`` is for the progress of streams. Raises ArchiveError, ToolMissing."""
    listed = directory(paths[0])
    with naming(paths):
        if listed is None:
            yield from _tar_stream(paths, verb)
        elif listed.solid:
            yield from _solid_stream(paths[0], listed)
        else:
            yield from listed.entries


def directory(path: Path) -> Directory | None:
    """The files of a rar or zip archive; None for a tar. Raises ArchiveError, ToolMissing."""
    state = path.stat()
    return _directory(path, state.st_size, state.st_mtime_ns)


def refusal(archive: Path, name: str, why: str) -> ArchiveError:
    return ArchiveError(
        f"{archive}: entry {name!r} {why}; it is refused. This is not the archive as distributed: "
        "fetch it again from the official address"
    )


@contextmanager
def naming(paths: Sequence[Path]) -> Iterator[None]:
    """Turns the libraries' errors into one message with the archive's name."""
    name = str(paths[0]) if len(paths) == 1 else f"{paths[0]} to {paths[-1].name}"
    try:
        yield
    except rarfile.RarCannotExec:
        raise ToolMissing(
            f"{name}: its entries are compressed, and no program to unpack rar is installed; "
            "install unar (Debian, Ubuntu: apt-get install unar) or unrar"
        ) from None
    except DAMAGE as error:
        raise ArchiveError(f"{name}: damaged or cut short: {error or type(error).__name__}; fetch it again") from None


@functools.lru_cache(maxsize=2)
def _directory(path: Path, size: int, _modified: int) -> Directory | None:
    with open(path, "rb") as file:
        kind = MAGIC.get(file.read(4), path.suffix.lower())
    with naming([path]):
        return _zip_directory(path) if kind == ".zip" else _rar_directory(path, size) if kind == ".rar" else None


def _zip_directory(path: Path) -> Directory:
    archive = zipfile.ZipFile(path)
    files = [info for info in archive.infolist() if not info.is_dir()]
    for info in files:
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise refusal(path, info.filename, "is a link or a device")
        if info.flag_bits & 1:
            raise refusal(path, info.filename, "needs a password")
    return Directory(_entries(archive, files), False)


def _rar_directory(path: Path, size: int) -> Directory:
    archive = rarfile.RarFile(path, errors="strict")
    if archive.needs_password():
        raise refusal(path, "", "needs a password")
    files = [info for info in archive.infolist() if not info.is_dir()]
    for info in files:
        if not info.is_file() or info.file_redir:
            raise refusal(path, info.filename, "is a link")
        if len(archive.volumelist()) == 1 and info.data_offset + info.compress_size > size:
            raise EOFError(f"{info.filename} is not all there")
    compressed = any(info.compress_type != rarfile.RAR_M0 for info in files)
    if compressed:
        rarfile.tool_setup(sevenzip=False, sevenzip2=False, bsdtar=False)  # raises RarCannotExec
    return Directory(_entries(archive, files), compressed and archive.is_solid())


def _entries(archive: Any, files: Sequence[Any]) -> list[Entry]:
    return [Entry(info.filename, info.file_size, functools.partial(archive.open, info)) for info in files]


class _Joined(io.RawIOBase):
    """Several files read as one, in order."""

    def __init__(self, paths: Sequence[Path], advance: Callable[[int], None]) -> None:
        self.files = [io.FileIO(path) for path in paths]
        self.advance = advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = next(filter(None, (file.readinto(buffer) for file in self.files)), 0)  # 0 at the end of each
        self.advance(count)
        return count

    def close(self) -> None:
        for file in self.files:
            file.close()
        super().close()


def _tar_stream(paths: Sequence[Path], verb: str) -> Iterator[Entry]:
    total = sum(path.stat().st_size for path in paths)
    alone = parent_process() is None  # workers run side by side: their archives are counted, not their bytes
    shown = progress(total, f"{verb} {paths[0].name}", "B") if alone else nullcontext(lambda count: None)
    with shown as advance, io.BufferedReader(_Joined(paths, advance), CHUNK) as joined:
        packed = joined.peek(2)[:2] == b"\x1f\x8b"
        stream = gzip.GzipFile(fileobj=joined) if packed else joined
        end = 0
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep ten million entries to seek back to
                end = info.offset_data + info.size
                if info.isreg():
                    yield Entry(info.name, info.size, functools.partial(tar.extractfile, info))
                elif not info.isdir():
                    raise refusal(paths[0], info.name, "is a link or a device")
        # tarfile takes a header without sense, and the end of a plain file, for the end of the archive
        rest = any(block.strip(b"\0") for block in iter(functools.partial(stream.read, CHUNK), b""))
        if rest or (not packed and end + tarfile.BLOCKSIZE > total):
            raise EOFError("the end of the archive is not there")


def _solid_stream(path: Path, listed: Directory) -> Iterator[Entry]:
    """One run of the tool, which prints all files, one after the other."""
    archive = rarfile.RarFile(path)
    command = rarfile.tool_setup().open_cmdline(None, str(path))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tool:
        try:
            for entry in listed.entries:
                assert tool.stdout is not None
                part = _Part(tool.stdout, entry.size)
                yield entry._replace(open=functools.partial(nullcontext, part))
                while part.read(CHUNK):
                    pass
                if part.left or part.crc != archive.getinfo(entry.name).CRC:
                    raise EOFError(f"{entry.name} does not unpack")
        finally:
            tool.kill()


class _Part:
    """The next ``count`` bytes of a stream, with their CRC-32."""

    def __init__(self, stream: IO[bytes], count: int) -> None:
        self.stream, self.left, self.crc = stream, count, 0

    def read(self, count: int) -> bytes:
        data = self.stream.read(min(count, self.left))
        self.left -= len(data)
        self.crc = zlib.crc32(data, self.crc)
        return data
