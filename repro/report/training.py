"""Table 3's page: settings and their learning rates, habits of published code, how fast runs were."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from repro.claims.official import STATED
from repro.experiment.fields import ATTENTION, BASELINE, TITLES
from repro.experiment.protocols import HABITS, PAPER_TEXT
from repro.metrics.text import percent
from repro.records.provenance import machine_text
from repro.records.rates import alike, by_rate, chosen, validated
from repro.records.record import Record
from repro.report.figures import COLOURS
from repro.report.show import formatted
from repro.report.study import Study, convergence_text
from repro.report.tables import DASH

IN_TEXT = (*STATED, "frames")  # settings whose values the text states
IN_PART = {  # what it says of others
    "crop_scales": "scale jitter with fixed corners, no scales",
    "sampling": "a random frame a segment; at test time not stated",
    "momentum": "momentum, no value",
    "weight_decay": "weight decay, no value",
    "size": "maps of 7×7, so 224",
}
BESIDE = {  # what it states beyond the fields of a protocol, and what is done at full size
    "starting weights": (
        "pre-trained on Kinetics, then fine-tuned",
        "ImageNet's in the trunk, then Kinetics, then fine-tuned",
    ),
    "optimiser": ("stochastic gradient descent",) * 2,
    "width": ("×1", "×1"),
}
NAMES = {
    "width": "width (maps of 512 channels at ×1)",
    "frames": "frames of a clip",
    "schedule": "learning-rate schedule",
    "saturate": "epochs without a better top-1 before the rate falls",
    "clip_gradient": "largest gradient norm",
    "size": "pixels a side",
    "batch_size": "batch",
    "nesterov": "Nesterov's momentum",
    "gate": "kind of gate",
    "reduction": "the gate's reduction ratio r (no fewer than 4 hidden units)",
    "gate_bias": "the gate's last bias at the start",
    "head_stride": "the head's stride (time, height, width)",
    "crop_scales": "scales of crops",
    "sampling": "frames that are taken",
    "values": "pixel values",
    "last_batch": "last batch of an epoch",
    "clipping": "gradients are clipped",
    "parameter_groups": "rates and decays",
    "batch_norm": "batch norms that learn",
    "watch": "clips that steer rate and checkpoint",
    "validation_fraction": "training groups set aside",
}
"""The settings in words, where a field's name with spaces is not enough."""
WORDS = {
    "paper_text": "random of each segment, at test time its middle",
    "eco_pytorch": "as ref. 12's code",
    "eco_pytorch_resnet": "as ref. 12's code for a ResNet",
    "imagenet": "RGB, ImageNet's mean and deviation",
    "keep": "counts",
    "drop_partial": "left out where partial",
    "drop": "left out",
    "before_step": "before the step",
    "after_step": "after the step",
    "one": "one for all",
    "True": "yes",
    "False": "no",
    "None": "none",
}
"""Values in words."""


def answer_text(studies: Sequence[Study]) -> str:
    """How many runs had learned their training clips at the end, study by study."""
    return "\n".join(f"- **{study.name}.** {convergence_text(study)}" for study in studies)


def settings_table(studies: Sequence[Study]) -> pd.DataFrame:
    """One row a setting of the training: what the paper states, what is taken where it is silent, and the runs'."""
    rows = [(name, *each) for name, each in BESIDE.items()]
    for name in PAPER_TEXT:
        if name != "accumulate":  # it stands with the batch size
            stated = _value(name, PAPER_TEXT) if name in IN_TEXT else IN_PART.get(name, DASH)
            rows.append((name, stated, _value(name, PAPER_TEXT)))
    return pd.DataFrame(
        {
            "setting": NAMES.get(name, name.replace("_", " ")),
            "the paper": stated,
            "planned at full size": full,
            "runs shown": _of_runs(name, studies) or DASH,
        }
        for name, stated, full in rows
    )


def _by_value(name: str, studies: Sequence[Study]) -> dict[str, list[str]]:
    """The values of a setting in these studies' runs, each network's own where they differ within a study, and the
    names of the studies that have it."""
    found: dict[str, list[str]] = {}
    for study in studies:
        if name in ("saturate", "watch") and study.records[0].experiment.schedule != "plateau":
            continue
        own = {model: _value(name, runs[0].experiment.to_dict()) for model, runs in study.networks.items()}
        same = len(set(own.values())) == 1
        text = next(iter(own.values())) if same else ", ".join(f"{v} ({TITLES[m]})" for m, v in own.items())
        found.setdefault(text, []).append(study.name)
    return found


def _of_runs(name: str, studies: Sequence[Study]) -> str:
    """`_by_value` as text: with the studies' names where they have several values."""
    found = _by_value(name, studies)
    if len(found) < 2:
        return "".join(found)
    return "; ".join(f"{' and '.join(some)}: {value}" for value, some in found.items())


def departures_text(studies: Sequence[Study]) -> str:
    """In which settings that the text states the runs shown are other ones; nothing without runs."""
    stated = {name: each[0] for name, each in BESIDE.items()} | {name: _value(name, PAPER_TEXT) for name in IN_TEXT}
    here = {name: found for name in stated if (found := list(_by_value(name, studies)))}
    words = {name: NAMES.get(name, name.replace("_", " ")) for name in here}
    same = [words[name] for name, found in here.items() if found == [stated[name]]]
    others = [
        f"{words[name]} ({stated[name]} → {' or '.join(found)})"
        for name, found in here.items()
        if found != [stated[name]]
    ]
    if not others:
        return ""
    listed = f" ({', '.join(same)})" if same else ""
    idle = [NAMES.get(name, name) for name in stated if name not in here]
    unused = f" Not in use here: {', '.join(idle)}." if idle else ""
    return (
        f"**The paper's settings**: of {len(stated)} whose value its text states all runs shown have "
        f"{len(same)}{listed}; small networks that learn on a CPU were given others for {'; '.join(others)}.{unused} "
        "Which study has which stands in the table."
    )


def _value(name: str, fields: Mapping[str, Any]) -> str:
    if name == "starting weights" and fields["start_from"]:
        study, _, run = fields["start_from"].partition("/")
        return f"study {study}'s{' of the same network' if fields['model'] in run else ''}, then fine-tuned"
    if name == "starting weights":
        files = [f"{part}: {fields[f'{part}_weights']}" for part in ("trunk", "head") if fields[f"{part}_weights"]]
        return ", ".join(files) or "from scratch"
    if name == "gate" and fields[name] is None:
        return "the network's own"
    if name == "width":
        return f"×{fields[name]:g}"
    if name == "optimiser":
        return BESIDE[name][1]
    if name == "batch_size" and fields["accumulate"] > 1:
        return f"{fields[name] * fields['accumulate']} clips a step, in {fields['accumulate']} passes"
    if name == "schedule" and fields[name] == "plateau":
        return "plateau: a tenth of the rate where top-1 does not rise"
    if name == "validation_fraction":
        return percent(fields[name], 0) if fields[name] else "none"
    if name == "batch_size":
        return f"{fields[name]} clips a step"
    value = fields[name]
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else WORDS.get(str(value), str(value))


def habits_table() -> pd.DataFrame:
    """Every habit of published code: what it does, what is done otherwise, the fields that switch it on."""
    return pd.DataFrame(
        {
            "habit": name,
            "published code": habit.text,
            "here, unless switched on": habit.sound,
            "fields": ", ".join(f"{field}: {value}" for field, value in habit.fields.items()),
            "ledger": ", ".join(habit.ledger),
        }
        for name, habit in HABITS.items()
    )


def share_text(share: float | None) -> str:
    """A share of the device's measured peak; above 100 % it is the peak that is wrong."""
    if share is None or pd.isna(share):
        return "not measured"
    return percent(share) + (": the measured peak is at fault" if share > 1 else "")


def pace_by_study(records: Sequence[Record]) -> pd.DataFrame:
    """How fast the runs of each study and network were, medians over all their epochs; empty where none noted it."""
    groups: dict[tuple[str, str, str, str], list[pd.DataFrame]] = {}
    for record in records:
        if "clips_per_second" in record.history:
            device = machine_text(record.provenance)
            place = record.experiment.study, record.experiment.title, record.experiment.precision, device
            groups.setdefault(place, []).append(record.history)
    rows = []
    for (study, network, precision, device), histories in groups.items():
        middle = pd.concat(histories).median(numeric_only=True)
        rows.append(
            {
                "study": study,
                "network": network,
                "runs": len(histories),
                "precision": precision,
                "device": device,
                "clips/s": middle["clips_per_second"],
                "waiting for clips": percent(middle["waiting_share"]),
                "TFLOP/s": middle.get("flops", float("nan")) / 1e12,
                "share of the peak": share_text(middle.get("peak_share")),
                "gradient norm": middle.get("gradient_norm"),
            }
        )
    formats = {"clips/s": ".1f", "TFLOP/s": ".3f", "gradient norm": ".2f"}
    return formatted(pd.DataFrame(rows), formats)


# ---- learning rates

NOT_RUN = "**Not run:** both networks at several learning rates, with validation clips."


def searches(records: Sequence[Record]) -> list[list[Record]]:
    """The runs of each study that tried learning rates, those that chose some run's rate first; a study's groups, one a
    rate, count together."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.experiment.role == "tuning" and "validation_top1" in record.history:
            found.setdefault(_search(record), []).append(record)
    return sorted(found.values(), key=lambda rates: not has_chosen(rates, records))


def has_chosen(rates: Sequence[Record], records: Sequence[Record]) -> bool:
    """Whether some run among the records takes its rate from this search."""
    return _search(rates[0]) in {record.experiment.rate_chosen_by for record in records}


def _search(record: Record) -> str:
    return record.experiment.study.rpartition("-")[0]


def waiting_text(rates: Sequence[Record]) -> str:
    """The title of a search that no run takes its rate from."""
    return f"Another search, {_search(rates[0])}: {len(rates)} runs so far, from which no run here takes its rate"


def tuning_table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a rate: validation top-1 of both networks, mean of seeds (lowest to highest)."""
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    rows = []
    for rate in sorted({rate for runs in both.values() for rate in runs}):
        row = {"learning rate": f"{rate:g}"}
        for model, runs in both.items():
            values = [validated(record) for record in runs.get(rate, [])]
            text = "not run"
            if values:
                span = "one run" if len(values) == 1 else f"{100 * min(values):.1f} to {100 * max(values):.1f}"
                mark = " (best)" if len(runs) > 1 and chosen(runs) == rate else ""
                text = f"{100 * np.mean(values):.1f} ({span}){mark}"
            row[f"{TITLES[model]} (%)"] = text
        rows.append(row)
    return pd.DataFrame(rows)


def tuning_caption(records: Sequence[Record]) -> str:
    """Which seeds stand behind each mean of `tuning_table`, and how long their runs were."""
    runs = [record for model in (BASELINE, ATTENTION) for some in by_rate(records, model).values() for record in some]
    seeds, epochs = (
        " and ".join(map(str, sorted({getattr(record.experiment, name) for record in runs})))
        for name in ("seed", "epochs")
    )
    return f"Top-1 on validation clips by learning rate: mean of seeds {seeds} (lowest to highest), {epochs} epochs"


def tuning_text(records: Sequence[Record]) -> str:
    """The rate of each network, how far the next one was behind, which ones its seeds cannot tell from it, and whether
    the best is at the edge of those tried."""
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    if not all(len(runs) > 1 for runs in both.values()):
        return NOT_RUN
    sentences = [_choice_text(TITLES[model], runs) for model, runs in both.items()]
    edge = [TITLES[m] for m, runs in both.items() if chosen(runs) in (min(runs), max(runs))]
    if edge:
        text = f"The best rate of {' and '.join(edge)} is the smallest or largest tried: a better one may lie beyond."
        sentences.append(text)
    return " ".join(sentences)


def _choice_text(title: str, runs: dict[float, list[Record]]) -> str:
    means = {rate: float(np.mean([validated(record) for record in some])) for rate, some in runs.items()}
    best, second = sorted(means, key=lambda rate: -means[rate])[:2]
    tried = ", ".join(f"{rate:g}" for rate in means)
    rates = " and ".join(f"{rate:g}" for rate in alike(runs))
    apart = f" The range of its seeds overlaps with that at {rates}: they cannot be told apart."
    return (
        f"{title}: {best:g} of {tried}, with {percent(means[best])} of the validation clips right; "
        f"{second:g} comes next with {percent(means[second])}.{apart if rates else ''}"
    )


def tuning_figure(records: Sequence[Record]) -> tuple[Figure, str]:
    """Validation top-1 by learning rate, a mark a run, lines through means; with its alternative text."""
    fig, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    both = {model: by_rate(records, model) for model in (BASELINE, ATTENTION)}
    tried = sorted({rate for runs in both.values() for rate in runs})
    count = sum(len(some) for runs in both.values() for some in runs.values())
    for model, runs in both.items():
        colour = COLOURS[model]
        top1 = {rate: [100 * validated(record) for record in some] for rate, some in runs.items()}
        axis.plot(list(top1), [np.mean(values) for values in top1.values()], label=TITLES[model], color=colour)
        for rate, values in top1.items():
            axis.plot([rate] * len(values), values, "o", alpha=0.6, color=colour)
    axis.set(xscale="log", xlabel="learning rate", ylabel="top-1 (%), validation clips", ylim=(0, 100))
    axis.set_xticks(tried, [f"{rate:g}" for rate in tried])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=8)
    alt = f"Top-1 of both networks on validation clips by learning rate, {count} runs; means in the table."
    return fig, alt
