"""The columns that a recipe's [fields] leaves in what is materialised, under the names that it gives them."""

from __future__ import annotations

from dataclasses import replace

from lakehouse.datasets.recipes.sections.fields import ALWAYS, Fields
from lakehouse.errors import RecipeError
from lakehouse.materialise.samples import SampleTable
from lakehouse.names import nearest
from loaders.format.fields import Field


def with_names(samples: SampleTable, fields: Fields) -> SampleTable:
    """Return the samples with the columns that were asked for, in their order.

    Raises:
        RecipeError: If a name is that of no column, two columns would have one, or outlines lose what cuts them.
    """
    known = [field.name for field in samples.fields]
    for name in fields.named:
        if name not in known:
            raise RecipeError(
                f"fields: there is no column {name!r}{nearest(name, known)}; there are "
                f"{', '.join(f'{field.name} ({field.type_name})' for field in samples.fields)}"
            )
    stay = [field for field in samples.fields if field.name in ALWAYS or _stays(field.name, fields)]
    names = {field.name: fields.rename.get(field.name, field.name) for field in stay}
    for new in names.values():
        if [*names.values()].count(new) > 1:
            raise RecipeError(f"fields.rename: {new!r} is the name of another column; choose another, or drop that")
    taken = {new for old, new in names.items() if new != old} & set(samples.rows.column_names)
    # Rows have columns that are not stored (places of objects, splits), which keep their names.
    left = [name for name in samples.rows.column_names if name in known and name not in names]
    rows = samples.rows.drop_columns(left)
    if clash := sorted(taken & set(rows.column_names) - set(names)):
        raise RecipeError(f"fields.rename: {clash[0]!r} is a name of the lake's own; choose another")
    rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    objects = {names[name]: place for name, place in samples.objects.items() if name in names}
    return SampleTable(rows, tuple(_named(field, names) for field in stay), objects)


def _stays(name: str, fields: Fields) -> bool:
    return name in fields.pick if fields.pick else name not in fields.drop


def _named(field: Field, names: dict[str, str]) -> Field:
    geometry = field.geometry
    if geometry is not None:
        for cut in (geometry.sizes, geometry.parts):
            if cut is not None and cut not in names:
                raise RecipeError(f"fields: column {field.name!r} is cut by {cut!r}; keep that, too")
        geometry = replace(
            geometry,
            of=names.get(geometry.of, geometry.of),
            sizes=None if geometry.sizes is None else names[geometry.sizes],
            parts=None if geometry.parts is None else names[geometry.parts],
        )
    return replace(field, name=names[field.name], geometry=geometry)
