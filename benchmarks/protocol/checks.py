"""What can be known to fail before anything is drawn or trained, which may take days."""

from __future__ import annotations

from gendata.benchmarks.protocol.arguments import Protocol
from gendata.benchmarks.protocol.references import is_sampler
from gendata.benchmarks.protocol.runs import roles_of
from gendata.benchmarks.protocol.sources import Bank
from gendata.images import check_same_classes
from gendata.models import build_network
from gendata.models.network import Network
from gendata.training.run import resolve

__all__ = ["check_networks", "check_sets"]


def check_sets(bank: Bank) -> None:
    """Opens every set that is there already, and cuts it to size.

    Raises:
        GendataError: a set is missing or too small, or classes differ.
    """
    protocol, test = bank.protocol, bank.test()
    found = {"data": bank.training()}
    if protocol.validation:
        found["validation"] = bank.validation()
    for source in protocol.sources:
        if not is_sampler(source.reference):
            for per_class in protocol.per_class_of(source):
                found[source.name] = bank.synthetic(source.name, per_class)
    for name, images in found.items():
        check_same_classes(name, images.classes, "test", test.classes)
    if any(row.real == "few" and "real" in roles_of(protocol, row) for row in protocol.rows):
        for shots in protocol.shots:
            bank.few(shots, protocol.seed)


def check_networks(protocol: Protocol, classes: int) -> None:
    """Builds the networks of all rows, with their initial weights, and shows them to the methods.

    Args:
        protocol: whose rows.
        classes: how many the networks shall tell.

    Raises:
        GendataError: there is no such network, its weights are not on this machine, or a method
            cannot train it.
    """
    networks: dict[tuple[str, str, str | None], Network] = {}
    for row in protocol.rows:
        settings, method, _ = resolve(row.method, None, protocol.options_for(row))
        recipe = (settings.network, settings.init, settings.tap)
        if recipe not in networks:
            network, init, tap = recipe
            networks[recipe] = build_network(
                network, classes, init=init, tap=tap, download=protocol.download
            )
        check = getattr(method, "check", None)
        if check is not None:
            check(networks[recipe], download=protocol.download)
