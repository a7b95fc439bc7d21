"""What a clone's sampler said of its images: columns that go with them into an export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from gendata.images.row_groups import RowGroups

__all__ = ["Columns"]


class Columns:
    """Columns of a clone beside its own, read a row group at a time.

    Args:
        groups: where the rows lie.
        schema: names and types of the columns.
        features: by column, what Hugging Face `datasets` calls its type.
    """

    def __init__(
        self, groups: RowGroups, schema: pa.Schema, features: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.groups, self.schema, self.features = groups, schema, features
        self._held: tuple[int, list[dict[str, Any]]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:  # without the rows that are held
        return Columns, (self.groups, self.schema, self.features)

    def row(self, number: int) -> dict[str, Any]:
        """Returns the values of one row of the clone.

        Raises:
            GendataError: its file is damaged.
        """
        group, place = self.groups.find(number)
        if self._held is None or self._held[0] != group:
            self._held = group, self.groups.read(group, self.schema.names).to_pylist()
        return self._held[1][place]

    @property
    def pictures(self) -> list[str]:
        """The columns that hold image files, as a clone's column `image` does."""
        return [name for name in self.schema.names if self.features[name].get("_type") == "Image"]
