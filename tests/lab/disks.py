"""Disks that can be filled and frozen: each an ext4 of its own on a loop device, so that a fault hits one server only.

Law: a frozen disk is thawed before anything else is taken down, because whoever writes to it cannot even be killed; an
image's name carries the process that made it, so that the next run also removes what a killed run left behind.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import os
import re
from pathlib import Path

from everlease.lab.netns import PREFIX, require_root
from everlease.lab.processes import LabError, need, run

_numbers = itertools.count(1)
_living: set[Disk] = set()
_BLOCK = 4096


class Disk:
    """`path` is an empty ext4 of so many MiB, all of it root's to use; its image lies beside it in `folder`."""

    def __init__(self, folder: Path, label: str, megabytes: int = 256) -> None:
        need("mkfs.ext4", "mount", "umount", "fsfreeze", "losetup")
        require_root()
        sweep()
        folder.mkdir(parents=True, exist_ok=True)
        self.label = label
        name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}-{label}"
        self._image = folder / f"{name}.img"
        self.path = folder / name
        self.path.mkdir()
        with self._image.open("wb") as image:
            os.posix_fallocate(image.fileno(), 0, megabytes << 20)
        run(["mkfs.ext4", "-q", "-m", "0", str(self._image)])
        self._mount()
        _living.add(self)

    def _mount(self) -> None:
        run(["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.path)])

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"

    def fill(self) -> None:
        """Leave no block: whoever writes gets ENOSPC."""
        run(["sync", "--file-system", str(self.path)])  # blocks promised to files, but not given to them yet
        piece, end = 64 << 20, 0
        with self._ballast.open("ab") as ballast:
            while piece >= _BLOCK:
                try:
                    os.posix_fallocate(ballast.fileno(), end, piece)
                    end += piece
                except OSError as full:
                    if full.errno != errno.ENOSPC:
                        raise
                    piece //= 2

    def empty(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Writes and synchronising wait, reads go on: what a storage lock, or a stuck array, looks like."""
        run(["fsfreeze", "--freeze", str(self.path)])

    def thaw(self) -> None:
        """What waited is written; harmless to call twice."""
        _thaw(self.path)

    def spoil(self) -> None:
        """Have the kernel meet an error on it, and make it read-only until it is mended."""
        device = Path(run(["findmnt", "--noheadings", "--output", "SOURCE", str(self.path)]).strip())
        Path("/sys/fs/ext4", device.name, "trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """Check it and mount it anew; nobody may use it."""
        run(["umount", str(self.path)])
        run(["sh", "-c", f'e2fsck -fy "{self._image}" || [ $? = 1 ]'])  # 1: errors were found, and corrected
        self._mount()

    def close(self) -> None:
        """Remove it; whoever uses it must have ended. Harmless to call twice."""
        if self in _living:
            _living.discard(self)
            _remove(self.path, self._image)

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def sweep() -> None:
    """Remove the disks of runs that were killed."""
    for loop in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # detached just now
            image = Path(loop.read_text().strip())
            creator = re.match(rf"{PREFIX}-(\d+)-.*\.img$", image.name)
            if creator and not Path("/proc", creator[1]).exists():
                _remove(image.with_suffix(""), image)


def _thaw(path: Path) -> None:
    with contextlib.suppress(LabError):  # it was not frozen
        run(["fsfreeze", "--unfreeze", str(path)])


def _remove(path: Path, image: Path) -> None:
    _thaw(path)
    with contextlib.suppress(LabError):  # two runs sweep at the same moment
        run(["umount", "--lazy", str(path)])
    image.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.rmdir()


def _close_all() -> None:
    # Before processes are ended: one that waits for a frozen disk cannot be.
    for disk in list(_living):
        disk.close()


atexit.register(_close_all)
