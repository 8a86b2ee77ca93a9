"""The page's words, pictures and tables on clips in a row, from made time lines."""

import re

import numpy as np
import pandas as pd
import pytest
import tiny
from made import record

from repro.bench import online_timeline as timeline
from repro.bench.online_timeline import of_content
from repro.data.clips import Clip
from repro.data.demo import CLASSES as RENDERED
from repro.records.measure import write_measurement
from repro.report import ledger, online, timelines
from repro.report.svg import svg_of

CLASSES = ["Sit", "Eat", "Drink"]


def made(study="s", *, released=True, dataset="made clips"):
    """Twelve clips of ten frames, two a second, of six groups: as published right from the sixth frame on, as released
    from the first one; other ways as published."""
    clips = [
        {"name": f"c{k}", "group": f"g{k // 2}", "label": k % 3, "frames": 10, "rate": 2.0, "offline": k % 3}
        for k in range(12)
    ]
    clips[0]["offline"] = 1
    late = [(10 * k + at, label) for k in range(12) for at, label in ((0, (k + 1) % 3), (5, k % 3))]
    names = [timeline.PUBLISHED, timeline.ENDS, timeline.BY_TIME, timeline.AT_CUTS, *timeline.SLIPS.values()]
    names += [timeline.dropping(way, d) for way in (timeline.PUBLISHED, timeline.BY_TIME) for d in timeline.DROPS]
    names += [*map(timeline.holding, timeline.HYSTERESES), *map(timeline.knowing, timeline.THRESHOLDS)]
    ways = {name: late for name in names}
    ways[timeline.knowing(0.7)] = [(at, timeline.UNKNOWN if at % 10 == 0 else label) for at, label in late]
    if released:
        ways[timeline.RELEASED] = [(10 * k, k % 3) for k in range(12)]
    table = pd.DataFrame([(way, *each) for way, rows in ways.items() for each in rows])
    table.columns = ["way", "frame", "label"]
    content = {"run": "r", "dataset": dataset, "classes": [*CLASSES], "clips": clips, "frames": 8, "cuts": [10, 15, 20]}
    return of_content(study, content, table)


def test_the_same_run_from_a_new_start_stands_beside_the_stream(monkeypatch):
    filed = {"s": {"run": "r", "clips": 40, "top1": 0.65}}
    monkeypatch.setattr(timelines, "read_measurements", lambda name: filed)
    text = timelines.answer_text([made()])
    assert "Each of 40 clips [from a new start](#each-clip-from-a-new-start), its last label: 65.0 %." in text
    filed["s"]["run"] = "another"
    assert "new start" not in timelines.answer_text([made()])


def test_the_answer_is_computed():
    text = timelines.answer_text([made()])
    assert "**made clips (s): with a clip's last frame the label is right for 100.0 % [" in text
    assert " frames/s; **scored whole, the same weights are right for 91.7 %.**" in text
    assert "The right label first stands after 2.5 s (median of all clips, the 0 among them for which" in text
    assert "One network alone: intervals lack the chance of training." in text
    assert text.count("**Not run: ") == 2
    assert timelines.answer_text([made("ucf101-3"), made("ut-interaction")]).count("Not run") == 0
    assert timelines.answer_text([]).count("Not run") == 2
    never = made()
    never.published.shown[:] = timeline.NONE
    text = timelines.answer_text([never])
    assert "The right label never stands for 12 of 12 clips." in text


def test_rows_of_runs_that_converged_come_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [made("b"), made("a"), made("c")]
    assert [row.study for row in timelines.ordered(rows, "c")] == ["c", "a", "b"]
    learned = pd.DataFrame([{"epoch": 0, "train_loss": 0.1, "train_top1": 0.99}])
    fields = {"study": "b", "run": "r", "dataset": "made", "remark": "A remark.", "history": learned}
    record(tmp_path / "results", labels=[0, 1, 2], scores=np.eye(3), **fields)
    assert [row.study for row in timelines.ordered(rows, "c")] == ["b", "c", "a"]
    assert timelines.titles([("b", rows[0].content), ("a", rows[1].content)]) == ["Made", "made clips (a)"]
    learned = "**. A remark. This run had learned its training clips when it ended."
    assert timelines.run_text(rows[0]).endswith(learned)
    record(tmp_path / "results", labels=[0, 1, 2], scores=np.eye(3)[[0, 1, 1]], **fields | {"run": "s"})
    assert timelines.run_text(rows[0]).endswith("it has 100.0 % right; the mean of 2 such runs is 83.3 %.")
    assert timelines.run_text(rows[1]) == "Network of run `a/r` on **made clips**."
    assert online.at_hand(rows) is None, "its clips are not here"


def test_a_fall_at_the_end_is_explained():
    row = made()
    assert timelines.fall_text(row) == "" and timelines.best_moment(row.published) is None
    row.content["classes"][:] = [*CLASSES, *(name for name in RENDERED if name not in CLASSES)]
    for way in (timeline.PUBLISHED, timeline.SLIPS["average"]):
        row.ways[way].shown[9::30] = 1  # with its last frame each clip of Sit, which moves once
    assert timelines.best_moment(row.published) == (2.5, 1.0)
    assert " frames/s (at best, after 2.5 s, for 100.0 %); **scored whole" in timelines.answer_text([row])
    text = timelines.fall_text(row)
    assert "goes from 100.0 % to 0.0 % in actions that move once and then rest, from 100.0 % to 100.0 % in" in text
    assert text.endswith("Without the average with earlier scores the former go from 100.0 % to 0.0 %.")
    row.content["classes"][0] = "another set"
    assert timelines.fall_text(row) == ""


def test_a_pair_is_counted_among_all_classes():
    row = made()
    row.published.shown[19] = 0  # the first clip of Eat
    counted = "among all 3 classes 4 of 4 drink clips and 3 of 4 eat clips end right in the stream above."
    assert online.pair_text(row, None) == f"- Drink told from eat: {counted}"
    told = {"clip": ["a", "b"], "group": ["a", "b"], "class": ["Drink", "Eat"], "value": [1.0, 1.0]}
    alone = "- Drink told from eat: by the scores of these two alone 100.0 % ["
    assert (text := online.pair_text(row, told)).startswith(alone) and text.endswith(
        f" of 2 clips from a new start (2 sources, too few for a verdict; guessing 50.0 %); {counted}"
    )
    row.content["classes"][1] = "Stand"
    assert online.pair_text(row, told) == ""


def test_the_released_script_and_the_cuts_in_a_row_a_stream():
    (row,) = timelines.released_table([made()]).to_dict("records")
    assert row["as released: another label"] == "50.0 %" and row["right, minus as published"].startswith("+50.0 points")
    assert row["of its 5 departures move that alone"] == "none"
    assert row["cuts found"] == "2 of 11" and row["cleared elsewhere"] == 1
    (row,) = timelines.released_table([made(released=False)]).to_dict("records")
    assert row["as released: another label"] == "not run: it halves N, and 8 is no power of two"


def test_the_time_line():
    fig, alt = timelines.timeline_figure(made())
    (axis,) = fig.axes
    texts = [text.get_text() for text in axis.texts]
    assert alt.startswith("The first 6 clips in a row") and "as published 50.0 %, as released 100.0 %" in alt
    assert [text.get_text() for text in axis.get_yticklabels()][:3] == ["truth", "as published", "as released"]
    assert texts[:6] == ["Sit", "Eat", "Drink"] * 2  # the truth
    assert texts[6:10] == ["Eat", "Sit", "Drink", "Eat"]  # as published: first another label, then the clip's own
    styles = re.findall(r'<text style="([^"]*)"[^>]*>(?:Sit|Eat|Drink)<', svg_of(fig, alt))
    dark = ["fill: #000000" in style for style in styles]
    assert not any(dark[:6]) and all(dark[6:10]), "words on pale blue and orange are dark in both themes"


def test_the_curves():
    fig, alt = timelines.curves_figure(made())
    seconds, delays, flicker, drops = fig.axes
    published = seconds.lines[0]
    assert published.get_ydata()[:25].max() == 0 and published.get_ydata()[25:50].min() == 100  # from 2.5 s on
    assert delays.lines[0].get_xdata()[1] == 2.5 and delays.lines[0].get_ydata()[-1] == 100
    assert flicker.lines[0].get_ydata() == pytest.approx([23] * 5)  # 24 pieces in a minute
    assert drops.lines[0].get_ydata() == pytest.approx([50] * 5)
    assert "Top-1 as published after 5.0 s" in alt and "clips change 11 times" in alt


def test_the_tables():
    table = timelines.ways_table(made()).set_index("way")
    assert table.loc[timeline.RELEASED, "minus as published"].startswith("+50.0 points [")
    assert table["median delay (s)"][[timeline.RELEASED, timeline.PUBLISHED]].tolist() == [0, 2.5]
    assert pd.isna(table.loc["as published", "minus as published"]) and len(table) == 10
    habits = timelines.habits_table(made()).set_index("habit")
    assert habits.loc["none", "right where it does"] == "50.0 %"
    shares = habits.loc[timeline.knowing(0.7), ["names a class", "right where it does", "right, share of time"]]
    assert shares.tolist() == ["50.0 %", "100.0 %", "50.0 %"]


def test_figure_5(tmp_path):
    """A line a class, drink and eat first; the frame under the label is the clip's, the label's ground says right."""
    row = made()
    paths = {f"c{k}": tiny.write_video(tmp_path / f"{k}.avi", frames=10, brightness=10 * k) for k in range(12)}
    clips = {name: Clip(name, path, 0, "g") for name, path in paths.items()}
    fig, alt = online.figure5(row, clips, frames=2)
    assert alt == (
        "Frames of one clip a class with the label shown in each. Drink: Sit, Drink; Eat: Drink, Eat; Sit: Eat, Sit."
    )
    picture = fig.axes[0].images[0].get_array()
    assert picture.shape == (online.SIDE, online.SIDE, 3)
    assert picture[2, 2].tolist() == [0xFD, 0xBF, 0x8F], "orange: the first label is wrong"
    assert fig.axes[1].images[0].get_array()[2, 2].tolist() == [0x9E, 0xCA, 0xE1]
    loop = online.moving(row, clips, count=2, frames=3)
    assert loop.animation[:4] == b"RIFF" and loop.alt == "The first 2 clips in a row with the label shown."


def test_the_ledgers_effects_come_from_what_is_filed():
    point = next(a for a in ledger.load().assumptions if a.id == "online-sampling")
    (line,) = ledger.effects(point, [], [made()])
    assert line.startswith("released script: the label is right for +50.0 points [")
    assert line.endswith("of the time (12 clips in a row of made clips)") and ledger.effects(point, []) == []
    assert "Not run: python -m repro.bench.online_row STUDY/RUN." in ledger.entry_text(point)
    table = ledger.points_table(ledger.load(), [], [made()])
    assert "released script: the label" in table["another reading: top-1"][0]


def test_every_way_that_the_ledger_names_is_compared():
    from repro.bench.online_row import compared

    named = {way for a in ledger.load().assumptions for way in ledger.ways(a)}
    assert named and named <= set(compared(16, 2.0))


# ---- pace

SPEED = {"frames": 1500, "decisions_a_minute": 93.0, "latency_ms_median": 40.0, "frame_age_ms_median": 50.0}
PACE = {
    "model": "res34_se_im_net",
    "width": 1.0,
    "size": 112,
    "frames": 16,
    "rate": 25,
    "saving": {"as published": {"times": 1.81, "low": 1.7, "high": 1.9}},
    "paces": {
        name: SPEED | {"dropped": dropped, "frame_age_ms_largest": 120.0}
        for name, dropped in (("as it is", 0), ("3 times slower", 400))
    },
    "provenance": {"device": "CPU, 2 thread(s)", "processor": "a processor"},
}
MEMORY = {"streamed": 90000, "rate": 25, "mb": [400.0, 410.0, 411.0, 411.0, 411.0, 412.0, 412.5]}


def test_the_pace():
    text = online.pace_text(PACE)
    assert "**25 frames a second are kept at 112 pixels** by Res34-SE-IM-Net of width ×1, N = 16, on CPU, 2" in text
    assert "0 of 1500 frames dropped, the oldest 120 ms" in text and "as published: 1.8 times [1.7, 1.9]" in text
    slow = PACE | {"paces": {"as it is": PACE["paces"]["3 times slower"]}}
    assert "**25 frames a second are not kept at 112 pixels**" in online.pace_text(slow)
    assert online.pace_table(PACE)["dropped"].tolist() == [0, 400]
    assert online.pace_text(None) == "**Not run:** `python -m repro.bench.online_pace`."


def test_the_memory():
    text = "Over 1 h of stream the process held 412 MB after 5 minutes and 412 MB at the end."
    assert online.memory_text(MEMORY) == text
    assert online.memory_text(None) == "**Not run:** `python -m repro.bench.online_memory`."


def test_the_pace_is_read_where_it_is_filed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert online.read("pace") is None
    write_measurement("online", "pace", PACE, provenance={})
    assert online.pace_text(online.read("pace")) == online.pace_text(PACE)


def test_numbers_are_of_the_stream_alone():
    """A clip of another rate counts its own seconds."""
    row = made()
    clips = row.published.clips.assign(rate=[1.0] + [2.0] * 11)
    assert timeline.Timeline(clips, row.published.shown).minutes == pytest.approx((10 + 55) / 60)
    assert np.isclose(row.published.minutes, 1.0)
