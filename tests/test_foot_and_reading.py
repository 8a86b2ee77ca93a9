"""How to read the book, and the box at the foot of each page."""

import shutil

import pandas as pd
import pytest
from made import DIGEST, PROVENANCE, both_networks, demo_record

from repro.claims.judging import MEANING
from repro.experiment.fields import Experiment
from repro.experiment.profile import PROFILES, read_profile
from repro.records.table6 import Measured
from repro.report import foot, reading
from repro.report.study import shown

HMDB51 = PROFILES / "hmdb51.yaml"


@pytest.fixture
def runs(tmp_path):
    return both_networks(tmp_path, study="rendered")


def test_the_box_has_the_command_the_time_and_the_records(runs):
    html = foot.foot_html("gate", runs)
    end = "--cores all --configfile FILE</code>"
    again, path = "<code>make again RUN=", "PROFILE=profiles/rendered.yaml</code>"
    assert f"{again}&#39;rendered/*&#39; {path} (4 runs, 0.1 hours of one core)" in html
    assert f"{again}rendered/res34_se_im_net-split1-seed0 {path} (one of them, 2 minutes)" in html
    assert f"<code>.venv/bin/snakemake runs {end}: <code>profiles/rendered.yaml</code> (44 runs)" in html
    assert (
        "6 minutes in all, the recorded runs one by one, on CPU, 1 thread of Made 1; Snakemake" in html
    )  # of 90 s each
    assert 'href="reproduce.html#the-same-numbers-again">how to compare, or go on after a stop</a>' in html
    assert '<a href="runs.html">4 runs of rendered</a>' in html and "<code>notebooks/09_gate.ipynb</code>" in html
    assert 'href="manifest.json"' in html


def test_what_came_out_again_and_which_code_no_commit_has_are_said(tmp_path):
    runs = both_networks(tmp_path, study="rendered", provenance=PROVENANCE | {"uncommitted_changes": True})
    assert "No run was trained again yet." in foot.foot_html("gate", runs)
    both_networks(tmp_path, study="rendered-again", provenance=PROVENANCE | {"started": "2030-01-01T00:00:00+00:00"})
    html = foot.foot_html("gate", runs)
    assert "to the bit on the same processor" in html and "Of 4 runs trained again 4 gave" in html
    assert "4 runs of rendered; 4 of them by code with uncommitted changes" in html


def test_other_studies_are_named_by_their_profiles_behind_one_command(runs, tmp_path):
    other = both_networks(tmp_path, study="ut-interaction-pretrained", seeds=(0,))
    html = foot.foot_html("gate", [*runs, *other])
    command = "<code>make again RUN=&#39;ut-interaction-pretrained/*&#39; PROFILE=profiles/ut-interaction.yaml</code>"
    assert f"{command} (2 runs, 0.1 hours of one core)</span>" in html
    more = "<code>profiles/rendered.yaml</code> (44 runs), <code>profiles/ut-interaction.yaml</code> (70 runs)</span>"
    assert f"--configfile FILE</code>: {more}" in html


def test_choices_have_one_command(runs, tmp_path):
    """All of their studies by one pattern, which fits the reference's runs not."""
    groups = ("rendered-choices-times-1.5", "rendered-choices-gate-se")
    gate = dict(zip(groups, ("times_1.5", "se")))
    choices = [demo_record(tmp_path, study=name, gate=gate[name], model="res34_se_im_net", seed=0) for name in groups]
    found, missing = foot.commands_of([*runs, *choices])
    (command, note) = list(found.items())[2]
    assert command == "make again RUN='rendered-choices-*/*' PROFILE=profiles/rendered-choices.yaml"
    assert note.startswith("2 runs, ") and missing["profiles/rendered-choices.yaml"] == "142 runs"
    again = ["rendered-again/one", "rendered-again-times-1.5/one"]  # a group without a name is filed as its study
    assert foot._pattern("rendered-again", again) == "'rendered-again*/*'"
    assert foot._pattern("rendered-again", [*again[:1], "rendered-again/two"]) == "'rendered-again/*'"


def test_the_box_of_a_page_without_runs_has_its_own_command_or_that_of_the_book():
    made = {"seconds": 1800, "device": "CPU", "processor": "EPYC"}
    timed = Measured("cpu", {"provenance": made, "clip": "a.avi"}, pd.DataFrame())
    html = foot.foot_html("complexity", command="repro table6 --full", timed=[timed])
    assert "<code>repro table6 --full</code> (FILE: any video; recorded with a.avi)" in html
    assert 'href="reproduce.html#speed-on-your-machine">what it replaces</a>' in html
    assert "30 minutes on CPU of EPYC" in html
    assert "<code>results/table6/cpu.json</code>" in html and "compare networks within one run" in html
    assert "<code>make book</code>" in foot.foot_html("networks") and "It took" not in foot.foot_html("networks")


def test_an_unfinished_profile_stops_no_page(tmp_path, monkeypatch, runs):
    shutil.copytree(PROFILES, tmp_path / "profiles")
    (tmp_path / "profiles" / "typo.yaml").write_text("study: typo\nfields: {epoch: 6}\n")
    before = foot.commands_of(runs)
    monkeypatch.chdir(tmp_path)
    assert foot.commands_of(runs) == before and before[0]


def test_runs_that_no_profile_makes_name_no_command(tmp_path):
    assert foot.commands_of(both_networks(tmp_path, study="elsewhere")) == ({}, {})
    many = [run for name in "abcde" for run in both_networks(tmp_path, study=name, seeds=(0,))]
    assert foot.count_of(many) == "10 runs of a, b, c, d, e"


def test_the_studies_at_a_glance(runs):
    (row,) = reading.studies_table(shown(runs, DIGEST)).to_dict("records")
    assert row["runs"] == "2 ResNet34-3DRes18, 2 Res34-SE-IM-Net" and row["converged"] == "4 of 4 runs"
    assert row["network and input"] == "width ×0.25, 8 frames of 64 pixels" and row["chance"] == "8.3 %"
    assert row["true gain it would show in 4 of 5 studies"].endswith(" points")
    assert reading.outcomes_text().count("- **") == len(MEANING)


def test_hours_are_arithmetic_over_the_share_of_a_cards_peak_that_is_assumed():
    sizes = {"PFLOP": [600.0, 300.0], "GB a device": [10.0, 8.0], "GB of disk": [1.0, 2.0]}
    costs = pd.DataFrame({"runs": [2, 1]} | sizes)
    runs = read_profile(HMDB51).experiments
    table = reading.tonight_table("hmdb51.yaml", runs, costs, "hmdb51", "a question").set_index("")["HMDB51"]
    assert table["hours"].startswith(f"{900e15 / (0.3 * 312e12) / 3600:.0f} hours on an A100 or ")
    assert "driver 580 or later" in str(table["needs"]) and "repro plan hmdb51.yaml" in str(table["needs"])
    assert table["runs"] == "3: 900 PFLOP, 10 GB on the GPU, 3 GB of disk" and ".rar (" in table["download"]
    assert "repro prepare hmdb51 --root /data/hmdb51 --audit" in str(table["then"]) and "unrar" in str(table["then"])
    assert "snakemake runs --cores all --configfile hmdb51.yaml`; `make book PROFILE=" in str(table["last"])
    assert 'href="ledger.html#ledger-pretraining"' in table["accuracy to expect"].html


def test_settings_are_the_runs_own():
    text = reading.settings_text(read_profile(HMDB51).experiments)
    first = read_profile(HMDB51).experiments[0]
    assert text == (
        f"{first.epochs} epochs, {first.batch_size} clips a step, learning rate {first.learning_rate:g} "
        f"({first.schedule}), {first.precision}; trunk from {first.trunk_weights}, head from {first.head_weights}"
    )
    others = [Experiment(learning_rate=rate, accumulate=2) for rate in (0.01, 0.02)]
    assert "32 clips a step, learning rate 0.01 or 0.02 (plateau), 32-true; from random weights" in (
        reading.settings_text(others)
    )
