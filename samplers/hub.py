"""Pipelines of the Hugging Face hub: fetched when asked for, checked, and pinned to a commit.

Only what a pipeline is made of is fetched: its index, configurations, vocabularies and weights as
safetensors. Pickled weights and code stay where they are.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gendata.errors import GendataError

__all__ = ["PipelineFolder", "locate_pipeline", "parse_hub_id"]

INDEX, CARD = "model_index.json", "README.md"
HUB_ID = re.compile(r"(\w[\w.-]*/\w[\w.-]*)(?:@(\w[\w./-]*))?", re.ASCII)
TEXT_FILE = re.compile(r"[\w.-]+\.json|merges\.txt|vocab\.txt", re.ASCII)
SHARD = re.compile(r"-(\d{5})-of-(\d{5})")

# What must lie in a part's folder besides weights; of several alternatives one is enough.
CONFIGURATIONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "scheduler": (("scheduler_config.json",),),
    "feature_extractor": (("preprocessor_config.json",),),
    "tokenizer": (("vocab.json", "merges.txt"), ("tokenizer.json",)),
    "tokenizer_2": (("vocab.json", "merges.txt"), ("tokenizer.json",)),
}
# By what name a part's weights go: those of the library that its class is from.
STEMS = {
    **dict.fromkeys(("unet", "transformer", "vae", "vqvae"), "diffusion_pytorch_model"),
    **dict.fromkeys(("text_encoder", "text_encoder_2", "safety_checker"), "model"),
}


@dataclass(frozen=True)
class PipelineFolder:
    """A pipeline on this machine, and where it is from.

    Attributes:
        folder: as written by `save_pretrained`.
        name: what `diffusers:` loads again: the path, or "owner/name@commit".
        title: one word for people.
        licence: as its card on the hub states it, or "unknown".
        settings: repository and commit, of a pipeline from the hub.
    """

    folder: Path
    name: str
    title: str
    licence: str = "unknown"
    settings: Mapping[str, Any] = field(default_factory=dict)


class _Incomplete(Exception):
    """A listing lacks something that a pipeline needs."""


def locate_pipeline(
    reference: str | Path, parts_of: Callable[[Path], Sequence[str]], *, download: bool
) -> PipelineFolder:
    """Finds a pipeline: a local path if there is one, else a repository of the hub.

    Args:
        reference: a path, or "owner/name" or "owner/name@revision".
        parts_of: names the parts to load, given a folder with an index; refuses unsupported ones.
        download: fetch what is not on this machine.

    Raises:
        GendataError: the repository is not on this machine and may or can not be fetched, holds
            no pipeline of safetensors, or what came is not what the hub announced.
    """
    found = None if Path(reference).exists() else parse_hub_id(str(reference))
    if found is None:
        return PipelineFolder(Path(reference), str(reference), Path(reference).name)
    repository, revision = found
    folder = _cached(repository, revision, parts_of)
    if folder is None and not download:
        raise GendataError(
            f"'{reference}' is no folder here, and no repository in the cache of this machine",
            do="check the path, or allow the download from the Hugging Face hub with --download "
            "(download=True)",
        )
    folder = folder or _fetched(repository, revision, parts_of)
    commit = folder.name
    return PipelineFolder(
        folder,
        f"{repository}@{commit}",
        repository.partition("/")[2],
        _licence(folder / CARD),
        {"repository": repository, "commit": commit},
    )


def parse_hub_id(reference: str) -> tuple[str, str] | None:
    """Splits "owner/name@revision"; the revision is "main" where none is named."""
    match = HUB_ID.fullmatch(reference)
    return None if match is None or ".." in reference else (match[1], match[2] or "main")


def _cached(
    repository: str, revision: str, parts_of: Callable[[Path], Sequence[str]]
) -> Path | None:
    """Returns the cached snapshot; None where there is none, or one that was never finished."""
    import huggingface_hub

    index = huggingface_hub.try_to_load_from_cache(repository, INDEX, revision=revision)
    if not isinstance(index, str):
        return None
    folder = Path(index).parent
    present = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    try:
        wanted = [INDEX, *_wanted(present, parts_of(folder))]
    except _Incomplete:
        return None
    for name in wanted:
        # The cache names each file's content by its digest, and links to it from the snapshot.
        if (folder / name).is_symlink():
            digest = Path(os.readlink(folder / name)).name
            _check(folder / name, digest if re.fullmatch("[0-9a-f]{40,64}", digest) else None)
    return folder


def _fetched(repository: str, revision: str, parts_of: Callable[[Path], Sequence[str]]) -> Path:
    """Downloads and checks a snapshot; the index settles the commit, the weights come last."""
    import huggingface_hub

    folder = _fetch(repository, INDEX, revision).parent
    commit = folder.name
    try:
        listing = huggingface_hub.HfApi().model_info(
            repository, revision=commit, files_metadata=True
        )
    except Exception as error:  # of whichever HTTP library this version of the hub's uses
        raise _refusal(repository, error) from error
    files = {file.rfilename: file for file in listing.siblings or ()}
    _check(folder / INDEX, *_announced(repository, files, INDEX))
    try:
        wanted = _wanted(files, parts_of(folder))
    except _Incomplete as error:
        raise GendataError(
            f"{repository} cannot be fetched",
            found=error,
            expected="a pipeline whose weights are safetensors",
            do="name a revision that has them (OWNER/NAME@REVISION), or download the repository "
            "yourself and name its folder",
        ) from error
    for name in (*(each for each in (CARD,) if each in files), *wanted):
        _check(_fetch(repository, name, commit), *_announced(repository, files, name))
    return folder


def _wanted(listing: Iterable[str], parts: Sequence[str]) -> list[str]:
    """Chooses the files of a pipeline's parts, weights last.

    Raises:
        _Incomplete: a part lacks something.
    """
    names = set(listing)
    texts: list[str] = []
    weights: list[str] = []
    for part in parts:
        # Pipelines of one network may keep everything in the top folder.
        prefix = f"{part}/" if any(name.startswith(f"{part}/") for name in names) else ""
        own = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
        choices = CONFIGURATIONS.get(part, (("config.json",),))
        choice = next((each for each in choices if own.issuperset(each)), None)
        if choice is None:
            raise _Incomplete(f"no {' and '.join(choices[0])} of its {part}")
        chosen = _weights(own, part)
        small = choice if not prefix else [each for each in own if TEXT_FILE.fullmatch(each)]
        texts += [prefix + each for each in sorted(small) if not each.endswith(".index.json")]
        weights += [prefix + each for each in chosen]
    return [*dict.fromkeys(texts), *dict.fromkeys(weights)]


def _weights(own: set[str], part: str) -> list[str]:
    """Chooses a part's weights: one file of safetensors, or all of its shards and their index."""
    stem = STEMS.get(part)
    if stem is None:
        return []
    if f"{stem}.safetensors" in own:
        return [f"{stem}.safetensors"]
    index = f"{stem}.safetensors.index.json"
    shards = sorted(
        name
        for name in own
        if name.endswith(".safetensors")
        and name.startswith(stem)
        and SHARD.fullmatch(name[len(stem) : -len(".safetensors")])
    )
    if index in own and shards and len(shards) == int(shards[0][-17:-12]):
        return [index, *shards]
    others = sorted(name for name in own if name.endswith((".bin", ".pt", ".safetensors")))
    raise _Incomplete(f"no {stem}.safetensors of its {part} ({', '.join(others) or 'nothing'})")


def _fetch(repository: str, name: str, revision: str) -> Path:
    import huggingface_hub

    try:
        return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision))
    except Exception as error:  # of whichever HTTP library this version of the hub's uses
        raise _refusal(repository, error, name) from error


def _announced(
    repository: str, files: Mapping[str, Any], name: str
) -> tuple[str | None, int | None]:
    """Returns the digest and the size that the hub states for a file; a large one has both."""
    file = files.get(name)
    large = getattr(file, "lfs", None)
    digest = large.sha256 if large else getattr(file, "blob_id", None)
    if digest is None:
        raise GendataError(
            f"{name} of {repository} cannot be checked", found="no digest on the hub"
        )
    return digest, large.size if large else getattr(file, "size", None)


def _check(path: Path, digest: str | None, size: int | None = None) -> None:
    """Compares a file with its SHA-256, or Git's SHA-1; removes one that differs."""
    found = path.stat().st_size
    with open(path, "rb") as file:
        if digest is not None and len(digest) == 40:
            made = hashlib.sha1(f"blob {found}\0".encode(), usedforsecurity=False)
            made.update(file.read())
            actual = made.hexdigest()
        else:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    if (digest is None or actual == digest) and (size is None or found == size):
        return
    content = path.resolve()
    path.unlink()
    content.unlink(missing_ok=True)
    raise GendataError(
        f"{path.name} is damaged, and was removed from the cache",
        found=f"{found} bytes with digest {actual[:16]}…",
        expected=f"{found if size is None else size} bytes with digest {str(digest)[:16]}…",
        do="try again, with --download (download=True)",
    )


def _refusal(repository: str, error: Exception, name: str = INDEX) -> GendataError:
    """Says in one line why the hub gave nothing."""
    from huggingface_hub import utils

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, utils.GatedRepoError) or status == 403:
        return GendataError(
            f"the hub gives {repository} to some people only",
            found=f"HTTP {status}",
            do=f"accept its terms at https://huggingface.co/{repository}, and log in (hf auth "
            "login, or HF_TOKEN)",
        )
    if isinstance(error, utils.RepositoryNotFoundError):
        return GendataError(
            f"the hub has no repository {repository}, or a private one",
            found=f"HTTP {status}",
            do="check its name, or log in (hf auth login, or HF_TOKEN)",
        )
    if isinstance(error, utils.RevisionNotFoundError):
        return GendataError(f"{repository} has no such revision", found=f"HTTP {status}")
    absent = isinstance(error, utils.EntryNotFoundError) and status == 404
    if absent and name == INDEX:
        return GendataError(f"{repository} is no diffusers pipeline", found=f"no {INDEX}")
    cause = error.__cause__ if isinstance(error, utils.LocalEntryNotFoundError) else None
    return GendataError(
        f"{name} of {repository} could not be downloaded",
        found=(str(cause or error).strip().splitlines() or [type(error).__name__])[0][:200],
        do="try again when the network is back, or name a local folder",
    )


def _licence(card: Path) -> str:
    """Reads the licence from a repository's card, as the hub spells it."""
    import huggingface_hub

    try:
        stated = huggingface_hub.metadata_load(card) or {}
    except Exception:  # somebody's text: whatever is wrong with it, it states no licence
        return "unknown"
    licence = stated.get("license")
    if licence == "other":
        licence = stated.get("license_name") or licence
    return " ".join(str(licence).split())[:100] if isinstance(licence, str) else "unknown"
