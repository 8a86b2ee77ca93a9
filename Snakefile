# The study's runs, pages and book for one profile:
#
#     snakemake --cores all --configfile profiles/demo.yaml           # runs, pages, book
#     snakemake runs --cores all --configfile profiles/server.yaml    # the runs alone (a name after --configfile is a file)
#
# A run is made again when its fields or the behaviour of the code that it uses change (repro/training/behaviour.py), not when a
# comment does; a page when the package's sources, its notebook or what it reads do. What that is stands in repro/report/pages.py.

import json
import os
import re
import shlex
import signal
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError

from repro.experiment.profile import make_profile, source_of
from repro.records.freshness import as_text, sources_state, used_by
from repro.records.provenance import commit_text
from repro.report.pages import TRAIN, pages_of
from repro.training.behaviour import todays_digest

def stop_once(_number, _frame):
    """Ctrl-C ends Snakemake once: a second one, while it ends, would leave a traceback of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if workflow.is_main_process:
    signal.signal(signal.SIGINT, stop_once)

BEGAN = time.time()
try:
    PROFILE = make_profile(config)
    PAGES = pages_of(PROFILE)
except ValueError as error:
    sys.exit(f"{', '.join(map(str, workflow.configfiles)) or 'profile'}: {error}")
# workflow.dryrun is not known yet while this file is read
if workflow.is_main_process and any(re.fullmatch("--dry-?run|-[pqr]*n[pqr]*", argument) for argument in sys.argv):
    from repro.training.costs import cost_text  # imports torch

    print(f"All runs of the profile, finished ones included:\n{cost_text(PROFILE.experiments, demo_set=PROFILE.demo_set)}\n", file=sys.stderr)
RUNS = {(experiment.study, experiment.run): experiment for experiment in PROFILE.experiments}
DIGEST = todays_digest()
CODE = sources_state()
PYTHON = shlex.quote(sys.executable)
CORES_ELSEWHERE = 8  # of a job that --executor slurm sends away; --set-threads train=16 changes it


def whole_machine(_wildcards=None):
    """Cores of a job that takes a machine for itself: all that --cores gives, where it is given."""
    if not workflow.is_main_process and "SLURM_CPUS_PER_TASK" in os.environ:
        return int(os.environ["SLURM_CPUS_PER_TASK"])  # in the job itself: what it was given, not all that its node has
    try:
        return workflow.cores
    except WorkflowError:
        return CORES_ELSEWHERE


localrules: all, runs, book


rule all:
    input: "book/_build/html/index.html"


rule runs:
    input: [f"results/{study}/{run}/record.json" for study, run in RUNS]


rule book:
    input:
        pages=[page.file for page in PAGES],
        source=[str(path) for path in sorted(Path("book").rglob("*")) if path.is_file() and "_build" not in path.parts],
        citation="CITATION.cff",
        code=["repro/report/book.py", "repro/report/staging.py", "repro/report/pages.py"],
    params: commit=commit_text()  # stands at the foot of each page
    output: update("book/_build/html/index.html")  # an earlier report stays readable until the new one is whole
    shell: "{PYTHON} -m repro.report.book --pages {input.pages:q} --source book --stage build/book --out book/_build"


if PROFILE.demo_set:

    rule demo_set:
        params: arguments=[word for name, value in PROFILE.demo_set.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        output: update(f"{PROFILE.demo_set['root']}/demo.json")
        threads: whole_machine
        shell: "{PYTHON} -m repro.cli render-demo {params.arguments:q}"


def run_of(wildcards):
    return RUNS[wildcards.study, wildcards.run]


def clips_and_weights(wildcards):
    """What a run starts from, where this profile makes it: the demo set, and the record of the run whose weights it takes."""
    source = source_of(run_of(wildcards))
    clips = [f"{PROFILE.demo_set['root']}/demo.json"] if PROFILE.demo_set else []
    return clips + (["results/{}/{}/record.json".format(*source)] if source in RUNS else [])


rule train:
    wildcard_constraints:  # records of other studies are shown, not made
        study="|".join(sorted({re.escape(study) for study, _ in RUNS})),
        run="|".join(sorted({re.escape(run) for _, run in RUNS})),
    input: clips_and_weights
    output:
        # not removed before the run: a record that turns out to be fresh is kept as it is
        record=update("results/{study}/{run}/record.json"),
        predictions=update("results/{study}/{run}/predictions.parquet"),
    params:
        fields=lambda wildcards: json.dumps(run_of(wildcards).to_dict()),
        behaviour=lambda wildcards: as_text(used_by(run_of(wildcards), DIGEST)),
    threads: lambda wildcards: run_of(wildcards).threads or whole_machine()
    priority: 10
    shell: "{PYTHON} -m repro.notebook {TRAIN.source} build/runs/{wildcards.study}/{wildcards.run}.ipynb {params.fields:q}"


for page in PAGES:  # the notebook is the first of what a page reads

    rule:
        name: f"page_{page.name}"
        input: page.reads
        output: page.file, update(page.makes)
        params:
            values=json.dumps(page.parameters),
            at_hand=json.dumps(page.at_hand),
            code=CODE,
        threads: whole_machine if page.kind.alone else 1
        shell: "{PYTHON} -m repro.notebook {input[0]:q} {output[0]:q} {params.values:q}"


onerror:
    goes_on = "The same command goes on"
    for failed in sorted(file for file in Path("build").rglob("*.failed.ipynb") if file.stat().st_mtime >= BEGAN):
        cells = json.loads(failed.read_text(encoding="utf-8"))["cells"]
        errors = [o for cell in cells for o in cell.get("outputs", []) if o.get("output_type") == "error"]
        if errors:
            print(f"\n{failed}: {errors[-1]['ename']}: {errors[-1]['evalue']}", file=sys.stderr)
            goes_on = "Mend that first: the same command goes on"
    print(f"\nNot finished. {goes_on} from the last finished epoch and page.", file=sys.stderr)
