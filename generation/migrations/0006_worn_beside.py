from django.contrib.postgres.indexes import GinIndex
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("generation", "0005_struck"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="generation",
            index=GinIndex(fields=["more_loras"], name="generation_wears_too", opclasses=["jsonb_path_ops"]),
        ),
    ]
