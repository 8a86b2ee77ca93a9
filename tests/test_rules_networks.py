"""The rules on what networks recognise: every outcome of each from made records, and what moves none of them."""

from dataclasses import replace

import numpy as np
import pytest
from made import DEMO, FULL, backwards_scores, both_networks, demo_record, labels_of, logits, predicted, record

from repro.claims.judging import Evidence, Verdict
from repro.claims.verdicts import judge
from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, TEMPORAL
from repro.paper.cells import load

PAPER = load()
MANY, FEW, SOME = range(0, 60), range(0, 10), range(0, 14)
SEEDS = (0, 1, 2)


def verdict(id: str, records=()) -> Verdict:
    return judge(PAPER.claim(id), Evidence(paper=PAPER, records=tuple(records)))


# ---------------------------------------- the gate raises accuracy


def gain(tmp_path, first, second, **fields):
    return both_networks(tmp_path, first, second, **{"seeds": SEEDS} | fields)


BEATS = {
    "reproduced": lambda t: gain(t, MANY, FEW),
    "contradicted": lambda t: gain(t, FEW, MANY),
    "undecided": lambda t: gain(t, SOME, FEW),
    "partly": lambda t: gain(t, MANY, FEW) + gain(t, FEW, MANY, study="other", data_hash="other clips"),
    "not testable": lambda t: gain(t, MANY, FEW)[::2],
}


def noisy(tmp_path, gains, **fields):
    """Pairs of runs of these gains in points: of 100 clips that the baseline gets wrong, so many right under SE-IM."""
    rng, found = np.random.default_rng(1), []
    for seed, points in enumerate(gains):
        wrong = rng.permutation(1200)[:600]
        found.append(demo_record(tmp_path, model=BASELINE, seed=seed, wrong=wrong, per_class=100, **fields))
        better = wrong[round(12 * points) :] if points >= 0 else [*wrong, *_others(wrong)[: round(-12 * points)]]
        found.append(demo_record(tmp_path, model=ATTENTION, seed=seed, wrong=better, per_class=100, **fields))
    return found


def _others(wrong):
    return np.setdiff1d(np.arange(1200), wrong)


def test_a_pair_of_the_other_sign_does_not_undo_what_all_pairs_say(tmp_path):
    """True gain +2.0, standard deviation over seeds 1.5: nine or thirty pairs hold one that is below zero."""
    gains = [2.4, 3.9, -0.4, 1.1, 2.9, 2.0, 4.4, 0.3, 1.6]
    assert verdict("se-im-beats-baseline", noisy(tmp_path, gains)).outcome == "reproduced"
    few = verdict("se-im-beats-baseline", noisy(tmp_path, gains[:3], study="few"))
    assert few.outcome == "undecided" and "+2.0 points" in few.evidence


def test_few_films_that_hold_most_clips_settle_nothing(tmp_path):
    """20 films, but two of them hold 1182 of 1200 clips: either both gain or none."""
    films = np.where(np.arange(1200) < 18, np.arange(1200) + 2, np.arange(1200) % 2)
    found = verdict("se-im-beats-baseline", gain(tmp_path, range(18, 1200), (), per_class=100, groups=films))
    assert found.outcome == "undecided" and "worth 2.1 of equal size, which cannot tell" in found.evidence
    unequal = np.repeat(np.arange(20), [*range(2, 21), 31])  # 2 to 31 clips a film are worth 15
    found = verdict("se-im-beats-baseline", gain(tmp_path, range(0, 240, 2), FEW, per_class=20, groups=unequal))
    assert found.outcome == "reproduced" and "in 20 groups" in found.evidence


def test_sets_of_other_clips_settings_or_weights_are_judged_apart(tmp_path):
    better = gain(tmp_path, MANY, FEW, study="ours")
    for study, fields in {
        "clips": {"data_hash": "a copy"},
        "dataset": {"dataset": "others", "data_hash": "others"},
        "rate": {"learning_rate": 0.5},
    }.items():
        found = verdict("se-im-beats-baseline", better + gain(tmp_path, FEW, MANY, study=study, **fields))
        assert found.outcome == "partly", study
        assert sorted(f.outcome for f in found.findings) == ["contradicted", "reproduced"]
    started = [
        demo_record(tmp_path, study="started", model=m, seed=s, wrong=w, start_from=f"before/{m}-split1-seed{s}")
        for s in SEEDS
        for m, w in ((BASELINE, FEW), (ATTENTION, MANY))
    ]
    found = verdict("se-im-beats-baseline", better + started)
    assert {f.study: f.outcome for f in found.findings} == {"ours": "reproduced", "started": "contradicted"}
    assert "on made clips (ours): +41.7" in found.evidence and "on made clips (started): -41.7" in found.evidence


def test_like_runs_of_several_studies_are_one_body_and_shown_study_by_study(tmp_path):
    runs = gain(tmp_path, MANY, FEW, study="ours") + gain(tmp_path, range(50), FEW, study="theirs", seeds=(3, 4))
    found = verdict("se-im-beats-baseline", runs)
    assert found.outcome == "reproduced" and "5 pairs of runs" in found.evidence
    assert "study by study: ours +41.7 points [" in found.evidence and ", theirs +33.3 points [" in found.evidence


def test_two_studies_that_disagree_stand_apart(tmp_path):
    runs = gain(tmp_path, MANY, FEW, study="ours") + gain(tmp_path, FEW, MANY, study="theirs", seeds=(3, 4, 5))
    found = verdict("se-im-beats-baseline", runs)
    assert found.outcome == "partly"
    assert {f.study: f.outcome for f in found.findings} == {"ours": "reproduced", "theirs": "contradicted"}


def test_a_run_that_learned_nothing_counts_is_named_and_the_result_without_it_shown(tmp_path):
    """One of three runs of SE-IM says one class for all."""
    runs = gain(tmp_path, FEW, range(5), seeds=(0, 1)) + gain(tmp_path, FEW, range(110), seeds=(2,))
    found = verdict("se-im-beats-baseline", runs)
    assert found.outcome == "undecided" and "-25.0 points" in found.evidence
    (finding,) = found.findings
    assert finding.stuck == ("made/res34_se_im_net-split1-seed2",) and finding.rest.startswith("+4.2 points [")
    assert f"without the runs that learned nothing ({finding.stuck[0]}): +4.2 points" in found.evidence
    assert "learned nothing" not in verdict("se-im-beats-baseline", runs[:4]).evidence


def test_a_gain_between_networks_at_unlike_rates_is_gate_and_rate_together(tmp_path):
    """So the claim holds in part at most, which no gain takes away."""

    def runs(study, rate):
        return [
            demo_record(tmp_path, study=study, model=m, seed=s, wrong=w, learning_rate=r, rate_chosen_by="rates")
            for s in SEEDS
            for m, w, r in ((BASELINE, MANY, 0.08), (ATTENTION, FEW, rate))
        ]

    found = [verdict("se-im-beats-baseline", runs(study, rate)) for study, rate in (("own", 0.16), ("one", 0.08))]
    assert [each.outcome for each in found] == ["partly", "reproduced"]
    assert ", each at its own rate" in found[0].how and "own" not in found[1].how


def test_a_gain_from_weights_of_unlike_rates_is_gate_and_rate_together(tmp_path):
    """The rates that the weights were trained at count as the runs' own do."""

    def found(rate):
        study = f"first-{rate:g}"
        first = [
            demo_record(tmp_path, study=study, model=m, learning_rate=r, data_hash="other clips")
            for m, r in ((BASELINE, 0.08), (ATTENTION, rate))
        ]
        then = [
            demo_record(
                tmp_path, study=f"then-{rate:g}", model=run.experiment.model, seed=s, wrong=w, start_from=run.name
            )
            for run, w in zip(first, (MANY, FEW))
            for s in SEEDS
        ]
        return verdict("se-im-beats-baseline", [*first, *then])

    unlike, one = found(0.16), found(0.08)
    assert [unlike.outcome, one.outcome] == ["partly", "reproduced"]
    assert ", weights of unlike rates" in unlike.how and "unlike" not in one.how


def test_runs_that_start_from_one_training_say_so(tmp_path):
    """How another pre-training would have come out, none of them tells."""
    words = "each network started from one pre-training, whose chance is not in the interval"

    def runs(study, start):
        return [
            demo_record(tmp_path, study=study, model=m, seed=s, wrong=w, start_from=f"k/{m}-seed{start * s}")
            for s in SEEDS
            for m, w in ((BASELINE, MANY), (ATTENTION, FEW))
        ]

    assert words in verdict("se-im-beats-baseline", runs("one", 0)).evidence
    assert words not in verdict("se-im-beats-baseline", runs("each", 1)).evidence
    assert words not in verdict("se-im-beats-baseline", gain(tmp_path, MANY, FEW)).evidence
    assert words in verdict("accuracy-hmdb51", three(tmp_path, 1180, **KINETICS)).evidence


def test_ablations_and_tunings_are_no_evidence_whatever_their_study_is_called(tmp_path):
    runs = gain(tmp_path, MANY, FEW)
    before = verdict("se-im-beats-baseline", runs)
    for k, fields in enumerate(({"role": "tuning"}, {"role": "ablation"}, {"gate_bias": -4.0}, {"reduction": 4})):
        others = gain(tmp_path, FEW, MANY, study=f"main-{k}", data_hash=f"{k}", **fields)
        assert verdict("se-im-beats-baseline", runs + others) == before, fields
    others = [demo_record(tmp_path, seed=s, wrong=range(110), gate="times_1.5", run=f"constant-{s}") for s in SEEDS]
    assert verdict("se-im-beats-baseline", runs + others) == before


# ---------------------------------------- the gate tells look-alikes apart


def confused(tmp_path, first, second, *, seeds=SEEDS, per_class=20, **fields):
    """Both networks: of each look-alike pair's 40 clips so many (by pair) are taken for the other class."""
    made = []
    for model, taken in ((BASELINE, first), (ATTENTION, second)):
        clips = [40 * pair + k for pair, number in enumerate(taken) for k in range(number)]
        fields |= {"per_class": per_class}
        made += [demo_record(tmp_path, model=model, seed=seed, to_partner=clips, **fields) for seed in seeds]
    return made


CONFUSES = {
    "reproduced": lambda t: confused(t, [30] * 6, [5, 5, 5, 5, 30, 30]),
    "partly": lambda t: (
        confused(t, [30] * 6, [5] * 6) + confused(t, [5] * 6, [30] * 6, study="other", data_hash="other clips")
    ),
    "undecided": lambda t: confused(t, [30] * 6, [5, 5, 5, 30, 30, 30]),
    "contradicted": lambda t: confused(t, [30, 5, 5, 5, 30, 30], [5, 30, 30, 30, 30, 30]),
    "not testable": lambda t: [predicted(t, labels_of(3, 10), model=model) for model in (BASELINE, ATTENTION)],
}


def test_one_pair_that_improves_does_not_stand_for_three_that_get_worse(tmp_path):
    """40 -> 10 of 60 clips in one of four pairs, a little worse in the others: their mean over clips falls."""
    classes = (*NAMED, "run")
    labels = labels_of(9, 30)

    def run(model, seed, taken):
        guesses = labels.copy()
        for pair, number in enumerate(taken):
            guesses[60 * pair : 60 * pair + number] ^= 1
        return predicted(tmp_path, labels, guesses, classes=classes, model=model, seed=seed, layout="hmdb51")

    runs = [run(BASELINE, s, (40, 5, 5, 5)) for s in SEEDS] + [run(ATTENTION, s, (10, 12, 12, 12)) for s in SEEDS]
    found = verdict("se-im-reduces-confusion", runs)
    assert found.outcome == "undecided" and "lower for 1, higher for 3 of 4 pairs" in found.evidence
    worse = [run(ATTENTION, s, (10, 30, 30, 30)) for s in SEEDS]
    assert verdict("se-im-reduces-confusion", runs[:3] + worse).outcome == "contradicted"


def test_fewer_confusions_at_the_price_of_other_errors_are_a_part_of_the_claim(tmp_path):
    """All six pairs are confused less, but for a third class instead, and more of the clips are wrong."""
    clips = [40 * pair + k for pair in range(6) for k in range(30)]
    more = [40 * pair + k for pair in range(6) for k in range(34)]
    runs = [demo_record(tmp_path, model=BASELINE, seed=s, to_partner=clips, per_class=20) for s in SEEDS]
    runs += [demo_record(tmp_path, model=ATTENTION, seed=s, wrong=more, per_class=20) for s in SEEDS]
    found = verdict("se-im-reduces-confusion", runs)
    assert found.outcome == "partly" and "lower for 6, higher for 0 of 6" in found.evidence
    assert "of these classes, taken for the other -75.0 points [" in found.short
    assert "], right -10.0 points [" in found.short


@pytest.mark.parametrize("first, second", [(25, 3), (3, 25)])
def test_one_pair_of_look_alikes_is_not_most_of_several(tmp_path, first, second):
    labels, runs = labels_of(3, 30), []
    for seed in SEEDS:
        for model, taken in ((BASELINE, first), (ATTENTION, second)):
            guesses, fields = np.where(np.arange(90) < taken, 1, labels), {"model": model, "seed": seed}
            runs.append(predicted(tmp_path, labels, guesses, classes=("drink", "eat", "run"), **fields))
    found = verdict("se-im-reduces-confusion", runs)
    assert found.outcome == "undecided" and "of 1 pairs of look-alikes, and one alone cannot tell" in found.evidence


def test_errors_elsewhere_are_no_confusion(tmp_path):
    found = verdict("se-im-reduces-confusion", gain(tmp_path, MANY, FEW))
    assert found.outcome == "undecided" and "lower for 0, higher for 0 of 6 pairs" in found.evidence


def test_pairs_that_scored_other_clips_are_no_pairs(tmp_path):
    """A record that claims the hash of clips which it does not have neither counts nor stops the others' verdict."""
    runs = gain(tmp_path, MANY, FEW, per_class=20)
    fewer = [demo_record(tmp_path, model=m, seed=9, per_class=k) for m, k in ((BASELINE, 20), (ATTENTION, 19))]
    other = demo_record(tmp_path, model=ATTENTION, seed=9, per_class=20, study="labels")
    other = replace(other, predictions=other.predictions.assign(label=np.roll(other.labels, 1)))
    for id in RULES:
        assert verdict(id, [*runs, *fewer]) == verdict(id, [*runs, fewer[0], other]) == verdict(id, runs)


@pytest.mark.parametrize("classes", [DEMO, DEMO[::-1]])
def test_ties_do_not_depend_on_the_order_of_classes(tmp_path, classes):
    """Own class and look-alike with one score: not right, so taken for the look-alike, whichever comes first."""
    labels = labels_of(12, 20)
    runs = []
    for seed in SEEDS:
        tied = logits(labels, 12) + logits(labels ^ 1, 12)
        for model, scores in ((BASELINE, logits(labels ^ 1, 12)), (ATTENTION, tied)):
            runs.append(record(tmp_path, classes=classes, labels=labels, scores=scores, model=model, seed=seed))
    found = verdict("se-im-reduces-confusion", runs)
    assert found.outcome == "undecided" and "lower for 0, higher for 0 of 6 pairs" in found.evidence


# ---------------------------------------- look-alikes matter

NAMED = ["wave", "clap", "drink", "eat", "fencing", "sword", "cartwheel", "flic_flac"]
HMDB51 = (*(f"class{k:02d}" for k in range(43)), *NAMED)


def on_hmdb51(tmp_path, on_partner, elsewhere, *, seed=0, **fields):
    """A baseline run on HMDB51's 51 classes: so many clips of each named class taken for its look-alike, so many for
    others; of the 43 other classes every second clip is wrong."""
    labels = labels_of(51, 30)
    guesses = labels.copy()
    guesses[: 43 * 30 : 2] = (labels[: 43 * 30 : 2] + 1) % 43
    for label in range(43, 51):
        start = 30 * label
        guesses[start : start + on_partner] = 43 + (label - 43 ^ 1)
        guesses[start + on_partner : start + on_partner + elsewhere] = label - 43
    fields = {"model": BASELINE, "layout": "hmdb51", "dataset": "HMDB51", "seed": seed} | fields
    return predicted(tmp_path, labels, guesses, classes=HMDB51, **fields)


MATTERS = {
    "reproduced": lambda t: [on_hmdb51(t, 12, 3, seed=seed) for seed in SEEDS],
    "partly": lambda t: [on_hmdb51(t, 5, 10, seed=seed) for seed in SEEDS],
    "undecided": lambda t: [on_hmdb51(t, 0, 1, seed=seed) for seed in SEEDS],
    "contradicted": lambda t: [
        demo_record(t, model=BASELINE, wrong=range(120), per_class=20, seed=seed) for seed in SEEDS
    ],
    "not testable": lambda t: [],
}


def test_pairs_that_were_built_to_look_alike_speak_in_part_at_most(tmp_path):
    runs = [demo_record(tmp_path, model=BASELINE, to_partner=range(100), seed=seed) for seed in SEEDS]
    found = verdict("confusing-actions-matter", runs)
    assert found.outcome == "partly" and "whose classes were made to look alike" in found.evidence


def test_one_run_filed_under_several_gates_that_its_network_lacks_is_one_run(tmp_path):
    gates = (None, "se", "se_im", "times_1.5")
    fields = {"model": BASELINE, "to_partner": range(100), "per_class": 20}
    runs = [demo_record(tmp_path, gate=gate, run=f"gate-{gate}", **fields) for gate in gates]
    found = verdict("confusing-actions-matter", runs)
    assert found.outcome == "undecided" and "1 run; one training alone cannot tell" in found.evidence


def test_with_two_classes_every_error_is_the_look_alike(tmp_path):
    labels = labels_of(2, 50)
    guesses, fields = np.where(np.arange(100) % 2, labels, 1 - labels), {"classes": ("drink", "eat"), "model": BASELINE}
    runs = [predicted(tmp_path, labels, guesses, seed=seed, **fields) for seed in SEEDS]
    assert verdict("confusing-actions-matter", runs).outcome == "not testable"


def test_no_errors_and_no_baseline_say_nothing(tmp_path):
    for runs in ([demo_record(tmp_path, model=BASELINE)], [demo_record(tmp_path, to_partner=range(50))]):
        assert verdict("confusing-actions-matter", runs).evidence == "Not run."


# ---------------------------------------- the head uses the order of frames


def told(tmp_path, model, share, *, per_class=60, shuffled=None, backwards=None, **fields):
    """A run with this share of each backwards class's clips right in order, and with frames shuffled and reversed."""
    labels = labels_of(12, per_class)

    def scores(share):
        return backwards_scores(labels, np.tile(np.arange(per_class) < share * per_class, 12))

    made = record(tmp_path, classes=DEMO, labels=labels, scores=scores(share), model=model, **fields)
    orders = {"shuffled": shuffled, "reversed": backwards}
    return replace(made, altered={name: scores(share) for name, share in orders.items() if share is not None})


def heads(tmp_path, baseline=(0.9, 0.5, 0.1), attention=(0.9, 0.5, 0.1), average=0.5, seeds=SEEDS, **fields):
    """Runs of both networks (right in order, shuffled, reversed) and of the control, unless it is None."""
    made = []
    for seed in seeds:
        for model, (share, shuffled, backwards) in ((BASELINE, baseline), (ATTENTION, attention)):
            options = {"shuffled": shuffled, "backwards": backwards, "seed": seed} | fields
            made.append(told(tmp_path, model, share, **options))
        if average is not None:
            made.append(told(tmp_path, CONTROL, average, seed=seed, role="ablation", **fields))
    return made


BLIND, BETTER = (0.5, 0.5, 0.5), (0.5, 0.9, 0.9)  # the head does as well in any order; better in any other
TIME = {
    "reproduced": lambda t: heads(t),
    "partly": lambda t: heads(t, attention=BLIND),
    "undecided": lambda t: heads(t, BLIND, BLIND),
    "contradicted": lambda t: heads(t, BETTER, BETTER, 0.9),
    "not testable": lambda t: both_networks(t),
}


@pytest.mark.parametrize(
    "missing",
    [{"average": None}, {"baseline": (0.9, None, 0.1)}, {"attention": (0.9, 0.5, None)}, {"attention": BLIND}],
)
def test_a_comparison_that_was_not_run_is_not_shown(tmp_path, missing):
    assert verdict("temporal-modelling", heads(tmp_path, **missing)).outcome == "partly"


def test_one_comparison_of_six_may_seem_to_be_there_by_chance(tmp_path):
    """Below ``LEVEL`` it would do alone, but not as one of six; it does far below."""
    for lost, p, outcome in ((2, "0.00", "undecided"), (4, "< 0.001", "partly")):
        kept = 0.9 - lost / 60
        runs = heads(tmp_path, (0.9, kept, 0.9), (0.9, 0.9, 0.9), 0.9, study=f"lost{lost}")
        found = verdict("temporal-modelling", runs)
        assert found.outcome == outcome and f"(p {p}" in found.evidence, found.evidence


def test_other_gates_and_the_papers_future_work_do_not_speak_for_its_head(tmp_path):
    runs = heads(tmp_path)
    before = verdict("temporal-modelling", runs)
    others = [told(tmp_path, TEMPORAL, 0.5, shuffled=0.9, backwards=0.9, seed=s) for s in SEEDS]
    others += [
        told(tmp_path, ATTENTION, 0.5, shuffled=0.9, backwards=0.9, seed=s, gate="se", run=f"{s}") for s in SEEDS
    ]
    assert before.outcome == "reproduced" and verdict("temporal-modelling", runs + others) == before


def test_rounding_of_altered_scores_is_no_loss(tmp_path):
    """The same scores with frames in any order: kept in 16 bits, the largest two of each clip are equal."""
    labels = labels_of(12, 20)
    scores = 3000 + 0.4 * logits(labels, 12)
    kept = {order: scores.astype(np.float16).astype(np.float32) for order in ("shuffled", "reversed")}

    def run(model, seed):
        return replace(
            record(tmp_path, classes=DEMO, labels=labels, scores=scores, model=model, seed=seed), altered=kept
        )

    found = verdict("temporal-modelling", [run(model, seed) for model in (BASELINE, ATTENTION) for seed in SEEDS])
    assert found.outcome == "undecided" and "shuffled 0.0 points" in found.evidence.replace("+0.0", "0.0")


def test_without_classes_that_only_order_tells_apart_all_clips_are_asked(tmp_path):
    """HMDB51's own ``sit`` and ``stand`` are different videos, no reversals."""
    labels = labels_of(3, 40)

    def run(model, seed):
        made = predicted(tmp_path, labels, classes=("sit", "stand", "run"), model=model, seed=seed)
        return replace(made, altered={name: logits((labels + 1) % 3, 3) for name in ("shuffled", "reversed")})

    found = verdict("temporal-modelling", [run(m, s) for m in (BASELINE, ATTENTION) for s in SEEDS])
    assert found.outcome == "partly" and "shuffled +100.0 points [" in found.evidence and "120 test" in found.evidence


# ---------------------------------------- the paper's accuracies

KINETICS = {"start_from": "paper-kinetics/res34_se_im_net-split1-seed0"}
OFFICIAL = {"layout": "hmdb51", "dataset": "HMDB51", "study": "paper", **FULL}


def hmdb51(results, right: int, **fields):
    """A full-size run with this many of the 1530 test clips right."""
    labels = labels_of(51, 30)
    order = np.random.default_rng(0).permutation(1530)
    guesses = np.where(order < right, labels, (labels + 1) % 51)
    return predicted(results, labels, guesses, **OFFICIAL | fields)


def three(tmp_path, right, **fields):
    return [hmdb51(tmp_path, right + 4 * seed, seed=seed, **fields) for seed in SEEDS]


LOW = {"study": "low"}
REACHES = {  # 71.85 % of 1530 clips are 1099
    "reproduced": lambda t: three(t, 1180, **KINETICS),
    "contradicted": lambda t: three(t, 933, **KINETICS),  # 61 %, though the paper's own chain was followed
    "undecided": lambda t: three(t, 1099, **KINETICS),
    "partly": lambda t: (
        three(t, 1180, **KINETICS) + three(t, 933, study="other", start_from="other-kinetics/x", weight_decay=0.001)
    ),
    "not testable": lambda t: three(t, 933),
}


def test_protocols_stand_apart_and_the_worst_lowers_nothing(tmp_path):
    chain = three(tmp_path, 1180, **KINETICS)
    before = verdict("accuracy-hmdb51", chain)
    scratch = three(tmp_path, 300, study="scratch")
    torchvision = three(tmp_path, 770, study="torchvision", trunk_weights="ResNet34_Weights.IMAGENET1K_V1")
    found = verdict("accuracy-hmdb51", chain + scratch + torchvision)
    assert before.outcome == found.outcome == "reproduced"
    assert "19.9 % [" in found.evidence and "; from scratch, which is not the paper's pre-training)" in found.evidence
    assert "trunk: ResNet34_Weights.IMAGENET1K_V1, which is not" in found.evidence
    assert verdict("accuracy-hmdb51", scratch + three(tmp_path, 1180, study="high")).outcome == "reproduced"


@pytest.mark.parametrize(
    "habit",
    [{"values": "eco_pytorch_resnet"}, {"values": "eco_pytorch"}, {"sampling": "eco_pytorch"}, {"last_batch": "drop"}],
)
def test_runs_with_habits_of_published_code_are_no_reproduction(tmp_path, habit):
    found = verdict("accuracy-hmdb51", three(tmp_path, 1180, **KINETICS, **habit))
    assert found.outcome == "not testable" and "which is no reproduction" in found.evidence


def test_the_run_that_weights_come_from_says_whether_they_are_of_kinetics(tmp_path):
    """Its record's layout, not its study's name, where it is there."""
    source = demo_record(tmp_path, study="before-kinetics", layout="ucf101")
    runs = three(tmp_path, 933, start_from=source.name)
    assert verdict("accuracy-hmdb51", runs).outcome == "contradicted"  # by its name alone
    assert verdict("accuracy-hmdb51", [*runs, source]).outcome == "not testable"
    for classes, outcome in ((400, "contradicted"), (12, "not testable")):
        source = of_kinetics(tmp_path, classes, study=f"first-{classes}")
        runs = three(tmp_path, 933, start_from=source.name, study=f"second-{classes}")
        assert verdict("accuracy-hmdb51", [*runs, source]).outcome == outcome, classes


def of_kinetics(tmp_path, classes, **fields):
    return predicted(tmp_path, labels_of(classes, 1), layout="kinetics400", **fields)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 1},
        {"learning_rate": 1e-9},
        {"dropout": 0.99},
        {"schedule": "cosine"},
        {"saturate": 1},
        {"clip_gradient": 1e-6},
    ],
)
def test_runs_not_trained_as_the_paper_says_contradict_nothing(tmp_path, change):
    """Who trains one epoch stays below; that says nothing of the paper's number. Who reaches it has reached it."""
    found = verdict("accuracy-hmdb51", three(tmp_path, 933, **KINETICS, **change))
    assert found.outcome == "not testable" and f"not trained as the paper says ({next(iter(change))})" in found.evidence
    assert verdict("accuracy-hmdb51", three(tmp_path, 1180, **KINETICS, **change)).outcome == "reproduced"


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0.5},
        {"frames": 8},
        {"size": 112},
        {"layout": "ucf101"},
        {"model": BASELINE},
        {"gate": "se"},
        {"gate_bias": -4.0},
        {"role": "ablation"},
    ],
)
def test_other_runs_say_nothing_about_the_papers_accuracy(tmp_path, change):
    found = verdict("accuracy-hmdb51", three(tmp_path, 1180, **KINETICS | change))
    assert found.text == "not testable without HMDB51 and a GPU server" and found.evidence == "Not run."


def test_part_of_a_split_is_not_the_split_and_something_is_judged_on_its_validation_set(tmp_path):
    def run(clips, classes, **fields):
        values = {**FULL, **KINETICS} | fields
        return [predicted(tmp_path, np.arange(clips) % classes, seed=seed, **values) for seed in SEEDS]

    assert verdict("accuracy-ucf101", run(3700, 101)).evidence == "Not run."
    assert verdict("accuracy-ucf101", run(3783, 101)).outcome == "reproduced"
    assert verdict("accuracy-sthv1", run(11522, 174, layout="something_v1", flip=False)).outcome == "reproduced"


# ---------------------------------------- every outcome of every rule

DECIDED = {
    "se-im-beats-baseline": BEATS,
    "se-im-reduces-confusion": CONFUSES,
    "confusing-actions-matter": MATTERS,
    "temporal-modelling": TIME,
    "accuracy-hmdb51": REACHES,
}
SAID = {  # where the claim is reproduced: the page, and words of the evidence
    "se-im-beats-baseline": ("gate", [
        "on made clips: +41.7 points [+", "(p < 0.001; 120 test clips in 120 groups, 3 pairs of runs): reproduced.",
    ]),
    "se-im-reduces-confusion": ("look-alikes", [
        "confusion lower for 4, higher for 0 of 6 pairs of look-alikes; of the clips of", "(Wave / Clap -1.25 [",
        "taken for the other -41.7 points [",  # 4 x 25 of 6 x 40 clips
    ]),
    "confusing-actions-matter": ("look-alikes", [
        "on HMDB51: 80.0 % [", "by chance 2.0 % (of each clip", "; 120 test clips that a run had wrong in 120",
        "6.3 % of all clips",  # 8 x 12 of 1530
    ]),
    "temporal-modelling": ("time", [
        "lost with the order of frames in 6 of 6 comparisons", "240 test clips in",
        "ResNet34-3DRes18, shuffled +40.0 points [",  # 240 clips of the four backwards classes
        "Res34-SE-IM-Net, reversed +80.0 points [", "Res34-SE-IM-Net, frames averaged +40.0 points [",
    ]),
    "accuracy-hmdb51": ("gate", [
        "on HMDB51: top-1 77.4 % [",
        "1530 test clips in 1530 groups, 3 runs; Kinetics; each network started from one",
    ]),
}  # fmt: skip


@pytest.mark.parametrize("id, outcome", [(id, outcome) for id, made in DECIDED.items() for outcome in made])
def test_every_outcome(tmp_path, id, outcome):
    found = verdict(id, DECIDED[id][outcome](tmp_path))
    assert found.outcome == outcome and bool(found.without) == (outcome == "not testable")
    page, words = SAID[id]
    assert found.chapter == page
    if outcome == "reproduced":
        assert found.scope in found.evidence and not [each for each in words if each not in found.evidence]


def test_accuracy_without_the_papers_chain_or_dataset(tmp_path):
    found = verdict("accuracy-hmdb51", REACHES["not testable"](tmp_path))
    assert found.text == "not testable without sound runs after pre-training on Kinetics"
    found = verdict("accuracy-ucf101", REACHES["reproduced"](tmp_path))
    assert found.text == "not testable without UCF101 and a GPU server"


@pytest.mark.parametrize("id", DECIDED)
def test_runs_steered_by_test_clips_are_no_evidence(tmp_path, id):
    """The test clips chose their weights, so what they score says nothing: alone it does not, nor beside others."""
    runs = DECIDED[id]["reproduced"](tmp_path)
    steered = [replace(run, experiment=replace(run.experiment, watch="test", validation_fraction=0.0)) for run in runs]
    before = verdict(id, runs)
    assert before.outcome == "reproduced"
    assert (verdict(id, steered).outcome, verdict(id, steered).evidence) == ("not testable", "Not run.")
    assert verdict(id, runs + steered) == before


# ---------------------------------------- more of the same evidence

RULES = ("se-im-beats-baseline", "se-im-reduces-confusion")


def random_set(tmp_path, rng, name, pairs, groups=120):
    """Like pairs of runs on the demo set's classes, whose chances to err and to take the look-alike are drawn."""
    drawn, chances = [], rng.choice([0.05, 0.3, 0.7], 2)
    fields = {"study": f"set{name}", "data_hash": str(name), "per_class": 20, "groups": np.arange(240) % groups}
    for seed in range(pairs):
        for model, chance in zip((BASELINE, ATTENTION), np.clip(chances + rng.normal(0, 0.03, 2), 0, 1)):
            wrong = np.flatnonzero(rng.random(240) < chance)
            drawn.append(demo_record(tmp_path, model=model, seed=seed, to_partner=wrong, **fields))
    return drawn


def again(runs, times=2):
    """The same runs under other seeds, so many times over: more of the same evidence."""
    return [
        replace(run, experiment=replace(run.experiment, seed=run.experiment.seed + 100 * k, run=""))
        for k in range(times)
        for run in runs
    ]


@pytest.mark.parametrize("id", RULES)
def test_more_of_the_same_never_weakens_a_verdict(tmp_path, id):
    """Made studies at random: repeated runs never take a verdict back, a study with no power moves none, nor does the
    order of files, and a further study never takes the verdict away from what it says itself."""
    rng, strength = np.random.default_rng(20261128), {"contradicted": 0, "partly": 1, "reproduced": 2}
    found = set()
    for number in range(6):
        runs = random_set(tmp_path, rng, number, pairs=int(rng.integers(1, 6)))
        other = random_set(tmp_path, rng, f"{number}-other", pairs=3)
        small = random_set(tmp_path, rng, f"{number}-small", **SMALL[number % len(SMALL)])
        one = verdict(id, runs)
        found.add(one.outcome)
        assert verdict(id, [runs[k] for k in rng.permutation(len(runs))]) == one
        assert verdict(id, runs + small).outcome == one.outcome
        assert one.outcome in (verdict(id, again(runs)).outcome, "undecided")
        alone, both = verdict(id, other).outcome, verdict(id, runs + other).outcome
        said = [strength[each] for each in (one.outcome, alone) if each in strength]
        assert both == "undecided" if not said else min(said) <= strength[both] <= max(said)
    assert found & strength.keys()


SMALL = ({"pairs": 1}, {"pairs": 3, "groups": 19})  # no power: what another training would give, too few sources
