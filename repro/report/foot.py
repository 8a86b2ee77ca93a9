"""The box at the foot of a page: how to make its numbers again, what that takes, and where they lie."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from IPython.display import HTML, display
from markupsafe import Markup

from repro.experiment.profile import read_profile
from repro.records.record import RESULTS, Record
from repro.records.table6 import STUDY as TIMED
from repro.records.table6 import Measured
from repro.report.pages import KINDS

MAKE = "make book"
SNAKEMAKE = ".venv/bin/snakemake runs --cores all --configfile"


def show_foot(page: str, records: Sequence[Record] = (), *, command: str = "", timed: Sequence[Measured] = ()) -> None:
    """Display the box of a page; what programs read of it, the records' files, lies in the output's metadata.

    page: its name in the table of pages. records: the runs that its numbers come from; the commands that make them are
    found in the profiles. command: what makes numbers that come from no run. timed: Table 6's records.
    """
    files = [record.folder / "record.json" for record in records]
    files += [RESULTS / TIMED / f"{measured.device}.json" for measured in timed]
    sums = {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in dict.fromkeys(files)}
    display(HTML(foot_html(page, records, command=command, timed=timed), metadata={"records": sums}))


def foot_html(
    page: str, records: Sequence[Record] = (), *, command: str = "", timed: Sequence[Measured] = ()
) -> Markup:
    """What `show_foot` displays."""
    records = list({record.name: record for record in records}.values())
    source = next(kind.source for kind in KINDS if kind.name == page)
    commands = {command: ""} if command else commands_of(records) or {MAKE: ""}
    lines = [Markup("<code>{}</code>{}").format(text, note and f" ({note})") for text, note in commands.items()]
    rows = [("Make these numbers again", Markup("<br>").join(lines))]
    if made := [record.provenance for record in records] + [measured.content["provenance"] for measured in timed]:
        files = Markup(", ").join(Markup("<code>results/table6/{}.json</code>").format(m.device) for m in timed)
        rows += [
            ("It took", Markup("{}").format(took(made))),
            ("Again means", Markup(SAME if records else TIMED_AGAIN)),
            ("Records", Markup('<a href="runs.html">{}</a>').format(count_of(records)) if records else files),
        ]
    rows.append(("Data", Markup(DATA)))
    rows.append(("Notebook", Markup("<code>{}</code>").format(source)))
    cells = Markup("").join(Markup("<div><strong>{}</strong> <span>{}</span></div>").format(*row) for row in rows)
    return Markup('<aside class="foot" aria-label="How to make this page again">{}</aside>').format(cells)


SAME = (
    "the same numbers, on the same processor with as many threads; on another, "
    '<a href="statistics.html#the-same-run-again">how far they move</a>; <code>git checkout results</code> brings the '
    "recorded ones back"
)
TIMED_AGAIN = "counts to the last digit; seconds hang on the machine: compare networks within one run"
DATA = 'each table as CSV, above it; all of them in <a href="manifest.json">manifest.json</a>'


def took(made: Sequence[Mapping[str, Any]]) -> str:
    """``3.2 hours in all, ..., on CPU, 1 thread of AMD EPYC``, from what records say of their making."""
    hours = sum(each["seconds"] for each in made) / 3600
    devices = dict.fromkeys(f"{each['device']} of {each['processor']}" for each in made)
    time = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    return f"{time}{' in all, the recorded runs one by one,' if len(made) > 1 else ''} on {' or '.join(devices)}"


def count_of(records: Sequence[Record]) -> str:
    """``12 runs of rendered and ucf101-3-scratch``."""
    studies = list(dict.fromkeys(record.experiment.study for record in records))
    named = ", ".join(studies[:3]) + (f" and {len(studies) - 3} more" if len(studies) > 3 else "")
    return f"{len(records)} run{'s' if len(records) > 1 else ''} of {named}"


def commands_of(records: Sequence[Record]) -> dict[str, str]:
    """The commands that make the studies of these runs, as far as a profile has them, each with what it makes.

    First the runs that these are, then one of them alone, then those that a profile has beside them.
    """
    made = {record.name: record.provenance["seconds"] for record in records}
    studies = {record.experiment.study for record in records}
    found = {}
    for path in sorted(Path("profiles").glob("*.yaml")):
        runs = read_profile(path).experiments
        if not any(each.study in studies for each in runs):
            continue
        if path.stem == "demo":
            found[MAKE] = "the runs of demo"
            continue
        there = sorted(name for run in runs if (name := f"{run.study}/{run.run}") in made)
        if not there:
            found[f"{SNAKEMAKE} {path.as_posix()}"] = f"{len(runs)} runs, none of them recorded here"
            continue
        minutes = sum(made[name] for name in there) / len(there) / 60
        own = dict.fromkeys(name.partition("/")[0] for name in there)
        kept = " ".join(f"results/{study}/*/record.json" for study in own)
        gone = " ".join(f"results/{study}/*/ build/runs/{study}" for study in own)
        again = f".venv/bin/snakemake {{}} --cores all --configfile {path.as_posix()}"
        all_of_them = f"runs=$(ls {kept}); rm -rf {gone}; {again.format('$runs')}"
        found[all_of_them] = f"{len(there)} runs, {minutes:.0f} minutes each"
        one = f"rm -rf results/{there[0]} build/runs/{there[0]}; {again.format(f'results/{there[0]}/record.json')}"
        found[one] = "one of them"
        if len(there) < len(runs):
            found[f"{SNAKEMAKE} {path.as_posix()}"] = f"the {len(runs) - len(there)} runs that this page lacks"
    return found
