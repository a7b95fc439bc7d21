"""A sampler and a filter by reference: what another process needs to load both itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gendata.clone.filter import ConfidenceFilter
from gendata.clone.work import DrawingSettings
from gendata.errors import GendataError
from gendata.models import load_classifier
from gendata.samplers import load_sampler
from gendata.types import Sampler

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """Where a clone's images come from, and who judges them, in words.

    Attributes:
        reference: of the sampler, as `load_sampler` takes it.
        options: the sampler's.
        judge: the classifier's reference; None keeps every image.
        threshold: what its largest probability must lie above.
        label: the label policy; None: the usual one.
        judge_options: the classifier's.
        device: where both run.
        download: fetch what is not on the machine that loads it.
    """

    reference: str
    options: Mapping[str, Any] = field(default_factory=dict)
    judge: str | None = None
    threshold: float = 0.8
    label: str | None = None
    judge_options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    download: bool = False

    def sampler(self) -> Sampler:
        """Loads the sampler."""
        return load_sampler(
            self.reference, device=self.device, download=self.download, **self.options
        )

    def filter(self) -> ConfidenceFilter | None:
        """Loads the classifier and makes the filter; None where every image is kept."""
        if self.judge is None:
            return None
        classifier = load_classifier(
            self.judge, device=self.device, download=self.download, **self.judge_options
        )
        return ConfidenceFilter(classifier, self.threshold, self.label)

    def load(self, settings: DrawingSettings) -> tuple[Sampler, DrawingSettings]:
        """Loads both, and completes the settings of a clone with them.

        Raises:
            GendataError: the settings have a filter of their own.
        """
        if settings.get("filter") is not None:
            raise GendataError(
                "two filters are given",
                found="filter=… beside a Source",
                do="name it in the Source",
            )
        filter, options = self.filter(), self.options
        return self.sampler(), {**settings, "filter": filter, "sampler_options": options}
