"""The page of the verdicts: what it says without records, with a clear gain, and with other outcomes."""

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from made import DIGEST, both_networks

from repro.claims.judging import Evidence, Source, Verdict
from repro.claims.verdicts import judge_all
from repro.paper.cells import load
from repro.report import answer
from repro.report.show import table_html
from repro.report.study import shown

PAPER = load()


def page(records=()):
    evidence = Evidence(paper=PAPER, records=tuple(records))
    return answer.by_outcome(judge_all(evidence)), evidence


def test_without_records_nothing_is_said_of_runs():
    verdicts, evidence = page()
    assert answer.runs_text(verdicts, evidence, []) == ""
    found = answer.claims_table(verdicts).set_index("claim")["verdict"].map(str)
    assert found["the gate raises accuracy"] == "not testable"
    assert answer.evidence_text(evidence) == ""
    assert "*contradicted*" not in answer.meanings_text(verdicts) and "*not testable*" in answer.meanings_text(verdicts)


def test_a_clear_gain(tmp_path):
    verdicts, evidence = page(both_networks(tmp_path, remark="Made."))
    assert answer.answer_text(verdicts).startswith("**Only in part.** Of ")
    text = answer.runs_text(verdicts, evidence, evidence.records)
    assert "Verdicts on accuracy count 4 runs on made clips, with networks of" in text and "stand beside" not in text
    more = both_networks(tmp_path, study="choice", learning_rate=0.32)
    assert " 4 more, with another rate or a constant, stand" in answer.runs_text(verdicts, evidence, more)
    assert "they test the ideas, not the paper's numbers" in text
    found = answer.claims_table(verdicts).set_index("claim")["verdict"].map(str)
    assert found["the gate raises accuracy"] == "reproduced"
    assert answer.evidence_text(evidence) == "- `made`, 4 runs: Made."
    assert len(answer.claims_table(verdicts)) == len(answer.full_table(verdicts, evidence)) == len(PAPER.claims)


def test_the_plan_s_runs_that_are_still_to_come_are_counted(tmp_path):
    runs = both_networks(tmp_path, study="rendered")  # two seeds, 90 s a run
    text = answer.near_text(runs, shown(runs, DIGEST))
    assert "profiles/rendered.yaml`: 4 of 48 runs are recorded; 2 minutes a run on one core by the mean." in text
    assert (
        "With all 24 pairs a true gain of " in text
        and "would give a verdict in 80 of 100 such studies; found so far: +41.7." in text
    )
    assert "profiles/rendered-choices.yaml`: 0 of " in text and "profiles/ucf101-3.yaml`: 0 of " in text


def test_records_that_do_not_count_are_named_with_the_reason(tmp_path):
    runs = both_networks(tmp_path)
    for run in runs:
        run.history["train_top1"] = 0.6
    verdicts, evidence = page(runs)
    text = answer.evidence_text(dataclasses.replace(evidence, records=tuple(runs), stale=("made/x",)))
    assert "behaves differently: 1 of `made`." in text
    assert "before they had learned their training clips: 4 of `made`." in text
    found = answer.claims_table(verdicts).set_index("claim")["verdict"].map(str)
    assert found["the gate raises accuracy"] == "not testable"


def test_what_would_settle_open_claims_stands_once_for_those_that_take_the_same():
    verdicts, _ = page()
    table = answer.settle_table(verdicts)
    open_claims = [v for v in verdicts if v.outcome in ("undecided", "not testable")]
    assert sum(text.count(";") + 1 for text in table["claims"]) == len(open_claims) and len(table) < len(open_claims)


def test_verdicts_for_machines(tmp_path):
    verdicts, _ = page(both_networks(tmp_path))
    found = {each["id"]: each for each in json.loads(json.dumps(answer.claims_content(verdicts)))}
    assert len(found) == len(PAPER.claims) and found["se-im-beats-baseline"]["verdict"] == "reproduced"
    assert found["se-im-beats-baseline"]["page"] == "gate.html" and len(found["se-im-beats-baseline"]["records"]) == 4


def verdict(outcome, **fields) -> Verdict:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    return Verdict(PAPER.claims[0], outcome, "Tested.", "Figures.", "Run `a < b`.", since=since, **fields)


def test_all_reproduced_is_a_yes_and_none_a_no():
    verdicts, _ = page()
    for outcome, words in (("reproduced", "**Yes.**"), ("contradicted", "**No.**")):
        same = [dataclasses.replace(verdict, outcome=outcome) for verdict in verdicts]
        assert answer.answer_text(same).startswith(words)


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
