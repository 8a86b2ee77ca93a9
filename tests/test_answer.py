"""The page of the verdicts: what it says without records, with a clear gain, and with other outcomes."""

import dataclasses
from datetime import UTC, datetime

import pytest
from made import both_networks

from repro.claims.judging import Evidence, Source, Verdict
from repro.claims.verdicts import judge_all
from repro.paper.cells import load
from repro.report import answer
from repro.report.show import table_html

PAPER = load()


def page(records=()):
    evidence = Evidence(paper=PAPER, records=tuple(records))
    return answer.by_outcome(judge_all(evidence)), evidence


def test_every_claim_of_the_main_lines_is_the_papers():
    known = {claim.id for claim in PAPER.claims}
    assert {claim for claims in answer.MAIN.values() for claim in claims} <= known


def test_without_records_nothing_is_said_of_runs():
    verdicts, evidence = page()
    text = answer.answer_text(verdicts, evidence)
    assert "Accuracies are those of" not in text and "main point: **not testable**" in text
    assert text.count("\n- ") == len(answer.MAIN)
    assert "(2 by construction)" in table_html(answer.outcomes_table(verdicts), "c")
    assert answer.gains_table(verdicts, evidence).empty and answer.evidence_text(evidence) == ""
    assert "*contradicted*" not in answer.meanings_text(verdicts) and "*not testable*" in answer.meanings_text(verdicts)


def test_a_clear_gain(tmp_path):
    verdicts, evidence = page(both_networks(tmp_path, remark="Made."))
    text = answer.answer_text(verdicts, evidence)
    assert text.startswith("**Only in part.** Accuracies are those of 4 runs, 4 on made clips, with networks of 0.25")
    assert "they test the ideas, not the paper's numbers" in text and "main point: **reproduced" in text
    (row,) = answer.gains_table(verdicts, evidence).to_dict("records")
    assert row["accuracy, with the gate minus without"].startswith("+41.7 points [")
    assert row["accuracy, with the gate minus without"].endswith("]: reproduced")
    assert row["look-alikes"].startswith("confusion lower for 0 of 6 pairs of look-alikes: undecided")
    assert "120 test clips in 120 groups, 2 pairs of runs" in row["behind it"]
    html = row["trained and tested on"].__html__()
    assert html.startswith("made clips, learning rate ") and 'href="accuracy-made.html">made</a>' in html
    assert answer.evidence_text(evidence) == "- `made`, 4 runs: Made."
    assert len(answer.claims_table(verdicts)) == len(answer.full_table(verdicts, evidence)) == len(PAPER.claims)


def test_stale_records_are_named():
    assert "behaves differently: made/x." in answer.evidence_text(Evidence(paper=PAPER, records=(), stale=("made/x",)))


def verdict(outcome, **fields) -> Verdict:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    return Verdict(PAPER.claims[0], outcome, "Tested.", "Figures.", "Run `a < b`.", since=since, **fields)


def test_all_reproduced_is_a_yes_and_none_a_no():
    verdicts = [dataclasses.replace(v, outcome="reproduced") for v in page()[0]]
    evidence = page()[1]
    assert answer.answer_text(verdicts, evidence).startswith("**Yes.**")
    verdicts = [dataclasses.replace(v, outcome="contradicted") for v in verdicts]
    assert answer.answer_text(verdicts, evidence).startswith("**No.**")


@pytest.mark.parametrize(
    "month, words", [(1, "newer than 1 of its 1 records"), (5, "older than its records"), (None, "Rule of 2026-03-01")]
)
def test_a_claim_in_full_links_its_records_and_dates_its_rule(tmp_path, month, words):
    runs = both_networks(tmp_path, seeds=(0,))
    found = (Source(runs[0].name, datetime(2026, month, 1, tzinfo=UTC), "Ann <a>"),) if month else ()
    some = verdict("partly", sources=found, scope="made clips", chapter="runs")
    html = table_html(answer.full_table([some], Evidence(paper=PAPER, records=tuple(runs))), "c")
    assert words in html and "<code>a &lt; b</code>" in html and "<small>made clips</small>" in html
    if month:
        assert f"{runs[0].name} (by Ann &lt;a&gt;)</a>" in html and 'href="runs.html#made-' in html


def test_a_measurement_has_its_file_for_a_link():
    some = verdict("not testable", without="a GPU", sources=(Source("demo/online", datetime(2026, 5, 1, tzinfo=UTC)),))
    html = table_html(answer.full_table([some], Evidence(paper=PAPER, records=())), "c")
    assert "results/demo/online.json" in html and "without a GPU" in html


def test_each_claim_says_which_sentence_is_tested_by_which_runs_on_which_clips(tmp_path):
    verdicts, evidence = page(both_networks(tmp_path))
    assert all(verdict.runs and verdict.clips and verdict.test and verdict.claim.quote for verdict in verdicts)
    html = table_html(answer.full_table(verdicts, evidence), "c")
    assert "“acieved lower confusion for most of the confusing actions than did the ResNet34-3DRes18 model”" in html
    assert "By: pairs of both networks, trained alike from one seed, two or more of a kind. On: test clips of" in html
