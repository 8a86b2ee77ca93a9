"""The forensics page: the paper's two numbers, and others that a reader puts in."""

from repro.metrics.forensics import Reported
from repro.paper.cells import load
from repro.report import forensics

LISTED = {"UCF101": [3783, 3734, 3696], "HMDB51": [1530, 1530, 1530]}
PAPERS = {"UCF101": Reported("92.196", 3783), "HMDB51": Reported("71.85", 1530)}


def test_no_whole_split_gives_the_papers_numbers():
    table = forensics.whole_splits_table(PAPERS, LISTED)
    assert len(table) == 6 and set(table["right clips that give it"]) == {"none"}
    assert forensics.impossible(PAPERS, LISTED) == ["UCF101", "HMDB51"]
    round_number = {"A": Reported("50.0", 10)}
    table = forensics.whole_splits_table(round_number, {"A": [10, 7]})
    assert table["right clips that give it"].tolist() == ["5", "none"]
    assert forensics.impossible(round_number, {"A": [10, 7]}) == []


def test_other_pages_say_it_and_this_one_says_what_it_does_not_ask():
    assert forensics.linked_text(load()) == (
        "[No whole split](forensics.html) gives HMDB51's 71.85 % or UCF101's 92.196 %; a mean over three splits can."
    )
    text = forensics.left_out_text(load())
    assert text.startswith("Something-Something v1's 36.5 % is not asked: ") and "(36.5 % of 12 counts)" in text


def test_one_habit_explains_both_and_what_does_not_follow_is_said():
    table = forensics.batches_table(PAPERS, 256)
    assert set(table["habit"]) == {"a partial last batch is dropped", "the last batch is always left out"}
    assert "3485 of 3780 (listed: 3783)" in set(table["UCF101"])
    assert "1095 of 1524 (listed: 1530)" in set(table["HMDB51"])
    text = forensics.conclusion_text(table, 0.611)
    assert "a search that explains 61 % of random pairs proves hardly anything" in text
    assert forensics.batches_table({"A": Reported("12.34", 10)}, 2).empty


def test_what_that_proves():
    text = forensics.chance_text(0.611, 256)
    assert "every batch size from 1 to 256 under either habit" in text and "explain 61 % of all pairs" in text
    assert "a likelihood ratio of at most 1.6" in text
    lines = forensics.means_text(PAPERS, LISTED).split("\n")
    assert [line.split(":")[0] for line in lines] == ["- UCF101", "- HMDB51"]
    assert forensics.means_text(PAPERS, {"UCF101": [3783], "HMDB51": [1530]}) == ""
