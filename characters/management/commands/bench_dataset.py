"""`manage.py bench_dataset`: the dataset's pages and bulk changes on 1,000, 100,000 and a million photos."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from characters.browse import bench

ROWS = [1_000, 100_000, 1_000_000]


class Command(BaseCommand):
    help = "Measures the dataset in a database of its own, which is dropped afterwards; yours is not touched."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="how many photos, one run for each")
        parser.add_argument("--json", type=Path, help="write the figures here, too")

    def handle(self, *args: Any, **options: Any) -> None:
        figures = []
        for rows in options["rows"]:
            load = os.getloadavg()[0]
            self.stderr.write(f"{rows:,} photos; load {load:.1f} when it began")
            figures += self._measured(rows)
        self.stdout.write("Milliseconds on the server: median / p95 (processor time).\n")
        self.stdout.write(bench.table(figures))
        if options["json"]:
            options["json"].write_text(bench.as_json(figures), encoding="utf-8")

    def _measured(self, rows: int) -> list[bench.Figure]:
        ours = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
        try:
            return bench.measure(rows)
        finally:
            connection.creation.destroy_test_db(ours, verbosity=0)
