from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_holds_and_stats")]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="machine",
            field=models.JSONField(default=dict, help_text="what its engine will find: {device, name, vram_bytes, …}"),
        ),
    ]
