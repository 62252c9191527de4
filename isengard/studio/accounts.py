"""Which account a local server runs as, and its folders. Postgres refuses root, so root lends it to another.

No account is created and no existing folder's mode is changed.
"""

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from isengard.studio.errors import StudioError


@dataclass(frozen=True)
class Account:
    """A user and group id; `switch` says whether this process has to change to it for a child."""

    uid: int
    gid: int
    switch: bool

    def options(self) -> dict[str, object]:
        """Keyword arguments for `subprocess` that start a child as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def can_enter(self, folder: Path) -> bool:
        """Whether this account can walk down to `folder`; asked of the kernel, so groups and ACLs count."""
        command = ["test", "-x", str(folder)]
        return subprocess.run(command, check=False, **self.options()).returncode == 0  # type: ignore[call-overload,no-any-return]


def database_account() -> Account:
    """Ourselves; for root, `postgres` or `nobody`."""
    if os.geteuid() != 0:
        _require_a_name(os.geteuid())
        return Account(os.geteuid(), os.getegid(), switch=False)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, switch=True)
    raise StudioError(
        "Postgres does not run as root and this machine has no user 'postgres' or 'nobody'. "
        "Start the studio as an ordinary user, or set DATABASE_URL to a Postgres of your own."
    )


def _require_a_name(uid: int) -> None:
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        raise StudioError(
            f"User id {uid} has no entry in /etc/passwd, which Postgres needs. "
            "Add one, start as another user, or set DATABASE_URL to a Postgres of your own."
        ) from error


def open_folder(folder: Path) -> Path:
    """Make `folder` and what is missing above it so that every account can walk through; existing modes stay."""
    if not folder.is_dir():
        open_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
    return folder


def private_folder(folder: Path, account: Account | None = None, mode: int = 0o700) -> Path:
    """Make `folder` for us (or for `account`); refuse one that somebody else put there before us."""
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise StudioError(
            f"Cannot create {folder} ({error.strerror}). Set STATE_DIR to a folder you can write."
        ) from error
    found = folder.lstat()
    wanted = account.uid if account else os.geteuid()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (wanted, os.geteuid()):
        raise StudioError(
            f"{folder} belongs to another user. Remove it, start as that user, or set STATE_DIR to another folder."
        )
    folder.chmod(mode)
    if account and found.st_uid != account.uid:
        os.chown(folder, account.uid, account.gid)
    return folder
