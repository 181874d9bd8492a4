"""What setup knows of the host that it runs on: programs, files and their modes, secrets, systemd.

Everything that it changes goes through `put`, which says what it does and does nothing when that is done
already: a second run is silent.  What stops it is a Stop, in words for an administrator."""
import difflib
import grp
import os
import pwd
import secrets
import shutil
import subprocess
import sys

CONF = "/etc/tiermail/tiermail.conf"
RUN = "/run/tiermail"
SHARE = "/usr/share/tiermail"
LIBEXEC = "/usr/lib/tiermail"
GROUP = "tiermail"
TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# daemon: its role's names, and the user as whom its unit runs it
DAEMONS = {
    "stored": ("store", "tm-store"), "lmtpd": ("store", "tm-lmtp"), "imapd": ("store", "tm-imap"),
    "pop3d": ("store", "tm-pop3"), "jmapd": ("store", "tm-jmap"), "sieved": ("store", "tm-sieve"),
    "jobctl": ("relay", "tm-queue"), "smtp-relay": ("relay", "tm-relay"), "piped": ("relay", "tm-pipe"),
    "mmpd": ("proxy", "tm-proxy"), "memd": ("web", "tm-web"), "admind": ("admin", "tm-admin"),
}
# Without which a host does not play that role; imapd, pop3d, jmapd, sieved and piped come in packages of their own.
NEEDED = {"store": ("stored", "lmtpd"), "relay": ("jobctl", "smtp-relay"), "proxy": ("mmpd",), "web": ("memd",), "admin": ("admind",)}
# What their units give them.
CAPABILITIES = {"piped": ("setuid", "setgid", "kill"), "stored": (), "jobctl": ()}


class Stop(Exception):
    """Said to the administrator; nothing is done after it."""

    def __init__(self, words, code=1):
        super().__init__(words)
        self.code = code


def say(words=""):
    """Octets of a file that are no UTF-8 go out as they came in."""
    sys.stdout.flush()
    sys.stdout.buffer.write((words + "\n").encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


acts = []


def act(words):
    """Says what is being done: a second run has nothing to say."""
    acts.append(words)
    say(words)


def run(argv, text=None, **how):
    """A program's (exit code, standard output, standard error)."""
    how.setdefault("env", {**os.environ, "LC_ALL": "C.UTF-8"})
    try:
        r = subprocess.run(argv, input=text, capture_output=True, text=True, errors="replace", timeout=600, **how)
    except OSError as e:
        return 127, "", str(e)
    except subprocess.TimeoutExpired as e:
        return 124, "", "it has not ended after %d s" % e.timeout
    return r.returncode, r.stdout, r.stderr


def demand(argv, text=None, **how):
    """Its standard output; it must not fail."""
    code, out, err = run(argv, text, **how)
    if code:
        raise Stop("%s: %s" % (os.path.basename(argv[0]), (err or out).strip() or "exit code %d" % code))
    return out


def program(name):
    """Where it is, or None: of BINDIR, where we are installed, or on the path."""
    places = [LIBEXEC, "/usr/sbin", "/usr/bin", *os.environ.get("PATH", "").split(":"), "/usr/local/sbin", "/sbin"]
    if os.environ.get("BINDIR"):
        places.insert(0, os.environ["BINDIR"])
    return shutil.which(name, path=":".join(places))


def sample(name):
    """A file of /usr/share/tiermail, or of conf/ in the source."""
    for top in (SHARE, os.path.join(TREE, "conf")):
        if os.path.exists(os.path.join(top, name)):
            return os.path.join(top, name)
    raise Stop("no %s in %s: the package tiermail-ldap-schema is missing" % (name, SHARE))


def systemd():
    return os.path.isdir("/run/systemd/system")


def installed():
    """The daemons that are there, the store's first."""
    return [d for d in DAEMONS if program(d)]


def group_id():
    """The group of all daemons, or None where there is none."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None


def user_of(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def identity(daemon):
    """Keywords of subprocess that make of root the user and group of a daemon's unit, where there are such."""
    user, group = user_of(DAEMONS[daemon][1]), group_id()
    return {"user": user.pw_uid, "group": group, "extra_groups": []} if user and group and os.getuid() == 0 else {}


def read(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except FileNotFoundError:
        return None
    except OSError as e:
        raise Stop("%s: %s" % (path, e.strerror)) from e


def diff(path, old, new):
    return "".join(difflib.unified_diff((old or "").splitlines(True), new.splitlines(True), path, path + " (new)"))


def folder(path, mode=0o755, owner=None):
    """Makes it; one that is there stays as it is."""
    if os.path.isdir(path):
        return
    act("makes %s" % path)
    os.makedirs(path)
    os.chmod(path, mode)
    if owner and os.getuid() == 0:
        os.chown(path, owner.pw_uid, owner.pw_gid)


def put(path, text, mode, shared=True, owner=None, said=True):
    """Writes a file as a whole, root's or `owner`'s and, when `shared`, for the daemons' group; True when that changed it.
    The mode and owner of one that is there stay.  What somebody else has laid in the way of the new one, who may write
    into the folder, is not followed."""
    old = read(path)
    if old == text:
        return False
    if said:
        act("%s %s" % ("writes" if old is None else "changes", path))
    if os.path.lexists(path + ".new"):
        os.unlink(path + ".new")
    with open(path + ".new", "w", encoding="utf-8", errors="surrogateescape",
              opener=lambda p, flags: os.open(p, flags | os.O_EXCL | os.O_NOFOLLOW, 0o600)) as f:
        if old is not None:
            st = os.stat(path)
            mode, uid, gid = st.st_mode & 0o7777, st.st_uid, st.st_gid
        elif owner:
            uid, gid = owner.pw_uid, owner.pw_gid
        else:
            uid, gid = os.getuid(), (group_id() if shared else None) or os.getgid()
        if os.getuid() == 0:
            os.fchown(f.fileno(), uid, gid)
        os.fchmod(f.fileno(), mode)
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    os.rename(path + ".new", path)
    return True


def first_line(path, option):
    """The secret in a file that was named by an option."""
    text = read(path)
    if text is None:
        raise Stop("%s: there is no file %s" % (option, path), 64)
    line = text.split("\n")[0].rstrip("\r")
    if not line:
        raise Stop("%s: the first line of %s is empty" % (option, path), 64)
    return line


def secret(path, mode=0o640):
    """The first line of a file of secrets; a new one has a password that nobody has seen."""
    text = read(path)
    if text is None:
        text = secrets.token_urlsafe(18)
        put(path, text, mode, shared=mode & 0o040)
    return text.split("\n")[0]


def ask(question, default="", check=lambda word: None):
    """A line of an administrator; asked again as long as `check` has words against it."""
    while True:
        try:
            word = input("%s%s: " % (question, " [%s]" % default if default else "")).strip() or default
        except EOFError:
            raise Stop("nobody answers; say it by options: --help") from None
        wrong = check(word) if word or not default else None
        if not wrong:
            return word
        say("  " + wrong)


def agree(question):
    return ask(question + " (yes or no)", "no", lambda w: None if w in ("yes", "no") else "yes or no") == "yes"


def complain(words):
    print("tiermail-setup: %s" % words, file=sys.stderr, flush=True)
