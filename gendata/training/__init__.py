"""Training classifiers: the loop that every method of `gendata.guidance` runs in."""

from gendata.training.evaluate import Accuracy, accuracy, per_sample_losses
from gendata.training.learner import Learner
from gendata.training.result import Selected, TrainResult
from gendata.training.run import train
from gendata.training.settings import PRESETS, Settings

__all__ = [
    "PRESETS",
    "Accuracy",
    "Learner",
    "Selected",
    "Settings",
    "TrainResult",
    "accuracy",
    "per_sample_losses",
    "train",
]
