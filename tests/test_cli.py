"""The command line as a user calls it: what it prints, its exit status, and never a traceback."""

import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import cv2
import pytest
from made import DIGEST, demo_record

from repro import cli
from repro.bench import table6
from repro.training import behaviour, costs


def call(monkeypatch, capsys, *arguments):
    """``repro ...`` in this process: exit status, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["repro", *map(str, arguments)])
    try:
        status = cli.main()
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def sigint():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_render_demo(monkeypatch, capsys, tmp_path):
    arguments = ["--clips-per-class", 3, "--clips-per-group", 1, "--frames", 4, "--size", 64, "--workers", 1]
    status, out, _ = call(monkeypatch, capsys, "render-demo", "--root", tmp_path / "demo", *arguments)
    assert status == 0 and str(tmp_path / "demo") in out
    clips = sorted((tmp_path / "demo" / "videos").glob("*/*.avi"))
    assert len(clips) == 36
    video = cv2.VideoCapture(str(clips[0]))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 64 and video.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    again, _, err = call(monkeypatch, capsys, "render-demo", "--root", tmp_path / "demo", "--seed", 5, *arguments)
    assert again == 1 and err.startswith("repro: ") and "holds another demo set" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("learning_rte: 0.1\n", "did you mean 'learning_rate'?"),
        ("epochs: '3'\n", "epochs: '3': input should be a valid integer"),
        ("- a list\n", "expected 'field: value' lines"),
        ("", "expected 'field: value' lines"),
        ("epochs: [1\n", "params.yaml"),
        ("videos: nowhere\n", "videos: there is no folder nowhere; set videos to the dataset's own folder"),
    ],
)
def test_train_refuses_with_one_message(monkeypatch, capsys, tmp_path, text, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_text(text)
    status, out, err = call(monkeypatch, capsys, "train", path)
    assert status == 1 and message in err and err.startswith("repro: ") and "Traceback" not in out + err
    assert not (tmp_path / "results").exists()


def test_train_without_its_file(monkeypatch, capsys, tmp_path):
    status, _, err = call(monkeypatch, capsys, "train", tmp_path / "nowhere.yaml")
    assert status == 1 and "nowhere.yaml" in err


def test_train_says_what_file_it_wants(monkeypatch, capsys):
    profile = Path(__file__).parents[1] / "profiles" / "demo.yaml"
    for path, message in (
        (profile, f"{profile}: runs: this is a profile; `make book PROFILE={profile}` trains its runs. For one run"),
        (
            "nosuch",
            "parameters: there is no file nosuch; name a YAML file of a run's fields: `repro protocol sound > p",
        ),
    ):
        status, _, err = call(monkeypatch, capsys, "train", path)
        assert status == 1 and err.startswith(f"repro: {message}") and err.count("\n") == 1


def test_an_interrupted_command_says_how_it_goes_on(monkeypatch, capsys, sigint):
    monkeypatch.chdir(Path(__file__).parents[1])
    monkeypatch.setattr(table6, "measure", Mock(side_effect=KeyboardInterrupt))
    status, _, err = call(monkeypatch, capsys, "table6", "--only", "a b")
    assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL  # a second Ctrl-C ends it at once, without a traceback
    assert status == 130 and err.startswith("repro: interrupted; what is finished is kept")
    assert err.endswith("goes on from there: repro table6 --only 'a b'\n") and err.count("\n") == 1
    monkeypatch.setattr(costs, "cost_text", Mock(side_effect=KeyboardInterrupt))
    status, _, err = call(monkeypatch, capsys, "plan", "profiles/demo.yaml")
    assert status == 130
    assert err == "repro: interrupted; the same command begins anew: repro plan profiles/demo.yaml\n"


def test_table6_passes_its_options_on(monkeypatch, capsys):
    monkeypatch.setattr(table6, "measure", measure := Mock(return_value="made/cpu.json"))
    status, out, _ = call(monkeypatch, capsys, "table6", "--only", "c3d", "--precision", "bf16", "--full")
    assert status == 0 and out.startswith("made/cpu.json: shown on")
    measure.assert_called_once_with(device="cpu", full=True, names=["c3d"], precisions=["bf16"], clip=None)


def test_a_protocol_is_printed_as_fields(monkeypatch, capsys):
    status, out, _ = call(monkeypatch, capsys, "protocol", "as_published_code", "--layout", "something_v1")
    assert status == 0 and out.startswith("# protocol as_published_code\n")
    assert "mirror_sides: true" in out and 'watch: "test"' in out
    status, out, _ = call(monkeypatch, capsys, "protocol", "sound", "bgr_slip")
    assert status == 0 and 'values: "eco_pytorch_resnet"' in out
    status, _, err = call(monkeypatch, capsys, "protocol", "sund")
    assert status == 1 and "did you mean 'sound'?" in err


def test_a_plan_is_a_table_of_a_profiles_runs(monkeypatch, capsys):
    profile = Path(__file__).resolve().parents[1] / "profiles" / "server.yaml"
    status, out, _ = call(monkeypatch, capsys, "plan", profile, "--no-probe", "--only", "hmdb51")
    assert status == 0 and "20 runs, " in out and "hours" not in out
    assert "server-kinetics" in out and "server-ucf101" not in out  # what it starts from comes along
    status, _, err = call(monkeypatch, capsys, "plan", "nosuch")
    assert status == 1 and err.startswith(
        "repro: there is no profile nosuch; name a file, as of those in profiles/: demo.yaml,"
    )
    status, _, err = call(monkeypatch, capsys, "plan", profile, "--only", "hmdb")
    assert status == 1 and f"repro: {profile}: only: unknown name 'hmdb'; did you mean 'hmdb51'?" in err


def test_records_are_checked_and_filed(monkeypatch, capsys, tmp_path):
    made = demo_record(tmp_path / "theirs", seed=3, layout="folder")
    here = ("--results", tmp_path / "results")
    status, out, _ = call(monkeypatch, capsys, "records", "check", made.folder, *here)
    assert status == 1 and "digest: says nothing of " in out and "1 with faults" in out
    monkeypatch.setattr(behaviour, "todays_digest", lambda: DIGEST)
    status, out, _ = call(monkeypatch, capsys, "records", "check", made.folder, *here)
    assert status == 0 and "accuracy from the scores: top-1 100.00%" in out and "every record is sound" in out
    status, out, _ = call(monkeypatch, capsys, "records", "add", made.folder, "--contributor", "A. Stranger", *here)
    assert status == 0 and "filed, by A. Stranger" in out
    status, out, _ = call(monkeypatch, capsys, "records", "add", made.folder, "--contributor", "A", *here)
    assert status == 0 and "every record of it is here already" in out
    made = demo_record(tmp_path / "theirs", seed=3, wrong=[1], layout="folder")
    status, out, err = call(monkeypatch, capsys, "records", "add", made.folder, "--contributor", "A", *here)
    assert status == 1 and err.startswith(f"repro: {made.folder}: nothing was filed") and "is here already" in err
    status, out, err = call(monkeypatch, capsys, "records", "check", tmp_path / "none.zip", made.folder, *here)
    assert status == 1 and "there is no such file" in err and "Traceback" not in err
    assert "accuracy from the scores" in out and "1 with faults" in out  # the other path is checked all the same


def test_claims_prints_one_line_a_claim(monkeypatch, capsys):
    from repro.claims import verdicts as claims
    from repro.claims.judging import Evidence
    from repro.paper.cells import load

    monkeypatch.setattr(claims, "gather", lambda *_: Evidence(paper=load(), records=()))
    status, out, _ = call(monkeypatch, capsys, "claims")
    lines = out.splitlines()
    assert status == 0 and len(lines) == len(load().claims)
    assert lines[0].startswith("accuracy-hmdb51: not testable")


@pytest.mark.parametrize("arguments", [[], ["trian"], ["render-demo", "--clips", "x"]])
def test_a_wrong_call_shows_the_usage(monkeypatch, capsys, arguments):
    status, _, err = call(monkeypatch, capsys, *arguments)
    assert status == 2 and err.startswith("usage: repro")


def test_the_command_is_installed():
    """As a process: the exit status reaches the shell."""
    program = Path(sys.executable).with_name("repro")
    done = subprocess.run([program, "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "invalid choice: 'trian'" in done.stderr and "Traceback" not in done.stderr
