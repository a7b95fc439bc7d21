"""CSG against its worked figures, slow loops and a restated step."""

import copy
import math
from collections import deque

import pytest
import torch
from resuming import assert_same_training, assert_same_weights, killed_and_resumed
from torch.nn import functional
from toys import PoisonedLabels, toy_images
from two_domains import assert_backbone_rate

import gendata
from gendata.errors import GendataError
from gendata.guidance.csg import CSG, KeyQueue, attention_pool, contrastive_losses
from gendata.images import make_loader
from gendata.models import build_network, load_teacher
from gendata.models.weights import save_weights
from gendata.training.learner import Learner
from gendata.training.processes import start_accelerator

RUN = {"epochs": 4, "batch_size": 32, "method": "csg", "progress": False, "views": 2}
EMBEDDED = {"network": "embedded:efficientnet-lite0", "init": "imagenet", "batch_norm": "freeze"}


def prepared(network="small-cnn", count=24, init="random", **options):
    torch.manual_seed(1)
    bare = build_network(network, 3, init=init)
    learner = Learner(
        bare,
        torch.optim.SGD(bare.parameters(), lr=0.1),
        start_accelerator("cpu", "no"),
        classes=["a", "b", "c"],
        loaders={"synthetic": make_loader(toy_images("s", count, 0), 8)},
        batch_norm="freeze",
    )
    method = CSG(**options)
    torch.manual_seed(2)
    method.prepare(learner)
    learner.network.train()
    return learner, method


def directions(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_attention_pool_worked_figure():
    maps = torch.arange(8.0).view(1, 2, 2, 2)
    found = attention_pool(maps, maps)
    torch.testing.assert_close(found, torch.tensor([[1.76923084, 5.76923084]]))


def slow_pool(maps, source):
    """Weights and sums of one image, (D, H, W) as nested lists, position by position."""
    places = [(y, x) for y in range(len(maps[0])) for x in range(len(maps[0][0]))]
    mean = [sum(channel[y][x] for y, x in places) / len(places) for channel in source]
    scores = [
        max(0.0, sum(f[y][x] * m for f, m in zip(source, mean, strict=True))) for y, x in places
    ]
    weights = [score / sum(scores) for score in scores]
    return [sum(w * f[y][x] for w, (y, x) in zip(weights, places, strict=True)) for f in maps]


@pytest.mark.parametrize("signed", [False, True])
def test_attention_pool_equals_a_slow_loop(signed):
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(3, 5, 2, 4, generator=generator, dtype=torch.float64)
    source = torch.randn(3, 5, 2, 4, generator=generator, dtype=torch.float64)
    source = source if signed else source.abs()
    expected = [slow_pool(*pair) for pair in zip(maps.tolist(), source.tolist(), strict=True)]
    found = attention_pool(maps, source)
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_attention_pool_of_equal_positions_and_of_zeros_is_the_average():
    maps = torch.rand(2, 4, 3, 3)
    average = maps.mean(dim=(2, 3))
    torch.testing.assert_close(attention_pool(maps, torch.ones(2, 4, 3, 3)), average)
    source = torch.zeros(2, 4, 3, 3, requires_grad=True)
    found = attention_pool(maps, source)
    torch.testing.assert_close(found, average)
    found.sum().backward()
    assert source.grad.isfinite().all()


def test_losses_equal_a_slow_loop():
    queries, keys, negatives = (directions(n, 6, seed=n) for n in (5, 5, 9))
    keys = directions(5, 6, seed=77)
    found = contrastive_losses(queries, keys, negatives, 0.2)
    for row, loss in enumerate(found.tolist()):
        q = queries[row].tolist()
        cosines = [
            sum(a * b for a, b in zip(q, other, strict=True))
            for other in [keys[row].tolist(), *negatives.tolist()]
        ]
        powers = [math.exp(cosine / 0.2) for cosine in cosines]
        assert loss == pytest.approx(-math.log(powers[0] / sum(powers)), rel=1e-5)


def test_their_gradient_pulls_to_the_key_and_pushes_from_the_negatives():
    queries = directions(4, 6).requires_grad_()
    keys, negatives = directions(4, 6, seed=1).requires_grad_(), directions(7, 6, seed=2)
    contrastive_losses(queries, keys, negatives, 0.07).sum().backward()
    others = torch.cat([keys[:, None], negatives.expand(4, 7, 6)], dim=1).detach()
    shares = (torch.einsum("be,bke->bk", queries, others) / 0.07).softmax(1)
    target = functional.one_hot(torch.zeros(4, dtype=torch.long), 8)
    expected = torch.einsum("bk,bke->be", shares - target, others) / 0.07
    torch.testing.assert_close(queries.grad, expected.detach(), atol=1e-4, rtol=1e-4)
    assert keys.grad is None


@pytest.mark.parametrize(("length", "batch"), [(6, 2), (7, 3), (4, 9), (5, 5), (1, 2)])
def test_the_queue_holds_the_latest_keys(length, batch):
    torch.manual_seed(0)
    queue = KeyQueue(length, 3, torch.device("cpu"))
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(length))
    expected = deque(queue.keys.tolist(), maxlen=length)
    for number in range(7):
        keys = directions(batch, 3, seed=number)
        queue.add(keys)
        expected.extend(keys.tolist())
        assert sorted(queue.keys.tolist()) == sorted(expected)
    other = KeyQueue(length, 3, torch.device("cpu"))
    other.load_state_dict(queue.state_dict())
    for each in (queue, other):
        each.add(directions(batch, 3, seed=99))
    assert torch.equal(queue.keys, other.keys)


class Restated:
    """CSG's step, written out for two stages of a small-cnn with lists as queues."""

    def __init__(self, learner, method):
        self.network = copy.deepcopy(learner.bare).eval()
        self.frozen = copy.deepcopy(method.frozen.network).eval()
        self.queries = copy.deepcopy(learner.added["csg_projections"])
        self.keys = [copy.deepcopy(each) for each in self.queries]
        self.queues = [list(queue.keys.clone()) for queue in method.queues]
        trained = [*self.network.parameters(), *self.queries.parameters()]
        self.optimizer = torch.optim.SGD(trained, lr=0.1)

    @staticmethod
    def maps(network, images):
        """The maps after the last two rectified layers, and the logits."""
        x, kept, backbone = (images.float() / 255 - 0.5) / 0.5, [], network.backbone
        layers = zip(backbone.convolutions, backbone.norms, strict=True)
        for number, (convolution, norm) in enumerate(layers):
            x = functional.max_pool2d(x, 2) if number else x
            x = functional.relu(norm(convolution(x)))
            kept.append(x)
        return kept[-2:], backbone.linear(x.mean(dim=(2, 3)))

    @staticmethod
    def pool(maps, source):
        scores = (source * source.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True)
        return (maps * scores / scores.sum(dim=(2, 3), keepdim=True)).sum(dim=(2, 3))

    def step(self, examples, momentum, temperature):
        own, logits = self.maps(self.network, examples.images)
        with torch.no_grad():
            theirs, _ = self.maps(self.frozen, examples.images)
        total = 0.0
        for stage in range(2):
            follower = self.keys[stage]
            for kept, moving in zip(
                follower.parameters(), self.queries[stage].parameters(), strict=True
            ):
                kept.data = momentum * kept.data + (1 - momentum) * moving.data
            q = functional.normalize(self.queries[stage](self.pool(own[stage], own[stage])))
            with torch.no_grad():
                k = functional.normalize(follower(self.pool(theirs[stage], own[stage])))
            negatives = torch.stack(self.queues[stage])
            scores = torch.cat([(q * k).sum(1, keepdim=True), q @ negatives.T], 1) / temperature
            total += functional.cross_entropy(scores, torch.zeros(len(q), dtype=torch.long))
            self.queues[stage] = [*self.queues[stage][len(k) :], *k]
        task = functional.cross_entropy(logits, examples.labels)
        self.optimizer.zero_grad()
        (task + 0.1 * total).backward()
        self.optimizer.step()
        return task.item(), 0.1 * total.item()


def test_steps_equal_their_restatement(teacher):
    learner, method = prepared(teacher=teacher, csg_queue=16, csg_momentum=0.6)
    restated = Restated(learner, method)
    frozen = copy.deepcopy(method.frozen.network.state_dict())
    for epoch in range(2):
        for examples in learner.loaders["synthetic"].epoch(epoch):
            task, guidance = restated.step(examples, 0.6, 0.07)
            logs = method.step({"synthetic": examples}, 0.0)
            assert logs["loss"].item() == pytest.approx(task, rel=1e-4)
            assert logs["guidance"].item() == pytest.approx(guidance, rel=1e-4, abs=1e-6)
    for mine, theirs in (
        (learner.bare.parameters(), restated.network.parameters()),
        (learner.added.parameters(), restated.queries.parameters()),
        (method.key_projections[0].parameters(), restated.keys[0].parameters()),
        (method.key_projections[1].parameters(), restated.keys[1].parameters()),
    ):
        for one, other in zip(mine, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for queue, kept in zip(method.queues, restated.queues, strict=True):
        found, expected = queue.keys, torch.stack(kept)
        order = torch.cdist(found, expected).argmin(dim=1)
        assert sorted(order.tolist()) == list(range(16))
        torch.testing.assert_close(found, expected[order], atol=1e-5, rtol=1e-4)
    assert all(torch.equal(frozen[n], v) for n, v in method.frozen.network.state_dict().items())


def test_keys_take_no_gradient_and_follow_slowly(teacher):
    learner, method = prepared(teacher=teacher)
    before = method.key_projections[0][0].weight.clone()
    assert torch.equal(before, method.query_projections[0][0].weight)
    for examples in learner.loaders["synthetic"].epoch(0):
        method.step({"synthetic": examples}, 0.0)
    key, query = method.key_projections[0][0].weight, method.query_projections[0][0].weight
    assert key.grad is None
    assert 0 < (key - before).abs().max() < 0.01 * (query - before).abs().max()


@pytest.mark.parametrize(
    ("count", "asked", "length"), [(24, None, 12), (1, None, 1), (24, 5, 5), (24, 100, 100)]
)
def test_the_queue_is_shorter_than_an_epoch_unless_asked(teacher, count, asked, length):
    _, method = prepared(count=count, teacher=teacher, csg_queue=asked)
    assert [len(queue.keys) for queue in method.queues] == [length, length]


def test_the_embedded_network_starts_as_its_own_teacher():
    learner, method = prepared(EMBEDDED["network"], init="imagenet", count=8)
    assert method.names == ["blocks.4", "blocks.6"]
    assert [each[0].in_features for each in method.query_projections] == [112, 320]
    before = [queue.keys.clone() for queue in method.queues]
    examples = next(iter(learner.loaders["synthetic"].epoch(0)))
    logs = method.step({"synthetic": examples}, 0.0)
    # Queries and keys are equal, so each row's loss knows its keys' cosines alone.
    expected = 0.0
    for stage, (name, queue) in enumerate(zip(method.names, method.queues, strict=True)):
        (maps,) = load_teacher(device="cpu").maps(examples.images, [name])
        key = functional.normalize(method.key_projections[stage](attention_pool(maps, maps)))
        scores = torch.cat([torch.ones(8, 1), key @ before[stage].T], dim=1) / 0.07
        expected += (scores.logsumexp(1) - scores[:, 0]).mean().item()
        torch.testing.assert_close(key[-4:].detach(), queue.keys, atol=1e-3, rtol=1e-2)
    assert logs["guidance"].item() == pytest.approx(0.1 * expected, rel=2e-2)


def test_a_weight_of_zero_is_plain_training_on_synthetic_images(teacher):
    images = {"synthetic": toy_images("s", 66, 0), "real": PoisonedLabels()}
    found = gendata.train(**images, **RUN, teacher=teacher, csg_weight=0)
    plain = gendata.train(**images, **{**RUN, "method": "fake"})
    assert_same_weights(found, plain)


def test_killed_and_resumed_ends_with_the_same_weights(teacher, tmp_path, monkeypatch):
    """The queue and the keys' projections are part of what must come back."""
    images = {"synthetic": toy_images("s", 66, 0, noise=90), "test": toy_images("t", 30, 1)}
    options = {**RUN, "teacher": teacher, "csg_weight": 1, "csg_queue": 40, "csg_momentum": 0.9}
    options["out"] = tmp_path / "run"
    whole, resumed = killed_and_resumed(monkeypatch, CSG, {**images, **options}, at=0.7)
    assert_same_training(whole, resumed)


def test_half_precision_maps_are_compared_in_float32(teacher):
    images = {"synthetic": toy_images("s", 64, 0)}
    options = {**RUN, "teacher": teacher, "epochs": 2}
    half = gendata.train(**images, **options, precision="bf16").history[0]
    full = gendata.train(**images, **options).history[0]
    assert half["guidance"] == pytest.approx(full["guidance"], rel=0.05)
    assert half["guidance"] != full["guidance"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no ImageNet weights for small-cnn.*network=embedded:efficientnet-lite0"),
        (
            {"teacher": "embedded:efficientnet-lite0"},
            "differ.*use network=embedded:efficientnet-lite0, or teacher=small-cnn:FILE",
        ),
        (
            {"network": "cifar-resnet20", "teacher": "{teacher}"},
            "differ.*use network=small-cnn, or teacher=cifar-resnet20:FILE",
        ),
        ({"teacher": "{teacher}", "csg_stages": "norms.3,layer4"}, "no submodule 'layer4'"),
        ({"teacher": "{teacher}", "csg_stages": "linear"}, "'linear' of small-cnn makes no maps"),
        ({"teacher": "small-cnn:/nowhere.safetensors"}, "missing"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(teacher, tmp_path, options, words):
    options = {**options}
    if "teacher" in options:
        options["teacher"] = options["teacher"].format(teacher=teacher)
    with pytest.raises(GendataError, match=words) as caught:
        gendata.train(synthetic=toy_images("s", 30, 0), **RUN, **options, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_students_are_checked_before_a_training(teacher):
    student = build_network("small-cnn", 5)
    before = copy.deepcopy(student.state_dict())
    student.train()
    CSG(teacher=teacher).check(student)
    assert student.training, "it is left as it was"
    assert all(torch.equal(before[name], value) for name, value in student.state_dict().items())
    for options, words in (
        ({}, "no ImageNet weights for small-cnn"),
        ({"teacher": "embedded:efficientnet-lite0"}, "differ"),
        ({"teacher": teacher, "csg_stages": "layer4"}, "no submodule 'layer4'"),
    ):
        with pytest.raises(GendataError, match=words):
            CSG(**options).check(student)


def test_maps_of_the_same_names_and_other_widths_are_refused(tmp_path):
    path = tmp_path / "wide.safetensors"
    save_weights(build_network("resnet18", 3).backbone, path)
    with pytest.raises(GendataError, match=r"differ.*\(64, 8, 8\) and \(256, 2, 2\)"):
        prepared("cifar-resnet20", teacher=f"timm:resnet18@{path}", csg_stages="layer3")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"csg_weight": -1}, "csg_weight"),
        ({"csg_temperature": 0}, "csg_temperature"),
        ({"csg_momentum": 1.1}, "csg_momentum"),
        ({"csg_momentum": -0.1}, "csg_momentum"),
        ({"csg_queue": 0}, "csg_queue"),
        ({"csg_queue": 2.5}, "csg_queue"),
        ({"backbone_rate": "slow"}, "backbone_rate"),
    ],
)
def test_options_are_checked(options, named):
    with pytest.raises(GendataError, match=named):
        CSG(**options)


def test_the_backbone_learns_at_its_own_rate(teacher):
    assert_backbone_rate(lambda rate: prepared(teacher=teacher, backbone_rate=rate))
