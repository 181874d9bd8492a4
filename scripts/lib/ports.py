"""Ports for sandboxes and tests that run beside one another.

A port that is free when it is chosen may be another's before its daemon listens, and again while a
daemon is restarted.  So each is kept for a directory, in one file for all of a user's sandboxes, for
as long as that directory is there.
"""
import fcntl
import json
import os
import random
import socket

KEPT = "/tmp/tiermail-ports-%d"


def quiet():
    """Those that no outgoing connection gets by itself, where the system leaves enough of them."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            first, last = map(int, f.read().split())
    except (OSError, ValueError):
        first, last = 32768, 60999
    found = [p for p in range(10000, 65000) if not first <= p <= last]
    return found if len(found) >= 5000 else range(10000, 65000)


def _free(host, port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


def reserve(directory, host, names, wanted):
    """{name: port}: those of `wanted` that are free and nobody else's, and others for the rest."""
    fd = os.open(KEPT % os.getuid(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "r+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        try:
            kept = {p: d for p, d in json.load(f).items() if os.path.isdir(d)}
        except ValueError:
            kept = {}
        choice, ports = quiet(), {}
        for name in names:
            port = wanted.get(name)
            while not port or port in ports.values() or kept.get(str(port), directory) != directory or not _free(host, port):
                port = random.choice(choice)
            ports[name] = port
        # A test may have others under the same directory.
        kept.update((str(p), directory) for p in ports.values())
        f.seek(0)
        f.truncate()
        json.dump(kept, f)
    return ports
