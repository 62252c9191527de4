"""`manage.py doctor`: versions, services, disk, GPU, models, workers; what is wrong, its fix, and exit code 1."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from isengard.studio.diagnosis import Finding, examine


class Command(BaseCommand):
    help = "Says what this installation consists of and what is wrong with it."
    requires_system_checks: list[str] = []  # they are part of the report

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(examine())
        wrong = [finding for finding in findings if finding.wrong]
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not wrong, "findings": [asdict(finding) for finding in findings]}))
        else:
            self._print(findings, len(wrong))
        if wrong:
            sys.exit(1)

    def _print(self, findings: list[Finding], wrong: int) -> None:
        for finding in findings:
            self.stdout.write(f"{'WRONG' if finding.wrong else 'ok':<6}{finding.name:<20}{finding.value}")
            if finding.fix:
                self.stdout.write(f"{'':<6}{'':<20}-> {finding.fix}")
        self.stdout.write("Nothing is wrong." if not wrong else f"{wrong} wrong, see above.")
