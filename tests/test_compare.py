"""repro.records.compare: which runs may be put together, by the roles of their fields and the hash of their clips."""

import pytest
from made import demo_record, record

from repro.experiment.fields import ATTENTION, BASELINE, CONTROL, ROLES, Experiment
from repro.records.compare import alike, changed, deciding_fields, partners

FULL = {"schedule": "cosine", "validation_fraction": 0.0}
OTHER = {  # of each field that changes no result: another value than the default
    "study": "other", "run": "other", "role": "tuning", "remark": "other", "dataset": "other", "videos": "/videos",
    "annotations": "/their/lists", "threads": 4, "workers": 3, "prefetch": 5, "accelerator": "cuda", "devices": 2,
    "nodes": 2, "compile": True,
}  # fmt: skip


def run(path, **fields):
    return demo_record(path, **{"model": ATTENTION, "data_hash": "originals"} | fields)


def sets(records) -> list[list[str]]:
    return [sorted(record.name for record in some) for some in alike(records)]


def test_another_value_is_given_for_every_field_that_changes_no_result():
    assert set(OTHER) == {name for name, role in ROLES.items() if role != "result"}
    assert deciding_fields(Experiment(**FULL)) == deciding_fields(Experiment(**FULL, **OTHER))


@pytest.mark.parametrize("name", [name for name in OTHER if name not in ("study", "run")])
def test_runs_of_equal_clips_are_pooled_whoever_made_them(tmp_path, name):
    """Equal clips in other folders, under another name, on another machine: one set, and pairs are found in it."""
    ours = run(tmp_path, seed=0)
    theirs = run(tmp_path, seed=1, study="theirs", **{name: OTHER[name]})
    base = run(tmp_path, seed=1, study="third", model=BASELINE)
    assert sets([ours, theirs]) == [[ours.name, theirs.name]]
    assert partners([ours, theirs, base], BASELINE, ATTENTION) == [(base, theirs)]
    assert changed(ours, theirs) == ()


@pytest.mark.parametrize(
    "fields", [{"precision": "bf16-mixed"}, {"learning_rate": 0.5}, {"data_hash": "re-encoded"}, {"decoder": "pyav"}]
)
def test_what_decides_a_result_keeps_runs_apart(tmp_path, fields):
    ours, theirs = run(tmp_path, seed=0), run(tmp_path, seed=1, study="theirs", **fields)
    base = run(tmp_path, seed=1, study="third", model=BASELINE)
    assert len(alike([ours, theirs])) == 2 and partners([ours, theirs, base], BASELINE, ATTENTION) == []


def test_networks_whose_rates_one_study_chose_are_a_pair(tmp_path):
    """Each at its own rate; without that study's name the rates keep them apart."""
    base, own = {"model": BASELINE, "learning_rate": 0.08}, {"model": ATTENTION, "learning_rate": 0.16}
    tuned = {"rate_chosen_by": "rates"}
    pair = [run(tmp_path, **base, **tuned), run(tmp_path, **own, **tuned)]
    assert partners(pair, BASELINE, ATTENTION) == [tuple(pair)] and len(alike(pair)) == 1
    assert [field for field, _, _ in changed(*pair)] == ["model"]
    for study, fields in (("plain", {}), ("mixed", {"rate_chosen_by": "others"})):
        mixed = [pair[0], run(tmp_path, study=study, **own, **fields)]
        assert partners(mixed, BASELINE, ATTENTION) == [] and len(alike(mixed)) == 2
        assert "learning_rate" in [field for field, _, _ in changed(*mixed)]


def test_a_run_that_several_studies_hold_counts_once(tmp_path):
    """The largest study's: here also where its gate is named, which is the default."""
    large = [run(tmp_path, study="large", seed=seed) for seed in (0, 1)]
    again = run(tmp_path, study="a-small", seed=0, gate="se_im", workers=2)
    assert sets([again, *large]) == [[record.name for record in large]]
    base = run(tmp_path, study="large", seed=0, model=BASELINE)
    assert partners([*large, again, base], BASELINE, ATTENTION) == [(base, large[0])]


def copy_of(path, study, splits: dict[int, str], **fields):
    return [run(path, study=study, split=split, data_hash=hash, **fields) for split, hash in splits.items()]


def test_a_re_encoded_copy_is_told_by_its_hash_in_each_split(tmp_path):
    """B has re-encoded files in all splits; C and D ran single splits, of the originals and of B's copy."""
    a = copy_of(tmp_path, "a", {1: "a1", 2: "a2", 3: "a3"})
    a += copy_of(tmp_path, "a", {1: "a1"}, seed=1)
    b = copy_of(tmp_path, "b", {2: "b2", 1: "b1"})
    c, d = copy_of(tmp_path, "c", {3: "a3"}, seed=5), copy_of(tmp_path, "d", {2: "b2"}, seed=5)
    wanted = [sorted(r.name for r in [*a, *c]), sorted(r.name for r in [*b, *d])]
    assert sets([*a, *b, *c, *d]) == sets([*d, *c, *b, *a]) == wanted


def test_splits_of_a_study_that_shares_files_with_another_go_with_it(tmp_path):
    a = copy_of(tmp_path, "a", {1: "a1", 2: "a2"}) + copy_of(tmp_path, "a", {1: "a1"}, seed=1)
    b = copy_of(tmp_path, "b", {2: "a2", 3: "a3"}, seed=5)
    assert sets([*a, *b]) == [sorted(r.name for r in [*a, *b])]


def test_clips_whose_copy_is_not_known_stand_apart(tmp_path):
    """Split 3 alone, of files that nobody else has; and a study in which one split is of two copies."""
    a = copy_of(tmp_path, "a", {1: "a1", 2: "a2"}) + copy_of(tmp_path, "a", {1: "a1"}, seed=1)
    alone = copy_of(tmp_path, "alone", {3: "x3"}, seed=5)
    assert len(alike([*a, *alone])) == 2
    b = copy_of(tmp_path, "b", {1: "b1", 2: "b2"}, seed=5)
    mixed = [*copy_of(tmp_path, "mixed", {1: "a1", 3: "x3"}, seed=6), *copy_of(tmp_path, "mixed", {1: "b1"}, seed=7)]
    found = sets([*a, *b, *mixed])
    assert len(found) == 3 and [mixed[1].name] in found
    assert any({a[0].name, mixed[0].name} <= set(some) for some in found)
    assert any({b[0].name, mixed[2].name} <= set(some) for some in found)


def test_two_datasets_in_one_study_are_not_pooled(tmp_path):
    """Their classes have the same names, and one is filed as another split."""
    a = copy_of(tmp_path, "a", {1: "a1"}, dataset="HMDB51") + copy_of(tmp_path, "a", {2: "b2"}, dataset="other")
    assert len(alike(a)) == 2
    assert len(alike(copy_of(tmp_path, "b", {1: "a1", 2: "b2"}, dataset="HMDB51"))) == 1


def test_copies_are_the_same_whatever_the_settings(tmp_path):
    """Runs at other settings tell, too, which clips are of one copy."""
    copy_a = copy_of(tmp_path, "a", {1: "a1", 2: "a2"})
    more = copy_of(tmp_path, "x", {1: "a1"}, width=0.5) + copy_of(tmp_path, "y", {2: "a2"}, width=0.5)
    assert len(alike(more)) == 2 and len(alike([*copy_a, *more])) == 2
    assert sorted(record.name for record in more) in sets([*copy_a, *more])


def test_other_classes_are_another_set(tmp_path):
    one = record(tmp_path, classes=("A", "B"), labels=[0, 1], scores=[[1, 0], [0, 1]], model=ATTENTION)
    two = record(tmp_path, classes=("A", "C"), labels=[0, 1], scores=[[1, 0], [0, 1]], model=ATTENTION, study="two")
    assert len(alike([one, two])) == 2


def test_a_chain_starts_from_its_own_networks_weights(tmp_path):
    def start(model, seed):
        return f"big/{model}-split1-seed{seed}"

    runs = [run(tmp_path, model=m, seed=s, start_from=start(m, s)) for m in (BASELINE, ATTENTION) for s in (0, 1)]
    assert len(alike(runs)) == 1 and len(partners(runs, BASELINE, ATTENTION)) == 2
    crossed = run(tmp_path, model=ATTENTION, seed=2, start_from=start(ATTENTION, 0))
    base = run(tmp_path, model=BASELINE, seed=2, start_from=start(BASELINE, 2))
    assert partners([crossed, base], BASELINE, ATTENTION) == []
    one = [run(tmp_path, model=m, seed=s, start_from=start(m, 0)) for m in (BASELINE, ATTENTION) for s in (0, 1, 2)]
    assert len(alike(one)) == 1 and len(partners(one, BASELINE, ATTENTION)) == 3  # as profiles/paper.yaml has it


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"split": 2}, {"data_hash": "other"}, {"width": 0.5}, {"reduction": 8}, {"gate": "se"},
     {"gate": "times_1.5"}, {"model": CONTROL}],
)  # fmt: skip
def test_runs_that_differ_otherwise_are_no_partners(tmp_path, change):
    base = run(tmp_path, model=BASELINE)
    assert partners([base, run(tmp_path, **change)], BASELINE, ATTENTION) == []


def test_each_seed_finds_its_own_partner(tmp_path):
    made = [
        run(tmp_path, model=m, seed=s) for s in (0, 1, 2) for m in (ATTENTION, BASELINE) if (m, s) != (ATTENTION, 1)
    ]
    found = partners(made, BASELINE, ATTENTION)
    assert [(a.experiment.seed, b.experiment.seed) for a, b in found] == [(0, 0), (2, 2)]


def test_what_was_changed(tmp_path):
    """Not the seed, nor what the other network does not read."""
    reference = run(tmp_path)
    assert changed(reference, run(tmp_path, study="b", gate="se", seed=4)) == (("gate", "None", "se"),)
    base = run(tmp_path, study="c", model=BASELINE, reduction=4, gate_bias=-4.0, workers=2)
    assert changed(reference, base) == (("model", ATTENTION, BASELINE),)
    assert changed(reference, run(tmp_path, study="d", reduction=4)) == (("reduction", "16", "4"),)
    average = run(tmp_path, study="e", model="resnet34_frame_average", head_stride=[1, 2, 2])
    assert changed(reference, average) == (("model", ATTENTION, "resnet34_frame_average"),)


def test_a_rate_that_was_not_chosen_for_the_network_is_a_change(tmp_path):
    chosen = {"rate_chosen_by": "rates"}
    reference = run(tmp_path, learning_rate=0.16, **chosen)
    model = ("model", ATTENTION, BASELINE)
    own = run(tmp_path, study="b", model=BASELINE, learning_rate=0.08, **chosen)
    assert changed(reference, own) == (model,)
    same = run(tmp_path, study="c", model=BASELINE, learning_rate=0.16)
    assert changed(reference, same) == (model, ("learning_rate", "0.16", "0.16"))
    half = run(tmp_path, study="d", learning_rate=0.08)
    assert changed(reference, half) == (("learning_rate", "0.16", "0.08"),)
