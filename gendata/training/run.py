"""The public function: from references and settings to a trained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from gendata.allocator import keep_freed_memory
from gendata.errors import GendataError
from gendata.images import Loader
from gendata.models import build_network
from gendata.models.weights import fit_weights, read_weights
from gendata.registry import methods
from gendata.training.evaluate import evaluation_loader
from gendata.training.fingerprint import fingerprint
from gendata.training.learner import Learner
from gendata.training.loop import INITIAL, Run, seeded
from gendata.training.options import build_method, options_of
from gendata.training.processes import start_accelerator
from gendata.training.result import Selected, TrainResult
from gendata.training.run_folder import RunFolder
from gendata.training.settings import Settings, build_optimizer
from gendata.training.sources import (
    ROLES,
    Reference,
    open_roles,
    prepare_sources,
    source_loaders,
)
from gendata.training.spans import check_repetition, check_supply
from gendata.training.stages import epoch_stages
from gendata.types import Images, Method

__all__ = ["resolve", "train"]


@keep_freed_memory()
def train(
    *,
    synthetic: Reference | None = None,
    real: Reference | None = None,
    test: Reference | None = None,
    validation: Reference | None = None,
    watch: Mapping[str, Reference] | None = None,
    method: str = "fake",
    preset: str | None = None,
    device: str | torch.device = "auto",
    out: str | Path | None = None,
    download: bool = False,
    strict: bool = False,
    tensorboard: bool = False,
    progress: bool = True,
    **options: Any,
) -> TrainResult:
    """Trains a classifier.

    Args:
        synthetic: generated images, or a reference to them.
        real: real images to train on. A method that needs none never opens them.
        test: real images that judge the result.
        validation: real images that may choose the epoch (`select="target-val"`).
        watch: further sets by name that are judged after every epoch, for the record alone: they
            choose nothing.
        method: a registered name, such as "fake" or "pg+rg"; `gendata list methods` shows all.
        preset: "small" (the defaults) or "paper"; settings given here win.
        device: "auto", "cpu", "cuda", … Several processes each take their own.
        out: folder for settings, metrics, weights and state. The same call goes on where it was
            killed, and returns at once where it has finished.
        download: fetch images and weights that are not on this machine.
        strict: stop at damaged images, which are else left out and counted.
        tensorboard: write event files into the folder as well.
        progress: show a bar on stderr.
        **options: `Settings` (network, init, tap, epochs, batch_size, real_batch_size, optimizer,
            learning_rate, schedule, weight_decay, augment, views, size, select, batch_norm, clip,
            precision, seed, iterations, repeat), and the method's own, such as `pg_weight=1` or
            `lambda1=0`.

    Raises:
        GendataError: something does not fit; nothing is overwritten.
    """
    settings, chosen, method_options = resolve(method, preset, options)
    references = {"synthetic": synthetic, "real": real, "test": test, "validation": validation}
    references |= _watched(watch or {})
    opened = open_roles(chosen.stages, references, settings, download=download, strict=strict)
    if tensorboard and out is None:
        raise GendataError("TensorBoard's files need a folder", do="give out=…")
    accelerator = start_accelerator(device, settings.precision)
    folder = None
    if out is not None:
        images = {
            role: {"name": each.name, "images": len(each), "sha256": fingerprint(each)}
            for role, each in opened.items()
        }
        decisive = {"method": method, **settings.decisive(), **method_options, **images}
        folder = RunFolder(Path(out), decisive, writes=accelerator.is_main_process)
        accelerator.wait_for_everyone()
        finished = folder.result()
        if finished is not None:
            return _finished(folder, finished, settings, accelerator.device)
    run = _prepared(chosen, opened, settings, accelerator, folder, progress, download)
    if folder is not None:
        folder.begin()
    if tensorboard and folder is not None and accelerator.is_main_process:
        run.writer = _tensorboard_writer(folder.path)
    run.train()
    if run.writer is not None:
        run.writer.close()
    return _conclude(run, method)


def _watched(watch: Mapping[str, Reference]) -> dict[str, Reference]:
    """The watched sets, whose names are not those of roles."""
    taken = sorted(watch.keys() & {*ROLES, "held_out", "mixed"})
    if taken:
        raise GendataError(
            "a watched set has the name of a role", found=", ".join(taken), do="call it otherwise"
        )
    return dict(watch)


def resolve(
    method: str, preset: str | None, options: Mapping[str, Any]
) -> tuple[Settings, Method, dict[str, Any]]:
    """Splits options into settings and the method's own, and builds both.

    Returns:
        The settings, the method, and all of its options with their values.

    Raises:
        GendataError: an option is unknown or a value is not allowed.
    """
    entry = methods.get(method)
    names = Settings.names()
    given = {name: value for name, value in options.items() if name in names}
    own = {name: value for name, value in options.items() if name not in names}
    settings = Settings.resolve(preset, given)
    built = build_method(method, entry, own, names)
    check_repetition(built.stages, settings)
    epoch_stages(built.stages, settings.epochs)  # refuses too few epochs now rather than later
    return settings, built, options_of(built, own)


def _prepared(
    method: Method,
    opened: Mapping[str, Images],
    settings: Settings,
    accelerator: Accelerator,
    folder: RunFolder | None,
    progress: bool,
    download: bool,
) -> Run:
    """Builds everything a training needs, up to its first step."""
    sources = prepare_sources(opened, method.stages, settings)
    classes = list(next(iter(opened.values())).classes)
    with seeded(accelerator.device, settings.seed, INITIAL):
        network = build_network(
            settings.network,
            len(classes),
            init=settings.init,
            tap=settings.tap,
            download=download,
        ).to(accelerator.device)
        learner = Learner(
            network,
            build_optimizer(settings, network, accelerator.device),
            accelerator,
            classes=classes,
            images=sources.train,
            loaders=source_loaders(sources, method.stages, settings, accelerator),
            batch_norm=settings.batch_norm,
            clip=settings.clip,
            show_progress=progress and accelerator.is_main_process,
            download=download,
        )
        check_supply(settings, learner.loaders)
        method.prepare(learner)
    judges = {
        role: evaluation_loader(images, size=settings.size, accelerator=accelerator)
        for role, images in sources.judges.items()
    }
    _check_sizes(learner.bare, settings.network, [*learner.loaders.values(), *judges.values()])
    return Run(method, learner, settings, judges, folder)


@torch.no_grad()
def _check_sizes(network: nn.Module, name: str, loaders: Sequence[Loader]) -> None:
    """Shows the network one image of each set, before an epoch is spent on the others."""
    network.eval()
    for loader in loaders:
        image = loader.fixed(np.zeros(1, dtype=np.int64), 0).images
        try:
            network(image)
        except RuntimeError as error:
            raise GendataError(
                f"{name} needs larger images",
                found=f"{image.shape[3]}x{image.shape[2]} in '{loader.images.name}' "
                f"({str(error).splitlines()[0]})",
                do="give the size that they shall be resized to, for example size=32",
            ) from error
    network.train()


def _conclude(run: Run, method: str) -> TrainResult:
    """Judges the last network and the selected one, writes both, and returns the selected one."""
    select, accelerator, folder = run.settings.select, run.learner.accelerator, run.folder
    network = run.learner.bare
    chosen = {"last": (len(run.history), None)}
    if run.best:
        chosen[select] = (run.best["epoch"], run.best["network"])
    selections = {}
    for rule, (epoch, weights) in chosen.items():
        if weights is not None:
            network.load_state_dict(weights)
        selections[rule] = Selected(epoch, run.judge("test") if "test" in run.judges else None)
        if folder is not None:
            folder.save_weights(rule, network)
    network = accelerator.unwrap_model(network, keep_fp32_wrapper=False).eval()
    out = folder.path if folder is not None else None
    result = TrainResult(
        network, run.learner.classes, method, select, selections, run.history, out
    )
    if folder is not None:
        folder.finish(result.to_json())
    accelerator.wait_for_everyone()
    return result


def _finished(
    folder: RunFolder, content: dict[str, Any], settings: Settings, device: torch.device
) -> TrainResult:
    """Reads a finished training from its folder."""
    network = build_network(settings.network, len(content["classes"]), tap=settings.tap)
    weights = folder.path / f"{content['select']}.safetensors"
    fit_weights(network.backbone, read_weights(weights), weights)
    return TrainResult(
        network.to(device).eval(),
        content["classes"],
        content["method"],
        content["select"],
        {rule: Selected.from_json(each) for rule, each in content["selections"].items()},
        folder.history(),
        folder.path,
    )


def _tensorboard_writer(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise GendataError(
            "TensorBoard is not installed", do="run: pip install 'gendata[tensorboard]'"
        ) from error
    return SummaryWriter(str(out / "tensorboard"))
