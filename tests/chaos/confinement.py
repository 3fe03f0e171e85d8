"""A program that lets others run out of disk, unnoticed by the rest of the machine.

    python confinement.py hold FOLDER BYTES SUBFOLDER…
    python confinement.py enter PID COMMAND…
    python confinement.py limit BYTES PID…

`hold` opens a mount namespace, puts copies of the subfolders on a tmpfs of that size, lays them
over the originals and stays, so that they outlive whoever uses them. `enter` runs a command in
there. Root needs CAP_SYS_ADMIN for it; others open a user namespace too, where they may.

`limit` lets the files of running processes grow to so many bytes only (-1: without limit), which
everybody may do to processes of their own.
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

READY = "The disk is there."
ROOM = "small-disk"

_CLONE_NEWNS, _CLONE_NEWUSER = 0x0002_0000, 0x1000_0000  # sched.h
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x4_0000  # sys/mount.h
_LIBC = ctypes.CDLL(None, use_errno=True)


def hold(folder: Path, size: int, subfolders: list[str]) -> None:
    """Hold a small disk until killed."""
    _open_namespace()
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE)
    room = folder / ROOM
    room.mkdir(exist_ok=True)
    _mount("tmpfs", room, "tmpfs", 0, f"size={size}")
    for subfolder in subfolders:
        _copy(folder / subfolder, room / subfolder)
        _mount(str(room / subfolder), folder / subfolder, None, _MS_BIND)
    print(READY, flush=True)
    signal.pause()


def enter(holder: int, command: list[str]) -> None:
    """Become a command that sees the disk of a holder."""
    for kind in ("user", "mnt"):
        theirs = Path(f"/proc/{holder}/ns/{kind}")
        if theirs.readlink() != Path(f"/proc/self/ns/{kind}").readlink():
            with theirs.open() as namespace:
                _check(_LIBC.setns(namespace.fileno(), 0), kind)
    os.execvp(command[0], command)


def limit(size: int, pids: list[int]) -> None:
    """Limit the size of files; root may not do that to others without CAP_SYS_RESOURCE."""
    owner = Path(f"/proc/{pids[0]}").stat()
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))


def _open_namespace() -> None:
    if os.getuid() == 0:
        _check(_LIBC.unshare(_CLONE_NEWNS), "mount namespace")
        return
    user, group = os.getuid(), os.getgid()
    _check(_LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNS), "user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)
    owner = source.stat()
    for path in (target, *target.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def _mount(
    source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None
) -> None:
    words = (source, str(target), kind)
    encoded = (word.encode() if word else None for word in words)
    data = options.encode() if options else None
    _check(_LIBC.mount(*encoded, ctypes.c_ulong(flags), data), str(target))


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


if __name__ == "__main__":
    if sys.argv[1] == "hold":
        hold(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    elif sys.argv[1] == "limit":
        limit(int(sys.argv[2]), [int(pid) for pid in sys.argv[3:]])
    else:
        enter(int(sys.argv[2]), sys.argv[3:])
