"""The verdicts: each rule's every outcome from made evidence, and what no rule may conclude."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made import DIGEST, PROVENANCE, both_networks, counted, demo_record, online, table6

from repro.claims import judging, rules_costs
from repro.claims import verdicts as claims
from repro.claims.judging import Evidence, Verdict
from repro.claims.verdicts import judge, judge_all
from repro.experiment.fields import ATTENTION, BASELINE
from repro.paper.cells import Cell, Row, load
from repro.records.measure import write_measurement
from repro.report.pages import placed
from repro.training.costs import group_costs

PAPER = load()
IDS = [claim.id for claim in PAPER.claims]
MANY, FEW = range(0, 60), range(0, 10)  # test clips that a network has wrong


def verdict(id: str, records=(), **evidence) -> Verdict:
    return judge(PAPER.claim(id), Evidence(paper=evidence.pop("paper", PAPER), records=tuple(records), **evidence))


# ---------------------------------------- rules and words


def test_every_claim_has_a_rule_and_every_rule_a_claim():
    assert sorted(judging.RULES) == sorted(IDS)


def test_what_was_trained_in_words(tmp_path):
    small = demo_record(tmp_path, width=0.25, size=64, frames=8)
    assert judging.scale([small]) == "0.25 times the paper's width, 64 pixels, 8 frames, trained from scratch"
    other = demo_record(
        tmp_path, width=1.0, size=96, frames=8, head_weights="R3D_18_Weights.KINETICS400_V1", run="other"
    )
    assert judging.scale([small, other]) == (
        "0.25 to 1 times the paper's width, 64 to 96 pixels, 8 frames, trained from scratch or from other weights"
    )


def test_no_number_is_typed_into_a_rule():
    """Digits in the rules' words: names, the interval's level and what the rule itself compares with; nothing else."""
    names = r"\b[23]D\w*|\b[A-Za-z_][\w-]*"
    rule = r"95 %|above 50 %|less than 1 % more|3 or more seeds"
    typed = [
        text for module in (claims, judging, *claims.MODULES) for text in _strings_with_digits(module, names, rule)
    ]
    assert typed == []


def _strings_with_digits(module, names, rule) -> list[str]:
    module = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(module)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and isinstance(node.body[0], ast.Expr)
    }
    formats = {id(part) for node in ast.walk(module) if isinstance(node, ast.FormattedValue) for part in ast.walk(node)}
    formats |= {id(node.value) for node in ast.walk(module) if isinstance(node, ast.keyword) and node.arg == "since"}
    return [
        node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in documentation and id(node) not in formats
        if re.search(r"\d", re.sub(f"Tables? \\d(, \\d)*( (and|or) \\d)?|{rule}|{names}", "", node.value))
    ]


# ---------------------------------------- the rules' dates


def test_a_rule_is_marked_where_its_records_were_known_before(tmp_path):
    runs = both_networks(tmp_path, MANY, FEW)
    found = verdict("se-im-beats-baseline", runs)
    assert {source.name for source in found.sources} == {run.name for run in runs}
    assert found.since == datetime(2026, 12, 1, 1, 20, tzinfo=UTC)
    assert found.seen_before == found.sources  # made records are of January
    later = {**PROVENANCE, "started": "2126-01-02T03:04:05+00:00"}
    new = verdict("se-im-beats-baseline", both_networks(tmp_path, MANY, FEW, seeds=(7, 8), provenance=later))
    assert new.sources and not new.seen_before


def test_every_verdict_from_runs_names_them(tmp_path):
    evidence = {"online": {"made": online()}, **counted()}
    counts_alone = {"se-im-costs-little", "fused-reduces-complexity", "i3d-deeper", *rules_costs.LIGHT}
    for v in judge_all(Evidence(paper=PAPER, records=tuple(both_networks(tmp_path, MANY, FEW)), **evidence)):
        if v.outcome != "not testable":
            assert bool(v.sources) == (v.chapter not in ("others", "networks") and v.claim.id not in counts_alone), v


def test_a_rule_has_a_date_with_its_time_zone():
    for v in judge_all(Evidence(paper=PAPER, records=())):
        assert v.since.tzinfo is not None
    with pytest.raises(ValueError, match=r"x: since: 2026-01-31 has no time zone"):
        judging.rule("x", runs="none", since="2026-01-31")


# ---------------------------------------- what would settle it


def test_what_would_settle_it_says_what_that_takes():
    costs = {"kinetics": (2, 36.0), **dict.fromkeys(("hmdb51", "ucf101", "something_v1"), (18, 3.6))}  # runs, PFLOP
    bare, costed = (Evidence(paper=PAPER, records=(), costs=given) for given in ({}, costs))
    claim = PAPER.claim("accuracy-hmdb51")
    assert "PFLOP" not in judge(claim, bare).settle
    settle = judge(claim, costed).settle
    assert (
        "about 0 hours on an A100" in settle
        and "4 PFLOP for 18 runs of both networks, 36 for 2 on Kinetics before" in settle
    )
    assert "--config only=hmdb51`, with HMDB51, Kinetics" in settle
    dear = Evidence(paper=PAPER, records=(), costs={group: (n, 1000 * pflop) for group, (n, pflop) in costs.items()})
    assert "about 118 hours on an A100 or 222 on an RTX 4090, at 30 % of its bf16 peak" in judge(claim, dear).settle
    assert "about 139 hours" in judge(PAPER.claim("se-im-beats-baseline"), dear).settle


def test_the_costs_are_those_of_the_papers_profile():
    costs = group_costs()
    assert set(costs) == {"kinetics", "hmdb51", "ucf101", "something_v1"}
    assert min(pflop for _, pflop in costs.values()) > 100 and (costs["kinetics"][0], costs["hmdb51"][0]) == (2, 18)


# ---------------------------------------- no evidence


def test_without_records_nothing_is_concluded_from_runs(tmp_path):
    evidence = claims.gather(DIGEST, {}, {}, tmp_path / "none")
    found = {v.claim.id: v for v in judge_all(evidence)}
    assert list(found) == IDS
    text_only = {"better-than-state-of-the-art", "better-than-state-of-the-art-sthv1"}
    text_only |= {"feature-map-shape", "se-im-block-count"}  # the network built from the text
    assert {id for id, v in found.items() if v.outcome != "not testable"} <= text_only
    for v in found.values():
        assert v.outcome in judging.OUTCOMES and v.test and v.evidence and v.settle
        assert v.outcome != "not testable" or v.without
        if v.claim.id not in text_only:
            assert not re.search(r"\d+([.]\d+)? ?(%|points|M\b|GMACs|frames/s|clips)", v.evidence), v.evidence


def test_a_verdict_names_only_pages_of_the_book():
    for v in judge_all(Evidence(paper=PAPER, records=())):
        assert not v.chapter or placed(v.chapter).source, v.claim.id


# ---------------------------------------- which records


def test_stale_records_are_left_out_and_named(tmp_path):
    runs = both_networks(tmp_path, MANY, FEW, seeds=[0, 1])
    changed = {"sampling": [1.0, 2.5], "network resnet34_3dres18": [3.0]}
    demo_record(tmp_path, model=BASELINE, seed=1, wrong=MANY, digest=changed)
    evidence = claims.gather(DIGEST, {}, {}, tmp_path)
    assert evidence.stale == ("made/resnet34_3dres18-split1-seed1",)
    assert len(evidence.records) == len(runs) - 1
    found = judge(PAPER.claim("se-im-beats-baseline"), evidence)
    assert found.outcome == "undecided" and "1 pair of runs" in found.evidence
    assert not claims.gather(changed, {}, {}, tmp_path).records[0].stale(changed)


def test_gather_reads_records_and_measurements(tmp_path):
    both_networks(tmp_path, MANY, FEW, study="b")
    both_networks(tmp_path, MANY, FEW, study="a")
    measured = table6()
    write_measurement(
        "table6", "cpu", dict(measured.content), provenance=PROVENANCE, table=measured.timings, results=tmp_path
    )
    write_measurement("b", "online", online(), provenance=PROVENANCE, results=tmp_path)
    evidence = claims.gather(DIGEST, measured.networks, {}, tmp_path)
    assert {record.experiment.study for record in evidence.records} == {"a", "b"} and evidence.stale == ()
    assert list(evidence.by_study()) == ["a"]  # which holds the same runs
    assert list(evidence.table6) == ["cpu"] and list(evidence.online) == ["b"]
    assert evidence.table6["cpu"].ratio(ATTENTION, "i3d").point == 2
    found = {v.claim.id: v.outcome for v in judge_all(evidence)}
    assert found["se-im-beats-baseline"] == found["i3d-costlier"] == "reproduced"
    for name, key in (("i3d", "parameters"), ("c3d", "multiply_adds"), ("p3d_199", "depth"), (BASELINE, "parameters")):
        today = measured.networks | {name: measured.networks[name] | {key: 6 * measured.networks[name][key]}}
        evidence = claims.gather(DIGEST, today, {}, tmp_path)  # each network that a verdict speaks of is looked at
        assert not evidence.table6 and evidence.stale == ("table6/cpu",)
        assert judge(PAPER.claim("fast"), evidence).outcome == "not testable"


# ---------------------------------------- published accuracies


def with_accuracies(*peers):
    template = PAPER.peers(dataset="ucf101", metric="top1")[0]
    values = {"verified": True, "modality": "RGB"}
    made = [
        template.model_copy(update={"method": m, "dataset": d, "value": v} | values | more) for m, d, v, more in peers
    ]
    return PAPER.model_copy(update={"all_peers": tuple(made)})


@pytest.mark.parametrize(
    "peers, outcome",
    [
        ([("A", "ucf101", 85.0, {}), ("B", "hmdb51", 60.0, {})], "reproduced"),
        ([("A", "ucf101", 96.0, {}), ("B", "hmdb51", 60.0, {})], "partly"),
        ([("A", "ucf101", 96.0, {}), ("B", "hmdb51", 74.0, {})], "contradicted"),
        ([("I3D", "ucf101", 95.6, {}), ("B", "hmdb51", 60.0, {})], "reproduced"),
        ([("A", "ucf101", 98.0, {"modality": "RGB + optical flow"}), ("B", "hmdb51", 60.0, {})], "reproduced"),
        ([("A", "ucf101", 98.0, {"verified": False}), ("B", "hmdb51", 60.0, {})], "reproduced"),
        ([("A", "sthv1", 47.0, {})], "not testable"),
    ],
)
def test_state_of_the_art(peers, outcome):
    found = verdict("better-than-state-of-the-art", paper=with_accuracies(*peers))
    assert found.outcome == outcome and found.test and found.settle
    if outcome == "partly":
        assert found.evidence.startswith("Below 1 of 2 results: A 96.0 % on UCF101.")


@pytest.mark.parametrize("value, outcome", [(18.55, "reproduced"), (45.6, "contradicted")])
def test_state_of_the_art_sthv1(value, outcome):
    paper = with_accuracies(("A", "sthv1", value, {}), ("B", "ucf101", 99.0, {}))
    assert verdict("better-than-state-of-the-art-sthv1", paper=paper).outcome == outcome


def with_cells(**cells):
    """The paper with made cells in its Tables 4, 5 and 7, as whoever has the PDF would fill them in: {row: (HMDB51,
    UCF101, Something-Something v1)}, None for an empty one."""
    tables = []
    for table in PAPER.tables:
        if table.number in (4, 5, 7):
            rows = []
            for name, values in cells.items():
                known = dict(zip(("HMDB51", "UCF101", "Something-Something v1"), values))
                made = {c: Cell(value=known[c], unit="%", source="made") for c in table.columns if known[c] is not None}
                rows.append(Row(name=name.replace("_", "-"), cells={c: made.get(c, Cell()) for c in table.columns}))
            table = table.model_copy(update={"rows": tuple(rows)})
        tables.append(table)
    return PAPER.model_copy(update={"tables": tuple(tables)})


@pytest.mark.parametrize(
    "cells, outcome, words",
    [
        ({"A": (60.0, 90.0, None), "B": (70.0, 95.0, None)}, "partly", "Below 1 of 4 results: B 95.0 % on UCF101"),
        ({"A": (60.0, 90.0, None)}, "reproduced", "Below 0 of 2 results. These are results of the paper's own table"),
        ({"A": (72.0, 93.0, None)}, "contradicted", "Below 2 of 2"),
        ({"I3D": (99.0, 99.0, None), "A": (60.0, 90.0, None)}, "reproduced", "Below 0 of 2"),
        # both networks are claimed to be better: the baseline's cell counts too
        ({"A": (60.0, 90.0, None), "ResNet34_3DRes18": (59.0, 91.0, None)}, "partly", "A 60.0 % on HMDB51"),
    ],
)
def test_cells_from_the_pdf_change_the_verdict_on_the_state_of_the_art(cells, outcome, words):
    found = verdict("better-than-state-of-the-art", paper=with_cells(**cells))
    assert found.outcome == outcome and words in found.evidence


@pytest.mark.parametrize(
    "baseline, outcome",
    [
        ((65.0, 91.0, None), "reproduced"),  # the medians of A, B and C are 65 and 90
        ((64.9, 91.0, None), "partly"),
        ((64.9, 89.9, None), "contradicted"),
        ((None, None, None), "not testable"),
    ],
)
def test_cells_from_the_pdf_settle_whether_the_baseline_is_comparable(baseline, outcome):
    others = {"A": (60.0, 80.0, None), "B": (65.0, 90.0, None), "C": (70.0, 95.0, None), "I3D": (99.0, 99.0, None)}
    found = verdict("baseline-comparable", paper=with_cells(ResNet34_3DRes18=baseline, **others))
    assert found.outcome == outcome
    if outcome == "partly":
        assert "64.9 % on HMDB51, where the median of 3 others is 65.00 %; 91.0 % on UCF101" in found.evidence
