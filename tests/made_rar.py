"""Writes rar archives (format of RAR 2.9 to 4) whose entries are stored, so that tests need no rar program.

Format: the technical note that RAR 4 came with (technote.txt): blocks of CRC-16, type, flags, size; the file header has
sizes, CRC-32, method, name. Only what the tests use is here.
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

MARKER = b"Rar!\x1a\x07\x00"
LONG, FOLDER, SOLID = 0x8000, 0x00E0, 0x0008  # flags
STORED, NORMAL = 0x30, 0x33  # methods
UNIX, FILE_MODE, LINK_MODE = 3, 0o100644, 0o120777


def _block(kind: int, flags: int, body: bytes) -> bytes:
    tail = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
    return struct.pack("<H", zlib.crc32(tail) & 0xFFFF) + tail


def _file(name: str, data: bytes, *, method: int = STORED, mode: int = FILE_MODE, folder: bool = False) -> bytes:
    encoded = name.encode()
    body = struct.pack(
        "<LLBLLBBHL", len(data), len(data), UNIX, zlib.crc32(data), 0x3C210000, 29, method, len(encoded), mode
    )
    return _block(0x74, LONG | (FOLDER if folder else 0), body + encoded) + data


def rar_bytes(files: Mapping[str, bytes], *, links: Mapping[str, str] = {}, method: int = STORED, solid=False) -> bytes:
    """An archive of ``files`` (path -> content). A name ending in / is a folder; ``links`` are symbolic links.

    ``method`` NORMAL claims that the entries are compressed, which they are not: for a stand-in of the unrar program.
    """
    blocks = [MARKER, _block(0x73, SOLID if solid else 0, bytes(6))]
    for name, data in files.items():
        blocks.append(_file(name.rstrip("/"), data, method=method, folder=name.endswith("/")))
    for name, target in links.items():
        blocks.append(_file(name, target.encode(), mode=LINK_MODE))
    return b"".join([*blocks, _block(0x7B, 0x4000, b"")])


def write_rar(path: Path, files: Mapping[str, bytes], **options) -> Path:
    """:func:`rar_bytes` into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(rar_bytes(files, **options))
    return path
