"""Tables 4 and 5 from made runs on a made official split, and from a paper file with cells filled in."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from made import DIGEST, FULL, labels_of, logits, record
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from repro.claims.official import official_runs, read_official
from repro.experiment.fields import ATTENTION, BASELINE
from repro.paper import cells as paper_file
from repro.paper.cells import load
from repro.report import peers_tables
from repro.report.peers_tables import answer_text, compact, peers_figure, peers_table, sources

PAPER = load()
HMDB51 = tuple(f"class{k:02d}" for k in range(51))
KINETICS = {"start_from": "paper-kinetics/res34_se_im_net-split1-seed0"}


def hmdb51(results, right: int, **fields):
    """A full-size run with this many of the 1530 test clips right."""
    labels = labels_of(51, 30)
    predicted = np.where(np.arange(1530) < right, labels, (labels + 1) % 51)
    values = {"layout": "hmdb51", "dataset": "HMDB51", "study": "paper", "model": ATTENTION, **FULL} | fields
    return record(results, classes=HMDB51, labels=labels, scores=logits(predicted, 51), **values)


def rows_of(table) -> dict:
    return {row["network"]: row for row in table.to_dict("records")}


def points(first, n, second, m) -> str:
    low, high = confint_proportions_2indep(first * n, n, second * m, m, method="newcomb")
    return f"{100 * (first - second):+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"


@pytest.fixture
def filled(tmp_path):
    """The paper's file with Table 4's HMDB51 cells of I3D and the baseline filled in, as someone with the PDF would."""
    path = tmp_path / "paper.toml"
    shutil.copy(Path(paper_file.__file__).with_name("paper.toml"), path)
    text = path.read_text(encoding="utf-8")
    start, end = text.index("[[table]]\nnumber = 4"), text.index("[[table]]\nnumber = 5")
    table = text[start:end]
    for name, value in (("I3D", "74.80"), ("ResNet34-3DRes18", "70.00")):
        empty = f'name = "{name}"\n    [table.row.cells]\n    "HMDB51" = {{}}'
        assert empty in table
        table = table.replace(empty, empty[:-2] + f'{{ value = {value}, source = "made" }}')
    more = '  [[table.row]]\n  name = "Made"\n    [table.row.cells]\n    "HMDB51" = { value = 60.0, source = "made" }\n'
    path.write_text(text[:start] + table + more + text[end:], encoding="utf-8")
    return load(path)


@pytest.mark.parametrize("dataset, clips", [("hmdb51", 1530), ("ucf101", 3783), ("sthv1", 11522)])
def test_without_runs_the_paper_stands_beside_every_peer(dataset, clips):
    table = peers_table(PAPER, dataset, [])
    peers = PAPER.peers(dataset=dataset, metric="top1")
    assert len(table) == len(peers) + 2
    assert set(table["clips"]) == {f"{clips} a split"}
    assert not any(column.startswith("here minus") for column in table)
    own = table[table["network"].isin(["ResNet34-3DRes18", "Res34-SE-IM-Net"])]
    assert own["run here [95 %]"].str.fullmatch("not run: needs .* and a GPU").all()
    stated = {claim.dataset: claim.value / 100 for claim in PAPER.claims if claim.id.startswith("accuracy-")}[dataset]
    shown = table[table["published"] != "the paper's own"]
    for peer in peers:
        assert points(stated, clips, peer.value / 100, clips) in set(shown["paper minus published [95 %]"])
    unread = shown["source"].str.startswith("not verified: ")
    assert unread.sum() == sum(not peer.verified for peer in peers)
    assert (shown["published"].str.endswith(" †") == unread).all()


def test_rows_stand_best_first_with_the_papers_among_them():
    networks = list(peers_table(PAPER, "hmdb51", [])["network"])
    assert networks[0] == "I3D two-stream" and networks[-1] == "ResNet34-3DRes18"  # the baseline's is not stated
    assert networks.index("TSM ResNet-50") < networks.index("Res34-SE-IM-Net") < networks.index("ARTNet-d with TSN")


def test_runs_fill_value_difference_and_interval(tmp_path, filled):
    runs = [hmdb51(tmp_path, 1100, **KINETICS), hmdb51(tmp_path, 1000, model=BASELINE, **KINETICS)]
    found = rows_of(peers_table(filled, "hmdb51", runs))
    low, high = proportion_confint(1100, 1530, method="wilson")
    ours = found["Res34-SE-IM-Net"]
    assert ours["run here [95 %]"] == f"71.9 % [{100 * low:.1f}, {100 * high:.1f}]" and ours["clips"] == "1530"
    assert ours["here minus paper [95 %]"] == points(1100 / 1530, 1530, 0.7185, 1530)
    assert ours["pre-training"] == "own, paper-kinetics/res34_se_im_net-split1-seed0"
    assert ours["splits"] == "split 1; one run"
    assert ours["frames and crops"] == "16 frames of 224x224, one crop of one clip"
    base = found["ResNet34-3DRes18"]
    assert base["the paper's table"] == "70.00 %"
    assert base["here minus paper [95 %]"] == points(1000 / 1530, 1530, 0.70, 1530)
    eco = found["ECO 4F"]
    assert eco["here minus published [95 %]"] == points(1100 / 1530, 1530, 0.617, 1530)
    assert eco["paper minus published [95 %]"] == points(71.85 / 100, 1530, 61.7 / 100, 1530)
    assert found["I3D"]["the paper's table"] == "74.80 %" and eco["the paper's table"] == "no such row in the text"
    assert found["Made"]["published"] == "none read"
    assert found["Made"]["here minus published [95 %]"] == points(1100 / 1530, 1530, 0.60, 1530)


def test_runs_are_averaged_and_every_clip_counts_once(tmp_path):
    made = ((0, 1, 1000), (1, 1, 1200), (0, 2, 900))
    runs = [hmdb51(tmp_path, right, seed=seed, split=split) for seed, split, right in made]
    ours = rows_of(peers_table(PAPER, "hmdb51", runs))["Res34-SE-IM-Net"]
    assert ours["run here [95 %]"].startswith("67.5 % [")  # (1000 + 1200 + 900) / 3 of 1530
    assert ours["clips"] == "1530" and ours["splits"] == "splits 1, 2; mean of 3 runs"


def test_protocols_are_not_averaged(tmp_path):
    runs = [hmdb51(tmp_path, 1100), hmdb51(tmp_path, 700, study="other", trunk_weights="made.pth")]
    table = peers_table(PAPER, "hmdb51", runs)
    own = table[table["network"] == "Res34-SE-IM-Net"]
    assert sorted(own["run here [95 %]"].str[:6]) == ["45.8 %", "71.9 %"]
    assert sorted(own["pre-training"]) == ["none", "trunk: made.pth"]
    both = rows_of(table)["ECO 4F"]["here minus published [95 %]"]
    assert re.fullmatch(r"other: -15\.9 points \[.*\]; paper: \+10\.2 points \[.*\]|paper: .*; other: .*", both)


@pytest.mark.parametrize(
    "change", [{"width": 0.5}, {"frames": 8}, {"size": 112}, {"layout": "ucf101"}, {"gate": "se"}],
)  # fmt: skip
def test_other_runs_are_not_official(tmp_path, change):
    made = hmdb51(tmp_path, 1100, **change)
    assert official_runs([made], "hmdb51") == official_runs([made], "ucf101") == []
    assert official_runs([hmdb51(tmp_path, 1100, run="good")], "hmdb51") != []


def test_only_fresh_official_runs_are_read(tmp_path):
    hmdb51(tmp_path, 1100)
    hmdb51(tmp_path, 1100, seed=1, digest={"sampling": [9.0]})
    hmdb51(tmp_path, 1100, width=0.5, study="small")
    assert [run.name for run in read_official(DIGEST, tmp_path)] == ["paper/res34_se_im_net-split1-seed0"]
    assert read_official(DIGEST, tmp_path / "none") == []


def test_what_keeps_a_peer_from_comparing():
    found = {(p.method, p.dataset, p.modality): peers_tables.differences(p) for p in PAPER.peers(metric="top1")}
    splits = "a mean over splits, the paper's number of splits not stated"
    assert found["TSM ResNet-50", "hmdb51", "RGB"] == "crops not stated"
    assert found["ECO 12F", "hmdb51", "RGB"] == f"{splits}; crops not stated"
    assert found["I3D two-stream", "ucf101", "RGB + optical flow"] == (
        f"takes optical flow; {splits}; frames and crops not stated"
    )
    assert found["C3D", "ucf101", "RGB"] == "pre-trained on Sports-1M, not on Kinetics; scores 10 clips a video"
    assert found["TSM ResNet-50 8F", "sthv1", "RGB"] == "pre-training not stated"  # its source names the crop
    assert found["ECO_En Lite", "sthv1", "RGB"] == (
        "pre-training not stated; several networks together; crops not stated"
    )
    assert found["TSN ResNet-50", "hmdb51", "RGB"] == (
        "pre-trained on ImageNet, not on Kinetics; split not stated; frames and crops not stated"
    )


def test_on_a_page_numbers_and_protocols_stand_apart():
    whole = peers_table(PAPER, "hmdb51", [])
    numbers, protocols = compact(whole), sources(whole)
    assert len(numbers) == len(protocols) == len(whole) and len(numbers.columns) <= 7 and len(protocols.columns) <= 7
    assert list(numbers)[-1] == "not comparable in"
    assert not (numbers["the paper's table"] == "not stated in the text").any()
    eco = protocols.set_index("network").loc["ECO 24F"]
    assert (eco["pre-training"], eco["modality"], eco["splits"]) == ("Kinetics", "RGB", "mean of 3 splits")
    assert "README of ECO-pytorch" in eco["source"]


def test_the_answer_counts_published_results_above_the_papers_own():
    text = answer_text(PAPER, {"hmdb51": peers_table(PAPER, "hmdb51", [])})
    found = {}
    for peer in PAPER.peers(dataset="hmdb51", metric="top1"):
        found[peer.method] = max(peer.value, found.get(peer.method, 0))
    above = sum(value > 71.85 for value in found.values())
    stated = "- **HMDB51**: the paper states 71.85 % for Res34-SE-IM-Net"
    assert text.startswith(f"{stated}; {above} of {len(found)} published")
    best = {}
    for peer in PAPER.peers(dataset="sthv1", metric="top1"):
        best[peer.method] = max(peer, best.get(peer.method, peer), key=lambda each: each.value)
    unread = sum(peer.value > 36.5 and not peer.verified for peer in best.values())
    marked = f"results of any kind are above it ({unread} of these † from memory of the literature"
    assert unread and marked in answer_text(PAPER, {"sthv1": None})
    fig, alt = peers_figure(PAPER, {"hmdb51": None, "sthv1": None})
    assert f"HMDB51: {len(found)} methods" in alt and len(fig.axes) == 2
    names = [label.get_text() for label in fig.axes[1].get_yticklabels()]
    assert sum(name.endswith(" †") for name in names) == sum(not peer.verified for peer in best.values())
