"""Repositories of a small server that answers as the Hugging Face hub does.

The hub's library reads its address when it is imported, so a process of its own does the loading.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file

from gendata.errors import GendataError
from gendata.models.weights import digest_of
from gendata.samplers.hub import _wanted, locate_pipeline, parse_hub_id

COMMIT, LATER = "a" * 40, "b" * 40
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
LARGE = 10_000  # bytes from which on the server keeps a file as Git LFS does

WORKER = """
import json, sys, torch
from gendata.errors import GendataError
from gendata.samplers import load_sampler
for line in sys.stdin:
    reference, download = json.loads(line)
    try:
        sampler = load_sampler(reference, device="cpu", steps=2, download=download)
        images = sampler.sample(torch.tensor([0, 1]), torch.tensor([3, 4]))
        found = {"name": sampler.name, "images": images.flatten().tolist(),
                 "card": {**vars(sampler.card)}}
    except GendataError as error:
        found = {"error": str(error)}
    print(json.dumps(found), flush=True)
"""


class Hub(ThreadingHTTPServer):
    """Repositories by name: a commit and files, or a refusal (status, the hub's word for it)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.commits, self.refusals, self.spoilt, self.asked = {}, {}, {}, []
        self.heads = {}

    def add(self, name, files, commit=COMMIT):
        self.commits[name, commit] = dict(files)
        self.heads[name] = commit


class Answer(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, path))
        parts = path.strip("/").split("/")
        api = parts[:2] == ["api", "models"]
        owner, name, _, revision, *rest = parts[2:] if api else parts
        name, rest = f"{owner}/{name}", "/".join(rest)
        if name in self.server.refusals:
            return self.refuse(*self.server.refusals[name])
        commit = self.server.heads.get(name) if revision == "main" else revision
        files = self.server.commits.get((name, commit))
        if name not in self.server.heads:
            return self.refuse(401, "RepoNotFound")
        if files is None:
            return self.refuse(404, "RevisionNotFound")
        if api:
            listing = [describe(each, content) for each, content in files.items()]
            found = {"id": name, "sha": commit, "siblings": listing}
            return self.send(json.dumps(found).encode(), {}, body)
        if rest not in files:
            return self.refuse(404, "EntryNotFound", commit)
        content = files[rest]
        headers = {"ETag": f'"{git_digest(content)}"', "X-Repo-Commit": commit}
        if len(content) >= LARGE:
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(content).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(content))
        return self.send(self.server.spoilt.get((name, rest), content), headers, body)

    def refuse(self, status, word, commit=None):
        if status is None:
            self.close_connection = True
            return self.connection.close()
        self.send_response(status)
        self.send_header("X-Error-Code", word)
        self.send_header("Content-Length", "0")
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.end_headers()

    def send(self, content, headers, body):
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def git_digest(content):
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def describe(name, content):
    entry = {"rfilename": name, "size": len(content), "blobId": git_digest(content)}
    if len(content) >= LARGE:
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return entry


@pytest.fixture(scope="module")
def hub():
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def load(hub, cache, tmp_path_factory):
    """Loads and draws in the process that knows the server; returns the card, or the error."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HOME": str(cache),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path_factory.mktemp("empty"),
    )

    def ask(reference, download=False):
        process.stdin.write(json.dumps([f"diffusers:{reference}", download]) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait(timeout=30)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny pipeline's folder, and its files as a repository would hold them."""
    folder = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(3)
    network = UNet2DModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"), in_channels=3, out_channels=3,
        up_block_types=("UpBlock2D", "UpBlock2D"), num_class_embeds=3,
    )  # fmt: skip
    network.save_pretrained(folder / "unet")
    DDIMScheduler().save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DDIMPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
        "id2label": {"0": "cat", "1": "dog", "2": "cow"},
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "README.md").write_text("---\nlicense: cc-by-4.0\n---\nTiny.\n")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    (folder / "unet" / "evil.py").write_text("raise SystemExit\n")
    (folder / "picture.png").write_bytes(b"png")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert len(files[WEIGHTS]) > LARGE
    return folder, files


def test_nothing_is_fetched_unasked(hub, load, made):
    hub.add("owner/unasked", made[1])
    before = len(hub.asked)
    for reference in ("owner/unasked", "owner/unasked@main", f"owner/unasked@{COMMIT}"):
        found = load(reference)["error"]
        assert "no repository in the cache" in found and "--download (download=True)" in found
    assert len(hub.asked) == before


def test_a_repository_is_fetched_pinned_and_drawn_as_its_folder(hub, load, made):
    folder, files = made
    hub.add("owner/asked", files)
    found, local = load("owner/asked", download=True), load(folder)
    assert found["images"] == local["images"]
    assert found["name"] == f"diffusers:owner/asked@{COMMIT}"
    card = found["card"]
    assert card["origin"] == f"owner/asked@{COMMIT}" and card["licence"] == "cc-by-4.0"
    assert card["title"] == "DDIMPipeline asked"
    assert card["settings"]["repository"] == "owner/asked"
    assert card["settings"]["commit"] == COMMIT
    assert card["sha256"] == digest_of(folder / WEIGHTS) and local["card"]["licence"] == "unknown"
    fetched = {path.split(f"{COMMIT}/")[-1] for how, path in hub.asked if how == "GET"}
    assert WEIGHTS in fetched and "scheduler/scheduler_config.json" in fetched
    for left in fetched:
        assert not left.endswith((".bin", ".py", ".png", ".fp16.safetensors")), left


def test_what_was_fetched_once_needs_neither_consent_nor_network(hub, load, made):
    hub.add("owner/twice", made[1])
    first = load("owner/twice", download=True)
    before = len(hub.asked)
    hub.add("owner/twice", {}, LATER)  # the repository moves on
    for reference in ("owner/twice", f"owner/twice@{COMMIT}", first["name"][10:]):
        for download in (False, True):
            assert load(reference, download) == first
    assert len(hub.asked) == before


def test_a_local_path_wins(load, made, tmp_path_factory, hub):
    before = len(hub.asked)
    found = load(made[0], download=True)
    assert found["name"] == f"diffusers:{made[0]}" and len(hub.asked) == before


def test_another_revision_is_another_commit(hub, load, made):
    folder, files = made
    weights = load_file(folder / WEIGHTS)
    weights["conv_out.bias"] = weights["conv_out.bias"] + 1
    other = folder.parent / "other.safetensors"
    save_file(weights, other, metadata={"format": "pt"})
    hub.add("owner/moving", {**files, WEIGHTS: other.read_bytes()}, LATER)
    hub.add("owner/moving", files)
    first, later = load("owner/moving", True), load(f"owner/moving@{LATER}", True)
    assert first["card"]["settings"]["commit"] == COMMIT
    assert later["card"]["settings"]["commit"] == LATER
    assert first["card"]["sha256"] != later["card"]["sha256"]
    assert first["images"] != later["images"]


@pytest.mark.parametrize(
    "spoilt", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-9]]
)
@pytest.mark.parametrize("name", [WEIGHTS, "unet/config.json", "model_index.json"])
def test_a_damaged_download_is_refused_and_not_kept(hub, load, made, cache, name, spoilt):
    repository = f"owner/damaged{len(hub.heads)}"
    hub.add(repository, made[1])
    hub.spoilt[repository, name] = spoilt(made[1][name])
    found = load(repository, download=True)["error"]
    assert "damaged" in found or "could not be downloaded" in found
    assert name.rpartition("/")[2] in found
    assert "no repository in the cache" in load(repository)["error"]
    kept = cache / "hub" / f"models--{repository.replace('/', '--')}"
    assert not any(path.name == name.rpartition("/")[2] for path in kept.rglob("*"))
    hub.spoilt.clear()
    assert load(repository, download=True)["card"]["sha256"]


def test_a_file_that_was_damaged_in_the_cache_is_noticed(hub, load, made, cache):
    hub.add("owner/rotten", made[1])
    load("owner/rotten", download=True)
    path = next((cache / "hub" / "models--owner--rotten").glob(f"snapshots/*/{WEIGHTS}"))
    content = path.read_bytes()
    path.resolve().write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "damaged" in load("owner/rotten")["error"]
    assert "no repository in the cache" in load("owner/rotten")["error"]
    assert load("owner/rotten", download=True)["images"]


def test_refusals_are_one_line(hub, load, made):
    files = made[1]
    hub.refusals["owner/gated"] = (403, "GatedRepo")
    hub.refusals["owner/closed"] = (401, "GatedRepo")
    hub.refusals["owner/down"] = (None, None)
    pickled = {name: each for name, each in files.items() if not name.endswith("safetensors")}
    hub.add("owner/pickled", pickled)
    hub.add("owner/dataset", {"README.md": b"data"})
    flux = {"_class_name": "FluxPipeline", "text_encoder": ["transformers", "CLIPTextModel"]}
    flux |= {"scheduler": ["diffusers", "DDIMScheduler"]}
    hub.add("owner/flux", {**files, "model_index.json": json.dumps(flux).encode()})
    hub.add("owner/present", files)
    words = {
        "owner/gated": "gives owner/gated to some people only; found HTTP 403; accept its terms",
        "owner/closed": "gives owner/closed to some people only; found HTTP 401",
        "owner/down": "model_index.json of owner/down could not be downloaded",
        "owner/nowhere": "the hub has no repository owner/nowhere",
        f"owner/present@{LATER}": "owner/present has no such revision",
        "owner/dataset": "owner/dataset is no diffusers pipeline; found no model_index.json",
        "owner/flux": "not a pipeline of a supported kind; found FluxPipeline",
        "owner/pickled": "no diffusion_pytorch_model.safetensors of its unet (diffusion_py",
    }
    for reference, expected in words.items():
        found = load(reference, download=True).get("error", "nothing")
        assert expected in found and "\n" not in found, found
    assert not any("flux" in path and "safetensors" in path for _, path in hub.asked)


def test_references():
    assert parse_hub_id("owner/a.b-c") == ("owner/a.b-c", "main")
    assert parse_hub_id("owner/name@refs/pr/1") == ("owner/name", "refs/pr/1")
    for path in (
        "name",
        "/owner/name",
        "./a/b",
        "../b",
        "a/b/c",
        "a/b@",
        "a/../b",
        "a/b@../c",
        "a/b@c/../d",
    ):
        assert parse_hub_id(path) is None


def test_an_existing_folder_is_never_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    place = locate_pipeline("owner/name", lambda folder: pytest.fail(), download=True)
    assert place.name == "owner/name" and not place.settings


def test_shards_and_flat_repositories_are_chosen_whole():
    shards = [
        f"unet/diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)
    ]
    index = "unet/diffusion_pytorch_model.safetensors.index.json"
    names = ["unet/config.json", "unet/x.bin", index, *shards]
    assert _wanted(names, ["unet"]) == ["unet/config.json", index, *shards]
    with pytest.raises(Exception, match="no diffusion_pytorch_model.safetensors of its unet"):
        _wanted(names[:-1], ["unet"])
    flat = [
        "config.json",
        "scheduler_config.json",
        "diffusion_pytorch_model.safetensors",
        "a.json",
    ]
    assert _wanted(flat, ["scheduler", "unet"]) == [flat[1], flat[0], flat[2]]


def test_a_mistyped_path_is_told_both_ways():
    with pytest.raises(GendataError, match="check the path, or allow the download"):
        locate_pipeline("owner/there-is-no-such-thing", lambda folder: [], download=False)
