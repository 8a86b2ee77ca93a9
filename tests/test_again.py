"""A run trained again, beside the first."""

import numpy as np
from made import PROVENANCE, labels_of, record

from repro.records.compare import made_again
from repro.report.again import again_table, again_text

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
