"""Which models the embedded pack of objects takes, chosen by eye from contact sheets.

Left out were toys of other things (a rocking horse, a motorbike on a spring), near copies, and
bouquets that lose their shape at a few thousand faces.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ARCHIVES", "CHOSEN", "Archive", "Chosen"]


class Archive(NamedTuple):
    """A file of the Debian package and its terms; an author where all of it is one's."""

    file: str
    licence: str
    author: str | None


class Chosen(NamedTuple):
    """A model: its class, its name in the pack, where it lies, and its parts (none: all)."""

    label: str
    name: str
    archive: str
    model: str
    parts: tuple[str, ...] = ()


ARCHIVES = {
    "cc0": Archive("BlendSwap-CC-0.sh3f", "CC0-1.0", None),
    "by": Archive("BlendSwap-CC-BY.sh3f", "CC-BY-3.0", None),
    "kator": Archive("KatorLegaz.sh3f", "CC-BY-3.0-US", "Andrew Kator and Jennifer Legaz"),
    "reallusion": Archive("Reallusion.sh3f", "CC-BY-3.0-US", "Reallusion"),
    "scopia": Archive(
        "Scopia.sh3f",
        "CC-BY-3.0",
        "Scopia Visual Interfaces Systems, s.l. and Emmanuel Puybaret / eTeks",
    ),
}

_TABLE = "scopia/ensemble-assiette-couteau-fourchette-cuillere-verre"

CHOSEN = (
    Chosen("aeroplane", "biplane", "cc0", "blendswap-cc-0/cartoon_biplane"),
    Chosen("bicycle", "bmx", "by", "blendswap-cc-by/bike"),
    Chosen("bicycle", "town", "scopia", "scopia/bicycle"),
    Chosen("bus", "city", "scopia", "scopia/cityBus"),
    Chosen("bus", "coach", "scopia", "scopia/bus"),
    Chosen("car", "beetle", "kator", "katorlegaz/VW-new-beetle"),
    Chosen("car", "chevrolet", "scopia", "scopia/chevrolet"),
    Chosen("car", "focus", "by", "blendswap-cc-by/fordFocus"),
    Chosen("car", "leon", "scopia", "scopia/seat_leon"),
    Chosen("car", "peugeot", "scopia", "scopia/peugeot-308"),
    Chosen("car", "scenic", "scopia", "scopia/renault-scenic"),
    Chosen("car", "sedan1", "kator", "katorlegaz/concept-sedan-01v2"),
    Chosen("car", "sedan2", "kator", "katorlegaz/concept-sedan-02"),
    Chosen("car", "smart", "scopia", "scopia/smart-car"),
    Chosen("car", "suv", "scopia", "scopia/suv"),
    Chosen("horse", "brown", "cc0", "blendswap-cc-0/horse2"),
    Chosen("horse", "tan", "by", "blendswap-cc-by/horse"),
    Chosen("knife", "chef", "by", "blendswap-cc-by/kitchenKnife"),
    Chosen("knife", "stand", "scopia", "scopia/kitchenKnifeStandSet", ("knife_Cube",)),
    Chosen("knife", "table1", "by", "blendswap-cc-by/knife"),
    Chosen("knife", "table2", "scopia", _TABLE, ("fork.002_Plane.002",)),
    Chosen(
        "knife",
        "table3",
        "kator",
        "katorlegaz/plate-and-ustensils",
        ("table_knife_table_knife_METAL_flatware.001",),
    ),
    Chosen("motorcycle", "scooter1", "kator", "katorlegaz/scooter"),
    Chosen("motorcycle", "scooter2", "scopia", "scopia/scooter2"),
    Chosen("motorcycle", "sport", "scopia", "scopia/yamaha-yzr-r6"),
    Chosen("person", "boy", "reallusion", "reallusion/boyStanding"),
    Chosen("person", "girl", "reallusion", "reallusion/girlStanding"),
    Chosen("person", "man1", "reallusion", "reallusion/male01"),
    Chosen("person", "man2", "reallusion", "reallusion/male02"),
    Chosen("person", "man3", "reallusion", "reallusion/male03"),
    Chosen("person", "man4", "kator", "katorlegaz/male-01-suit"),
    Chosen("person", "man5", "scopia", "scopia/mannequinMale"),
    Chosen("person", "woman1", "reallusion", "reallusion/female01"),
    Chosen("person", "woman2", "reallusion", "reallusion/female02"),
    Chosen("person", "woman3", "reallusion", "reallusion/female03"),
    Chosen("person", "woman4", "kator", "katorlegaz/female-01-casual-clothing"),
    Chosen("person", "woman5", "scopia", "scopia/mannequinBrunette"),
    Chosen("plant", "bonsai", "scopia", "scopia/bonsai-tree"),
    Chosen("plant", "broad", "by", "blendswap-cc-by/mediumIndoorPlant"),
    Chosen("plant", "cactus", "cc0", "blendswap-cc-0/cactus"),
    Chosen("plant", "decorative", "by", "blendswap-cc-by/decorativePlant"),
    Chosen("plant", "hanging", "cc0", "blendswap-cc-0/augalas"),
    Chosen("plant", "palm", "cc0", "blendswap-cc-0/plant"),
    Chosen("plant", "potted1", "scopia", "scopia/maceta"),
    Chosen("plant", "potted2", "cc0", "blendswap-cc-0/littlePlant"),
    Chosen("plant", "succulent", "by", "blendswap-cc-by/succulentPlant"),
    Chosen("plant", "yucca", "by", "blendswap-cc-by/yuccaPlant"),
    Chosen("skateboard", "skateboard", "scopia", "scopia/skateboard"),
    Chosen("train", "engine", "by", "blendswap-cc-by/toyTrain", ("1_Cube",)),
    Chosen("train", "toy", "by", "blendswap-cc-by/toyTrain"),
    Chosen("truck", "box", "scopia", "scopia/truck"),
    Chosen("truck", "daf", "by", "blendswap-cc-by/dafTruck"),
    Chosen("truck", "peterbilt", "cc0", "blendswap-cc-0/peterbilt"),
)
