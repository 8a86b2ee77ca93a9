"""The page on statistics: what a study could have shown, and a run trained again beside the first."""

import numpy as np
import pytest
from made import DIGEST, PROVENANCE, both_networks, labels_of, record

from repro.metrics.statistics import runs_needed, smallest_gain
from repro.records.compare import made_again
from repro.report import statistics
from repro.report.statistics import again_table, again_text
from repro.report.study import shown

ONE, MANY = "Made clips, 2 epochs", "Made clips, 3 epochs"


@pytest.fixture
def gains(tmp_path):
    few = both_networks(tmp_path, study="one", seeds=(0,))
    many = both_networks(tmp_path, study="four", seeds=(0, 1), epochs=3)
    many += both_networks(tmp_path, range(40), range(20), study="four", seeds=(2, 3), epochs=3)
    return {study.name: study.gain for study in shown([*few, *many], DIGEST)}


def test_studies_are_named_and_those_that_say_more_come_first(gains):
    assert list(gains) == [MANY, ONE] and gains[MANY].runs == 4
    assert gains[MANY].point == pytest.approx((50 + 50 + 20 + 20) / 480)


def test_the_smallest_gain_stands_with_that_of_more_pairs(gains):
    table = statistics.power_table(gains, wanted=0.15).set_index("study")
    moved = table["sd of pairs (points); trained again within"].tolist()
    # sd of two of 50 / 120, two of 20 / 120; then 3.18 times it, times the root of 2 / 4
    assert moved == ["14.4; ±32.5 points", "one: not known"]
    four = table.loc[MANY]
    assert four["smallest gain that gives a verdict"] == f"{100 * statistics.detected(gains[MANY]):.1f} points"
    assert four["with 20 pairs"] == f"{100 * statistics.detected(gains[MANY], runs=20):.1f} points"
    assert four["pairs to show 15 points"] == f"{runs_needed(gains[MANY], 0.15, confidence=0.99):.0f}"
    assert table.loc[ONE, "with 20 pairs"] == "not known" == table.loc[ONE, "pairs to show 15 points"]
    never = statistics.power_table(gains, wanted=0.0001).set_index("study")
    assert never.loc[MANY, "pairs to show 0.01 points"] == "never: more clips are needed"
    assert statistics.points(1.2) == "no gain"


def test_one_pair_does_not_tell_the_chance_of_training(gains):
    assert "how far runs spread is not known from one pair" in statistics.power_text(gains[ONE])
    text = statistics.power_text(gains[MANY])
    assert "120 clips in 120 groups and 4 pairs of runs give a verdict (p below 0.01) on a true gain of" in text
    assert "20 pairs would on" in text and statistics.detected(gains[MANY]) > smallest_gain(gains[MANY])


def test_the_figure_names_each_study_of_several_pairs(gains):
    _, alt = statistics.power_figure(gains)
    assert alt.endswith(f"as run: {MANY} {100 * statistics.detected(gains[MANY]):.1f} points.")


def test_coverage_is_shown_for_every_kind_of_number():
    table = statistics.coverage_tables((3, 6), (20,), studies=40, seed=0)
    assert table["95 % interval of"].unique().tolist() == list(statistics.KINDS) and len(table) == 8
    text = statistics.coverage_text(table)
    assert "over 5 kinds of chance: training counts most; videos" in text and "with fewer in" in text
    assert "with fewer" not in statistics.coverage_text(table[table["runs, or pairs of runs"] == 6])


LABELS = labels_of(3, 4)
SCORES = np.eye(3)[LABELS] * 4.0
LATER = PROVENANCE | {"started": "2030-01-01T00:00:00+00:00"}


def test_the_same_run_of_another_study_is_found_whatever_it_is_for(tmp_path):
    first = record(tmp_path, labels=LABELS, scores=SCORES)
    later = record(tmp_path, labels=LABELS, scores=SCORES, study="again", role="tuning", threads=3, provenance=LATER)
    record(tmp_path, labels=LABELS, scores=SCORES, study="other", seed=1)
    other_rate = record(tmp_path, labels=LABELS, scores=SCORES, study="rate", learning_rate=0.5)
    code = record(tmp_path, labels=LABELS, scores=SCORES, study="code", digest={"sampling": [9.0]}, provenance=LATER)
    other_clips = record(tmp_path, labels=LABELS, scores=SCORES, study="clips", data_hash="else")
    assert made_again([later, other_rate, other_clips, code, first]) == [(first, later)]


def test_equal_scores_are_said_to_be_equal_and_others_by_how_much(tmp_path):
    moved = SCORES.copy()
    moved[0] = moved[0][[1, 0, 2]]  # one clip of twelve with another label
    first = record(tmp_path, labels=LABELS, scores=SCORES)
    same = record(tmp_path, labels=LABELS, scores=SCORES, study="again", provenance=LATER)
    else_ = record(tmp_path, labels=LABELS, scores=moved, study="elsewhere", provenance=LATER)
    table = again_table([first, same, else_])
    assert list(table["other labels"]) == ["0 of 12", "1 of 12"]
    assert list(table["largest difference of scores"]) == [0.0, 1.0]
    assert again_text(table) == (
        "Of 2 runs trained again 1 gave the same scores, bit for bit. "
        "Where they differ, top-1 moved by up to 8.3 points. Of 2 it is not known whether the processor was the same."
    )
    assert "1 run trained again 1 gave the same scores, bit for bit." in again_text(again_table([first, same]))
    assert again_text(again_table([first, else_])).startswith("Of 1 run trained again none gave")
    assert again_text(again_table([first])).startswith("**Not run:**")


def test_a_machine_is_the_same_where_both_records_say_so(tmp_path):
    def again(there, here, **made):
        one = record(tmp_path, labels=LABELS, scores=SCORES, provenance=PROVENANCE | {"processor": there})
        made = LATER | {"processor": here} | made
        return again_table([one, record(tmp_path, labels=LABELS, scores=SCORES, study="again", provenance=made)])

    exact = "EPYC (AVX512)"
    assert again_text(again(exact, exact)).endswith("On the same kind of machine 1 of 1 did.")
    tables = [again(exact, "EPYC (AVX2)"), again("EPYC", exact), again("EPYC", "EPYC"), again("EPYC", "Xeon")]
    tables.append(again(exact, exact, device="CPU, 2 thread(s)"))
    cells = [table["same machine"].item() for table in tables]
    assert [cell.partition(":")[0] for cell in cells] == ["no", "not known", "not known", "no", "no"]
    assert cells[-1] == "no: CPU, 1 thread of EPYC (AVX512), torch 2.0 / CPU, 2 threads of EPYC (AVX512), torch 2.0"
