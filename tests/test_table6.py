"""repro.bench.table6: everything is timed once, a kill loses one timing, what does not fit is named."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny
import torch

from repro.bench import cases, counts, table6
from repro.bench.log import Log
from repro.models.peers.rows import Row, rows
from repro.records.table6 import AT_COMMON, read
from repro.report.speed import runs_note

OURS = {"title": "t", "group": "ours", "classes": 3, "frames": 2, "size": 64, "clips": 1, "crops": 1}
TINY = {
    "resnet34_3dres18": Row(name="resnet34_3dres18", factory="resnet34_3dres18", **OURS),
    "res34_se_im_net": Row(name="res34_se_im_net", factory="res34_se_im_net", **OURS),
    "x3d_m": Row(name="x3d_m", factory="x3d.X3D", **OURS | {"group": "peer", "clips": 2, "size": 32}),
}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Measure tiny rows: a function with `measure`'s options, filing under tmp_path."""
    listed = dict(TINY)
    for module in (table6, cases, counts):
        monkeypatch.setattr(module, "rows", lambda: listed)
    monkeypatch.setattr(cases, "BY_VIEWS", ("x3d_m",))
    monkeypatch.setattr(cases, "BY_FRAMES", ("x3d_m",))
    monkeypatch.setattr(cases, "FRAMES", (2, 4))
    monkeypatch.setattr(table6, "ROUNDS", dict.fromkeys(table6.ROUNDS, 2))
    monkeypatch.setattr(table6, "measure_bandwidth", lambda device: 1e10)
    peak = type("Peak", (), {"flops": 1e11, "case": "made"})
    monkeypatch.setattr(table6, "measure_peak", lambda *_, **__: peak)
    said = []

    def measure(**options):
        return table6.measure(results=tmp_path / "results", work=tmp_path / "work", say=said.append, **options)

    measure.said, measure.rows, measure.results = said, listed, tmp_path / "results"
    return measure


def test_every_row_is_timed_in_both_precisions_in_every_round(small):
    path = small()
    assert path == small.results / "table6" / "cpu.json"
    measured = read(small.results)["cpu"]
    timings = measured.timings
    expected = {(r, f"{n}, {p}, batch 1") for r in range(2) for n in TINY for p in ("fp32", "bf16")}
    assert set(zip(timings["round"], timings["case"])) == expected and len(timings) == len(expected)
    assert set(timings["section"]) == {"network"} and (timings["seconds"] > 0).all()
    content = json.loads(path.read_text())
    assert content["left_out"] == {} and not content["full"]
    assert content["provenance"]["seconds"] > 0 and content["provenance"]["device"].startswith("CPU")
    entry = content["networks"]["x3d_m"]
    assert entry["multiply_adds"] == entry["multiply_adds_by_hooks"] > 0
    assert entry["memory"]["fp32"] == pytest.approx(2 * entry["memory"]["bf16"], rel=0.01)
    assert any("will take about" in line for line in small.said)


def test_what_is_called_fp32_is_no_tf32(small, monkeypatch):
    """While networks run, CUDA's convolutions may not take TF32; the record says so."""
    found, build = [], Row.build

    def seen(row, **options):
        network = build(row, **options)
        network.register_forward_hook(lambda *_: found.append(torch.backends.cudnn.conv.fp32_precision))
        return network

    monkeypatch.setattr(Row, "build", seen)
    small(names=["x3d_m"], precisions=["fp32"])
    assert found[-4:] == ["ieee"] * 4  # two networks, two rounds; counting before is no matter
    measured = read(small.results)["cpu"]
    assert measured.content["float32"] == "products ieee, convolutions ieee"
    assert set(measured.timings["case"]) == {f"{name}, fp32, batch 1" for name in ("resnet34_3dres18", "x3d_m")}


def test_a_killed_measurement_goes_on_and_says_so(small, monkeypatch):
    keep, count = Log.timing, iter(range(100))

    def killed(self, *arguments):
        if next(count) == 5:
            raise KeyboardInterrupt
        keep(self, *arguments)

    monkeypatch.setattr(Log, "timing", killed)
    with pytest.raises(KeyboardInterrupt):
        small()
    assert read(small.results) == {}  # nothing half-written
    monkeypatch.setattr(Log, "timing", keep)
    small()
    assert any("Going on: 5 timings are there" in line for line in small.said)
    measured = read(small.results)["cpu"]
    timings = measured.timings
    others = timings[~timings["case"].str.startswith("resnet34_3dres18")]
    assert len(others) == 2 * 2 * 2 and not others.duplicated(["round", "case"]).any()  # none lost, none taken twice
    reference = timings[(timings["run"] == 1) & timings["case"].str.startswith("resnet34_3dres18, fp32")]
    assert len(reference) == 2  # timed anew beside what was missing
    assert "The timings are of 2 runs" in runs_note(measured) and "s in run 2" in runs_note(measured)
    before = len(timings)
    small()
    assert len(read(small.results)["cpu"].timings) == before  # nothing is left to do


def test_timings_of_other_settings_are_not_mixed_in(small, monkeypatch):
    small(precisions=["fp32"])
    monkeypatch.setattr(table6, "ROUNDS", dict.fromkeys(table6.ROUNDS, 1))
    small(precisions=["fp32"])
    measured = read(small.results)["cpu"]
    assert set(measured.timings["run"]) == {0} and len(measured.timings) == 3


def test_a_network_that_does_not_fit_says_so_and_the_rest_go_on(small, monkeypatch):
    needed = {n: sum(cases.Running(cases.Case("network", n, "fp32"), None, None).memory()) for n in TINY}
    assert needed["x3d_m"] < needed["res34_se_im_net"]
    base = needed["resnet34_3dres18"]
    monkeypatch.setattr(table6, "available_memory", lambda device: (base + needed["x3d_m"] + 1_000_000) / table6.FITS)
    small(precisions=["fp32"])
    measured = read(small.results)["cpu"]
    assert set(measured.timings["case"]) == {"resnet34_3dres18, fp32, batch 1", "x3d_m, fp32, batch 1"}
    reason = measured.reason("res34_se_im_net", "fp32")
    assert reason.startswith("does not fit: ") and "GB are needed" in reason


def test_networks_that_do_not_fit_together_are_timed_in_groups_with_the_reference(small, monkeypatch):
    needs = {n: cases.Running(cases.Case("network", n, "fp32"), None, None).memory() for n in TINY}
    together = sum(needs["resnet34_3dres18"]) + sum(needs["res34_se_im_net"])
    monkeypatch.setattr(table6, "available_memory", lambda device: (together + 1000) / table6.FITS)
    small(precisions=["fp32"])
    measured = read(small.results)["cpu"]
    by_group = measured.timings.groupby("group")["case"].agg(lambda names: sorted({n.split(",")[0] for n in names}))
    assert by_group.tolist() == [["res34_se_im_net", "resnet34_3dres18"], ["resnet34_3dres18", "x3d_m"]]
    assert measured.ratio("x3d_m", "resnet34_3dres18").n == 2
    assert measured.ratio("x3d_m", "res34_se_im_net").n == 2  # they never took turns: through the reference


def test_a_network_that_fails_says_why_and_the_rest_go_on(small, monkeypatch):
    build = Row.build

    class Faulty(torch.nn.Module):
        def forward(self, clips):
            if clips.is_meta:
                return clips
            raise torch.OutOfMemoryError("CUDA out of memory: made\nmore lines")

    monkeypatch.setattr(Row, "build", lambda row, **k: Faulty() if row.name == "x3d_m" else build(row, **k))
    for count in ("parameters", "multiply_adds", "multiply_adds_by_hooks", "activations"):
        monkeypatch.setattr(counts, count, lambda *_: 1)
    monkeypatch.setattr(counts, "depth", lambda *_: (1, 1))
    small(precisions=["fp32"])
    measured = read(small.results)["cpu"]
    assert measured.reason("x3d_m", "fp32") == "CUDA out of memory: made"
    assert len(measured.timings) == 2 * 2


def test_full_adds_the_other_sections(small, monkeypatch, tmp_path):
    monkeypatch.setattr(table6, "compare_backends", lambda networks, clip: {"repeats": 20})
    clip = tiny.write_video(tmp_path / "clip.avi", frames=9)
    monkeypatch.setattr(table6, "ROUNDS", dict.fromkeys(table6.ROUNDS, 1))
    small(full=True, precisions=["fp32"], clip=clip)
    measured = read(small.results)["cpu"]
    timed = measured.timings.groupby("section")["case"].agg(lambda names: sorted(set(names))).to_dict()
    assert timed["batch"] == sorted(f"{n}, fp32, batch {b}" for n in TINY for b in (2, 4))
    assert timed["common"] == sorted(f"{n}, fp32, {AT_COMMON}" for n in TINY)
    assert measured.rate("x3d_m", section="common", more=AT_COMMON) is not None
    assert timed["frames"] == ["x3d_m, fp32, batch 1, 2 frames", "x3d_m, fp32, batch 1, 4 frames"]
    assert timed["views"] == ["x3d_m, fp32, batch 1", "x3d_m, fp32, batch 1, 2 views"]
    assert timed["pipeline"] == sorted(f"{n}, fp32, batch 1" for n in TINY)
    batches = measured.timings[measured.timings["section"] == "batch"]
    assert all(int(case.rsplit(" ", 1)[1]) == clips for case, clips in zip(batches["case"], batches["clips"]))
    assert measured.content["variants"] == {"repeats": 20}
    parts = pd.DataFrame(measured.content["layers res34_se_im_net"])["part"].unique()
    assert {"gates", "trunk, stem: convolutions", "head, stage3", "the rest"} <= set(parts)
    assert "gates" not in pd.DataFrame(measured.content["layers resnet34_3dres18"])["part"].unique()
    assert measured.content["clip"] == "clip.avi"


def test_frames_that_a_view_reads():
    segments = Row(name="a", factory="", **OURS | {"frames": 4})
    assert cases.sampled(segments, 40).tolist() == [5, 15, 25, 35]
    dense = Row(name="b", factory="", **OURS | {"frames": 4}, sampling="dense", stride=3)
    assert cases.sampled(dense, 40).tolist() == [14, 17, 20, 23]
    assert cases.sampled(dense, 5).tolist() == [0, 3, 6, 9]  # too short: what is past the end is the last frame
    flow = Row(name="c", factory="", **OURS | {"frames": 1}, flow=20)
    assert cases.sampled(flow, 40).tolist() == list(range(20, 31))


def test_a_video_becomes_a_label(tmp_path):
    clip = tiny.write_video(tmp_path / "clip.avi", frames=5)
    seen = []

    class Network(torch.nn.Module):
        def forward(self, *inputs):
            seen.append([tuple(value.shape) for value in inputs])
            return torch.tensor([[0.0, 2.0, 1.0]])

    dense = Row(name="b", factory="", **OURS | {"frames": 8, "size": 64}, sampling="dense")
    assert cases.label_of(Network(), dense, clip, 5, torch.device("cpu")) == 1
    flow = Row(name="c", factory="", **OURS | {"frames": 1, "size": 64}, flow=6)
    assert cases.label_of(Network(), flow, clip, 5, torch.device("cpu")) == 1
    assert seen == [[(1, 8, 3, 64, 64)], [(1, 1, 3, 64, 64), (1, 6, 64, 64)]]


def test_flow_of_a_moving_picture_points_its_way():
    """Noise moved 4 pixels to the right and 2 down: at the short side of 256 pixels the frame is not resized."""
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    moved = np.roll(np.roll(picture, 4, axis=1), 2, axis=0)
    flow = cases._flow(np.stack([picture, moved]), Row(name="c", factory="", **OURS | {"size": 128}, flow=2))
    assert flow.shape == (1, 2, 128, 128)
    assert 20 * float(flow[0, 0].median()) == pytest.approx(4, abs=0.5)
    assert 20 * float(flow[0, 1].median()) == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["c4d"]}, "networks: 'c4d' is not one of resnet34_3dres18"),
        ({"device": "tpu"}, "device: 'tpu' cannot be used here; cpu"),
        ({"clip": "nothing.avi"}, r"clip: nothing\.avi is not a video file"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        table6.measure(**options)


def test_every_case_of_the_real_rows_has_a_name_of_its_own():
    for section in table6.ROUNDS:
        found = cases.cases_of(section, "cpu", list(rows()), ("fp32", "bf16"))
        assert found and len({case.name for case in found}) == len(found)
        assert {case.row for case in found} <= set(rows())
    assert set(cases.BY_FRAMES) | set(cases.BY_VIEWS) <= set(rows())
