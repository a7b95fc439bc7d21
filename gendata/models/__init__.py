"""Networks: the small ones of the field, any timm model, frozen teachers, filter classifiers."""

from gendata.models.classifier import load_classifier
from gendata.models.network import Network, build_network
from gendata.models.teacher import Teacher, load_teacher

__all__ = ["Network", "Teacher", "build_network", "load_classifier", "load_teacher"]
