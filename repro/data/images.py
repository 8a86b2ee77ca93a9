"""Clips that are frames already: a folder of JPEG files, or one zip of them (the frame cache). Both hold ``00001.jpg``,
``00002.jpg`` ... without gaps, as Something-Something v1 is distributed.

The zip stores its frames without compression, so a frame is one read at a known place. Its directory is read here as an
array: Python's ``zipfile`` builds an object for each entry, 1.1 of the 6.4 ms that 16 frames of 320x240 cost with it.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np


class DecodeError(OSError):
    """A clip that cannot be decoded; the message names the file."""


# A zip directory's entry of 46 bytes and a name of 9 (PKWARE APPNOTE 6.3, section 4.3.12)
ENTRY = np.dtype(
    {
        "names": ["signature", "method", "stored", "bytes", "name_length", "extra", "comment", "offset", "name"],
        "formats": ["S4", "<u2", "<u4", "<u4", "<u2", "<u2", "<u2", "<u4", "S9"],
        "offsets": [0, 10, 20, 24, 28, 30, 32, 42, 46],
        "itemsize": 55,
    }
)
LOCAL_HEADER = 30 + 9  # bytes before a frame's own: the header and the name
END, END_BYTES = b"PK\5\6", 22  # the record at the end, before the comment (section 4.3.16)
TAIL = 16384  # bytes read first from the end: the directory of some 290 frames


def frame_name(index: int) -> str:
    """The file name of frame ``index`` (from 0): 00001.jpg is frame 0."""
    return f"{index + 1:05d}.jpg"


def holds_images(path: Path) -> bool:
    """Whether the clip at ``path`` is frames already (a folder or a .zip) and not a video file."""
    path = Path(path)
    return path.suffix.lower() == ".zip" or path.is_dir()


class FrameZip(AbstractContextManager):
    """The JPEG frames of one clip in a zip as :mod:`repro.data.prepare.frame_cache` writes it.

    Raises DecodeError when the file is not there, is cut short, or is another kind of zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            self._file = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise DecodeError(f"{path}: {error.strerror}") from None
        try:
            self._entries, self.comment = self._read_directory()
        except BaseException:
            os.close(self._file)
            raise

    def _read_directory(self) -> tuple[np.ndarray, bytes]:
        size = os.fstat(self._file).st_size
        start = max(0, size - TAIL)
        tail = os.pread(self._file, TAIL, start)
        end = tail.rfind(END)
        whole = 0 <= end <= len(tail) - END_BYTES
        if whole:
            count, length, offset, comment = struct.unpack_from("<HIIH", tail, end + 10)
            whole = len(tail) == end + END_BYTES + comment
        if not whole:
            raise DecodeError(f"{self.path}: not a whole zip ({size} bytes); delete it and make the frame cache again")
        directory = tail[offset - start :][:length] if offset >= start else os.pread(self._file, length, offset)
        if length == count * ENTRY.itemsize == len(directory):
            entries = np.frombuffer(directory, ENTRY)
            plain = (entries["method"] == 0).all() and not entries["extra"].any() and not entries["comment"].any()
            if plain and (count == 0 or entries["name"][-1] == frame_name(count - 1).encode()):
                return entries, tail[end + END_BYTES :]
        raise DecodeError(
            f"{self.path}: not a frame cache, whose entries are 00001.jpg ... uncompressed; make it again"
        )

    def __len__(self) -> int:
        return len(self._entries)

    def encoded(self, index: int) -> np.ndarray:
        """Frame ``index`` as it is stored: uint8, the bytes of a JPEG file."""
        entry = self._entries[index]
        data = os.pread(self._file, int(entry["bytes"]), int(entry["offset"]) + LOCAL_HEADER)
        return np.frombuffer(data, np.uint8)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


class FrameFolder(AbstractContextManager):
    """The JPEG frames of one clip in a folder. ``len`` counts those before the first gap in the numbering.

    Raises DecodeError when the folder is not there or not one image in it can be reached.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            names = os.listdir(path)
        except OSError as error:
            raise DecodeError(f"{path}: {error.strerror}") from None
        # not ._00001.jpg of macOS
        self.images = {name for name in names if name.lower().endswith((".jpg", ".jpeg")) and name[0] != "."}
        if frame_name(0) not in self.images:
            found = f"the first of {len(self.images)} is {min(self.images)}" if self.images else "it holds no JPEG file"
            raise DecodeError(f"{path}: frames must be numbered from {frame_name(0)}, but {found}; extract it again")
        self._count = next(i for i in range(len(self.images) + 1) if frame_name(i) not in self.images)

    def __len__(self) -> int:
        return self._count

    def encoded(self, index: int) -> np.ndarray:
        """As :meth:`FrameZip.encoded`."""
        try:
            return np.fromfile(self.path / frame_name(index), np.uint8)
        except OSError as error:
            raise DecodeError(f"{self.path / frame_name(index)}: {error.strerror}") from None

    def __exit__(self, *_: object) -> None:
        pass


def open_images(path: Path) -> FrameZip | FrameFolder:
    """The frames at ``path``. Raises DecodeError as they do."""
    return FrameFolder(path) if Path(path).is_dir() else FrameZip(path)


def count_images(path: Path) -> int:
    """The frames at ``path``, without decoding any. Raises DecodeError when there is none."""
    with open_images(path) as images:
        if not len(images):
            raise DecodeError(f"{path}: holds no frame; delete it and make the frame cache again")
        return len(images)


def iter_images(path: Path, indices: Iterable[int]) -> Iterator[np.ndarray]:
    """The frames at ``indices`` (from 0): uint8 ``(H, W, 3)``, RGB. Raises DecodeError where one is not there."""
    with open_images(path) as images:
        for index in indices:
            if index >= len(images):
                raise DecodeError(f"{path}: ends at frame {len(images)}, frame {index} was asked for")
            yield decode_image(images.encoded(index), f"{path}: {frame_name(index)}")


def decode_image(data: np.ndarray, where: str) -> np.ndarray:
    """A frame from the bytes of a JPEG file: uint8 ``(H, W, 3)``, RGB. Raises DecodeError, which says ``where``."""
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if frame is None:
        raise DecodeError(f"{where}: not a whole JPEG picture ({len(data)} bytes); fetch it again")
    return frame
