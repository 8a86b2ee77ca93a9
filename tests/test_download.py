"""Downloads against a server on this machine: broken off, resumed, changed, refused, damaged, on a full disk."""

import errno
import hashlib
import http.server
import json
import os
import shutil
from types import SimpleNamespace

import pytest
from miniature import serving

from repro.data.prepare import checksums
from repro.data.prepare import download as module
from repro.data.prepare.checksums import ChecksumError, check_sums
from repro.data.prepare.download import DiskFull, DownloadError, download

CONTENT = bytes(range(256)) * 1200  # 307,200 bytes
SUM = hashlib.sha256(CONTENT).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server.site
        site.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        if site.status != 200:
            self.send_error(site.status)
            return
        start, whole = 0, site.content
        wanted = self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, site.tag)
        if wanted and site.ranges and same:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(whole) - start))
        if site.tag:
            self.send_header("ETag", site.tag)
        self.end_headers()
        body = whole[start:]
        cut = site.cuts.pop(0) if site.cuts else None
        self.wfile.write(body[:cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """A server whose behaviour a test sets: ``cuts`` are the bytes it sends per request before it breaks off."""
    monkeypatch.setattr(module, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(_Handler) as server:
        server.site = SimpleNamespace(content=CONTENT, cuts=[], ranges=True, tag='"v1"', status=200, asked=[])
        server.site.url = f"http://127.0.0.1:{server.server_port}/set.rar"
        yield server.site


@pytest.fixture
def get(site, tmp_path):
    path = tmp_path / "root" / "archives" / "set.rar"
    return lambda **options: download(site.url, path, record=tmp_path / "root" / "checksums.json", **options)


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_download_is_whole_checked_and_recorded(site, get, tmp_path):
    path = get(sha256=SUM)
    assert path.read_bytes() == CONTENT and names(tmp_path) == ["checksums.json", "set.rar"]
    record = json.loads((tmp_path / "root" / "checksums.json").read_text())
    assert record["archives/set.rar"]["sha256"] == SUM and record["archives/set.rar"]["bytes"] == len(CONTENT)
    get(sha256=SUM)
    assert len(site.asked) == 1  # what is there is not fetched again


def test_cut_in_the_middle_then_resumed_by_the_next_run(site, get, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    site.cuts = [len(CONTENT) // 2, 0]
    kept = len(CONTENT) // 2 // module.CHUNK * module.CHUNK
    with pytest.raises(DownloadError, match=r"the connection broke off. 131.1 kB are kept; the same command goes on"):
        get()
    assert names(tmp_path) == ["set.rar.part", "set.rar.part.json"]
    path = get(sha256=SUM)
    assert path.read_bytes() == CONTENT and site.asked[-1] == ("/set.rar", f"bytes={kept}-", '"v1"')
    assert names(tmp_path) == ["checksums.json", "set.rar"]


def test_breaks_are_mended_within_a_run_while_bytes_come(site, get):
    site.cuts = [40_000] * 6  # more breaks than attempts: each brought something
    assert get(sha256=SUM).read_bytes() == CONTENT
    assert [start for _, start, _ in site.asked[1:3]] == ["bytes=32768-", "bytes=65536-"]


def test_a_server_that_cannot_resume_sends_it_again(site, get, capsys):
    site.ranges, site.cuts = False, [100_000]
    assert get(sha256=SUM).read_bytes() == CONTENT
    assert "set.rar.part: the server sends the whole file" in capsys.readouterr().out


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_never_mixed(site, get, monkeypatch, honours_if_range):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    site.cuts = [100_000, 0]
    with pytest.raises(DownloadError):
        get()
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    site.content = CONTENT[::-1]
    if honours_if_range:
        site.tag = '"v2"'
    else:  # the server serves the range all the same, under the new tag
        monkeypatch.setattr(_Handler, "send_header", _with_tag(_Handler.send_header, '"v2"'))
    assert get().read_bytes() == CONTENT[::-1]


def _with_tag(send_header, tag):
    return lambda self, name, value: send_header(self, name, tag if name == "ETag" else value)


def test_a_whole_part_needs_no_request(site, get, tmp_path):
    path = get()
    path.rename(path.with_name("set.rar.part"))  # as if killed just before the renaming
    state = {"url": site.url, "validator": '"v1"', "bytes": len(CONTENT)}
    path.with_name("set.rar.part.json").write_text(json.dumps(state))
    assert get().read_bytes() == CONTENT and len(site.asked) == 1


def test_checksum_mismatch_keeps_the_file_aside(site, tmp_path):
    path, record = tmp_path / "archives" / "set.tgz", tmp_path / "checksums.json"
    with pytest.raises(ChecksumError, match=rf"its sha256 is {SUM}, but the catalogue says {'0' * 64}") as error:
        download(site.url, path, record=record, sha256="0" * 64)
    assert "set.tgz.wrong" in str(error.value) and '{"archives/set.tgz": {"sha256": "' in str(error.value)
    assert names(tmp_path) == ["set.tgz.wrong"]


def test_the_second_use_must_agree_with_the_first(tmp_path):
    path, record = tmp_path / "a.bin", tmp_path / "checksums.json"
    path.write_bytes(b"first")
    check_sums({"a.bin": (path, "")}, record)
    path.write_bytes(b"other")
    with pytest.raises(ChecksumError, match=r"a\.bin: its sha256 is .* but checksums.json says a7937b64b8caa58f"):
        check_sums({"a.bin": (path, "")}, record)
    record.write_text(json.dumps({"a.bin": {"sha256": hashlib.sha256(b"other").hexdigest()}}))  # the message's mend
    check_sums({"a.bin": (path, "0" * 64)}, record)
    record.write_text("{")
    with pytest.raises(ValueError, match=r"checksums\.json: not JSON .*mend or delete it"):
        check_sums({"a.bin": (path, "")}, record)


def test_a_known_file_is_not_read_again(tmp_path, monkeypatch):
    path, record = tmp_path / "a.rar", tmp_path / "checksums.json"
    path.write_bytes(b"first")
    check_sums({"a.rar": (path, "")}, record)
    monkeypatch.setattr(checksums, "_sha256", lambda path: pytest.fail("read again"))
    check_sums({"a.rar": (path, "")}, record)


@pytest.mark.parametrize("status, reason", [(404, "Not Found"), (403, "Forbidden"), (500, "Internal Server Error")])
def test_refused(site, get, tmp_path, status, reason):
    site.status = status
    with pytest.raises(DownloadError, match=rf"set.rar: the server answers {status} \({reason}\)\. Get it by hand\."):
        get(otherwise="Get it by hand.")
    assert len(site.asked) == 1 and names(tmp_path) == []


def test_no_server(get, site, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    with pytest.raises(DownloadError, match=r"no connection \(ConnectionError\)\. Get it by hand\."):
        download("http://127.0.0.1:9/x", tmp_path / "x", record=tmp_path / "c.json", otherwise="Get it by hand.")
    assert names(tmp_path) == []


def test_disk_full_before_the_first_byte(get, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DiskFull, match=r"set\.rar\.part: 307\.2 kB are to come, 1\.0 kB are free"):
        get()
    assert names(tmp_path) == []


def test_disk_full_on_the_way_keeps_the_part(site, get, tmp_path, monkeypatch):
    def full(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".part"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fsync", full)
        with pytest.raises(DiskFull, match=r"set\.rar: the disk is full; 307\.2 kB are kept in set\.rar\.part"):
            get(sha256=SUM)
    assert names(tmp_path) == ["set.rar.part", "set.rar.part.json"]
    assert get(sha256=SUM).read_bytes() == CONTENT
