"""`gendata sample`: a labelled synthetic clone from a generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gendata.cli.options import (
    cluster_option,
    config_option,
    device_option,
    drawing_options,
    dry_run_option,
    echo_result,
    json_option,
    options_given,
    shard_option,
    with_flags,
)
from gendata.cli.out_options import clone_out_option
from gendata.errors import GendataError

if TYPE_CHECKING:
    from gendata.clone import ConfidenceFilter

__all__ = [
    "command",
    "check_filter",
    "echo_clone",
    "load_filter",
    "read_share",
    "refuse_without_filter",
]


@click.command("sample")
@click.argument("sampler")
@drawing_options
@clone_out_option()
@shard_option
@cluster_option
@device_option
@config_option
@dry_run_option
@json_option
def command(
    sampler: str,
    per_class: int,
    out: Path | str,
    judge: str | None,
    threshold: float,
    label: str | None,
    judge_options: dict[str, Any],
    classes: tuple[str, ...],
    shard: str | None,
    cluster: str | None,
    options: dict[str, Any],
    from_real: str | None,
    trust: bool,
    download: bool,
    device: str,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Draw a balanced, labelled clone from SAMPLER into a folder.

    SAMPLER is a path, or KIND:PATH; `gendata list samplers` names the kinds. CLASSIFIER is
    embedded:fashion-classifier, timm:NAME, cifar-resnet56:FILE, torchscript:FILE and so on.

    The same command continues a run that was killed. Under `accelerate launch` or `torchrun`
    the ranks share the work; with --cluster ray the nodes of a Ray cluster do.

    \b
    Examples:
      gendata sample embedded:fashion-gan --per-class 500 \\
          --filter embedded:fashion-classifier --out clone
      gendata sample diffusers:DiT-XL-2-256 --per-class 1000 -o steps=50 --classes 207 \\
          --classes 281 --batch-size 32 --shard 0/8 --out dogs-and-cats
    """  # noqa: D301
    from gendata.clone import draw_clone, plan_clone
    from gendata.clone.source import Source
    from gendata.samplers import load_sampler

    options = with_flags(options, from_real, trust)
    check_filter(judge, threshold, label, judge_options)
    if judge is None:
        refuse_without_filter(**options_given("threshold"))
    share = read_share(shard, cluster)
    chosen = classes or None
    if cluster is not None and not dry_run:
        source = Source(sampler, options, judge, threshold, label, judge_options, device, download)
        draw_clone(source, per_class, out, classes=chosen, cluster=cluster, **settings)
        echo_clone(Path(out), as_json)
        return
    generator = load_sampler(sampler, device=device, download=download, **options)
    keep = load_filter(judge, threshold, label, device, judge_options, download)
    if dry_run:
        plan = plan_clone(
            generator, per_class, filter=keep, classes=chosen, shard_size=settings["shard_size"]
        )
        echo_result(plan, _plan_text(plan, out), as_json)
        return
    clone = draw_clone(
        generator,
        per_class,
        out,
        filter=keep,
        classes=chosen,
        shard=share,
        sampler_options=options,
        **settings,
    )
    echo_share(out, share, clone is not None, as_json)


def read_share(shard: str | None, cluster: str | None) -> tuple[int, int] | None:
    """Reads --shard, which a cluster does not go with."""
    from gendata.clone.ranks import parse_share

    share = parse_share(shard)
    if cluster is not None and share is not None:
        raise GendataError("--cluster and --shard exclude each other", do="give one of them")
    return share


def echo_share(
    out: Path | str, share: tuple[int, int] | None, finished: bool, as_json: bool
) -> None:
    """Prints what a clone holds, or that other shares are still to be drawn."""
    from gendata.clone.remote import staging_folder

    if not finished:
        result = {"out": str(out), "finished": False}
        echo_result(result, f"{out}: this share is done, others are not yet", as_json)
        return
    local = staging_folder(out, share) if isinstance(out, str) else out
    echo_clone(local, as_json, str(out))


def load_filter(
    reference: str | None,
    threshold: float,
    label: str | None,
    device: str,
    options: dict[str, Any],
    download: bool = False,
) -> ConfidenceFilter | None:
    """Loads the classifier and makes the filter; the threshold is checked before either.

    Raises:
        GendataError: options of a filter, and none.
    """
    from gendata.clone import ConfidenceFilter
    from gendata.models import load_classifier

    check_filter(reference, threshold, label, options)
    if reference is None:
        return None
    classifier = load_classifier(reference, device=device, download=download, **options)
    return ConfidenceFilter(classifier, threshold, label)


def check_filter(
    reference: str | None, threshold: float, label: str | None, options: dict[str, Any]
) -> None:
    """Refuses a threshold out of range, and options of a filter where there is none."""
    from gendata.clone.filter import check_threshold

    check_threshold(threshold)
    if reference is None:
        refuse_without_filter(label=label, filter_option=options)


def refuse_without_filter(**given: Any) -> None:
    """Refuses options that would be ignored where there is no --filter."""
    ignored = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if ignored:
        raise GendataError(
            f"{' and '.join(ignored)} would be ignored", do="add --filter CLASSIFIER"
        )


def echo_clone(folder: Path, as_json: bool, name: str | None = None) -> None:
    """Prints what a finished clone holds, under its folder's name or another."""
    name = name or str(folder)
    report = json.loads((folder / "rejects.json").read_text(encoding="utf-8"))
    short = [entry for entry in report["classes"] if entry["missing"]]
    lines = [
        f"{name}: {report['accepted']:,} images of {len(report['classes'])} classes, "
        f"{report['acceptance'] or 0:.1%} of {report['attempts']:,} attempts accepted"
    ]
    lines += [f"  {reason}: {count:,}" for reason, count in report["rejects"].items()]
    lines += [f"  short: {entry['name']}, {entry['accepted']} images" for entry in short]
    echo_result({"out": name, "finished": True, **report}, "\n".join(lines), as_json)


def _plan_text(plan: dict[str, Any], out: Path | str) -> str:
    judged = plan["filter"]
    keep = (
        f"{judged['name']} above {judged['threshold']}, label policy {judged['label']}"
        if judged
        else "no filter"
    )
    return (
        f"would draw {plan['images']:,} images into {out}: {plan['per_class']} of each of "
        f"{len(plan['classes'])} classes from {plan['sampler']}, in {plan['shards']} files; {keep}"
    )
