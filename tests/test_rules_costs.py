"""The rules on costs and on online recognition: every outcome, from made counts, timings and streams."""

import dataclasses
from pathlib import Path

import made
import pandas as pd
import pytest
from made import FULL, PROVENANCE, counted, demo_record, online, table6

from repro.claims.judging import Evidence, Verdict
from repro.claims.official import OWN
from repro.claims.verdicts import judge, judge_all
from repro.experiment.fields import ATTENTION, BASELINE
from repro.models.peers.rows import compared, rows
from repro.paper.cells import load
from repro.report import answer
from repro.report import table6 as table6_report

PAPER = load()


def verdict(id: str, records=(), **evidence) -> Verdict:
    return judge(PAPER.claim(id), Evidence(paper=PAPER, records=tuple(records), **evidence))


# ---------------------------------------- counted and timed


def ours(parameters=55.761196, gmacs=62.31, depth=46, seconds=0.5):
    return {ATTENTION: (parameters, gmacs, depth, seconds)}


def all_like(*costs):
    return dict.fromkeys(compared(), costs)


HALF = dict.fromkeys(compared()[:7], (37.5, 46.5, 23, 0.3))  # of the 14 networks compared with
LIGHT = {"eco_lite-16": (37.5, 46.5, 23, 0.3)}
BETWEEN = all_like(55.7, 300.0, 50, 1)  # parameters between the two networks'
NOT_DEEP = {name: (60.0, 99.0, 18, 1) for name in ("r2plus1d_34", "p3d_199", "resnext3d_101")}
COSTS = [  # claim; networks beside made.TABLE6's; outcome; words of the evidence
    ("se-im-costs-little", {}, "reproduced",
     "+161,196 parameters (+0.29 %), +10.0 million multiply-adds (+0.016 %)."),
    ("se-im-costs-little", ours(parameters=56.6), "contradicted", "(+1.80 %)"),
    ("se-im-costs-little", ours(gmacs=63.0), "contradicted", "(+1.124 %)"),
    ("lightweight", {}, "reproduced", "than 14 of 14"),
    ("lightweight", {"i3d": (1.0, 1.0, 1, 1)}, "reproduced", "than 14 of 14"),  # excepted: it has a claim of its own
    ("lightweight", LIGHT, "partly", "not than ECO-Lite, 16 frames (37.5 M, 46.5 GMACs, depth 23)."),
    ("lightweight", all_like(78.4, 46.5, 11, 0.3), "contradicted", "than 0 of 14"),  # fewer operations
    ("lightweight", BETWEEN, "reproduced", "than 14 of 14"),
    ("fewer-parameters", all_like(78.4, 46.5, 11, 0.3), "reproduced", "than 14 of 14"),  # operations do not count
    ("fewer-parameters", BETWEEN, "contradicted", "than 0 of 14"),
    ("fewer-parameters", HALF, "partly", "than 7 of 14"),
    ("shallower-fewer-operations", {}, "reproduced", "than 14 of 14"),
    ("shallower-fewer-operations", all_like(78.4, 99.0, 11, 1), "contradicted", "than 0 of 14"),  # shallower
    # C3D's published test takes 10 clips of a video: 100 GMACs; that of TSM one
    ("shallower-fewer-operations", {"c3d": (78.4, 10.0, 50, 1)}, "reproduced", "by a clip 13 of 14"),
    ("shallower-fewer-operations", {"tsm_resnet50-16": (78.4, 10.0, 50, 1)}, "partly", "than 13 of 14"),
    ("fused-reduces-complexity", {}, "reproduced", "R(2+1)D-34 78.4 M, 99.0 GMACs, depth 50"),
    ("fused-reduces-complexity", {"p3d_199": (66.5, 18.4, 183, 1)}, "partly", ""),
    ("fused-reduces-complexity", NOT_DEEP | {"p3d_199": (48.3, 9.6, 101, 1)}, "contradicted", ""),
    ("fused-reduces-complexity", NOT_DEEP, "not testable", ""),
    ("fast", {}, "reproduced", "both faster than 14 of 14 by a video"),
    ("fast", all_like(78, 99, 50, 0.01), "contradicted", "than 1 of 14"),  # but two-stream, with 250 clips of a video
    ("fast", {"c3d": (78, 99, 50, 0.3)}, "reproduced", "by a clip 13 of 14"),  # ten of them are a video: 3 s
    ("fast", {"p3d_199": (78, 99, 50, 0.3)}, "partly", "than 13 of 14"),  # its test is not published
    ("fast", {"eco_lite-16": (78, 99, 50, (0.4, 0.7, 0.9))}, "partly", "than 13 of 14"),  # perhaps no faster
    ("fast", {"eco_lite-16": (78, 99, 50, 0.55)} | ours(seconds=0.6), "partly", "than 13 of 14"),  # the baseline alone
    ("fast", {"eco_lite-16": (78, 99, 50, None)}, "partly", "ECO-Lite, 16 frames not timed"),  # it might be the faster
    ("i3d-costlier", {}, "reproduced", "2.00 [2.00, 2.00] and 2.00 [2.00, 2.00] times I3D's clips/s"),
    ("i3d-costlier", {"i3d": (12.7, 111.2, 22, 0.4)}, "partly", ""),  # faster
    ("i3d-costlier", {"i3d": (99.0, 50.0, 22, 0.4)}, "contradicted", ""),
    ("i3d-deeper", {"i3d": (12.7, 111.2, 99, 0.4)}, "reproduced", "On the longest path: I3D 99, "),
    ("i3d-deeper", {"i3d": (12.7, 111.2, 2, 0.4)}, "contradicted", "; in all: I3D 2, "),
]  # fmt: skip


@pytest.mark.parametrize("id, networks, outcome, words", COSTS)
def test_what_is_counted_and_timed(id, networks, outcome, words):
    found = verdict(id, **counted(networks))
    assert found.outcome == outcome and words in found.evidence


def test_where_both_readings_of_depth_disagree_the_claim_holds_in_part():
    """Parallel branches: few layers on the longest path, many in all."""
    counts = made.counts()
    counts["i3d"] |= {"depth": 2, "layers": 99}
    found = verdict("i3d-deeper", counts=counts)
    assert found.outcome == "partly" and "; in all: I3D 99, " in found.evidence
    light = verdict("shallower-fewer-operations", counts=made.counts())
    assert "every layer counted, not those of the longest path alone, " in light.evidence


def test_networks_that_were_not_timed_settle_nothing():
    """11 of 14 have no speed: they could be all slower, or all faster."""
    few = {name: made.TABLE6[name] for name in (*OWN, "i3d", *compared()[:3])}
    found = verdict("fast", counts=made.counts(), table6={"cpu": table6(few)})
    assert found.outcome == "not testable" and found.without.startswith("the speeds of ")
    assert found.evidence == "Faster than 3 of 14."


def test_the_common_input_stands_beside_the_verdict():
    """At 16 frames of 224 pixels all others need less; at their own inputs, which count, more."""
    evidence = counted(common=dict.fromkeys(compared(), 10.0))
    found = verdict("lightweight", **evidence)
    # C3D and two-stream cannot take that input: they stand with their own
    assert found.outcome == "reproduced" and "by a clip of 16 frames of 224 pixels 2 of 14" in found.evidence
    assert "each at its own published input" in found.test
    assert "by a clip of 16 frames of 224 pixels not run" in verdict("fast", **evidence).evidence


def test_every_page_and_verdict_compares_the_same_networks():
    evidence = counted()
    for id in ("lightweight", "fewer-parameters", "shallower-fewer-operations", "fast"):
        found = verdict(id, **evidence)
        assert (
            "14 of 14" in found.evidence
            and "14 of 14" in found.short
            and "14 networks that this study chose" in found.test
        )
    lines = table6_report.findings(evidence["table6"]["cpu"], evidence["counts"])
    assert sum(line.count(" of 14") for line in lines) == 8 and not any(" of 15" in line for line in lines)
    table = table6_report.compared_table(evidence["counts"], evidence["table6"]["cpu"])
    assert len(table) == 2 + 1 + 14
    verdicts = judge_all(Evidence(paper=PAPER, records=(), **evidence))
    place = answer.COMPARED.partition("#")[2].replace("-", " ")
    assert f"[Networks]({answer.COMPARED})" in answer.meanings_text(verdicts)
    assert f"## {place.capitalize()}" in Path("notebooks/08_complexity.ipynb").read_text(encoding="utf-8")


def test_a_second_group_of_timings_leaves_no_network_out():
    """Memory parted Res34-SE-IM-Net from the others; the reference was timed in both groups, the second on a machine
    that had become half as fast."""
    evidence = counted()
    measured = evidence["table6"]["cpu"]
    timings = measured.timings
    apart = timings["case"].str.startswith(f"{ATTENTION},")
    again = timings[apart | timings["case"].str.startswith(f"{BASELINE},")].assign(group=1)
    again["seconds"] *= 2
    parted = dataclasses.replace(measured, timings=pd.concat([timings[~apart], again], ignore_index=True))
    ratio = parted.ratio(ATTENTION, "c3d")
    assert (ratio.point, ratio.low, ratio.high) == pytest.approx((1.8, 1.8, 1.8))  # 0.9 s over 0.5 s
    found = verdict("fast", counts=evidence["counts"], table6={"cpu": parted})
    assert found.outcome == "reproduced" and "than 14 of 14" in found.evidence


def test_a_gpu_s_float32_that_was_tf32_does_not_count():
    evidence = counted()
    tf32 = table6(device="cuda", float32="products ieee, convolutions tf32", provenance=PROVENANCE | {"device": "G"})
    for float32, device in ((tf32, "CPU"), (dataclasses.replace(tf32, content=tf32.content | {
        "float32": "products ieee, convolutions ieee"}), "G")):  # fmt: skip
        found = verdict("fast", counts=evidence["counts"], table6=evidence["table6"] | {"cuda": float32})
        assert f"clips/s on {device}" in found.evidence


def test_a_family_counts_once_at_the_frames_nearest_to_16():
    names = compared()
    assert len({rows()[name].factory for name in names}) == len(names) == 14
    assert {"eco_lite-16", "eco_full-16", "tsm_resnet50-16", "resnext3d_101"} <= set(names)
    assert not {"i3d", "x3d_m"} & set(names)  # excepted; what one would take today is not what the paper compares with


RUNTIMES = [  # seconds by runtime; outcome; words of the evidence. 16 frames of 25 a second are 0.64 s
    ({"eager, fp32": (0.68, 0.70, 0.72)}, "contradicted", "eager, fp32: 0.70 s (quartiles 0.68 to 0.72)"),
    ({"eager, fp32": 0.70, "OpenVINO, fp32": (0.5, 0.56, 0.6)}, "reproduced", "OpenVINO, fp32: 0.56 s"),
    ({"eager, fp32": 0.70, "OpenVINO, fp32": (0.6, 0.62, 0.65)}, "partly", "OpenVINO, fp32: 0.62 s"),
    ({"eager, fp32": 0.70, "OpenVINO, bf16": 0.3}, "contradicted", "eager, fp32 0.70 s, OpenVINO, bf16 0.30 s"),
]


@pytest.mark.parametrize("seconds, outcome, words", RUNTIMES)
def test_real_time_is_judged_by_the_best_runtime_that_keeps_float32(seconds, outcome, words):
    found = verdict("easy-to-deploy", **counted(variants=made.variants(**seconds)))
    assert found.outcome == outcome and words in found.evidence
    assert "'Easy to deploy' is read as real time without a GPU" in found.test
    # one quantity, one value: the 0.50 s of the section of all networks is not quoted beside its own rounds'
    assert "0.50 s" not in found.evidence


def test_real_time_without_other_runtimes_is_eager_s_and_both_networks_must_keep_up():
    assert verdict("easy-to-deploy", **counted()).outcome == "reproduced"
    assert "eager, fp32: 0.50 s" in verdict("easy-to-deploy", **counted()).evidence
    assert verdict("easy-to-deploy", **counted({BASELINE: (55.6, 62.3, 46, 0.7)})).outcome == "contradicted"
    # ordinary hardware: what a GPU does says nothing of it
    assert verdict("easy-to-deploy", table6={"cuda": table6(device="cuda")}).outcome == "not testable"


def test_real_time_is_asked_of_every_cpu_that_was_measured():
    evidence = counted(variants=made.variants(**{"OpenVINO, fp32": 0.5}))
    for seconds, outcome in ((0.6, "reproduced"), (0.8, "partly")):
        timed = made.variants(**{"ONNX Runtime, fp32": seconds})
        content = {"provenance": PROVENANCE, "instructions": "AVX2", "variants": timed}
        slow = dataclasses.replace(evidence["table6"]["cpu"], content=content, study="backends-avx2")
        found = verdict("easy-to-deploy", **evidence, backends=(slow,))
        assert found.outcome == outcome
        assert [source.name for source in found.sources] == ["table6/cpu", "backends-avx2/cpu"]
        assert found.short.startswith(f"0.50, {seconds:.2f} s a decision")


COUNTED = ["se-im-costs-little", "lightweight", "fewer-parameters", "shallower-fewer-operations",
           "fused-reduces-complexity"]  # fmt: skip
TIMED = ["easy-to-deploy", "fast", "i3d-costlier"]


@pytest.mark.parametrize("id", COUNTED)
def test_counting_takes_no_measurement(id):
    assert verdict(id).text == "not testable without the counts of the networks"
    assert verdict(id, counts=made.counts()).outcome == "reproduced"


@pytest.mark.parametrize("id", TIMED)
def test_without_a_measurement_at_the_papers_size_nothing_is_said_of_speed(id):
    small = counted()
    for entry in small["table6"]["cpu"].networks.values():
        entry["size"] = 64
    for found in (verdict(id, counts=made.counts()), verdict(id, **small)):
        assert found.text == "not testable without the Table 6 measurement" and found.evidence == "Not run."


def test_structure_needs_no_record():
    assert verdict("feature-map-shape").outcome == verdict("se-im-block-count").outcome == "reproduced"
    assert verdict("feature-map-shape").evidence == "Stacked map 512×16×7×7, 16 units with a gate."


# ---------------------------------------- online


def streamed(folder, study="made", **fields):
    """A run of the paper's network whose weights were streamed."""
    return demo_record(folder, model=ATTENTION, study=study, **{**FULL, **fields})


@pytest.mark.parametrize(
    "fields, changes, outcome",
    [
        ({}, {}, "reproduced"),  # 30 frames/s, 45 of 50
        ({}, {"frames_per_second": 20.0}, "partly"),
        ({}, {"told": (28, 50)}, "partly"),
        ({}, {"told": (25, 50)}, "partly"),  # keeps up; cannot tell
        ({}, {"told": (12, 12)}, "partly"),  # too few clips to tell
        ({}, {"told": (1, 2), "frames_per_second": 20.0}, "undecided"),
        ({}, {"told": (5, 50), "frames_per_second": 20.0}, "contradicted"),
        ({"width": 0.25, "size": 64}, {}, "partly"),  # a small network's speed says nothing about the paper's
        ({"width": 0.25}, {"told": (1, 2)}, "undecided"),
    ],
)
def test_online(tmp_path, fields, changes, outcome):
    content = online(**changes)
    found = verdict("online", [streamed(tmp_path, **fields)], online={"made": content})
    assert found.outcome == outcome
    k, n = sum(content["drink_eat"]["value"]), len(content["drink_eat"]["value"])
    assert f"{100 * k / n:.1f} % [" in found.evidence and f"n = {n:.0f} clips of {n} sources" in found.evidence
    assert f"{content['frames_per_second']:.0f} frames/s" in found.evidence
    assert not found.without


def test_a_small_network_that_keeps_up_stands_beside_a_full_one(tmp_path):
    pace = {"width": 1.0, "size": 112, "rate": 25, "paces": {"as it is": {"frames": 1500, "dropped": 3}}}
    small = verdict("online", [streamed(tmp_path, width=0.25, size=64)], online={"made": online()}, pace=pace)
    assert small.short.endswith(
        "with ×0.25 of the width at 64 pixels; ×1 at 112 pixels drops 3 of 1500 frames at 25 a second"
    )
    full = verdict("online", [streamed(tmp_path)], online={"made": online()}, pace=pace)
    assert full.short.endswith("at full size")


def test_clips_of_one_source_are_no_independent_ones(tmp_path):
    """64 of 100 right: of single clips that is above guessing, of 25 sources told whole or not at all it is not."""
    content = online(told=(64, 100))
    assert verdict("online", [streamed(tmp_path)], online={"made": content}).outcome == "reproduced"
    content["drink_eat"]["group"] = [f"source{k // 4}" for k in range(100)]
    assert verdict("online", [streamed(tmp_path)], online={"made": content}).outcome == "partly"


def test_online_the_answer_drink_to_all_is_no_telling(tmp_path):
    """80 clips of drink and 20 of eat: 80 % right, half in the mean of the two; nor where one of them is not there."""
    content = online(told=(80, 100))
    content["drink_eat"]["class"] = ["drink"] * 80 + ["eat"] * 20
    found = verdict("online", [streamed(tmp_path)], online={"made": content})
    assert found.outcome == "partly" and "drink / eat 50.0 % [" in found.evidence
    content["drink_eat"]["class"] = ["drink"] * 100
    assert verdict("online", [streamed(tmp_path)], online={"made": content}).outcome == "not testable"


def test_online_without_drink_and_eat(tmp_path):
    found = verdict("online", [streamed(tmp_path)], online={"made": online(told=None)})
    assert found.text == "not testable without classes drink and eat" and found.evidence == "30 frames/s."


def test_online_of_a_stale_run_or_of_one_that_is_no_evidence_is_left_out(tmp_path):
    assert verdict("online", online={"a": online()}).text == "not testable without a converged run's weights"
    baseline = demo_record(tmp_path, model=BASELINE, study="a")
    assert verdict("online", [baseline], online={"a": online(run=baseline.experiment.run)}).outcome == "not testable"
    found = verdict("online", [streamed(tmp_path, "b")], online={"a": online(), "b": online(frames_per_second=40.0)})
    assert found.chapter == "online" and "40 frames/s" in found.evidence


def test_which_measurement_decides_does_not_depend_on_names_or_order(tmp_path):
    """The paper's own size before a smaller one, more clips before fewer, the newer before the older."""
    later = PROVENANCE | {"started": "2026-02-02T00:00:00+00:00"}
    ranked = [
        ({"width": 0.25}, {}),
        ({}, {"told": None}),
        ({}, {"told": (9, 10)}),
        ({}, {"told": (45, 50)}),
        ({}, {"told": (45, 50), "provenance": later}),
    ]
    for names in ("abcde", "edcba"):
        runs, contents = [], {}
        for name, (fields, changes) in zip(names, ranked):
            folder = tmp_path / names
            runs.append(streamed(folder, name, **fields))
            contents[name] = online(**changes)
            for order in (contents, dict(reversed(contents.items()))):
                found = verdict("online", runs, online=order)
                if changes == {"told": None}:
                    assert found.without == "classes drink and eat" and not found.sources
                else:
                    assert found.sources[0].name == f"{name}/online"
