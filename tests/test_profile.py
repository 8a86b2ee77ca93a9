"""Profiles: the files that users start from, and one message for every slip."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from repro.experiment.fields import TEMPORAL, Experiment
from repro.experiment.profile import make_profile, read_profile, source_of
from repro.experiment.protocols import HABITS, habits_of
from repro.notebook import parameters_of
from repro.training import example

PROFILES = sorted((Path(__file__).resolve().parents[1] / "profiles").glob("*.yaml"))
SMALL = {"study": "s", "runs": [{"models": ["res34_se_im_net"], "splits": [1], "seeds": [0]}]}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_profile_reads(path):
    profile = read_profile(path)
    assert profile.study == path.stem  # results/<study> is found by the profile's name
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    listed = sum(len(g["models"]) * len(g["splits"]) * len(g["seeds"]) for g in values["runs"])
    runs = [(experiment.study, experiment.run) for experiment in profile.experiments]
    assert len(runs) == len(set(runs)) == listed
    for experiment in profile.experiments:
        assert experiment.study.startswith(profile.study) and experiment.remark
    overridden = {name for group in values["runs"] for name in group.get("fields", {})}
    if "remark" not in overridden:
        assert {experiment.remark for experiment in profile.experiments} == {values["remark"]}
    overridden |= {name for e in profile.experiments for h in habits_of(e) for name in HABITS[h].fields}
    like = path.with_stem(values["like"]) if "like" in values else path
    fields = yaml.safe_load(like.read_text(encoding="utf-8"))["fields"] | values.get("fields", {})
    for experiment in profile.experiments:
        for name in set(fields) - overridden:
            assert getattr(experiment, name) == pytest.approx(fields[name])


def test_a_profile_like_another_takes_its_clips_and_fields():
    base = read_profile(PROFILES[0].parent / "demo.yaml")
    made = make_profile(SMALL | {"like": "demo", "fields": {"epochs": 2}})
    (run,), first = made.experiments, base.experiments[0]
    assert made.demo_set == base.demo_set and made.study == "s" and run.remark == ""
    assert (run.width, run.frames, run.learning_rate) == (first.width, first.frames, first.learning_rate)
    assert run.epochs == 2
    with pytest.raises(ValueError, match=r"like: 'dmeo' is no profile; known: demo, gpu,"):
        make_profile(SMALL | {"like": "dmeo"})


@pytest.mark.parametrize("name", ["demo", "ucf101-3", "server", "paper", "hmdb51"])
def test_both_networks_run_alike(name):
    """Every baseline has a run of the attention network with the same fields otherwise, or nothing can be compared."""
    profile = read_profile(PROFILES[0].parent / f"{name}.yaml")

    def others(experiment):
        fields = {k: v for k, v in experiment.to_dict().items() if k not in ("model", "run")}
        if fields["start_from"]:  # each network from its own pre-training
            fields["start_from"] = fields["start_from"].replace(experiment.model, "{model}")
        return str(fields)

    by_model = {
        model: sorted(others(e) for e in profile.experiments if e.model == model)
        for model in ("resnet34_3dres18", "res34_se_im_net")
    }
    assert by_model["resnet34_3dres18"] == by_model["res34_se_im_net"] != []


@pytest.mark.parametrize("name", ["server", "paper"])
def test_every_run_of_the_paper_is_listed(name):
    """Kinetics pre-training of both networks, then both on HMDB51 and UCF101 (three splits) and Something-Something."""
    experiments = read_profile(PROFILES[0].parent / f"{name}.yaml").experiments
    for model in ("resnet34_3dres18", "res34_se_im_net"):
        runs = {(e.layout, e.split) for e in experiments if e.model == model}
        assert runs == {(layout, k) for layout in ("hmdb51", "ucf101") for k in (1, 2, 3)} | {
            ("kinetics400", 1),
            ("something_v1", 1),
        }
    (kinetics,) = {e.study for e in experiments if e.layout == "kinetics400"}
    for experiment in experiments:
        chained = f"{kinetics}/{experiment.model}-split1-seed0"
        assert experiment.start_from == (None if experiment.study == kinetics else chained)
        assert len({e.seed for e in experiments if e.study == experiment.study}) == (
            1 if not experiment.start_from else 3
        )


CHAIN = {
    "study": "s",
    "runs": [
        {"name": "big", "models": ["res34_se_im_net"], "splits": [1], "seeds": [4]},
        {"name": "middle", "models": ["res34_se_im_net"], "splits": [2], "seeds": [4],
         "fields": {"start_from": "{study}-big/{model}-split1-seed{seed}"}},
        {"name": "small", "models": ["res34_se_im_net"], "splits": [2], "seeds": [4],
         "fields": {"start_from": "{study}-middle/{model}-split{split}-seed{seed}"}},
        {"name": "other", "models": ["res34_se_im_net"], "splits": [1], "seeds": [0],
         "fields": {"start_from": "weights/some file.pth"}},
    ],
}  # fmt: skip


def test_only_takes_groups_and_what_they_start_from():
    def studies(**more):
        return [e.study for e in make_profile(CHAIN | more).experiments]

    assert studies() == ["s-big", "s-middle", "s-small", "s-other"]
    assert studies(only="small") == ["s-big", "s-middle", "s-small"]
    assert studies(only=["other", "big"]) == ["s-big", "s-other"]
    small = make_profile(CHAIN).experiments[2]
    assert source_of(small) == ("s-middle", "res34_se_im_net-split2-seed4")
    with pytest.raises(ValueError, match=r"only: unknown name 'smal'; did you mean 'small'\?"):
        studies(only="smal")


def test_protocol_and_habits_come_before_fields():
    group = SMALL["runs"][0]
    (plain,) = make_profile(SMALL | {"protocol": "paper_text"}).experiments
    assert (plain.accumulate, plain.watch, habits_of(plain)) == (4, "validation", [])
    (own,) = make_profile(SMALL | {"protocol": "paper_text", "fields": {"accumulate": 1}}).experiments
    assert own.accumulate == 1 and own.nesterov
    (code,) = make_profile(SMALL | {"runs": [group | {"protocol": "as_published_code"}]}).experiments
    assert (code.watch, code.last_batch, code.clipping) == ("test", "drop", "after_step")
    (one,) = make_profile(SMALL | {"protocol": "paper_text", "runs": [group | {"habits": ["bgr_slip"]}]}).experiments
    assert habits_of(one) == ["bgr_slip"] and one.accumulate == 4


def test_a_study_has_a_role_and_a_group_may_have_its_own():
    group = SMALL["runs"][0]
    groups = [group, group | {"name": "rate", "role": "tuning"}]
    assert [e.role for e in make_profile(SMALL).experiments] == ["main"]
    profile = make_profile(SMALL | {"role": "ablation", "runs": groups})
    assert profile.role == "ablation" and [e.role for e in profile.experiments] == ["ablation", "tuning"]


def test_only_runs_of_the_papers_networks_as_they_are_count_as_evidence():
    """Gates, rates and habits that are tried out are no evidence for the claims, whatever their study is called."""
    for path in PROFILES:
        for e in read_profile(path).experiments:
            tried = e.study.split("-", 1)[1] if "-" in e.study else ""
            stems = ("rendered-rates", "rates-120", "rendered-epochs", "rendered-again")
            choosing = tried.startswith("rate-") or path.stem in stems
            wanted = "tuning" if choosing else "main"
            if wanted == "main" and (
                path.stem == "rendered-choices" or e.gate or e.gate_bias or tried == "frame-average"
            ):
                wanted = "ablation"
            if e.model == TEMPORAL:
                wanted = "ablation"
            assert e.role == wanted, f"{path.stem}: {e.study}/{e.run}"


def test_every_combination_is_one_run():
    groups = [
        {"models": ["resnet34_3dres18", "res34_se_im_net"], "splits": [1, 3], "seeds": [0, 5]},
        {"name": "wide", "models": ["res34_se_im_net"], "splits": [1], "seeds": [0], "fields": {"width": 2}},
    ]
    profile = make_profile({"study": "s", "runs": groups})
    runs = {(e.study, e.run): (e.model, e.split, e.seed) for e in profile.experiments}
    assert len(profile.experiments) == len(runs) == 9
    assert runs["s", "resnet34_3dres18-split3-seed5"] == ("resnet34_3dres18", 3, 5)
    assert runs["s-wide", "res34_se_im_net-split1-seed0"] == ("res34_se_im_net", 1, 0)
    assert [e.width for e in profile.experiments if e.study == "s-wide"] == [2.0]


def test_group_fields_come_before_the_studys():
    values = SMALL | {"remark": "all", "fields": {"epochs": 3, "frames": 4}}
    values["runs"] = [values["runs"][0] | {"fields": {"epochs": 7}}]
    (experiment,) = make_profile(values).experiments
    assert (experiment.epochs, experiment.frames, experiment.remark) == (7, 4, "all")
    assert experiment.dropout == Experiment().dropout


FAULTS = [
    ({"study": "s", "rnus": []}, r"unknown name 'rnus'; did you mean 'runs'\?"),
    ({"runs": SMALL["runs"]}, "study: name the study"),
    ({"study": "s"}, "runs: Field required"),
    ({"study": "s", "runs": []}, "runs: .*list should have at least 1 item"),
    ({"study": "a/b", "runs": SMALL["runs"]}, "study: 'a/b' becomes a folder's name"),
    (SMALL | {"fields": {"epoch": 3}}, r"unknown name 'epoch'; did you mean 'epochs'\?"),
    (SMALL | {"fields": [1]}, "fields: "),
    (SMALL | {"runs": ["res34_se_im_net"]}, "runs.0: "),
]
RUN_FAULTS = [
    ({"models": None}, "runs.0.models: None: input should be a valid list"),
    ({"models": []}, "runs.0.models: .*list should have at least 1 item"),
    ({"seed": [0]}, r"runs.0: unknown name 'seed'; did you mean 'seeds'\?"),
    ({"models": ["res34_se_im"]}, r"model: unknown name 'res34_se_im'; did you mean 'res34_se_im_net'\?"),
    ({"seeds": [0, 0]}, "runs: res34_se_im_net-split1-seed0 is listed twice; give one group a name"),
    ({"fields": {"lerning_rate": 1}}, r"unknown name 'lerning_rate'; did you mean 'learning_rate'\?"),
    ({"protocol": "as_publishd_code"}, r"unknown name 'as_publishd_code'; did you mean 'as_published_code'\?"),
    ({"habits": ["bgr"]}, "habits: unknown name 'bgr'"),
    ({"habits": ["test_stears"]}, r"habits: unknown name 'test_stears'; did you mean 'test_steers'\?"),
    ({"habits": "bgr_slip"}, r"runs.0.habits: 'bgr_slip': input should be a valid list"),
    ({"habits": ["sides_mirrored"]}, "habits: sides_mirrored concerns datasets whose labels have sides"),
    ({"habits": ["bgr_slip"], "fields": {"values": "imagenet"}}, "habits: bgr_slip sets values: .*leave one out"),
    (
        {"fields": {"start_from": "{studdy}-x/{model}"}},
        "start_from: .* is not understood; it may hold {study}, {model}",
    ),
    ({"role": "ablatoin"}, "runs.0.role: 'ablatoin': input should be 'main', 'ablation' or 'tuning'"),
    ({"name": "a b"}, "study: '.*-a b' becomes a folder's name"),
]


@pytest.mark.parametrize("values, message", FAULTS + [
    (SMALL | {"runs": [SMALL["runs"][0] | change]}, message) for change, message in RUN_FAULTS
])  # fmt: skip
def test_a_slip_names_file_key_and_mend(tmp_path, values, message):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(ValueError, match=message) as caught:
        read_profile(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_not_yaml_and_not_there(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("study: [demo\nruns: }")
    with pytest.raises(ValueError, match=r"broken.yaml: not YAML: .*line 2"):
        read_profile(path)
    with pytest.raises(FileNotFoundError, match=r"there is no profile .*nowhere.yaml"):
        read_profile(tmp_path / "nowhere.yaml")


def test_make_book_of_a_profile_that_is_not_there_names_those_that_are():
    root = PROFILES[0].parents[1]
    script = (root / "Makefile").read_text().partition("define BOOK_PY\n")[2].partition("endef\n")[0]
    command = [sys.executable, "-c", script, "--configfile", "nosuch"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    said = "make book: there is no profile nosuch; name a file, as of those in profiles/: demo.yaml, "
    assert done.returncode == 1 and done.stderr.startswith(said) and done.stderr.count("\n") == 1


def test_a_profile_reads_without_torch():
    """Snakemake reads it in every job; torch takes seconds to import."""
    import subprocess
    import sys

    code = "import sys, repro.experiment.profile, repro.records.freshness; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("page, study, fields", [
    ("own-clips", "mine", {"layout": "folder", "batch_size": 16, "dropout": 0.0}),
    ("own-clips", "mine-imagenet", {"layout": "folder", "batch_size": 16, "width": 1.0}),
    ("reproduce", "slower", {"learning_rate": 0.02, "videos": "data/demo/videos"}),
])  # fmt: skip
def test_the_profiles_that_pages_show_are_profiles(tmp_path, monkeypatch, page, study, fields):
    text = Path(f"book/{page}.md").read_text(encoding="utf-8")
    for name, shown in re.findall(r"```yaml\n# profiles/(.*?)\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(shown, encoding="utf-8")
    for name in ("demo", "ut-interaction"):
        (tmp_path / f"{name}.yaml").symlink_to(PROFILES[0].parent / f"{name}.yaml")
    monkeypatch.setattr("repro.experiment.profile.PROFILES", tmp_path)  # of which one may be like another
    experiments = read_profile(tmp_path / f"{study}.yaml").experiments
    assert {each.study for each in experiments} == {study} and len({each.model for each in experiments}) == 2
    assert all(getattr(each, name) == value for each in experiments for name, value in fields.items())


def test_what_is_changed_in_notebook_01_is_changed_in_its_short_example(monkeypatch):
    usual = parameters_of(Path("notebooks/01_train.ipynb"))
    monkeypatch.setattr(example, "render_demo_set", lambda *_, **__: pytest.fail("there is a demo set"))
    monkeypatch.setattr(example.Path, "is_file", lambda _: True)
    found = example.example_with(usual | {"learning_rate": 0.01, "seed": 3})
    assert (found.learning_rate, found.seed, found.epochs, found.width) == (0.01, 3, example.EPOCHS, 0.25)
    assert (found.study, found.classes) == (example.STUDY, example.CLASSES)
    assert example.example_with(usual) == example.example()
    for own in ({"videos": "mine/videos"}, {"width": 0.5}, {"study": "mine"}, {"run": "mine"}, {"epochs": 3}):
        assert example.example_with(usual | own | {"learning_rate": 0.01}) is None


def test_the_papers_profile_holds_what_the_text_states():
    stated = {"learning_rate": 0.001, "frames": 16, "size": 224, "width": 1.0, "dropout": 0.5, "clip_gradient": 50.0,
              "schedule": "plateau", "saturate": 5}  # fmt: skip
    for experiment in (Experiment(), *read_profile(PROFILES[0].parent / "paper.yaml").experiments):
        assert {name: getattr(experiment, name) for name in stated} == stated
