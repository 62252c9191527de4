"""Where the local services keep their data and their sockets. Paths only: starts nothing, imports no Django.

The addresses follow from the state directory alone: a shell beside a running studio finds the same services.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

# Both servers put a socket here; the kernel allows 107 bytes for the whole path, however deep the state lies.
RUN_ROOT = Path("/tmp")
# Root's Postgres data goes here when an unprivileged account cannot walk down to the state directory.
ROOT_DATA = Path("/var/lib/isengard")
DATABASE = "isengard"


@dataclass(frozen=True)
class StatePaths:
    """Every file of one state directory (`state` is absolute). Two directories or two users never share a path."""

    state: Path

    @classmethod
    def of(cls, folder: str | Path) -> "StatePaths":
        return cls(Path(folder).expanduser().resolve())

    @property
    def key(self) -> str:
        """Short, stable name of this directory for this user."""
        return hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]

    @property
    def run(self) -> Path:
        return RUN_ROOT / f"isengard-{os.geteuid()}-{self.key}"

    @property
    def postgres_socket(self) -> Path:
        return self.run / "pg"

    @property
    def redis_socket(self) -> Path:
        return self.run / "redis" / "redis.sock"

    @property
    def root_data(self) -> Path:
        return ROOT_DATA / self.key

    @property
    def database_url(self) -> str:
        return f"postgresql://{DATABASE}@/{DATABASE}?host={self.postgres_socket}"

    @property
    def redis_url(self) -> str:
        return f"unix://{self.redis_socket}?db=0"

    def file(self, name: str) -> Path:
        return self.state / name
