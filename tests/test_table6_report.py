"""repro.report.table6: numbers by hand from made timings, what is missing says so, no figure is empty."""

import dataclasses

import made
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from scipy import stats

from repro.experiment.fields import ATTENTION, BASELINE
from repro.models.peers.rows import compared, rows
from repro.paper.cells import load
from repro.records.measure import write_measurement
from repro.records.table6 import Measured, first, read
from repro.report import speed
from repro.report import table6 as report
from repro.report import table6_figures as figures
from repro.report.labels import label_points
from repro.report.table6_figures import PARTS, counted_shares, shares_figure, timed_shares

PAPER = load()
SOME = {name: made.TABLE6[name] for name in (BASELINE, ATTENTION, "c3d", "i3d")}
NETWORKS = SOME | {
    "eco_lite-4": (37.5, 11.6, 23, 0.1),
    "eco_lite-16": (37.5, 46.5, 23, 0.3),
    "x3d_m": (3.8, 4.7, 83, 0.1),
    "two_stream": (269.4, 31.4, 16, None),
}


def test_rates_and_ratios_by_hand():
    measured = made.table6(SOME | {"c3d": (78.4, 38.5, 11, (1.0, 0.5, 0.25))})
    rate = measured.rate("c3d")
    assert (rate["median"], rate["q25"], rate["q75"], rate["n"]) == (2, 1.5, 3, 3)
    assert measured.rate("c3d", "bf16")["median"] == 4
    ratio = measured.ratio("c3d", BASELINE)  # 0.5 s: 0.5, 1 and 2 times
    half = stats.t.ppf(0.975, 2) * np.sqrt(np.pi / 2) * np.log(2) / np.sqrt(3)  # logs -ln 2, 0, ln 2
    assert (ratio.point, ratio.n) == (1, 3) and (ratio.low, ratio.high) == pytest.approx((np.exp(-half), np.exp(half)))
    assert measured.rate("x3d_m") is None and measured.ratio("x3d_m", BASELINE) is None
    assert measured.reason("x3d_m", "fp32") == "not measured"


def test_read_takes_every_device_and_names_a_broken_file(tmp_path):
    for device in ("cpu", "cuda"):
        measured = made.table6(device=device)
        options = {"provenance": made.PROVENANCE, "table": measured.timings, "results": tmp_path}
        write_measurement("table6", device, dict(measured.content), **options)
    found = read(tmp_path)
    assert list(found) == ["cpu", "cuda"] and found["cuda"].rate("c3d")["median"] == pytest.approx(1 / 0.9)
    assert read(tmp_path / "none") == {}
    (tmp_path / "table6" / "cpu.parquet").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"cpu\.json: this record cannot be read .* delete it and measure again"):
        read(tmp_path)


def test_a_network_that_changed_since_is_stale():
    measured = made.table6()
    today = {name: dict(entry) for name, entry in measured.networks.items()}
    assert measured.stale(today) == []
    today["c3d"]["multiply_adds"] += 1
    del today["i3d"]
    assert measured.stale(today) == ["c3d", "i3d"]
    table = speed.speed_table(measured, counts=today).set_index("network")
    assert "C3D (stale)" in table.index and "ResNet34-3DRes18" in table.index


def test_speed_table_derives_the_rate_of_the_published_test():
    measured = made.table6(NETWORKS)
    table = speed.speed_table(measured, counts=measured.networks).set_index("network")
    assert len(table) == len(rows())
    c3d = table.loc["C3D"]  # 0.9 s a clip, 10 views; the baseline 0.5 s
    assert c3d["fp32: clips/s [quartiles]"] == "1.11 [1.11, 1.11]" and c3d["bf16: clips/s [quartiles]"][:4] == "2.22"
    assert c3d["fp32: times the baseline [95 %]"] == "0.56 [0.56, 0.56]"
    assert c3d["test: views a video"] == "10 × 1"
    assert c3d["fp32: videos/s in that test (derived)"] == pytest.approx(1 / 9)
    i3d = table.loc["I3D (Inception, RGB)"]
    assert i3d["test: views a video"].startswith("the whole video at once")
    assert pd.isna(i3d["fp32: videos/s in that test (derived)"])
    assert table.loc["Two-stream, VGG-16", "fp32: clips/s [quartiles]"].startswith("does not fit: 9.0 GB are needed")
    assert table.loc["P3D-199", "fp32: clips/s [quartiles]"] == "not measured"


def test_complexity_table_has_every_method_with_its_reason():
    counts = made.table6(NETWORKS).networks
    table = report.complexity_table(counts, PAPER).set_index("network")
    assert table.loc["Res34-SE-IM-Net", "paper's text"] == "HMDB51: 71.85 %; UCF101: 92.196 %"
    assert table.loc["ResNet34-3DRes18", "paper's text"] == "not stated in the text"
    assert table.loc["C3D", "paper's text"] == "11 layers (Related work)"
    assert table.loc["X3D-M", "paper's text"] == "not named"
    assert table.loc["C3D", "published: UCF101"].startswith("82.92 % (RGB, Sports-1M, split 1")
    assert "not verified" in table.loc["I3D (Inception, RGB)", "published: HMDB51"]
    assert table.loc["IDT", "counted: input"].startswith("not rebuilt: hand-crafted")
    assert table.loc["C3D", "counted: depth"] == 50


def test_published_table_says_none_where_none_was_read():
    counts = made.counts(SOME | {"p3d_199": (66.5, 18.4, 183, 1.0)})
    table = report.published_table(counts, {"c3d": (1.0, 2.0)}).set_index("network")
    assert table.loc["P3D-199", "GMACs: built, published"].endswith(", none")
    assert table.loc["P3D-199", "read in"].startswith("none published (looked in qijiezhao")
    assert table.loc["C3D", "M: built, published"] == "1.00, 78.4096"
    assert table.loc["I3D (Inception, RGB)", "input, classes"] == "79 × 224², 400"


def test_pareto_by_hand():
    points = pd.DataFrame({"name": list("abcde"), "accuracy": [50, 60, 60, 70, 65], "cost": [1, 2, 3, 4, 5]})
    assert figures.pareto(points, cost="cost", lower_is_better=True)["name"].tolist() == ["a", "b", "d"]
    assert figures.pareto(points, cost="cost", lower_is_better=False)["name"].tolist() == ["e", "d"]


def test_bubbles_have_published_accuracies_and_the_papers_own():
    points = figures.bubble_points(made.table6(NETWORKS), PAPER, "ucf101").set_index("name")
    assert points.loc[ATTENTION, "accuracy"] == 92.196 and points.loc["c3d", "accuracy"] == 82.92
    assert points.loc["eco_lite-4", "accuracy"] == 87.4
    assert pd.isna(points.loc[BASELINE, "accuracy"]) and "x3d_m" not in points.index  # none is known
    assert points["stated"][[BASELINE, ATTENTION]].all() and points["stated"].sum() == 2
    assert not points.loc["i3d", "verified"]
    assert points.loc["c3d", "speed"] == pytest.approx(1 / 0.9)


def test_what_the_paper_states_is_hollow_and_no_part_of_the_front():
    points = figures.bubble_points(made.table6(NETWORKS), PAPER, "ucf101")
    fig, alt = figures.bubble_figure(points, "ucf101")
    assert "Res34-SE-IM-Net 92.196 % as the paper states, " in alt and "ResNet34-3DRes18 no accuracy stated, " in alt
    assert "Res34" not in alt.split("Pareto front ")[1] and "by GMACs a clip: ECO-Lite, 4 frames, I3D" in alt
    for axis in fig.axes:
        faces = dict(zip(points["name"], (bubble.get_facecolor()[0] for bubble in axis.collections)))
        assert faces[ATTENTION][3] == 0 and faces["c3d"][3] == 0.75 and faces["i3d"][3] == 0.2
        assert len(axis.get_xticks()) >= 3 and not overlapping(axis)


def overlapping(axis) -> bool:
    """Whether two names of a drawn figure lie on one another."""
    axis.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axis.texts if text.get_text()]
    return any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_the_roofline_names_every_family_without_overlap_over_ticks_that_can_be_read():
    measured = made.table6({name: (55.6 + k, 62.3 + k, 46, 0.5) for k, name in enumerate(made.TABLE6)})
    fig, _ = figures.roofline_figure(measured, figures.roofline_points(measured))
    (axis,) = fig.axes
    assert len(axis.get_xticks()) >= 3 and len(axis.get_yticks()) >= 3 and not overlapping(axis)


def full() -> Measured:
    """A measurement with every section, from the made one."""
    measured = made.table6(NETWORKS)
    columns = measured.timings.columns

    def rows_of(section, cases):
        return [(section, 0, 0, k, 0, case, seconds, clips) for case, seconds, clips in cases for k in range(3)]

    more = rows_of("batch", [("c3d, fp32, batch 2", 1.0, 2), ("c3d, fp32, batch 4", 2.4, 4)])
    more += rows_of("pipeline", [("c3d, fp32, batch 1", 1.2, 1)])
    more += rows_of("views", [("c3d, fp32, batch 1, 10 views", 9.9, 1), ("c3d, fp32, batch 1", 0.9, 1)])
    more += rows_of("frames", [(f"{BASELINE}, fp32, batch 1, {n} frames", n / 32, 1) for n in (16, 4)])
    layers = [{"round": k, "part": p, "seconds": s} for k in range(3) for p, s in (("gates", 0.1), ("the rest", 0.3))]
    content = {**measured.content, "full": True, f"layers {ATTENTION}": layers, f"layers {BASELINE}": layers[1::2]}
    timings = pd.concat([measured.timings, pd.DataFrame(more, columns=columns)], ignore_index=True)
    return dataclasses.replace(measured, content=content, timings=timings)


def test_the_other_sections_by_hand():
    measured = full()
    batch = speed.batch_table(measured).set_index("network").loc["C3D"]
    best = batch[[f"fp32: {name}" for name in ("best batch", "clips/s", "gain")]].tolist()
    assert best == ["2", 2, pytest.approx(1.8)] and batch["bf16: best batch"] == "not measured"
    pipeline = speed.pipeline_table(measured).iloc[0]
    assert pipeline["file to label (s)"] == pytest.approx(1.2)
    views = speed.views_table(measured).iloc[0]
    assert views["views a video"] == 10 and views["timed / derived"] == pytest.approx(0.9 * 10 / 9.9)
    frames = speed.frames_table(measured)
    assert frames["frames"].tolist() == [4, 16] and frames["GMACs"].tolist() == pytest.approx([62.3 / 4, 62.3])
    layers = speed.layers_table(measured).set_index("part")
    assert layers.loc["gates", "Res34-SE-IM-Net: share"] == "25.0%"
    assert layers.loc["gates", "ResNet34-3DRes18: ms"] == 0


def test_roofline_by_hand():
    points = figures.roofline_points(made.table6(NETWORKS)).set_index("name")
    moved = 4 * (78.4e6 + 2 * 10e6)
    assert points.loc["c3d", "intensity"] == pytest.approx(2 * 99.0e9 / moved)
    assert points.loc["c3d", "rate"] == pytest.approx(2 * 99.0 / 0.9)
    assert "two_stream" not in points.index


def test_a_quick_measurement_has_no_other_sections():
    tables = (speed.batch_table, speed.pipeline_table, speed.views_table, speed.frames_table, speed.layers_table)
    for measured in (made.table6(), first({})):  # and where nothing at all is measured
        assert all(table(measured).empty for table in tables)
    assert len(figures.roofline_points(measured)) == 0
    assert len(figures.bubble_points(measured, PAPER, "ucf101")) == 0


def test_runs_are_told_apart():
    measured = made.table6()
    assert "All timings are of one run." in speed.runs_note(measured)
    again = measured.timings.assign(run=1, seconds=2 * measured.timings["seconds"])
    both = dataclasses.replace(measured, timings=pd.concat([measured.timings, again], ignore_index=True))
    note = speed.runs_note(both)
    assert "of 2 runs" in note and "the baseline took 0.500 s in run 1, 1.000 s in run 2" in note
    assert both.ratio("c3d", BASELINE).n == 6  # rounds of one number in two runs are two rounds


def test_real_time_is_said_of_every_cpu():
    """By the fastest runtime of float32; 16 frames of 25 a second are 0.64 s."""
    timed = [made.variants(**{"eager, fp32": 0.9, "OpenVINO, fp32": s, "OpenVINO, bf16": 0.1}) for s in (0.5, 0.8)]
    text = speed.real_time_text([made.table6(SOME, variants=each) for each in timed], 25)
    where = "CPU, 1 thread of Made 1"
    assert text == f"**In time on 1 of 2 measurements**, of 0.64 s allowed: 0.50 s on {where}; 0.80 s on {where}."
    assert speed.real_time_text([], 25) == ""


def test_findings_say_plainly_what_is_lighter_and_faster():
    networks = made.TABLE6 | {"eco_lite-16": (37.5, 46.5, 23, 0.3), "two_stream": (269.4, 31.4, 16, 0.3)}
    lines = report.findings(made.table6(networks), made.counts(networks))
    light = next(line for line in lines if line.startswith("**Light?**"))
    assert "fewer parameters than 13 of 14 networks compared with, fewer multiply-adds than 12 of 14" in light
    assert "fewer of both by a clip than 12 of 14 (C3D, " in light
    fast = [line for line in lines if line.startswith("**Fast?**")]
    # two-stream's video takes 250 clips
    assert "In fp32 it runs 2.00 clips/s" in fast[0] and "than 12 of 14 networks compared with by a clip" in fast[0]
    assert fast[0].endswith("than 13 of 14 by a video.") and "In bf16" in fast[1]
    assert any("1.00 [1.00, 1.00] times the baseline's rate" in line for line in lines)
    assert lines[1] == fast[0], "the page begins with the first two"
    (faster,) = (line for line in lines if line.startswith("*Faster* is where"))
    assert faster.endswith("the speed of 3 of the 14 was measured.")
    assert "told apart" not in fast[0], "eco_lite-16 is slower beyond doubt"
    alike = report.findings(made.table6(networks | {"c3d": (78.4, 38.5, 11, 0.5)}), made.counts(networks))
    assert any("; by a clip 1 more are not told apart from them, so not counted." in line for line in alike)


def test_the_networks_compared_with_at_their_own_input_and_at_one():
    table = report.compared_table(made.counts(common={"trn_multiscale": 40.0}), made.table6()).set_index("network")
    trn, c3d = table.loc["TRN multi-scale, 8 frames"], table.loc["C3D"]
    assert (trn["GMACs a clip"], trn["GMACs a video"], trn["GMACs at 16 × 224²"]) == (99, 990, "40.0")
    assert trn["clips/s at 16 × 224²"] == "not run" and c3d["clips/s at 16 × 224²"] == "–"
    assert c3d["GMACs at 16 × 224²"] == "not at it: its first linear layer fits 112 pixels alone"
    unknown = table.loc["P3D-199"]
    assert unknown["clips of a video"] == "not known: none read" and pd.isna(unknown["GMACs a video"])


def test_real_time_by_runtime():
    measured = made.table6(variants=made.variants(**{"eager, fp32": 0.7, "OpenVINO, fp32": (0.5, 0.56, 0.65)}))
    table = speed.real_time_table(measured, 25).set_index("runtime")
    assert table["within 0.64 s"].tolist() == ["no", "mostly"]
    assert table.loc["OpenVINO, fp32", "seconds a decision [quartiles]"] == "0.56 [0.50, 0.65]"
    assert speed.real_time_table(first({}), 25).empty


def test_table_6_has_the_networks_compared_with_their_counts_and_speed():
    networks = {name: (78.4, 99.0, 50, 0.5) for name in compared()} | {ATTENTION: (55.8, 62.3, 46, 0.25)}
    table = report.table6(made.counts(made.TABLE6 | networks), PAPER, made.table6(made.TABLE6 | networks))
    assert len(table) == len(compared()) + 3 and len(table.columns) == 7  # I3D and the paper's two
    own = table.set_index("network").loc["Res34-SE-IM-Net"]
    assert (own["parameters (M)"], own["GMACs"], own["depth"], own["clips/s, fp32"]) == (55.8, 62.3, 46, "4")
    assert "HMDB51: 71.85 %" in own["the paper"] and (table["the paper"] == "–").sum() > 5
    details = report.details_table(made.counts(), PAPER)
    assert "counted: input" in details and not {"counted: M", "counted: GMACs"} & set(details)
    assert len(details.columns) <= 7


def measured():
    layers = [
        {"round": k, "part": part, "seconds": seconds}
        for k in range(3)
        for part, seconds in (("trunk, layer1: convolutions", 0.6), ("trunk: batch norm", 0.1), ("gates", 0.1),
                              ("the rest", 0.2))
    ]  # fmt: skip
    found = made.table6()
    return dataclasses.replace(found, content={**found.content, f"layers {ATTENTION}": layers})


def test_the_counted_shares_are_the_networks():
    base, gated = counted_shares(BASELINE), counted_shares(ATTENTION)
    assert list(base.index) == list(PARTS) and base.sum() == pytest.approx(1) == pytest.approx(gated.sum())
    assert base["gates"] == 0 and base["trunk, stem"] == pytest.approx(0.0303, abs=5e-4)
    by_hand = 16 * 2 * sum(units * c * c // 16 for units, c in ((3, 64), (4, 128), (6, 256), (3, 512)))  # 16 frames
    assert gated["gates"] == pytest.approx(by_hand / 62.3e9, rel=0.01)


def test_the_timed_shares_have_the_records_names():
    timed = timed_shares(measured(), ATTENTION)
    assert timed["trunk, layer1"] == pytest.approx(0.6) and timed["trunk, batch norm"] == pytest.approx(0.1)
    assert timed["head, stage1"] == 0 and timed_shares(measured(), BASELINE) is None


def test_the_figure_says_what_is_counted_and_what_measured():
    fig, alt = shares_figure(measured())
    first, second = fig.axes
    assert [len(axis.containers) for axis in (first, second)] == [1, 2]
    assert "Res34-SE-IM-Net, time, measured: trunk, stem 0.0 %; trunk, layer1 60.0 %" in alt
    assert "ResNet34-3DRes18, time" not in alt and "gates 0.004 %" in alt


def written(x, y, **options):
    fig, axis = plt.subplots(figsize=(9, 5))
    axis.plot(x, y, "o", markersize=6)
    axis.margins(0.3)
    label_points(axis, x, y, [f"network {k}" for k in range(len(x))], **options)
    fig.canvas.draw()
    room, boxes = axis.get_window_extent(), [text.get_window_extent() for text in axis.texts]
    points = axis.transData.transform(np.column_stack([x, y]))
    return room, boxes, points


@pytest.mark.parametrize("spread", [0.05, 1.0])
def test_no_name_lies_on_another_or_on_a_point(spread):
    x, y = np.random.default_rng(0).normal(0, spread, (2, 18))
    x, y = np.append(x, (-1, 1)), np.append(y, (-1, 1))  # so that the first 18 are crowded, or not
    room, boxes, points = written(x, y)
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert all(room.contains(box.x0, box.y0) and room.contains(box.x1, box.y1) for box in boxes)


def test_a_name_keeps_off_large_markers_and_points_without_a_name():
    _, (box,), _ = written([0.5], [0.5], radii=[40])
    _, (near,), (point,) = written([0.5], [0.5])
    assert box.x0 - point[0] > near.x0 - point[0] + 30
    _, (moved,), _ = written([0.5], [0.5], others=np.array([[0.502, 0.5]]))
    assert not np.allclose(moved.extents, near.extents)
