"""The command line.

``repro prepare | render-demo | protocol | plan | train | predict | online | export | table6 | records | claims |
doctor``.

Each command calls one function with its arguments.
"""

import argparse
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any


def _render_demo(root: Path, **options: Any) -> int:
    from repro.data.demo import render_demo_set

    print(render_demo_set(root, **options))
    return 0


def _prepare(name: str, root: str, **options: Any) -> int:
    from repro.data.prepare.dataset import prepare

    return 0 if prepare(name, root, **options).trainable else 1


def _fields(path: Path) -> dict[str, Any]:
    from repro.files import command, read_yaml

    written = f"`{command('protocol sound > params.yaml')}` writes one"
    if not path.is_file():
        raise FileNotFoundError(f"parameters: there is no file {path}; name a YAML file of a run's fields: {written}")
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected 'field: value' lines, see repro/experiment/fields.py for the fields")
    if "runs" in values:
        raise ValueError(
            f"{path}: runs: this is a profile; `make book PROFILE={path}` trains its runs. For one run name a file of "
            f"its fields: {written}"
        )
    return values


def _train(parameters: Path, **places: Path) -> int:
    from repro.experiment.fields import Experiment

    values = _fields(parameters)
    try:
        experiment = Experiment.from_mapping(values)
    except ValueError as error:
        raise ValueError(f"{parameters}: {error}") from None
    # These import torch: after the fields are known to be right
    from repro.metrics.accuracy import topk_accuracy
    from repro.training.faults import TrainingStopped
    from repro.training.loop import train
    from repro.training.run_folder import LAST

    try:
        record = train(experiment, **places)
    except TrainingStopped as error:
        print(f"repro: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        if not (places["work"] / experiment.study / experiment.run / LAST).is_file():
            return _interrupted("no epoch was finished, the same command begins anew")
        return _interrupted("the same command goes on from the last finished epoch")
    if int(os.environ.get("RANK", "0")):  # of several processes the first one says how it ended
        return 0
    top1 = topk_accuracy(record.scores, record.labels, k=1)
    print(f"{record.folder}: top-1 {top1:.2%} on {len(record.predictions)} test clips")
    return 0


def _plan(profile: Path, only: list[str] | None, no_probe: bool) -> int:
    from repro.experiment.profile import read_profile

    made = read_profile(profile, only)
    from repro.training.costs import cost_text

    print(cost_text(made.experiments, demo_set=made.demo_set, measure=not no_probe))
    return 0


def _protocol(name: str, habits: list[str], layout: str) -> int:
    from repro.experiment.protocols import as_yaml

    print(as_yaml(name, habits, layout=layout), end="")
    return 0


def _table6(only: list[str] | None, precision: list[str], **options: Any) -> int:
    from repro.bench.table6 import measure

    path = measure(names=only, precisions=precision, **options)
    print(f"{path}: shown on the report's page of Table 6 (make book)")
    return 0


def _online(**options: Any) -> int:
    from repro.online.command import online

    return online(**options)


def _records_check(paths: list[Path], **options: Any) -> int:
    from repro.records.foreign import check, record_folders, sound
    from repro.training.behaviour import todays_digest

    faults = 0
    for path in paths:
        try:
            for findings in check(record_folders(path), todays_digest(), **options):
                faults += not sound(findings)
                print("\n".join(map(str, findings)), end="\n\n", flush=True)
        except (ValueError, OSError) as error:  # the other paths are checked all the same
            faults += 1
            print(f"repro: {error}", file=sys.stderr)
    print("every record is sound" if not faults else f"{faults} with faults: see above")
    return 1 if faults else 0


def _records_add(path: Path, **options: Any) -> int:
    from repro.records.foreign import add
    from repro.training.behaviour import todays_digest

    records = add(path, todays_digest(), **options)
    for record in records:
        print(f"{record.folder}: filed, by {record.provenance['contributor']}")
    if not records:
        print(f"{path}: every record of it is here already")
    return 0


def _claims() -> int:
    from repro.bench.counts import counts_of
    from repro.claims.verdicts import COUNTED, gather, judge_all
    from repro.training.behaviour import todays_digest
    from repro.training.costs import group_costs

    for verdict in judge_all(gather(todays_digest(), counts_of(COUNTED), group_costs())):
        print(f"{verdict.claim.id}: {verdict.outcome}. {verdict.evidence}")
    return 0


def _predict(**options: Any) -> int:
    from repro.inference.command import predict_command

    return predict_command(**options)


def _export(**options: Any) -> int:
    from repro.files import command
    from repro.inference.export import export

    path = export(**options)
    files = ", ".join(sorted(each.name for each in path.iterdir()))
    print(f"{path}: {files}; {command(f'predict CLIP --weights {shlex.quote(str(path))}')}")
    return 0


def _doctor(profile: Path | None) -> int:
    """Status 1 when something that every run needs does not work."""
    from repro.training.doctor import findings

    faults = 0
    for finding in findings(profile):
        faults += finding.fault
        print(finding.text, flush=True)
    return 1 if faults else 0


def _interrupted(what: str) -> int:
    from repro.files import command

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # again: at once, while processes are waited for
    print(f"repro: interrupted; {what}: {command(shlex.join(sys.argv[1:]))}", file=sys.stderr, flush=True)
    return 130


GO_ON = (_prepare, _render_demo, _table6, _train)  # with what was finished before Ctrl-C


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the records (%(default)s)")
    parser.add_argument("--work", type=Path, default=Path("build/runs"), help="folder of the weights (%(default)s)")


def main() -> int:
    parser = argparse.ArgumentParser(prog="repro", description="Reproducibility study of Chen et al. 2020.")
    commands = parser.add_subparsers(required=True)

    demo = commands.add_parser("render-demo", help="render the demo set: short clips in UCF101's layout")
    demo.add_argument("--root", type=Path, default=Path("data/demo"), help="folder to fill (%(default)s)")
    demo.add_argument("--clips-per-class", type=int, default=48, help="(%(default)s)")
    demo.add_argument("--clips-per-group", type=int, default=4, help="clips of one actor and scene (%(default)s)")
    demo.add_argument("--training-groups", type=int, help="of a class, on the training lists (all)")
    demo.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    demo.add_argument("--size", type=int, default=80, help="pixels a side (%(default)s)")
    demo.add_argument("--frames", type=int, default=40, help="frames a clip (%(default)s)")
    demo.add_argument("--workers", type=int, help="processes (all cores)")
    demo.set_defaults(call=_render_demo)

    prepare = commands.add_parser(
        "prepare",
        help="bring a dataset to ROOT/videos and ROOT/annotations: download, verify, extract, audit",
        description="Bring a dataset to ROOT/videos and ROOT/annotations. ROOT may hold nothing yet, the archives as "
        "downloaded (in ROOT or ROOT/archives), or an extracted tree; your own clips lie in ROOT/videos/<class>/.",
        epilog="example: repro prepare ucf101 --root /data/ucf101 --audit",
    )
    prepare.add_argument("name", help="hmdb51, ucf101, something_v1, kinetics400; folder: clips of your own")
    # as text: Path("") would be the folder that one stands in
    prepare.add_argument("--root", required=True, help="the dataset's folder, made if it is not there")
    prepare.add_argument("--annotations", type=Path, help="folder of the official lists, if elsewhere")
    prepare.add_argument("--audit", action="store_true", help="decode every clip once, into ROOT/manifest.parquet")
    prepare.add_argument("--frames", action="store_true", help="make the frame cache ROOT/frames")
    prepare.add_argument("--workers", type=int, help="processes at once (default: one a core)")
    prepare.add_argument("--no-download", dest="download", action="store_false", help="use what is there only")
    prepare.set_defaults(call=_prepare)

    train = commands.add_parser("train", help="train and evaluate one network, file its record")
    train.add_argument("parameters", type=Path, help="YAML file of experiment fields (repro/experiment/fields.py)")
    _add_places(train)
    train.set_defaults(call=_train)

    plan = commands.add_parser("plan", help="say what a profile's runs will cost, before any of them starts")
    plan.add_argument("profile", type=Path, help="a profile, such as profiles/server.yaml")
    plan.add_argument("--only", nargs="+", help="groups of the profile, such as hmdb51")
    plan.add_argument("--no-probe", action="store_true", help="count only, measure no training step")
    plan.set_defaults(call=_plan)

    protocol = commands.add_parser(
        "protocol",
        help="print the fields of a training protocol, for repro train or papermill -f",
        epilog="example: repro protocol as_published_code --layout hmdb51 > params.yaml",
    )
    protocol.add_argument("name", help="sound, paper_text, as_published_code")
    protocol.add_argument("habits", nargs="*", help="habits of published code (repro/experiment/protocols.py)")
    protocol.add_argument("--layout", default="ucf101", help="of the dataset it is for (%(default)s)")
    protocol.set_defaults(call=_protocol)

    predicting = commands.add_parser(
        "predict",
        help="label clips by a network that was trained here or exported",
        description="Label clips by a network that was trained: one line a clip, with the three best classes.",
        epilog="examples: repro predict clip.mp4 folder/ --to labels.csv; ... --weights EXPORTED",
    )
    predicting.add_argument("clips", type=Path, nargs="+", metavar="CLIP", help="a video, or a folder of clips")
    predicting.add_argument("--to", type=Path, metavar="FILE", help="write all of it: .csv or .json")
    exporting = commands.add_parser(
        "export",
        help="write a trained network as a folder for others: weights, model card, ONNX",
        epilog="example: repro export demo/res34_se_im_net-split1-seed0 --to network --onnx",
    )
    exporting.add_argument("run", metavar="STUDY/RUN", help="whose training was done on this machine")
    exporting.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder")
    exporting.add_argument("--onnx", action="store_true", help="also model.onnx")
    predicting.set_defaults(call=_predict)
    exporting.set_defaults(call=_export)

    table6 = commands.add_parser(
        "table6",
        help="measure Table 6 on this machine: what every network costs and how fast it runs",
        description="Count and time every network of Table 6 side by side; results/table6/DEVICE.json is the record.",
        epilog="example: repro table6 --full --clip data/demo/videos/Sit/v_Sit_g01_c01.avi",
    )
    table6.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(%(default)s)")
    table6.add_argument(
        "--full", action="store_true", help="also batches, frame counts, pipeline, test protocols, layers and backends"
    )
    table6.add_argument("--only", nargs="+", metavar="NETWORK", help="these networks and the reference alone")
    both = ("fp32", "bf16")
    table6.add_argument("--precision", nargs="+", choices=both, default=both, help="(both)")
    table6.add_argument("--clip", type=Path, help="video file for the pipeline, with --full")
    table6.set_defaults(call=_table6)

    online = commands.add_parser(
        "online",
        help="recognise a camera, a file or a stream while it runs: one JSON line a decision",
        description="Recognise a camera, a file or a stream while it runs. A decision is one line of JSON on the "
        "standard output. Ctrl-C ends it; so does closing the window, or q in it.",
        epilog="examples: repro online --source 0 --run demo/res34_se_im_net-split1-seed0; "
        "... --source rtsp://camera/stream --save seen.mp4; ... --source clip.mp4 --realtime",
    )
    online.add_argument("--source", required=True, help="a camera's number, a file, rtsp://...")
    online.add_argument(
        "--seconds", type=float, help="that a decision spans (as published: N frames, whatever the rate)"
    )
    online.add_argument("--realtime", action="store_true", help="play a file at its own rate")
    online.add_argument("--save", type=Path, metavar="FILE.mp4", help="write a video with the decisions")
    online.add_argument("--no-window", dest="window", action="store_false", help="open none where there is a display")
    online.add_argument("--unknown-below", type=float, default=0.0, metavar="P", help="probability (%(default)s)")
    online.add_argument(
        "--hysteresis", type=float, default=0.0, metavar="P", help="by which another label must lead (%(default)s)"
    )
    online.add_argument(
        "--retry-for", type=float, default=60.0, metavar="S", help="seconds to try a lost live source (%(default)s)"
    )
    online.set_defaults(call=_online)
    for each in (predicting, online):
        each.add_argument("--run", metavar="STUDY/RUN", help="of results/ (the one last trained here)")
        each.add_argument("--weights", type=Path, metavar="PATH", help="a folder of repro export, or the run's weights")
        each.add_argument(
            "--backend",
            metavar="NAME",
            help="auto: the fastest exact one here; openvino-int8 ... (PyTorch)",
        )
    for each in (predicting, online, exporting):
        _add_places(each)

    records = commands.add_parser("records", help="check records that others made, and file them")
    actions = records.add_subparsers(required=True)
    checking = actions.add_parser(
        "check",
        help="say whether records are sound: fields, test list, digest, accuracy from the scores; writes nothing",
        epilog="example: repro records check results/hmdb51 --annotations /data/hmdb51/annotations",
    )
    checking.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a record's or study's folder")
    checking.set_defaults(call=_records_check)
    adding = actions.add_parser("add", help="check records and file them under their contributor's name, all or none")
    adding.add_argument("path", type=Path, metavar="PATH", help="a record's or study's folder")
    adding.add_argument("--contributor", required=True, help="who ran them, as the report should say")
    adding.set_defaults(call=_records_add)
    for each in (checking, adding):
        each.add_argument("--annotations", type=Path, help="folder of the official lists, if at hand")
        each.add_argument("--results", type=Path, default=Path("results"), help="folder of the records (%(default)s)")

    commands.add_parser("claims", help="print the verdict on each claim").set_defaults(call=_claims)
    doctor = commands.add_parser("doctor", help="say what works here, what is missing and the next command")
    doctor.add_argument("profile", type=Path, nargs="?", help="also what its runs need (all datasets)")
    doctor.set_defaults(call=_doctor)

    options = vars(parser.parse_args())
    call = options.pop("call")
    try:
        return call(**options)
    except KeyboardInterrupt:
        if call in GO_ON:
            return _interrupted("what is finished is kept, the same command goes on from there")
        return _interrupted("the same command begins anew")
    except (ValueError, OSError) as error:
        print(f"repro: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
