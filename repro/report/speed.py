"""What Table 6's page times: networks, batches, test protocols, parts, and the fast backends of the two networks.

From ``results/table6/<device>.json`` (``repro.bench.table6``) and what :mod:`repro.bench.backends` filed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from repro.claims.comparison import Counts
from repro.claims.official import OWN
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.metrics.statistics import Interval
from repro.metrics.text import percent
from repro.models.peers.rows import rows
from repro.records.measure import read_measurements
from repro.records.provenance import machine_text
from repro.records.table6 import COMMAND, FILE_TO_LABEL, NOT_MEASURED, Measured, read_backends
from repro.report.show import formatted, say, show_table

FULL = f"{COMMAND} --full"
PRECISIONS = ("fp32", "bf16")


def show_measured(table: pd.DataFrame, caption: str, *, command: str = FULL, folded: str = "") -> None:
    """Display a table, or which command measures it where it is empty."""
    if table.empty:
        say(f"**Not measured:** `{command}`.")
    else:
        show_table(table, caption, folded=folded)


def _title(name: str) -> str:
    """Of a record's network, which may be one that is not built any more."""
    return rows()[name].title if name in rows() else name


def speed_table(measured: Measured, *, counts: Counts) -> pd.DataFrame:
    """Videos a second of every row, one clip a call: both precisions, beside the baseline, at its test protocol."""
    stale = set(measured.stale(counts))
    lines = []
    for name, row in rows().items():
        if name not in measured.networks:
            lines.append({"network": row.title, "fp32: clips/s [quartiles]": NOT_MEASURED})
            continue
        line: dict[str, Any] = {"network": row.title + (" (stale)" if name in stale else "")}
        for precision in PRECISIONS:
            rate = measured.rate(name, precision)
            text = measured.reason(name, precision) if rate is None else rate_text(rate)
            line[f"{precision}: clips/s [quartiles]"] = text
        ratio = measured.ratio(name, BASELINE)
        line["fp32: times the baseline [95 %]"] = "–" if ratio is None or name == BASELINE else ratio_text(ratio)
        rate = measured.rate(name)
        line["test: views a video"] = f"{row.clips} × {row.crops}" if row.views else row.protocol or "not stated"
        derived = None if rate is None or not row.views else rate["median"] / row.views
        line["fp32: videos/s in that test (derived)"] = derived
        lines.append(line)
    return formatted(pd.DataFrame(lines), {"fp32: videos/s in that test (derived)": ".3g"})


def rate_text(rate: pd.Series) -> str:
    return f"{rate['median']:.3g} [{rate['q25']:.3g}, {rate['q75']:.3g}]"


def ratio_text(ratio: Interval) -> str:
    return f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def runs_note(measured: Measured) -> str:
    """Which run or runs the timings are from; of several, how far the reference network drifted between them."""
    content = measured.content
    made = content["provenance"]
    text = (
        f"Measured on {measured.name}, {made['started'][:10]}, torch {made['libraries']['torch']}, commit "
        f"{made['commit'][:10]}{' with uncommitted changes' if made['uncommitted_changes'] else ''}: one warm-up and "
        f"{content['rounds']['network']} interleaved rounds. "
    )
    used = sorted(measured.timings["run"].unique())
    if len(used) == 1:
        return text + "All timings are of one run."
    network = measured.of("network", f"{content['reference']}, fp32, batch 1")
    by_run = network.groupby("run")["seconds"].median()
    drift = ", ".join(f"{seconds:.3f} s in run {int(str(run)) + 1}" for run, seconds in by_run.items())
    return text + f"**The timings are of {len(used)} runs** (it was interrupted); the baseline took {drift}."


def batch_table(measured: Measured) -> pd.DataFrame:
    """The best batch of those tried, a row a network: clips/s, gain over one clip a call."""
    rates, lines = measured.rates("batch"), []
    if rates.empty:
        return pd.DataFrame()
    for name in measured.networks:
        line: dict[str, Any] = {"network": _title(name)}
        for precision in PRECISIONS:
            single = measured.rate(name, precision)
            head = f"{name}, {precision}, "
            tried = {case: median for case, median in zip(rates.index, rates["median"]) if case.startswith(head)}
            best, rate, gain = NOT_MEASURED, None, None
            if single is not None and tried:
                medians = {"1": single["median"]}
                medians |= {case.removeprefix(f"{head}batch "): median for case, median in tried.items()}
                best = max(medians, key=lambda batch: medians[batch])
                rate, gain = medians[best], medians[best] / single["median"]
            line |= {f"{precision}: best batch": best, f"{precision}: clips/s": rate, f"{precision}: gain": gain}
        lines.append(line)
    return formatted(pd.DataFrame(lines), {f"{p}: {what}": ".2f" for p in PRECISIONS for what in ("clips/s", "gain")})


def pipeline_table(measured: Measured) -> pd.DataFrame:
    """From a video file to a label beside the network alone, float32, in seconds a clip.

    No share of decoding is derived from the two: decoded frames lie channels-last in memory, the network-only input
    does not, and PyTorch runs the same convolutions faster on the former.
    """
    lines = []
    for name in measured.networks:
        whole, network = measured.rate(name, section="pipeline"), measured.rate(name)
        if whole is None or network is None:
            continue
        lines.append(
            {
                "network": _title(name),
                "network only (s)": 1 / network["median"],
                "file to label (s)": 1 / whole["median"],
                "file to label: videos/s [quartiles]": rate_text(whole),
            }
        )
    return formatted(pd.DataFrame(lines), {"network only (s)": ".3f", "file to label (s)": ".3f"})


def views_table(measured: Measured) -> pd.DataFrame:
    """Whole test protocols, timed, beside the rate derived from one view."""
    rates, lines = measured.rates("views"), []
    for case, whole in rates.iterrows():
        name, precision, batch, *views = str(case).split(", ")
        if not views:
            continue
        count, single = int(views[0].split()[0]), rates.loc[f"{name}, {precision}, {batch}"]
        lines.append(
            {
                "network": _title(name),
                "views a video": count,
                "derived: videos/s": single["median"] / count,
                "timed: videos/s": whole["median"],
                "timed / derived": whole["median"] * count / single["median"],
                "n": int(whole["n"]),
            }
        )
    formats = {"derived: videos/s": ".3f", "timed: videos/s": ".3f", "timed / derived": ".2f"}
    return formatted(pd.DataFrame(lines), formats)


def frames_table(measured: Measured) -> pd.DataFrame:
    """Clips/s by the number of frames, a row a network and number."""
    lines = []
    for case, rate in measured.rates("frames").iterrows():
        name, _, _, frames = str(case).split(", ")
        count, entry = int(frames.split()[0]), measured.networks[name]
        lines.append(
            {
                "name": name,
                "network": _title(name).split(",")[0],
                "frames": count,
                "GMACs": entry["multiply_adds"] / 1e9 * count / entry["frames"],
                "seconds a clip": 1 / rate["median"],
                "clips/s": rate["median"],
            }
        )
    if not lines:
        return pd.DataFrame()
    table = pd.DataFrame(lines).sort_values(["name", "frames"], ignore_index=True)
    return formatted(table, {"GMACs": ".1f", "seconds a clip": ".3f", "clips/s": ".2f"})


def layers_table(measured: Measured) -> pd.DataFrame:
    """Where the time of one clip goes within the two networks, medians over rounds, as seconds and shares."""
    found = {}
    for name in (BASELINE, ATTENTION):
        if layers := measured.content.get(f"layers {name}"):
            found[TITLES[name]] = pd.DataFrame(layers).groupby("part")["seconds"].median()
    if not found:
        return pd.DataFrame()
    names = dict.fromkeys(part for parts in found.values() for part in sorted(parts.index) if part != "the rest")
    # in the order in which a clip passes them
    order = sorted(names, key=lambda part: (part.startswith("head"), part == "gates", "stem" not in part))
    table = pd.DataFrame({"part": [*order, "the rest"]})
    for title, seconds in found.items():
        taken = table["part"].map(seconds).fillna(0.0)
        table[f"{title}: ms"] = 1000 * taken
        table[f"{title}: share"] = (taken / seconds.sum()).map("{:.1%}".format)
    return formatted(table, {f"{title}: ms": ".1f" for title in found})


def real_time_text(machines: Sequence[Measured], frames_per_second: float) -> str:
    """Which CPUs keep up in float32 by their fastest runtime, both networks; nothing where none was measured."""
    budget = rows()[ATTENTION].frames / frames_per_second
    found = [(each.name, exact[1]) for each in machines if (exact := each.fastest_exact(OWN))]
    if not found:
        return ""
    kept = sum(took.slow <= budget for _, took in found)
    listed = "; ".join(f"{took.middle:.2f} s on {name}" for name, took in found)
    return f"**In time on {kept} of {len(found)} measurements**, of {budget:.2f} s allowed: {listed}."


def real_time_table(measured: Measured, frames_per_second: float) -> pd.DataFrame:
    """Seconds of a decision by runtime, the slower of the two networks, beside the time in which its frames come."""
    found = dict(measured.runtimes(OWN))
    if (whole := measured.pipeline_seconds(OWN)) is not None:
        found[FILE_TO_LABEL] = whole
    budget = rows()[ATTENTION].frames / frames_per_second
    return pd.DataFrame(
        {
            "runtime": name,
            "seconds a decision [quartiles]": f"{took.middle:.2f} [{took.fast:.2f}, {took.slow:.2f}]",
            f"within {budget:.2f} s": "yes" if took.slow <= budget else "no" if took.fast > budget else "mostly",
        }
        for name, took in found.items()
    )


# ---- the fast backends


def _ratio(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def backends_table(content: Mapping[str, Any] | None) -> pd.DataFrame:
    """A row a backend: clips/s and gain over eager of both networks, their ratio; or why it did not run. Empty where
    nothing was measured."""
    rows = []
    for backend, row in (content or {"variants": {}})["variants"].items():
        if "reason" in row:
            rows.append({"backend": backend, "remark": f"not run: {row['reason']}"})
            continue
        shown: dict[str, Any] = {"backend": backend}
        for name in (BASELINE, ATTENTION):
            shown[f"{TITLES[name]}: clips/s"] = row[name]["clips_per_second"]["median"]
            shown[f"{TITLES[name]}: gain [95 %]"] = _ratio(row[name]["gain"])
        shown["SE-IM over baseline [95 %]"] = _ratio(row["second_over_first"])
        rows.append(shown | {"prepared in (s)": row[ATTENTION]["prepared_in"]})
    rates = {f"{TITLES[name]}: clips/s": ".2f" for name in (BASELINE, ATTENTION)}
    return formatted(pd.DataFrame(rows), rates | {"prepared in (s)": ".0f"})


def show_backends(record: Measured) -> None:
    """Display what was measured of the backends alone, a kind of processor at a time, else beside Table 6, or how to
    measure it."""
    alone = read_backends()
    for found in alone:
        by = found.content["provenance"]
        _show_backends(found.content["variants"], found.name, f", {by['started'][:10]}, commit {by['commit'][:10]}")
    if not alone:
        _show_backends(record.content.get("variants"), record.name)


def _show_backends(found: Mapping[str, Any] | None, machine: str, when: str = "") -> None:
    caption = "The two networks on each backend, 16 frames of 224×224"
    if found:
        say("\n".join([f"On {machine}:\n", *(f"- {line}" for line in findings(found))]))
        caption += f", {found['repeats']} interleaved rounds, {machine}{when}"
    show_measured(backends_table(found), caption, folded=f"Every backend, {machine}")


def logits_table(content: Mapping[str, Any]) -> pd.DataFrame:
    """A row a backend: largest difference from eager, clips with the same label, accuracy and what it differs by."""
    rows, plain = [], next(iter(content["logits"].values()))
    for backend, row in content["logits"].items():
        if "reason" in row:
            rows.append({"backend": backend, "largest difference / largest |logit|": f"not run: {row['reason']}"})
            continue
        rows.append(
            {
                "backend": backend,
                "largest difference / largest |logit|": f"{row['difference']:.1e}",
                "same label": f"{row['same']} / {row['clips']}",
                "share": percent(row["same"] / row["clips"]),
                "top-1": percent(row["right"] / row["clips"]),
                "difference in points": f"{100 * (row['right'] - plain['right']) / row['clips']:+.1f}",
                "other label though the margin exceeds 0.001 of the largest |logit|": row["contradicted"],
            }
        )
    return pd.DataFrame(rows)


def show_logits() -> None:
    """Display what was measured of logits, a study at a time, or how to measure it."""
    measured = read_measurements("inference")
    if not measured:
        say("**Logits not compared:** no `results/*/inference.json`; set `measure_logits = True`.")
    for found in measured.values():
        say(f"- {agreed(found)}")
        made = found["provenance"]
        show_table(
            logits_table(found),
            f"Logits beside eager float32: run {found['run']} (width ×{found['width']:g}, {found['frames']} frames of "
            f"{found['size']} pixels; int8 calibrated on {found['calibrated_on']} training clips), "
            f"{made['started'][:10]}, {machine_text(made)}, commit {made['commit'][:10]}",
            folded=f"How far the logits of {found['run']} move",
        )


def agreed(found: Mapping[str, Any]) -> str:
    """A sentence a precision: of how many clips eager's label is kept, and what that does to the accuracy."""
    ran = {name: row for name, row in found["logits"].items() if "reason" not in row}
    plain, (_, *others) = next(iter(ran.values())), ran
    parts = []
    for precision in dict.fromkeys(name.rpartition(", ")[2] for name in others):
        rows = [ran[name] for name in others if name.endswith(precision)]
        same, gains = min(row["same"] for row in rows), [row["right"] - plain["right"] for row in rows]
        share = f"{same} of {plain['clips']} ({percent(same / plain['clips'])})" if same < plain["clips"] else "all"
        worst = 100 * max(gains, key=abs) / plain["clips"]
        parts.append(f"{precision} keeps {share}, top-1 moves by {worst:+.1f} points{' at most' * (len(rows) > 1)}")
    return f"Of eager's labels of the test clips of {found['run']}, {'; '.join(parts)}."


def findings(content: Mapping[str, Any]) -> list[str]:
    """Which runtime is fastest, and what the gates cost there, a sentence each."""
    ran = {name: row for name, row in content["variants"].items() if "reason" not in row}
    best = max(ran, key=lambda name: ran[name][ATTENTION]["gain"]["median"])
    gain = ran[best][ATTENTION]["gain"]
    lines = [
        f"The fastest is **{best}**: {TITLES[ATTENTION]} runs {_ratio(gain)} times as fast as in plain eager float32."
    ]
    in_32 = {name: row for name, row in ran.items() if name.endswith("fp32")}
    if in_32 and best not in in_32:
        name = max(in_32, key=lambda name: in_32[name][ATTENTION]["gain"]["median"])
        lines.append(f"In float32 the fastest is {name}: {_ratio(in_32[name][ATTENTION]['gain'])} times.")
    kept = {name: row["second_over_first"]["median"] for name, row in ran.items()}
    least = min(kept, key=lambda name: kept[name])
    lines.append(
        f"{TITLES[ATTENTION]} runs at {_ratio(ran[least]['second_over_first'])} times the baseline's rate or more, the "
        f"least under {least}."
    )
    return lines
