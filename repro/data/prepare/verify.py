"""What a prepared dataset holds against its lists: said in words, and as the fields that make a profile train."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd
import yaml

from repro.data.catalogue import compare
from repro.data.clips import ClipFields, Split, read_lists, read_split, unlisted
from repro.data.counts import count_lists
from repro.data.facts import COUNT_DIFFERS, DOES_NOT_DECODE
from repro.data.folder import skipped
from repro.data.layouts import LAYOUTS
from repro.data.prepare.duplicates import alike
from repro.data.prepare.root import DONE

OWN = "folder"  # the layout of a user's own clips, which are in no catalogue
SHOWN = 5  # unusable clips that are named


def read_splits(layout: str, videos: Path, annotations: Path) -> dict[int, Split]:
    """The official splits by number, whether their clips are there or not."""
    numbers = (1, 2, 3) if layout in ("ucf101", "hmdb51") else (1,)
    return {n: read_split(ClipFields(layout, videos, annotations, n), check=False) for n in numbers}


def listed_clips(splits: Mapping[int, Split]) -> dict[str, Path]:
    """Every clip that a training or test list names -> where it lies, or would lie."""
    return {clip.name: clip.path for split in splits.values() for clip in (*split.train, *split.test)}


def report(layout: str, videos: Path, annotations: Path, splits: Mapping[int, Split]) -> dict[str, Path]:
    """Print what there is against the lists and the catalogue; the clips on the disk by name."""
    where = ClipFields(layout, videos, annotations)
    listed = listed_clips(splits)
    clips = {clip: path for clip, path in listed.items() if path.exists()}
    if lacking := [clip for clip in listed if clip not in clips]:
        print(f"{len(lacking):,} of {len(listed):,} listed clips are not there, first {lacking[0]}")
        split = splits[1]
        held = {clip.label for clip in (*split.train, *split.test) if clip.name in clips}
        print(f"  {len(held)} of {len(split.classes)} classes have clips")
        if (done := videos.parent / DONE).is_file():
            print(f"  the archives named in {done} are not read again; delete it if they should be")
    lists = read_lists(where)
    for clip in lists.unused:
        path = videos / clip.folders[0] / clip.file
        if path.exists():
            clips.setdefault(clip.name, path)
    known = set(clips.values())
    others = [path for path in unlisted(where) if path not in known]
    clips |= {path.relative_to(videos).as_posix(): path for path in others}
    print(f"{videos}: {len(clips):,} clips, {len(others):,} of them in no list; {len(lists.classes)} classes")
    if others:
        print(f"  no run reads clips that are in no list, first {others[0]}")
    if LAYOUTS[layout].depth == 2 and not LAYOUTS[layout].parts and (left := skipped(videos)):
        names = ", ".join(path.relative_to(videos).as_posix() for path in left[:3])
        more = f" and {len(left) - 3:,} more" if len(left) > 3 else ""
        print(f"  files that are no clips in a class folder, and are skipped: {len(left):,} ({names}{more})")
    if layout == OWN:
        return clips
    for row in compare(layout, count_lists(layout, annotations)["found"]):
        if row.agrees is False:
            print(f"the lists differ from the catalogue: {row.quantity} {row.found:,}, not {row.catalogue:,}")
    return clips


def say_verdicts(store: Path, table: pd.DataFrame, splits: Mapping[int, Split]) -> set[str]:
    """Print how many clips of an audit have each verdict, which PyAV reads, the first that do not decode with the
    reasons, and which are copies; the names of all that do not decode."""
    words = {
        COUNT_DIFFERS: "decode to another number of frames than their file announces (training uses the frames that "
        "decode; nothing needs to be done)"
    }
    counts = table["verdict"].value_counts().items()
    print(f"{store}: {', '.join(f'{n:,} {words.get(verdict, verdict)}' for verdict, n in counts)}")
    if len(other := table[table["reader"] == "pyav"]):
        codecs = ", ".join(sorted(set(other["codec"])))
        print(f"  read by PyAV, since OpenCV cannot: {len(other):,} clips ({codecs}), first {other['name'].iat[0]}")
    bad = table[table["verdict"] == DOES_NOT_DECODE]
    for row in bad.head(SHOWN).itertuples():
        print(f"  {row.name}: {row.reason}")
    if len(bad) > SHOWN:
        print(f"  and {len(bad) - SHOWN:,} more")
    if set(bad["name"]) & set(listed_clips(splits)):
        print("  training stops at those that a list names, unless the profile says unusable: leave_out")
    _say_copies(table, splits)
    return set(bad["name"])


def _say_copies(table: pd.DataFrame, splits: Mapping[int, Split]) -> None:
    """Print one line where an audit found a clip in two classes, or on both sides of a split."""
    clips = [clip for split in splits.values() for clip in (*split.train, *split.test)]
    labels, groups = ({clip.name: getattr(clip, field) for clip in clips} for field in ("label", "group"))
    sides = [({clip.name for clip in split.train}, {clip.name for clip in split.test}) for split in splits.values()]

    def across(one: str, other: str) -> bool:
        return any((one in a and other in b) or (one in b and other in a) for a, b in sides)

    same, near = ([pair for pair in pairs if labels.keys() >= set(pair)] for pairs in alike(table))
    found = {
        "the same bytes in two classes": [(a, b) for a, b in same if labels[a] != labels[b]],
        "the same bytes in training and test": [(a, b) for a, b in same if across(a, b)],
        "nearly the same in training and test": [(a, b) for a, b in near if groups[a] != groups[b] and across(a, b)],
    }
    texts = [f"{text}: {len(pairs):,} pairs, first {' and '.join(pairs[0])}" for text, pairs in found.items() if pairs]
    if texts:
        print(f"  clips that are copies, {'; '.join(texts)}")


def profile_fields(splits: Mapping[int, Split], there: Collection[str], bad: Collection[str]) -> dict[str, str] | None:
    """The profile's fields that the clips ``there``, of which those ``bad`` cannot be used, call for: ``classes`` where
    only some have usable clips in both parts of split 1, ``unusable`` where clips of those are missing or do not
    decode. None where nothing can be trained.
    """
    split = splits[1]
    good = set(there) - set(bad)
    both = set.intersection(*({clip.label for clip in part if clip.name in good} for part in (split.train, split.test)))
    chosen = [name for label, name in enumerate(split.classes) if label in both]
    if len(chosen) < 2:
        print(f"nothing can be trained yet: {len(chosen)} classes have usable clips in both parts of split 1, not 2")
        return None
    found = {}
    if len(chosen) < len(split.classes):
        found["classes"] = yaml.safe_dump(chosen, default_flow_style=True, allow_unicode=True, width=10**9).strip()
    wanted = {clip.name for one in splits.values() for clip in (*one.train, *one.test) if clip.label in both}
    if lacking := wanted - good:
        found["unusable"] = f"leave_out  # {len(lacking):,} listed clips are missing or cannot be used"
    return found
