"""A bare Debian in a folder, for packages.t and boot.t.  Not a test."""
import os, subprocess, sys
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow"))
import tm

MIRROR = os.environ.get("MIRROR", "http://deb.debian.org/debian")
DEVICES = (("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9))


def run(*argv, text=None, check=True, limit=600):
    r = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=limit)
    if check and r.returncode:
        tm.diag(f"{' '.join(argv)}: {r.returncode}\n{r.stdout[-3000:]}{r.stderr[-3000:]}")
    return r


def install(root, what, **how):
    """Packages of the archive, or files of the root, by its own apt."""
    return run("chroot", root, "sh", "-c", "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy "
               "--no-install-recommends " + what, **how)


def bare(root, cache, include, more=""):
    """Nothing of ours: from the archive, or as a former run has left it in `cache`; `more` is what debootstrap
    cannot resolve.  Ends the test as skipped where there is no archive."""
    if not os.path.exists(cache):
        if run("debootstrap", "--variant=minbase", "--include=" + include, "bookworm", root, MIRROR, limit=3000).returncode:
            tm.skip_all("no Debian to be had from " + MIRROR)
        if more:
            install(root, more)
        if run("tar", "-C", root, "--exclude=./dev/*", "--exclude=./proc/*", "-cf", cache + ".new", ".").returncode == 0:
            os.rename(cache + ".new", cache)
        return
    os.mkdir(root)
    run("tar", "-C", root, "-xf", cache)
    for name, minor in DEVICES:
        if not os.path.exists(f"{root}/dev/{name}"):
            os.mknod(f"{root}/dev/{name}", 0o20666, os.makedev(1, minor))
            os.chmod(f"{root}/dev/{name}", 0o666)
