"""The box at the foot of a page: how to make its numbers again, what that takes, and where they lie."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
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
    commands, missing = commands_of(records)
    commands = {command: note} if command else commands or {MAKE: ""}
    rows = [("Make these numbers again", Markup("<br>").join([Markup(FIRST), *_codes(commands)]))]
    if missing and not command:
        listed = Markup(", ").join(_codes(missing))
        rows.append(("Not on this page yet", Markup("<code>{} FILE</code>: {}").format(SNAKEMAKE, listed)))
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
    changed = sum(record.provenance["uncommitted_changes"] for record in records)
    of_these = f"; {changed} of them by code with uncommitted changes" if changed else ""
    return f"{len(records)} run{'s' if len(records) > 1 else ''} of {', '.join(studies)}{of_these}"


def _made(record: Record) -> dict[str, Any]:
    """Its provenance, with the time of the whole run."""
    return record.provenance | {"seconds": record.seconds}


def _codes(words: Mapping[str, str]) -> list[Markup]:
    """Each as code, what it makes behind it in brackets."""
    return [Markup("<code>{}</code>{}").format(text, note and f" ({note})") for text, note in words.items()]


def commands_of(records: Sequence[Record]) -> tuple[dict[str, str], dict[str, str]]:
    """The commands that make these runs anew, as far as a profile has them, each with what it makes, and the profiles
    that have more runs of the same studies, each with how many.

    First the profile that has most of these runs, and one of them alone.
    """
    made = {record.name: _made(record) for record in records}
    studies = {record.experiment.study for record in records}
    found, there, patterns, missing = {}, {}, {}, {}
    for file in sorted(Path("profiles").glob("*.yaml")):
        try:
            profile = read_profile(file)
        except ValueError:  # somebody's that is not finished: it makes none of these runs
            continue
        runs = [f"{each.study}/{each.run}" for each in profile.experiments]
        if not studies & {name.partition("/")[0] for name in runs}:
            continue
        if file.stem == "demo":
            found[MAKE] = "the runs of demo"
            continue
        if names := sorted(name for name in runs if name in made):
            there[file.as_posix()] = names
            patterns[file.as_posix()] = _pattern(profile.study, names)
        if more := len(runs) - len(names):
            missing[file.as_posix()] = f"{more} runs"
    for path, names in sorted(there.items(), key=lambda item: -len(item[1])):
        hours = _hours([made[name] for name in names])
        found[f"make again RUN={patterns[path]} PROFILE={path}"] = f"{len(names)} run{'s' * (len(names) > 1)}, {hours}"
        if len(names) > 1 and names is max(there.values(), key=len):
            one = f"make again RUN={names[0]} PROFILE={path}"
            found[one] = f"one of them, {made[names[0]]['seconds'] / 60:.0f} minutes"
    return found, missing


def _pattern(study: str, names: Sequence[str]) -> str:
    """What these runs of a profile fit: one's name, its study, or all groups, whose names begin with the study's."""
    studies = {name.partition("/")[0] for name in names}
    if len(names) == 1:
        return names[0]
    pattern = studies.pop() if len(studies) == 1 else f"{study}*" if study in studies else f"{study}-*"
    return f"'{pattern}/*'"


def _hours(made: Sequence[Mapping[str, Any]]) -> str:
    """``2.1 hours of one core``, of all of them one by one."""
    core = " of one core" if all(each["device"] == "CPU, 1 thread(s)" for each in made) else ""
    return f"{sum(each['seconds'] for each in made) / 3600:.1f} hours{core}"
