"""The box at the foot of a page: how to make its numbers again, what that takes, and where they lie."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from IPython.display import HTML, display
from markupsafe import Markup

from repro.experiment.profile import read_profile
from repro.records.provenance import machine_text
from repro.records.record import RESULTS, Record, read_all
from repro.records.table6 import STUDY as TIMED
from repro.records.table6 import Measured
from repro.report.pages import KINDS
from repro.report.statistics import again_table, again_text

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
    clips = [clip for measured in timed if (clip := measured.content.get("clip"))]  # of the pipelines that were timed
    source = next(kind.source for kind in KINDS if kind.name == page)
    note = f"FILE: any video; recorded with {clips[0]}" if clips else ""
    commands, others = commands_of(records)
    commands = {command: note} if command else commands or {MAKE: ""}
    rows = [("Make these numbers again", Markup("<br>").join([Markup(FIRST), *_codes(commands)]))]
    if others and not command:
        listed = Markup(", ").join(_codes(others))
        rows.append(("Other studies here", Markup("<code>{} FILE</code>: {}").format(SNAKEMAKE, listed)))
    if made := [_made(record) for record in records] + [measured.content["provenance"] for measured in timed]:
        files = Markup(", ").join(Markup("<code>results/table6/{}.json</code>").format(m.device) for m in timed)
        rows += [
            ("It took", Markup("{}{}").format(took(made), AT_ONCE if len(records) > 1 else "")),
            ("Again means", again_html(records) if records else Markup(TIMED_AGAIN)),
            ("Records", Markup('<a href="runs.html">{}</a>').format(count_of(records)) if records else files),
        ]
    rows.append(("Data", Markup("{}; made by <code>{}</code>").format(Markup(DATA), source)))
    cells = Markup("").join(Markup("<div><strong>{}</strong> <span>{}</span></div>").format(*row) for row in rows)
    return Markup('<aside class="foot" aria-label="How to make this page again">{}</aside>').format(cells)


FIRST = 'after <code>make setup</code> (<a href="reproduce.html">From a bare machine</a>):'
EXPECTED = (
    "the same scores to the bit on the same processor with as many threads; on another no single run has a tolerance."
)
SEEN = (
    '<a href="statistics.html#the-same-run-again">Run by run</a>; '
    '<a href="reproduce.html#the-same-numbers-again">how to compare, or go on after a stop</a>'
)
AT_ONCE = "; Snakemake trains as many at once as the cores allow"
TIMED_AGAIN = (
    "counts to the last digit; seconds hang on the machine: compare networks within one run, by <em>times the "
    "baseline</em>, which is expected within its interval with as many threads of the same processor; "
    '<a href="reproduce.html#speed-on-your-machine">what it replaces</a>'
)
DATA = 'each table as CSV, above it; all of them in <a href="manifest.json">manifest.json</a>'


def again_html(records: Sequence[Record]) -> Markup:
    """What to expect of runs trained again, and what was seen of all that were, in the folder of these."""
    table = again_table(read_all(records[0].folder.parents[1]))
    seen = again_text(table) if len(table) else "No run was trained again yet."
    return Markup("{} {} {}.").format(EXPECTED, seen, Markup(SEEN))


def took(made: Sequence[Mapping[str, Any]]) -> str:
    """``3.2 hours in all, ..., on CPU, 1 thread of AMD EPYC``, from what records say of their making."""
    devices = dict.fromkeys(machine_text(each) for each in made)
    hours = sum(each["seconds"] for each in made) / 3600
    time = f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.0f} minutes"
    return f"{time}{' in all, the recorded runs one by one,' if len(made) > 1 else ''} on {' or '.join(devices)}"


def count_of(records: Sequence[Record]) -> str:
    """``12 runs of rendered, ucf101-3``, and how many of them were made by code that no commit has."""
    studies = list(dict.fromkeys(record.experiment.study for record in records))
    named = ", ".join(studies[:3]) + (f" and {len(studies) - 3} more" if len(studies) > 3 else "")
    changed = sum(record.provenance["uncommitted_changes"] for record in records)
    of_these = f"; {changed} of them by code with uncommitted changes" if changed else ""
    return f"{len(records)} run{'s' if len(records) > 1 else ''} of {named}{of_these}"


def _made(record: Record) -> dict[str, Any]:
    """Its provenance, with the time of the whole run."""
    return record.provenance | {"seconds": record.seconds}


def _codes(words: Mapping[str, str]) -> list[Markup]:
    """Each as code, what it makes behind it in brackets."""
    return [Markup("<code>{}</code>{}").format(text, note and f" ({note})") for text, note in words.items()]


def commands_of(records: Sequence[Record]) -> tuple[dict[str, str], dict[str, str]]:
    """The commands that make the studies of these runs, as far as a profile has them, each with what it makes.

    Of the profile that has most of them: first the runs that these are, then one of them alone, then those that it has
    beside them. Behind them the files of the other profiles, each with how many of its runs are among these.
    """
    made = {record.name: _made(record) for record in records}
    studies = {record.experiment.study for record in records}
    found, there, of = {}, {}, {}
    for file in sorted(Path("profiles").glob("*.yaml")):
        try:
            runs = [f"{each.study}/{each.run}" for each in read_profile(file).experiments]
        except ValueError:  # somebody's that is not finished: it makes none of these runs
            continue
        if not studies & {name.partition("/")[0] for name in runs}:
            continue
        if file.stem == "demo":
            found[MAKE] = "the runs of demo"
        else:
            there[file.as_posix()], of[file.as_posix()] = sorted(name for name in runs if name in made), len(runs)
    most = max(there, key=lambda path: len(there[path]), default=None)
    if most is not None and there[most]:
        found |= _again(most, there.pop(most), made, of[most])
    return found, {path: f"{len(names) or 'none'} of its {of[path]} runs" for path, names in there.items()}


def _again(path: str, names: Sequence[str], made: Mapping[str, Mapping[str, Any]], of: int) -> dict[str, str]:
    """The commands that make these runs of a profile anew, one of them, and those that it has beside them."""
    studies = dict.fromkeys(name.partition("/")[0] for name in names)
    whole = "; ".join(f"make again RUN='{study}/*' PROFILE={path}" for study in studies)
    took = _minutes([made[name] for name in names])
    found = {whole: f"{len(names)} run{'s' * (len(names) > 1)}, {took}"}
    if len(names) > 1:
        one = f"make again RUN={names[0]} PROFILE={path}"
        found[one] = f"one of them, {made[names[0]]['seconds'] / 60:.0f} minutes"
    rest = {f"{SNAKEMAKE} {path}": f"the {of - len(names)} runs that this page lacks"} if len(names) < of else {}
    return found | rest


def _minutes(made: Sequence[Mapping[str, Any]]) -> str:
    """``2.1 hours of one core in all, 11 minutes each by the median, from 7 to 102; ...``."""
    minutes = [each["seconds"] / 60 for each in made]
    core = " of one core" if all(each["device"] == "CPU, 1 thread(s)" for each in made) else ""
    low, high = (f"{end(minutes):.0f}" for end in (min, max))
    span = f" by the median, from {low} to {high}; how busy the machine was is not recorded" if low != high else ""
    whole = f"{sum(minutes) / 60:.1f} hours{core} in all, " if len(made) > 1 else ""
    return f"{whole}{median(minutes):.0f} minutes{' each' if len(made) > 1 else core}{span}"
