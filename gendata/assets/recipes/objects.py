"""Make the embedded pack of objects from models of Sweet Home 3D's contributors.

The Debian package `sweethome3d-furniture` holds archives of .obj files under CC0 and CC-BY. The
chosen ones are joined, simplified, their textures made smaller, and written as .glb files, one
folder for each class. Blender does that: `pip install gendata[render]`.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import click

from gendata.assets.recipes.card import sha256_of, write_card
from gendata.assets.recipes.objects_chosen import ARCHIVES, CHOSEN, Chosen
from gendata.files import write_text

SCRIPT = "gendata.assets.recipes.objects"
ORIGIN = "https://www.sweethome3d.com/importModels.jsp (Debian package sweethome3d-furniture)"
INTRODUCTION = """\
# Where the objects come from

{count} models made by others, from the archives of 3D models of Sweet Home 3D
({site}), as Debian's package `sweethome3d-furniture`
ships them. All were changed: their parts joined, their faces reduced to at most {faces} triangles,
their textures to at most {side} pixels, and converted to glTF. Licences:
[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/),
[CC-BY 3.0](https://creativecommons.org/licenses/by/3.0/),
[CC-BY 3.0 US](https://creativecommons.org/licenses/by/3.0/us/).

| object | title | author | licence | source |
|---|---|---|---|---|
"""


def unpacked(chosen: Chosen, source: Path, folder: Path) -> Path:
    """Unpacks a model's folder, with only the parts wanted, and returns its .obj file."""
    with zipfile.ZipFile(source / ARCHIVES[chosen.archive].file) as archive:
        inside = [name for name in archive.namelist() if name.startswith(f"{chosen.model}/")]
        archive.extractall(folder, inside)
    path = folder / chosen.model / f"{Path(chosen.model).name}.obj"
    if chosen.parts:
        path.write_text(only_parts(path.read_text("latin-1"), chosen.parts), "latin-1")
    return path


def only_parts(text: str, parts: tuple[str, ...]) -> str:
    """Drops the faces of an .obj file's other objects; vertices stay, for faces count them."""
    kept, wanted = [], False
    for line in text.splitlines():
        if line.startswith("o "):
            wanted = line[2:].strip() in parts
        if wanted or not line.startswith("f "):
            kept.append(line)
    return "\n".join(kept) + "\n"


def origin_of(chosen: Chosen, source: Path) -> dict[str, str]:
    """Reads a model's title, author and address out of its archive's list and its own page."""
    terms = ARCHIVES[chosen.archive]
    model = f"/{chosen.model}/{Path(chosen.model).name}.obj"
    with zipfile.ZipFile(source / terms.file) as archive:
        catalogue = archive.read("PluginFurnitureCatalog.properties").decode("latin-1")
        (row,) = set(re.findall(rf"^model#(\d+)={re.escape(model)}\s*$", catalogue, re.MULTILINE))
        fields = dict(re.findall(rf"^(\w+)#{row}=(.*?)\s*$", catalogue, re.MULTILINE))
        inside = [name for name in archive.namelist() if name.startswith(f"{chosen.model}/")]
        pages = [archive.read(name).decode() for name in inside if name.endswith(".html")]
    address = re.search(r"https?://www\.blendswap\.com/blends/view/\d+", "".join(pages))
    author = re.search(r'/users/view/[^"]*">([^<]+)</a>', "".join(pages))
    return {
        "title": fields["name"],
        "author": terms.author or html.unescape(author[1] if author else fields["creator"]),
        "licence": terms.licence,
        "source": address[0] if address else f"{terms.file}: {chosen.model}",
    }


def convert(jobs: list[dict[str, Any]], blender: str) -> list[dict[str, Any]]:
    """Has Blender write the objects."""
    script = Path(__file__).with_name("convert_objects.py")
    result = subprocess.run(
        [blender, str(script)],
        input=json.dumps(jobs),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    return json.loads(result.stdout.splitlines()[-1])


@click.command()
@click.option("--source", default="/usr/share/sweethome3d/furniture", show_default=True)
@click.option("--faces", default=3500, show_default=True, help="Most triangles of an object.")
@click.option("--side", default=256, show_default=True, help="Longest side of a texture, pixels.")
@click.option("--blender", default=sys.executable, help="A Python that has Blender's bpy.")
@click.option("--out", default=str(Path(__file__).parents[1] / "objects"), show_default=True)
def main(source: str, faces: int, side: int, blender: str, out: str) -> None:
    """Write CLASS/NAME.glb, ATTRIBUTION.md and card.json."""
    folder = Path(out)
    with tempfile.TemporaryDirectory() as work:
        made, jobs = Path(work) / "objects", []
        for number, each in enumerate(CHOSEN):
            path = made / each.label / f"{each.name}.glb"
            path.parent.mkdir(parents=True, exist_ok=True)
            model = unpacked(each, Path(source), Path(work) / str(number))
            job = {"source": str(model), "out": str(path), "faces": faces, "side": side}
            jobs.append({"key": f"{each.label}/{each.name}", **job})
        results = convert(jobs, blender)
        write_attribution(made, Path(source), faces, side)
        write_objects_card(made, faces, side, [each["triangles"] for each in results])
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
    for each, result in zip(CHOSEN, results, strict=True):
        click.echo(f"{each.label}/{each.name}: {result['triangles']} {'; '.join(result['notes'])}")


def write_attribution(folder: Path, source: Path, faces: int, side: int) -> None:
    """Writes ATTRIBUTION.md: a line for every object."""
    text = INTRODUCTION.format(count=len(CHOSEN), site=ORIGIN.split()[0], faces=faces, side=side)
    for each in CHOSEN:
        about = origin_of(each, source)
        parts = f" (of it: {', '.join(each.parts)})" if each.parts else ""
        text += (
            f"| {each.label}/{each.name} | {about['title']}{parts} | {about['author']} "
            f"| {about['licence']} | {about['source']} |\n"
        )
    write_text(folder / "ATTRIBUTION.md", text)


def write_objects_card(folder: Path, faces: int, side: int, triangles: list[int]) -> None:
    """Writes card.json."""
    names = [f"{each.label}/{each.name}.glb" for each in CHOSEN]
    write_card(
        folder,
        title="Objects of twelve classes to render",
        origin=ORIGIN,
        licence="CC0-1.0 AND CC-BY-3.0 AND CC-BY-3.0-US",
        licence_text="ATTRIBUTION.md",
        training_data=None,
        script=SCRIPT,
        command=f"python -m {SCRIPT} --faces {faces} --side {side}",
        settings={"faces": faces, "side": side},
        figures={
            "objects": len(CHOSEN),
            "objects per class": dict(Counter(each.label for each in CHOSEN)),
            "triangles, most": max(triangles),
            "triangles, all": sum(triangles),
        },
        files={name: sha256_of(folder / name) for name in names},
    )


if __name__ == "__main__":
    main()
