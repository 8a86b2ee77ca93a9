"""The catalogue of datasets: every entry is whole, its numbers are those of the official lists, faults are named."""

import pytest

from repro.data import catalogue
from repro.data.catalogue import CATALOGUE, compare, dataset, load
from repro.data.counts import count_lists
from repro.data.layouts import LAYOUTS


def test_every_dataset_says_what_a_user_needs():
    assert list(CATALOGUE) == ["hmdb51", "ucf101", "something_v1", "kinetics400"]
    for name, one in CATALOGUE.items():
        assert one.name == name and one.layout in LAYOUTS and one.layout == name
        for field in ("title", "licence", "homepage", "citation", "how"):
            assert getattr(one, field).strip(), (name, field)
        assert len(one.traps) >= 5 and one.lists and one.counts["classes"] and one.counts["clips"]
        assert one.of("videos") and one.of("annotations")
        for archive in one.archives:
            assert archive.takes.startswith(".") and archive.bytes > 0
            assert archive.source and archive.holds and len(archive.sha256) in (0, 64)
            assert not (archive.url and archive.index)
    assert [archive.asked for archive in dataset("something_v1").archives] == [True, True]
    assert not any(archive.asked for name in ("hmdb51", "ucf101", "kinetics400") for archive in dataset(name).archives)


@pytest.mark.parametrize("name", ["hmdb51", "ucf101", "something_v1"])
def test_counts_are_those_of_the_official_lists(shared_data, name):
    found = count_lists(name, shared_data / "annotations" / name)["found"]
    rows = compare(name, found)
    assert [row.quantity for row in rows] == list(CATALOGUE[name].counts)
    assert all(row.agrees for row in rows), [row for row in rows if not row.agrees]
    assert sum(1 for pattern in CATALOGUE[name].lists for _ in (shared_data / "annotations" / name).glob(pattern)) > 2


def test_compare_shows_differences_and_what_was_not_counted():
    rows = {row.quantity: row for row in compare("hmdb51", {"classes": 50, "split 1: test": 1530})}
    assert rows["classes"] == ("classes", 51, 50, False)
    assert rows["split 1: test"].agrees is True
    assert rows["clips"] == ("clips", 6766, None, None)
    with pytest.raises(ValueError, match="hmdb51, quantity: unknown name 'clip'; did you mean 'clips'"):
        compare("hmdb51", {"clip": 1})
    with pytest.raises(ValueError, match="dataset: unknown name 'hmdb'; did you mean 'hmdb51'"):
        compare("hmdb", {})


FAULTS = {
    "no toml": ("[hmdb51]", "[hmdb51", "not readable as TOML"),
    "unknown field": ("title =", "titel =", "hmdb51: unknown name 'titel'; did you mean 'title'"),
    "missing field": ('layout = "hmdb51"', "", "hmdb51.layout: Field required"),
    "archive without": ('part = "annotations"', "", "hmdb51.archives.test_train_splits.rar.part: Field required"),
    "unknown kind": ('kind = "zip"', 'kind = "7z"', "RecognitionTask.zip.kind: '7z': input should be 'rar',"),
    "unknown part": ('part = "videos"', 'part = "clips"', "hmdb51_org.rar.part: 'clips': input should be 'videos' or"),
}


@pytest.mark.parametrize("old, new, message", FAULTS.values(), ids=FAULTS)
def test_faults_in_the_file_are_named(tmp_path, old, new, message):
    path = tmp_path / "catalogue.toml"
    path.write_text(catalogue.FILE.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        load(path)
    assert str(path) in str(error.value)
