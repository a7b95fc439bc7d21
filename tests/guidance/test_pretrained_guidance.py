"""Pretrained Guidance against its worked figures and slow loops."""

import itertools
import math

import pytest
import torch
from toys import toy_images

import gendata
from gendata.errors import GendataError
from gendata.guidance.pretrained_guidance import PretrainedGuidance, pretrained_guidance_loss

TEACHER = torch.tensor([[1.0, 0], [0, 1], [1, 1]])
STUDENT = torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 1, 1]])


@pytest.mark.parametrize(
    ("loss", "reduction", "expected"),
    [
        ("kl", "sum", 0.37031952),
        ("kl", "batchmean", 0.12343984),
        ("kl", "mean", 0.06171992),
        ("l1", "sum", 3.24264073),
        ("l1", "mean", 0.36029342),
    ],
)
def test_worked_figures(loss, reduction, expected):
    found = pretrained_guidance_loss(TEACHER, STUDENT, loss=loss, reduction=reduction)
    assert found.item() == pytest.approx(expected, abs=5e-7)


def slow_loss(teacher, student, loss, distance, reduction):
    def relation(a, b):
        if distance == "euclidean":
            return math.sqrt(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    sign = -1 if distance == "euclidean" else 1
    rows, total = len(teacher), 0.0
    for i in range(rows):
        others = [j for j in range(rows) if j != i]
        p = [relation(teacher[i], teacher[j]) for j in others]
        q = [relation(student[i], student[j]) for j in others]
        if loss == "l1":
            total += sum(abs(x - y) for x, y in zip(p, q, strict=True))
            continue
        p, q = [math.exp(sign * x) for x in p], [math.exp(sign * x) for x in q]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        total += sum(x * (math.log(x) - math.log(y)) for x, y in zip(p, q, strict=True))
    entries = rows * (rows - 1) if loss == "kl" else rows * rows
    return total / {"sum": 1, "batchmean": rows, "mean": entries}[reduction]


@pytest.mark.parametrize(
    ("loss", "distance", "reduction"),
    list(itertools.product(("kl", "l1"), ("cosine", "euclidean"), ("sum", "batchmean", "mean"))),
)
def test_equals_a_slow_loop(loss, distance, reduction):
    generator = torch.Generator().manual_seed(3)
    for rows in (3, 9, 31):
        teacher = torch.randn(rows, 7, generator=generator)
        student = torch.randn(rows, 4, generator=generator)
        found = pretrained_guidance_loss(
            teacher, student, loss=loss, distance=distance, reduction=reduction
        )
        expected = slow_loss(teacher.tolist(), student.tolist(), loss, distance, reduction)
        assert found.item() == pytest.approx(expected, rel=2e-5)


def test_gradient_reaches_the_student_alone():
    teacher = torch.randn(6, 5, requires_grad=True)
    student = torch.randn(6, 3, requires_grad=True)
    pretrained_guidance_loss(teacher, student).backward()
    assert teacher.grad is None
    assert student.grad.abs().sum() > 0


def test_a_student_that_already_agrees_has_no_loss_and_no_gradient():
    student = torch.randn(6, 5, requires_grad=True)
    loss = pretrained_guidance_loss(student.detach() * 3, student)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert student.grad.abs().max() < 1e-6


def test_rows_of_zeros_keep_a_finite_gradient():
    student = torch.randn(5, 4)
    student[2] = 0
    student.requires_grad_()
    for distance in ("cosine", "euclidean"):
        pretrained_guidance_loss(torch.randn(5, 4), student, distance=distance).backward()
    assert student.grad.isfinite().all() and student.grad.abs().max() < 100


def test_fewer_than_three_rows_are_skipped():
    for rows in (0, 1, 2):
        student = torch.randn(rows, 3, requires_grad=True)
        loss = pretrained_guidance_loss(torch.randn(rows, 5), student) + student.sum()
        loss.backward()
        assert torch.equal(student.grad, torch.ones(rows, 3))


def test_half_precision_features_are_compared_in_float32():
    teacher, student = torch.randn(8, 5), torch.randn(8, 6).bfloat16()
    found = pretrained_guidance_loss(teacher, student)
    assert found.dtype == torch.float32
    assert torch.equal(found, pretrained_guidance_loss(teacher, student.float()))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"pg_loss": "l2"}, "pg_loss"),
        ({"pg_distance": "manhattan"}, "pg_distance"),
        ({"pg_reduction": "none"}, "pg_reduction"),
        ({"pg_weight": -1}, "pg_weight"),
        ({"pg_weight": "much"}, "pg_weight"),
        ({"pg_on": "x"}, "pg_on"),
        ({"pg_on": "fr"}, "pg_on"),
        ({"train_on": "real"}, "train_on"),
        ({"teacher_size": "abc"}, "teacher_size"),
        ({"teacher_size": 0}, "teacher_size"),
    ],
)
def test_options_are_checked(options, named):
    with pytest.raises(GendataError, match=named):
        PretrainedGuidance(**options)


@pytest.mark.parametrize("download", [False, True])
def test_the_teacher_is_fetched_where_that_is_allowed(monkeypatch, download):
    def asked(reference, **options):
        raise GendataError(f"{reference} with download={options.get('download', False)}")

    monkeypatch.setattr("gendata.guidance.pretrained_guidance.load_teacher", asked)
    with pytest.raises(GendataError, match=f"download={download}"):
        gendata.train(
            synthetic=toy_images("s", 30, 0), method="pg", download=download, progress=False
        )
