"""`gendata sample`: a labelled synthetic clone from a generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gendata.cli.options import (
    config_option,
    device_option,
    dry_run_option,
    echo_result,
    json_option,
    key_values,
    out_option,
    seed_option,
)
from gendata.errors import GendataError

if TYPE_CHECKING:
    from gendata.clone import ConfidenceFilter

__all__ = ["command", "echo_clone", "load_filter", "refuse_without_filter"]


@click.command("sample")
@click.argument("sampler")
@click.option("--per-class", type=click.IntRange(1), required=True, help="Images of each class.")
@out_option()
@click.option("--filter", "judge", metavar="CLASSIFIER", help="Keep what this classifier trusts.")
@click.option(
    "--threshold",
    type=float,
    default=0.8,
    show_default=True,
    help="Its largest probability must lie above this; between 0 and 1.",
)
@click.option(
    "--label",
    type=click.Choice(["agree", "condition", "classifier"]),
    help="Whose label counts; agree where the sampler knows classes, classifier elsewhere.",
)
@click.option(
    "--filter-option",
    "judge_options",
    multiple=True,
    callback=key_values,
    metavar="KEY=VALUE",
    help="An option of the classifier, such as input_size=64; may be repeated.",
)
@seed_option
@click.option("--batch-size", type=click.IntRange(1), default=64, show_default=True)
@click.option(
    "--shard-size", type=click.IntRange(1), default=2048, show_default=True, help="Images a file."
)
@click.option(
    "--attempts",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Most attempts per image, before its class counts as impossible to fill.",
)
@click.option("--short", is_flag=True, help="Leave such a class short, rather than stop.")
@click.option("--extend", is_flag=True, help="Allow more per class than the folder holds.")
@click.option(
    "--classes", multiple=True, metavar="CLASS", help="Draw this class, by name or label; repeat."
)
@click.option("--shard", metavar="I/N", help="Draw the share I of N, from 0; for job arrays.")
@click.option(
    "-o",
    "options",
    multiple=True,
    callback=key_values,
    metavar="KEY=VALUE",
    help="An option of the sampler, such as steps=50; may be repeated.",
)
@device_option
@config_option
@dry_run_option
@json_option
def command(
    sampler: str,
    per_class: int,
    out: Path,
    judge: str | None,
    threshold: float,
    label: str | None,
    judge_options: dict[str, Any],
    classes: tuple[str, ...],
    shard: str | None,
    options: dict[str, Any],
    device: str,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Draw a balanced, labelled clone from SAMPLER into a folder.

    The same command continues a run that was killed. Under `accelerate launch` or `torchrun`
    the ranks share the work.

    \b
    Examples:
      gendata sample embedded:fashion-gan --per-class 500 \\
          --filter embedded:fashion-classifier --out clone
      gendata sample diffusers:DiT-XL-2-256 --per-class 1000 -o steps=50 --classes 207 \\
          --classes 281 --batch-size 32 --shard 0/8 --out dogs-and-cats
    """  # noqa: D301
    from gendata.clone import draw_clone, plan_clone
    from gendata.clone.ranks import parse_share
    from gendata.samplers import load_sampler

    share = parse_share(shard)
    generator = load_sampler(sampler, device=device, **options)
    keep = load_filter(judge, threshold, label, device, judge_options)
    chosen = classes or None
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
    if clone is None:
        result = {"out": str(out), "finished": False}
        echo_result(result, f"{out}: this share is done, others are not yet", as_json)
        return
    echo_clone(out, as_json)


def load_filter(
    reference: str | None,
    threshold: float,
    label: str | None,
    device: str,
    options: dict[str, Any],
) -> ConfidenceFilter | None:
    """Loads the classifier and makes the filter; the threshold is checked before either.

    Raises:
        GendataError: options of a filter, and none.
    """
    from gendata.clone import ConfidenceFilter
    from gendata.clone.filter import check_threshold
    from gendata.models import load_classifier

    check_threshold(threshold)
    if reference is None:
        refuse_without_filter(label=label, filter_option=options)
        return None
    return ConfidenceFilter(load_classifier(reference, device=device, **options), threshold, label)


def refuse_without_filter(**given: Any) -> None:
    """Refuses options that would be ignored where there is no --filter."""
    ignored = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if ignored:
        raise GendataError(
            f"{' and '.join(ignored)} would be ignored", do="add --filter CLASSIFIER"
        )


def echo_clone(folder: Path, as_json: bool) -> None:
    """Prints what a finished clone holds."""
    report = json.loads((folder / "rejects.json").read_text(encoding="utf-8"))
    short = [entry for entry in report["classes"] if entry["missing"]]
    lines = [
        f"{folder}: {report['accepted']:,} images of {len(report['classes'])} classes, "
        f"{report['acceptance'] or 0:.1%} of {report['attempts']:,} attempts accepted"
    ]
    lines += [f"  {reason}: {count:,}" for reason, count in report["rejects"].items()]
    lines += [f"  short: {entry['name']}, {entry['accepted']} images" for entry in short]
    echo_result({"out": str(folder), "finished": True, **report}, "\n".join(lines), as_json)


def _plan_text(plan: dict[str, Any], out: Path) -> str:
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
