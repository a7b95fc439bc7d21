"""What each training method is given in tests that run all of them."""

from pathlib import Path

import torch

from gendata.models import build_network
from gendata.models.weights import save_weights

TEACHER = {"pg", "pg+rg", "asg", "csg"}
OPTIONS = {
    "adda": {"discriminator_width": 64},
    "csg": {"csg_queue": 16},
    "dann": {"discriminator_width": 64},
    "ltda": {"eps_step": 100.0},  # at its default, weights hardly move in so few steps
    "rg": {"lambda1": 0.5},
}


def save_teacher(folder: Path, classes: int = 5) -> str:
    """Writes a frozen teacher as wide as the student `small-cnn`; returns its reference."""
    path = folder / "teacher.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(99)
        save_weights(build_network("small-cnn", classes).backbone, path)
    return f"small-cnn:{path}"


def options_for(name: str, teacher: str) -> dict:
    """A method's own options; a plugin's are its defaults."""
    return {**({"teacher": teacher} if name in TEACHER else {}), **OPTIONS.get(name, {})}
