"""A disk of a few MiB under a directory that is there already, to be filled. Needs root."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BALLAST = "ballast"


def possible() -> bool:
    """Whether such a disk can be had here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def small_disk(directory: Path, size: int) -> Iterator[Path]:
    """Moves a directory onto a disk of so many MiB, and leaves a link in its place; unmounted in any case."""
    mount = directory.with_name(f"{directory.name}.disk")
    mount.mkdir()
    was = directory.stat()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", mount], check=True)  # noqa: S607  # as the system finds it
    try:
        os.chown(mount, was.st_uid, was.st_gid)
        mount.chmod(was.st_mode & 0o7777)
        subprocess.run(["cp", "-a", f"{directory}/.", mount], check=True)  # noqa: S607  # as the system finds it
        shutil.rmtree(directory)
        directory.symlink_to(mount)
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)  # noqa: S607  # a process of ours may still be ending


def fill(directory: Path) -> int:
    """Leaves no room; returns how many bytes that took."""
    written = 0
    with (directory.resolve() / BALLAST).open("ab", buffering=0) as file:
        for size in (1024 * 1024, 4096):
            try:
                while True:
                    written += file.write(b"\0" * size)
            except OSError:
                continue
    return written


def free(directory: Path) -> None:
    """Makes the room free again."""
    (directory.resolve() / BALLAST).unlink(missing_ok=True)
