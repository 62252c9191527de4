"""`manage.py bench_gallery`: the gallery's pages and bulk changes on 1,000 and 100,000 pictures."""

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from characters.browse.bench import Figure, table
from generation.gallery import bench

ROWS = [1_000, 100_000]


class Command(BaseCommand):
    help = "Measures the gallery in a database of its own, which is dropped afterwards; yours is not touched."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, nargs="+", default=ROWS, help="how many pictures, one run for each")

    def handle(self, *args: Any, **options: Any) -> None:
        figures = []
        for rows in options["rows"]:
            self.stderr.write(f"{rows:,} pictures; load {os.getloadavg()[0]:.1f} when it began")
            figures += self._measured(rows)
        self.stdout.write("Milliseconds on the server: median / p95 (processor time).\n")
        self.stdout.write(table(figures, "pictures"))

    def _measured(self, rows: int) -> list[Figure]:
        ours = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
        try:
            return bench.measure(rows)
        finally:
            connection.creation.destroy_test_db(ours, verbosity=0)
