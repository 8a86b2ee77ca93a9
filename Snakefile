# The study's runs, pages and book for one profile:
#
#     snakemake --cores all --configfile profiles/demo.yaml           # runs, pages, book
#     snakemake runs --cores all --configfile profiles/server.yaml    # the runs alone (a name after --configfile is a file)
#
# A run is made again when its fields or the behaviour of the code that it uses change (repro/training/behaviour.py), not when a
# comment does; a page when the package's sources, its notebook or its records do.

import json
import os
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from repro.records.freshness import as_text, sources_state, used_by
from repro.training.behaviour import todays_digest
from repro.experiment.profile import ABLATION, make_profile, source_of

try:
    PROFILE = make_profile(config)
except ValueError as error:
    sys.exit(f"profile: {error}")
# workflow.dryrun is not known yet while this file is read
if workflow.is_main_process and any(re.fullmatch("--dry-?run|-[pqr]*n[pqr]*", argument) for argument in sys.argv):
    from repro.training.costs import cost_text  # imports torch

    print(f"All runs of the profile, finished ones included:\n{cost_text(PROFILE.experiments, demo_set=PROFILE.demo_set)}\n", file=sys.stderr)
RUNS = {(experiment.study, experiment.run): experiment for experiment in PROFILE.experiments}
OWN = list(dict.fromkeys(study for study, _ in RUNS))  # the profile's studies: one, or one for each named group of runs
DIGEST = todays_digest()
CODE = sources_state()  # pages are made again when the package changes
PYTHON = f"{sys.executable} -m repro.notebook"

# Studies recorded elsewhere (results/ holds them) are shown beside the profile's own.
RECORDED = {}
for path in sorted(Path("results").glob("*/[!.]*/record.json")):
    if path.parent.parent.name not in OWN:
        RECORDED.setdefault(path.parent.parent.name, []).append(str(path))


def records_of(study):
    if study in OWN:
        return [f"results/{study}/{run}/record.json" for own, run in RUNS if own == study]
    return RECORDED.get(study, [])


def fields_of(study):
    """The experiment fields of one run of a study: what its clips are."""
    if study in OWN:
        return next(experiment for (own, _), experiment in RUNS.items() if own == study).to_dict()
    return json.loads(Path(RECORDED[study][0]).read_text())["experiment"]


def data_parameters(wildcards):
    fields = fields_of(wildcards.study)
    names = ("study", "dataset", "remark", "layout", "videos", "annotations", "classes", "split", "frames", "size")
    fields = {"unusable": "error"} | fields  # a record from before this field
    names += ("unusable",)
    # a study recorded elsewhere is shown without its clips where they are not at hand
    missing = "error" if wildcards.study in OWN else "note"
    return {name: fields[name] for name in names} | {"if_missing": missing} | PROFILE.pages.get("data", {})


# Online recognition needs a trained network's weights: the profile's first run of the attention network has them.
ONLINE = next((key for key, experiment in RUNS.items() if experiment.model == "res34_se_im_net"), None)
STUDIES = sorted({*OWN, *RECORDED})
SHOWN = [study for study in STUDIES if not study.startswith(ABLATION)]
# one page on the clips of several studies: of the profile's own, else of the first that has them and starts from scratch
CLIPS = {}
for study in sorted(SHOWN, key=lambda name: (name not in OWN, bool(fields_of(name).get("start_from")))):
    CLIPS.setdefault(str([fields_of(study)[name] for name in ("layout", "videos", "annotations", "classes")]), study)
PAGES = [
    "claims", "datasets", "decoding", "architecture", "complexity", "training", "ablations", "paper", "forensics", "runs",
    *(f"data-{study}" for study in CLIPS.values()),
    *(f"{page}-{study}" for page in ("accuracy", "confusion") for study in SHOWN),
    *([f"online-{ONLINE[0]}"] if ONLINE else []),
]
MEASURED = [f"results/{ONLINE[0]}/online.json"] if ONLINE else []
TABLE6 = [str(path) for path in sorted(Path("results/table6").glob("*.json"))]  # measured by `repro profile`


def demo_set(_wildcards=None):
    return [f"{PROFILE.demo_set['root']}/demo.json"] if PROFILE.demo_set else []


CORES_ELSEWHERE = 8  # of a job that --executor slurm sends away; --set-threads train=16 changes it


def whole_machine(_wildcards=None):
    """Cores of a job that takes a machine for itself: all that --cores gives, where it is given."""
    if not workflow.is_main_process and "SLURM_CPUS_PER_TASK" in os.environ:
        return int(os.environ["SLURM_CPUS_PER_TASK"])  # in the job itself: what it was given, not all that its node has
    try:
        return workflow.cores
    except WorkflowError:
        return CORES_ELSEWHERE


wildcard_constraints:
    study="[^/]+",
    run="[^/]+",


localrules: all, runs, book


rule all:
    input: "book/_build/html/index.html"


rule runs:
    input: [records_of(study) for study in OWN]


rule book:
    input:
        pages=expand("build/pages/{page}.ipynb", page=PAGES),
        source=[str(p) for p in sorted(Path("book").rglob("*")) if p.is_file() and "_build" not in p.parts],
        code="repro/report/book.py",
    output: update("book/_build/html/index.html")  # an earlier report stays readable until the new one is whole
    shell: "{sys.executable} -m repro.report.book --pages {input.pages} --source book --stage build/book --out book/_build"


if PROFILE.demo_set:

    rule demo_set:
        params: " ".join(f"--{name.replace(chr(95), chr(45))} {value}" for name, value in PROFILE.demo_set.items())
        output: update(demo_set())
        threads: whole_machine
        shell: "{sys.executable} -m repro.cli render-demo {params}"


def run_of(wildcards):
    return RUNS[wildcards.study, wildcards.run]


def source_record(wildcards):
    """The record of the run whose weights a run starts from, where it is one of this profile's."""
    source = source_of(run_of(wildcards))
    return ["results/{}/{}/record.json".format(*source)] if source in RUNS else []


rule train:
    wildcard_constraints:  # records of other studies are shown, not made
        study="|".join(map(re.escape, OWN)),
        run="|".join(sorted({re.escape(run) for _, run in RUNS})),
    input: demo_set, source_record
    output:
        # not removed before the run: a record that turns out to be fresh is kept as it is
        record=update("results/{study}/{run}/record.json"),
        predictions=update("results/{study}/{run}/predictions.parquet"),
    params:
        fields=lambda wildcards: json.dumps(run_of(wildcards).to_dict()),
        behaviour=lambda wildcards: as_text(used_by(run_of(wildcards), DIGEST)),
    threads: lambda wildcards: run_of(wildcards).threads or whole_machine()
    priority: 10
    shell: "{PYTHON} notebooks/03_train.ipynb build/runs/{wildcards.study}/{wildcards.run}.ipynb {params.fields:q}"


rule data_page:
    input: "notebooks/01_data.ipynb", demo_set
    output: "build/pages/data-{study}.ipynb"
    params:
        values=lambda wildcards: json.dumps(data_parameters(wildcards)),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule architecture_page:
    input: "notebooks/02_architecture.ipynb"
    output: "build/pages/architecture.ipynb"
    params:
        values="{}",
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule datasets_page:
    input: "notebooks/12_datasets.ipynb"
    output: "build/pages/datasets.ipynb"
    params:
        values=json.dumps(PROFILE.pages.get("datasets", {})),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule decoding_page:
    input: "notebooks/11_decoding.ipynb"
    output: "build/pages/decoding.ipynb"
    threads: whole_machine  # where it measures: a speed measured while another run shares the cores is not one
    params:
        values=json.dumps(PROFILE.pages.get("decoding", {})),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule training_page:
    input: "notebooks/13_training.ipynb"
    output: "build/pages/training.ipynb"
    threads: whole_machine  # where it measures: a speed measured while another run shares the cores is not one
    params:
        values=json.dumps(PROFILE.pages.get("training", {})),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule accuracy_page:
    input: "notebooks/04_accuracy.ipynb", lambda wildcards: records_of(wildcards.study)
    output: "build/pages/accuracy-{study}.ipynb"
    params:
        values=lambda wildcards: json.dumps({"study": wildcards.study}),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule confusion_page:
    input: "notebooks/05_confusion.ipynb", lambda wildcards: records_of(wildcards.study)
    output: "build/pages/confusion-{study}.ipynb"
    params:
        values=lambda wildcards: json.dumps({"study": wildcards.study}),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule ablations_page:
    input:
        "notebooks/15_ablations.ipynb",
        [records_of(study) for study in STUDIES if study.startswith((ABLATION, "demo"))],
    output: "build/pages/ablations.ipynb"
    params:
        values=json.dumps(PROFILE.pages.get("ablations", {})),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule complexity_page:
    input: "notebooks/06_complexity.ipynb", TABLE6
    output: "build/pages/complexity.ipynb"
    params:
        values=json.dumps(PROFILE.pages.get("complexity", {})),
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


if ONLINE:

    rule online_page:
        input: "notebooks/07_online.ipynb", "results/{}/{}/record.json".format(*ONLINE)
        output:
            page=f"build/pages/online-{ONLINE[0]}.ipynb",
            measured=f"results/{ONLINE[0]}/online.json",
        params:
            values=json.dumps({"study": ONLINE[0], "run": ONLINE[1]} | PROFILE.pages.get("online", {})),
            code=CODE,
        threads: whole_machine
        shell: "{PYTHON} {input[0]} {output.page} {params.values:q}"


rule claims_page:
    input: "notebooks/08_claims.ipynb", [records_of(study) for study in STUDIES], MEASURED, TABLE6
    output: "build/pages/claims.ipynb"
    params:
        values="{}",
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule paper_page:
    input: "notebooks/09_paper.ipynb", [records_of(study) for study in STUDIES]
    output: "build/pages/paper.ipynb"
    params:
        values="{}",
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule forensics_page:
    input: "notebooks/14_forensics.ipynb"
    output: "build/pages/forensics.ipynb"
    params:
        values="{}",
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


rule runs_page:
    input: "notebooks/10_runs.ipynb", [records_of(study) for study in STUDIES]
    output: "build/pages/runs.ipynb"
    params:
        values="{}",
        code=CODE,
    shell: "{PYTHON} {input[0]} {output} {params.values:q}"


onerror:
    for failed in sorted(Path("build").rglob("*.failed.ipynb")):
        cells = json.loads(failed.read_text(encoding="utf-8"))["cells"]
        errors = [o for cell in cells for o in cell.get("outputs", []) if o.get("output_type") == "error"]
        if errors:
            print(f"\n{failed}: {errors[-1]['ename']}: {errors[-1]['evalue']}", file=sys.stderr)
