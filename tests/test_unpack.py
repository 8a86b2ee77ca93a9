"""Archives: hostile, cut short, damaged, half unpacked, compressed without a tool; the good ones unpack whole."""

import errno
import functools
import gzip
import os
import shutil
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import rarfile
from made_rar import NORMAL, rar_bytes, write_rar
from miniature import tar_of

from repro.data.prepare import archives
from repro.data.prepare import unpack as module
from repro.data.prepare.archives import ArchiveError, ToolMissing
from repro.data.prepare.download import DiskFull
from repro.data.prepare.root import DRAFTS
from repro.data.prepare.unpack import Job, survey, unpack, unpack_all

SAMPLES = Path(__file__).parent / "samples"
FILES = {
    "UCF-101/Punch/v_Punch_g01_c01.avi": b"one" * 1000,
    "UCF-101/Punch/v_Punch_g01_c02.avi": b"two" * 2000,
    "UCF-101/Golf/(HQ)_Yards!!! #1 + [a] & b;c@~.avi": b"three" * 50,
    "UCF-101/readme.txt": b"not a clip",
    "UCF-101/Golf/._litter.avi": b"macOS",
}
CLIPS = {
    "/".join(name.split("/")[1:]): data for name, data in FILES.items() if name.endswith(("1.avi", "2.avi", "~.avi"))
}


def write_zip(path, files, links=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return path


WRITERS = {
    "rar": lambda path, files, links=(): write_rar(path, files, links=dict.fromkeys(links, "/etc/passwd")),
    "zip": write_zip,
    "tar.gz": tar_of,
    "tar": functools.partial(tar_of, mode="w:"),
}


@pytest.fixture(params=WRITERS)
def write(request, tmp_path):
    """Writes an archive of one of the formats: ``write(files, links)``."""
    return lambda files, links=(): WRITERS[request.param](tmp_path / f"set.{request.param}", files, links)


def clips_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_unpacks_what_is_taken_where_it_belongs(write, tmp_path):
    job = Job((write(FILES),), tmp_path / "videos.part", ".avi", 2)
    assert survey(job) == sum(map(len, CLIPS.values())) and not job.into.exists()
    assert unpack(job) == 3 and clips_in(job.into) == CLIPS
    assert survey(job) == 0 and unpack(job) == 0
    assert os.listdir(job.into / DRAFTS) == []


def test_files_that_are_there_are_kept_and_others_mended(write, tmp_path):
    job = Job((write(FILES),), tmp_path / "v", ".avi", 2)
    unpack(job)
    first, second = job.into / "Punch/v_Punch_g01_c01.avi", job.into / "Punch/v_Punch_g01_c02.avi"
    os.utime(first, ns=(1, 1))
    second.write_bytes(b"cut")
    assert unpack(job) == 1 and clips_in(job.into) == CLIPS and first.stat().st_mtime_ns == 1


HOSTILE = {
    "../evil.avi": "leads out of its folder",
    "UCF-101/../../evil.avi": "leads out of its folder",
    "/tmp/a/evil.avi": "has an absolute path",
    "C:/evil.avi": "has an absolute path",
    "UCF-101\\..\\..\\evil.avi": "leads out of its folder",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_lead_out_are_refused_before_anything_is_written(write, tmp_path, name):
    path = write({**FILES, name: b"evil"})
    job = Job((path,), tmp_path / "in" / "videos.part", ".avi", 2)
    with pytest.raises(ArchiveError, match=HOSTILE[name]) as error:
        survey(job)
    assert str(path) in str(error.value) and "evil.avi" in str(error.value) and not job.into.exists()
    with pytest.raises(ArchiveError, match=HOSTILE[name]):
        unpack(job)  # without the survey: nothing outside the folder either
    assert not list(tmp_path.rglob("evil.avi"))


def test_links_are_refused(write, tmp_path):
    path = write(FILES, links=["UCF-101/Punch/link.avi"])
    with pytest.raises(ArchiveError, match=r"entry 'UCF-101/Punch/link.avi' is a link.*; it is refused"):
        survey(Job((path,), tmp_path / "v", ".avi", 2))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_hard_links_and_devices_are_refused(tmp_path, kind):
    path = tar_of(tmp_path / "x.tar", FILES, links=["a/device.avi"], kind=kind)
    with pytest.raises(ArchiveError, match=r"'a/device\.avi' is a link or a device"):
        survey(Job((path,), tmp_path / "v", ".avi", 2))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_cut_short_is_found_before_anything_is_written(write, tmp_path, share):
    path = write({f"a/{k}/{k}.avi": os.urandom(3000) for k in range(8)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ArchiveError, match=r"set\..*: damaged or cut short: .*fetch it again"):
        survey(Job((path,), tmp_path / "v", ".avi", 2))
    assert not (tmp_path / "v").exists()


@pytest.mark.parametrize("name, content", [("x.rar", b""), ("x.zip", b"<html>404</html>"), ("x-00", b"no tar " * 999)])
def test_other_files_are_no_archives(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArchiveError, match=f"{name}: damaged or cut short"):
        survey(Job((tmp_path / name,), tmp_path / "v", ".avi", 2))


def test_damage_inside_a_stored_entry_is_found_by_its_sum(tmp_path):
    content = bytearray(rar_bytes({"a/one.avi": b"1" * 5000, "a/two.avi": b"2" * 5000}))
    content[7000] ^= 1
    path = tmp_path / "set.rar"
    path.write_bytes(content)
    job = Job((path,), tmp_path / "v", ".avi", 2)
    with pytest.raises(ArchiveError, match=r"set\.rar: damaged or cut short: .*CRC check failed: a/two\.avi"):
        unpack(job)
    assert clips_in(job.into) == {"a/one.avi": b"1" * 5000}


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_a_damaged_header_is_not_taken_for_the_end_of_a_tar(tmp_path, mode):
    path = tar_of(tmp_path / "x.tar", {f"a/{k}.avi": bytes([k]) * 4096 for k in range(1, 9)}, mode="w:")
    content = bytearray(path.read_bytes())
    content[3 * (512 + 4096) + 150] ^= 1  # the sum of the fourth header
    path.write_bytes(content if mode == "w:" else gzip.compress(content))
    with pytest.raises(ArchiveError, match=r"x\.tar: damaged or cut short: the end of the archive is not there"):
        survey(Job((path,), tmp_path / "v", ".avi", 2))


def parts_of(path, count):
    content = path.read_bytes()
    step = -(-len(content) // count)
    parts = [path.with_name(f"set-v1-{k:02d}") for k in range(count)]
    for k, part in enumerate(parts):
        part.write_bytes(content[k * step : (k + 1) * step])
    return tuple(parts)


def test_a_tar_in_parts_is_one_stream(tmp_path, capsys):
    frames = {f"20bn/{clip}/{k:05d}.jpg": os.urandom(700) for clip in (7, 12) for k in range(1, 6)}
    parts = parts_of(tar_of(tmp_path / "x.tgz", frames), 4)
    job = Job(parts, tmp_path / "v", ".jpg", 2)
    assert unpack(job) == 10
    assert clips_in(job.into) == {name.removeprefix("20bn/"): data for name, data in frames.items()}
    for wrong in (parts[:3], (parts[0], parts[2], parts[3])):
        with pytest.raises(ArchiveError, match=r"set-v1-00 to set-v1-0[23]: damaged or cut short"):
            survey(Job(wrong, tmp_path / "w", ".jpg", 2))


def test_a_missing_class_folder_is_named_after_the_archive(tmp_path):
    path = write_rar(tmp_path / "brush_hair.rar", {"clip.avi": b"x"})
    job = Job((path,), tmp_path / "v", ".avi", 2)
    unpack(job)
    assert clips_in(job.into) == {"brush_hair/clip.avi": b"x"}


def test_disk_full_leaves_no_whole_looking_file(write, tmp_path, monkeypatch):
    job = Job((write(FILES),), tmp_path / "v", ".avi", 2)
    copied, copy = [], shutil.copyfileobj

    def full(source, target, length):
        if copied:
            target.write(source.read(10))
            raise OSError(errno.ENOSPC, "No space left on device")
        copied.append(copy(source, target, length))

    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "copyfileobj", full)
        with pytest.raises(DiskFull, match=r"v: the disk is full while set\..* is unpacked; every finished"):
            unpack(job)
    assert clips_in(job.into) == dict(list(CLIPS.items())[:1])
    assert unpack(job) == 2 and clips_in(job.into) == CLIPS


def test_all_cores(tmp_path):
    files = {f"c{k % 3}/{k}.avi": os.urandom(500) for k in range(40)}
    first = Job((write_rar(tmp_path / "a.rar", files),), tmp_path / "v", ".avi", 2)
    others = [
        Job((tar_of(tmp_path / f"{k}.tgz", {f"d{k}/1.avi": b"x" * k}),), tmp_path / "v", ".avi", 2) for k in (1, 2)
    ]
    assert set(unpack_all([first, *others], title="unpacking", workers=2)) == set(others)  # the streams
    assert clips_in(tmp_path / "v") == files | {"d1/1.avi": b"x", "d2/1.avi": b"xx"}
    assert list(unpack_all([first], title="unpacking", workers=2)) == []  # nothing to do


@pytest.fixture
def no_tool(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)
    archives._directory.cache_clear()
    return tmp_path / "bin"


@pytest.mark.parametrize("name", ["seektest.rar", "rar3-solid.rar"])
def test_compressed_without_a_tool_names_the_one_to_install(no_tool, tmp_path, name):
    with pytest.raises(ToolMissing, match=rf"{name}: its entries are compressed, .*apt-get install unar\) or unrar"):
        survey(Job((SAMPLES / name,), tmp_path / "v", ".txt", 1))


def test_stored_entries_need_no_tool(no_tool, tmp_path):
    job = Job((write_rar(tmp_path / "set.rar", FILES),), tmp_path / "v", ".avi", 2)
    assert unpack(job) == 3 and clips_in(job.into) == CLIPS


@pytest.fixture
def stand_in(no_tool):
    """A program ``unrar`` that prints the data of all entries as they are stored, and notes each call."""
    program = no_tool / "unrar"
    program.write_text(
        f"#!{sys.executable}\n"
        "import struct, sys\n"
        f"open({str(no_tool / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "if sys.argv[1] == 'p':\n"
        "    data, at = open(sys.argv[5], 'rb').read(), 7\n"
        "    while at < len(data):\n"
        "        kind, flags, size = struct.unpack_from('<BHH', data, at + 2)\n"
        "        packed = struct.unpack_from('<L', data, at + 7)[0] if flags & 0x8000 else 0\n"
        "        if kind == 0x74:\n"
        "            sys.stdout.buffer.write(data[at + size : at + size + packed])\n"
        "        at += size + packed\n"
    )
    program.chmod(0o755)
    return lambda: [line for line in (no_tool / "calls").read_text().splitlines() if line.startswith("p ")]


@pytest.mark.parametrize("solid, calls", [(False, 3), (True, 1)])
def test_the_tool_is_called_once_a_clip_or_once_for_a_solid_archive(stand_in, tmp_path, solid, calls):
    job = Job((write_rar(tmp_path / "set.rar", FILES, method=NORMAL, solid=solid),), tmp_path / "v", ".avi", 2)
    assert unpack(job) == 3 and clips_in(job.into) == CLIPS and len(stand_in()) == calls
    assert list(unpack_all([job], title="unpacking", workers=1)) == [job] * solid
    assert os.listdir(job.into / DRAFTS) == []  # rarfile's own copies are gone


def test_a_solid_archive_that_does_not_unpack_is_named(stand_in, tmp_path):
    content = bytearray(rar_bytes(FILES, method=NORMAL, solid=True))
    content[2000] ^= 1
    (tmp_path / "set.rar").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"set\.rar: damaged or cut short: .*v_Punch_g01_c01\.avi does not unpack"):
        unpack(Job((tmp_path / "set.rar",), tmp_path / "v", ".avi", 2))


@pytest.mark.skipif(not (shutil.which("unar") or shutil.which("unrar")), reason="neither unar nor unrar is installed")
@pytest.mark.parametrize("name", ["seektest.rar", "rar3-solid.rar"])
def test_really_compressed_entries(tmp_path, monkeypatch, name):
    monkeypatch.setattr(rarfile, "CURRENT_SETUP", None)
    job = Job((SAMPLES / name,), tmp_path / "v", ".txt", 1)
    assert unpack(job) == 2 and {len(data) for data in clips_in(job.into).values()} == {2048}
