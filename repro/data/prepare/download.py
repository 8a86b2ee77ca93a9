"""Fetch a file over HTTP and be sure of it: resumes where it broke off, checks its sum, never leaves half a file.

A file on its way is ``name.part``, with what is known of it in ``name.part.json``.
"""

import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import requests

from repro.data.catalogue import Archive, Dataset
from repro.data.prepare.checksums import SUMS, ChecksumError, check_sums, read_json, write_json
from repro.data.prepare.root import ARCHIVES, addresses, index_file
from repro.files import is_disk_full, progress, size_text

CHUNK = 1 << 15  # bytes: of a chunk that breaks off nothing is kept
TIMEOUT = (30, 60)  # seconds: to connect, between bytes
ATTEMPTS = 5  # without a new byte, before it is given up
PAUSE = 3.0  # seconds between attempts


class DownloadError(OSError):
    """The file could not be fetched; the message says how to get it otherwise."""


class DiskFull(OSError):
    """There is no space left; what was done so far is kept."""


def fetch(one: Dataset, archive: Archive, root: Path) -> None:
    """Download the archive's missing files into ROOT/archives. Raises as :func:`download`."""
    otherwise = f"By other means: {by_hand([archive], root)} {one.how}"
    record = root / SUMS
    if archive.index:
        download(archive.index, index_file(archive, root), record=record, otherwise=otherwise)
    for url, path in addresses(archive, root).items():
        download(url, path, sha256=archive.sha256, record=record, otherwise=otherwise)


def by_hand(archives: Sequence[Archive], root: Path) -> str:
    """How to get archives without this program."""
    places = [", ".join(filter(None, (size_text(a.bytes), a.url or a.index))) for a in archives]
    wanted = " and ".join(f"{archive.file} ({place})" for archive, place in zip(archives, places, strict=True))
    return f"Get {wanted}, put what you get into {root / ARCHIVES}, and run the same command again."


def download(url: str, path: Path, *, sha256: str = "", record: Path, otherwise: str = "") -> Path:
    """Fetch ``url`` to ``path``, unless it is there, going on from ``path.part`` where the server allows it.

    ``sha256`` is the sum it must have, "" records it in the checksums file ``record`` (:func:`check_sums`), where names
    are relative to its folder. ``otherwise`` says how to get it by other means.

    Raises DownloadError where the server is gone, refuses, or breaks off again and again; DiskFull before the first
    byte or on the way (the part is kept); ChecksumError for another file, kept as ``name.wrong``.
    """
    if path.is_file():
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, otherwise)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                f"{path}: the disk is full; {size_text(_size(part))} are kept in {part.name}: free some space and run "
                "the same command again, it goes on from there"
            ) from None
        raise
    try:
        check_sums({os.path.relpath(path, record.parent): (part, sha256)}, record)
    except ChecksumError as error:
        wrong = path.with_name(path.name + ".wrong")
        part.replace(wrong)
        _state_file(part).unlink()
        raise ChecksumError(f"{error} (kept as {wrong})") from None
    part.replace(path)
    _state_file(part).unlink()
    return path


def _fetch(url: str, part: Path, otherwise: str) -> None:
    """Bring ``part`` to its full size."""
    idle = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, part)
            return
        except requests.exceptions.SSLError:
            problem, idle = "its certificate is not accepted", ATTEMPTS
        except requests.HTTPError as error:
            answer = error.response
            problem, idle = f"the server answers {answer.status_code} ({answer.reason})", ATTEMPTS
        except requests.RequestException as error:
            problem = "the connection broke off" if _size(part) else f"no connection ({type(error).__name__})"
            idle = idle + 1 if _size(part) <= before else 0
        if idle >= ATTEMPTS:
            kept = f" {size_text(_size(part))} are kept; the same command goes on from there." if _size(part) else ""
            raise DownloadError(f"{url}: {problem}.{kept} {otherwise}".rstrip())
        time.sleep(PAUSE)


def _transfer(url: str, part: Path) -> None:
    """One request: what came is in ``part``, and what it is part of in its state file."""
    state = read_json(_state_file(part))
    have = _size(part) if state.get("url") == url else 0
    if have and have == state["bytes"]:
        return
    headers = {"Accept-Encoding": "identity"}  # a range counts bytes as stored, not as packed for the way
    if have:
        headers["Range"] = f"bytes={have}-"
        if state["validator"]:
            headers["If-Range"] = state["validator"]  # another file by now: the server sends it from the start
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:  # shorter by now than what is here
            _state_file(part).unlink()
            raise requests.ConnectionError("the file has changed")
        answer.raise_for_status()
        total = int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
        tag = answer.headers.get("ETag", "")
        validator = answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
        if have and answer.status_code == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            now = (span and int(span[1]), span and int(span[2]), validator)
            if now != (have, state["bytes"], state["validator"]):
                _state_file(part).unlink()  # so that the next request starts again
                raise requests.ConnectionError("the file has changed")
            total = state["bytes"]
        elif have:
            print(f"{part.name}: the server sends the whole file (it cannot resume, or the file has changed)")
            have = 0
        needed, free = (total or 0) - have, shutil.disk_usage(part.parent).free
        if needed > free:
            sizes = f"{size_text(needed)} are to come, {size_text(free)} are free on that disk"
            raise DiskFull(f"{part}: {sizes}; make room")
        write_json(_state_file(part), {"url": url, "validator": validator, "bytes": total})
        with (
            open(part, "ab" if have else "wb") as file,
            progress(total, part.name.removesuffix(".part"), "B", done=have) as advance,
        ):
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    if total is not None and _size(part) != total:
        raise requests.ConnectionError(f"{_size(part)} of {total} bytes came")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _state_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")
