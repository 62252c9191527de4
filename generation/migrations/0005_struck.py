from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("generation", "0004_gallery"),
    ]

    operations = [
        migrations.AddField(
            model_name="generation",
            name="struck",
            field=models.JSONField(default=list, help_text="which of the pictures the user cancelled one by one"),
        ),
    ]
