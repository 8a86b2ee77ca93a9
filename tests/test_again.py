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
    other_clips = record(tmp_path, labels=LABELS, scores=SCORES, study="clips", data_hash="else")
    assert made_again([later, other_rate, other_clips, first]) == [(first, later)]


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
        "Where they differ, top-1 moved by up to 8.3 points."
    )
    assert again_text(again_table([first, same])).endswith("1 run trained again 1 gave the same scores, bit for bit.")
    assert again_text(again_table([first, else_])).startswith("Of 1 run trained again none gave")
    assert again_text(again_table([first])).startswith("**Not run:**")
