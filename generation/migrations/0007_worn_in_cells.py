"""Which LoRAs a picture wears, where they are not those of its request: the cells of grids."""

from typing import Any

from django.contrib.postgres.indexes import GinIndex
from django.db import migrations, models


def fill(apps: Any, schema_editor: Any) -> None:
    """The pictures that were drawn before; each cell is remembered in its request."""
    generations = apps.get_model("generation", "Generation").objects.exclude(axes=[]).only("pk", "variants")
    outputs = apps.get_model("generation", "Output").objects
    for generation in generations.iterator(chunk_size=200):
        rows = list(outputs.filter(generation=generation).only("pk", "index"))
        cells = {row: generation.variants[row.index] for row in rows if row.index < len(generation.variants)}
        for row, cell in cells.items():
            row.worn = [entry["id"] for entry in cell["loras"]] if "loras" in cell else None
        outputs.bulk_update(cells, ["worn"])


class Migration(migrations.Migration):
    dependencies = [("generation", "0006_worn_beside")]

    operations = [
        migrations.AddField(
            model_name="output",
            name="worn",
            field=models.JSONField(help_text="keys of its LoRAs, where they are not those of its request", null=True),
        ),
        migrations.AddIndex(
            model_name="output",
            index=GinIndex(
                condition=models.Q(("worn__isnull", False)),
                fields=["worn"],
                name="output_wears",
                opclasses=["jsonb_path_ops"],
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
