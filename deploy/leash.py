"""Runs a program that ends when its starter does, even when the starter is killed.

Run as a script, it becomes the program: `leash.py PARENT_PID SIGNAL USER -- PROGRAM ARGUMENT…`.
USER is a name, or `-` for the present one. Linux sends the signal (PR_SET_PDEATHSIG, prctl(2));
other systems know nothing like it, and there the program merely runs.
"""

import ctypes
import os
import pwd
import resource
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Change the user, tie the leash, become the program."""
    parent, signal, user, _, *command = sys.argv[1:]
    if user != "-":
        _become(user)
    if sys.platform == "linux":  # after the change of user, which unties it
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal))
    if os.getppid() != int(parent):
        sys.exit("The starter ended before the leash was tied.")
    _allow_open_files()
    os.execvp(command[0], command)


def _become(user: str) -> None:
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _allow_open_files() -> None:
    """Raise the soft limit: each charge point is a socket in the gateway and two in Envoy."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
