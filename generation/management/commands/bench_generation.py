"""`manage.py bench_generation`: what the studio adds to a picture, from the click to the stored row."""

import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from generation import bench


class Command(BaseCommand):
    help = "Measures in a database and folders of its own, which are dropped afterwards; yours are not touched."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rounds", type=int, default=40, help="how many pictures")
        parser.add_argument("--json", type=Path, help="write every round's figures here, too")

    def handle(self, *args: Any, **options: Any) -> None:
        load, ours = os.getloadavg()[0], connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
        try:
            with tempfile.TemporaryDirectory(prefix="isengard-bench-") as folder:
                settings.VOLUME_ROOT = Path(folder)
                with bench.worker(Path(folder)):
                    rounds = bench.measure(options["rounds"])
        finally:
            connection.creation.destroy_test_db(ours, verbosity=0)
        self.stdout.write(bench.table(rounds, load))
        if options["json"]:
            options["json"].write_text(bench.as_json(rounds), encoding="utf-8")
