"""`gendata list`: what there is to draw from, train with and study, and in which settings."""

from __future__ import annotations

import inspect

import click

from gendata.cli.options import echo_result, json_option

__all__ = ["command"]

KINDS = ("samplers", "methods", "studies", "presets", "factors", "assets")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), required=False)
@json_option
def command(kind: str | None, as_json: bool) -> None:
    """List samplers, methods, studies, presets, factors and assets.

    Samplers draw images, methods train on them, studies (`gendata bench`) compare methods, presets
    are settings of studies, factors are presets of `gendata render`, and assets come with the
    package. What plugins add is included.

    \b
    Examples:
      gendata list
      gendata list presets
      gendata list methods --json
    """
    found = {name: entries(name) for name in ([kind] if kind else KINDS)}
    text = "\n\n".join(
        f"{name}\n" + "\n".join(f"  {key:24} {about}" for key, about in rows.items())
        for name, rows in found.items()
    )
    echo_result(found, text, as_json)


def entries(kind: str) -> dict[str, str]:
    """Returns names and one line on each."""
    if kind == "assets":
        from gendata.assets import asset_card, asset_names

        return {name: asset_card(name)["title"] for name in asset_names()}
    if kind == "presets":
        from gendata.benchmarks.protocol.presets import preset_titles

        return preset_titles()
    if kind == "factors":
        from gendata.render.presets import preset_titles as factor_titles

        return factor_titles()
    from gendata import registry

    table = getattr(registry, kind)
    return {
        name: (inspect.getdoc(table.get(name)) or "").partition("\n")[0] for name in table.names()
    }
