"""The rules that need no run: the paper's text beside published numbers, and by construction."""

import statistics

import torch

from repro.claims.judging import BY_CONSTRUCTION, Evidence, Verdict, missing, of_all, rule
from repro.claims.official import FULL, NAMES, OFFICIAL, number
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.models import build
from repro.models.blocks import Gate
from repro.paper.cells import Claim, Paper, Table


@rule(
    "temporal-limit",
    runs="full-size Res34-SE-IM-Net after Kinetics",
    clips="classes of Something-Something v1 that differ in order alone",
    since="2026-11-23T05:25:11Z",
)
def temporal_limit(claim: Claim, evidence: Evidence) -> Verdict:
    return missing(
        claim,
        "The rendered backwards pairs are simple motions; they cannot stand for complex ones.",
        NAMES["sthv1"],
        test="Accuracy on classes that differ only in the order of events.",
        settle=evidence.full_size("something_v1"),
    )


def own_accuracies(paper: Paper, dataset: str) -> dict[str, float]:
    """What the paper states of its two networks, in per cent: its Tables 4, 5 and 7, and the numbers in its text."""
    found: dict[str, float] = {}
    for table in (table_of(paper, dataset), paper.table(7)):
        for network in (BASELINE, ATTENTION):
            value = number(table, network, NAMES[dataset])
            if value is not None:
                found.setdefault(network, value)
    for claim in paper.claims:
        if claim.id == f"accuracy-{dataset}" and claim.value is not None:
            found.setdefault(ATTENTION, claim.value)
    return found


def compared_with(paper: Paper, dataset: str) -> tuple[list[tuple[str, float]], bool]:
    """The methods to compare with, I3D left out as the paper does: name and accuracy in per cent.

    Those of the paper's own table, where its cells are filled in (then the second value is True); else published ones
    of networks that take RGB frames alone, read in a source.
    """
    table = table_of(paper, dataset)
    column, own = table.columns.index(NAMES[dataset]), (TITLES[BASELINE], TITLES[ATTENTION])
    cells = [(row.name, row.cells[column].value) for row in table.rows if row.name not in own and "I3D" not in row.name]
    listed = [(name, value) for name, value in cells if isinstance(value, int | float)]
    if listed:
        return listed, True
    peers = [p for p in paper.peers(dataset=dataset, metric="top1") if p.verified and "I3D" not in p.method]
    return [(p.method, p.value) for p in peers if "flow" not in p.modality.lower()], False


def table_of(paper: Paper, dataset: str) -> Table:
    return paper.table(5 if dataset == "sthv1" else 4)


@rule(
    "better-than-state-of-the-art",
    "better-than-state-of-the-art-sthv1",
    runs="no run: numbers that the paper and others published",
    since="2026-11-25T23:31:00Z",
)
def state_of_the_art(claim: Claim, evidence: Evidence) -> Verdict:
    """The accuracies that the paper states beside those of its tables' methods, or else beside published ones.

    The claim is about both networks: the lower of the two that are known counts.
    """
    test = "The paper's stated accuracy beside those of other networks (RGB, not I3D)."
    settle = "Tables 4 and 5 of the paper, and runs of the peers under one protocol."
    above, known, fields, stated = [], 0, set(), set()
    for dataset in ["sthv1"] if claim.id.endswith("sthv1") else ["hmdb51", "ucf101"]:
        stated |= set(own_accuracies(evidence.paper, dataset))
        own = min(own_accuracies(evidence.paper, dataset).values())
        methods, printed = compared_with(evidence.paper, dataset)
        fields.add("of the paper's own table" if printed else "published elsewhere, read in a source")
        known += len(methods)
        above += [f"{name} {value} % on {NAMES[dataset]}" for name, value in methods if value > own]
    if not known:
        return missing(claim, "No verified peer.", "published peers", test=test, settle=settle, chapter="others")
    outcome = of_all(known - len(above), known)
    return Verdict(
        claim,
        outcome,
        test,
        f"Below {len(above)} of {known} results"
        + (f": {', '.join(above[:5])}{', ...' if len(above) > 5 else ''}" if above else "")
        + f". These are results {' and '.join(sorted(fields))}; protocols differ (pre-training, splits, crops).",
        settle,
        "others",
        short=f"of {known} published results of others {len(above)} are higher than the paper's own of "
        f"{' and '.join(TITLES[model] for model in TITLES if model in stated)}; nobody has checked the paper's",
    )


@rule("baseline-comparable", runs="no run: numbers that the paper and others published", since="2026-11-25T23:31:00Z")
def baseline_comparable(claim: Claim, evidence: Evidence) -> Verdict:
    """The baseline's stated accuracy at the median of the others or above, on every dataset where it is known.

    Comparable is no number in the text: the median is this study's reading of it.
    """
    test = "The baseline's stated accuracy beside the median of other networks (RGB, not I3D)."
    settle = "The baseline's cells of Tables 4, 5 or 7 in repro/paper/paper.toml, or full-size runs."
    shown, held = [], []
    for dataset in OFFICIAL:
        own = own_accuracies(evidence.paper, dataset).get(BASELINE)
        methods, _ = compared_with(evidence.paper, dataset)
        if own is None or not methods:
            continue
        middle = statistics.median(value for _, value in methods)
        held.append(own >= middle)
        shown.append(f"{own} % on {NAMES[dataset]}, where the median of {len(methods)} others is {middle:.2f} %")
    if not held:
        text = "The text states no accuracy of the baseline; its cells of the tables are not available here."
        without = "the paper's Table 7 or full-size runs"
        return missing(claim, text, without, test=test, settle=settle, chapter="others")
    outcome = of_all(sum(held), len(held))
    return Verdict(claim, outcome, test, "; ".join(shown) + ".", settle, "others")


@rule("feature-map-shape", "se-im-block-count", runs="no run: the network as built", since="2026-11-23T05:25:11Z")
def structure(claim: Claim, evidence: Evidence) -> Verdict:
    """Shapes and counts of the network built from the text, on the meta device; no record is needed."""
    with torch.device("meta"):
        network = build(ATTENTION, classes=2).eval()
        shape = list(network.stack(torch.empty(1, FULL["frames"], 3, FULL["size"], FULL["size"])).shape[1:])
    gates = sum(isinstance(module, Gate) for module in network.modules())
    right = shape == [512, FULL["frames"], 7, 7] if claim.id == "feature-map-shape" else gates == 16
    return Verdict(
        claim,
        "reproduced" if right else "contradicted",
        "The network built from the text: stacked map's shape, number of gated units.",
        f"Stacked map {'×'.join(str(v) for v in shape)}, {gates} units with a gate.",
        BY_CONSTRUCTION,
        "networks",
    )
