#!/usr/bin/env python3
"""What is installed is packaged, and every daemon has a unit.

Each file of `make install` is in one package's list (scripts/debian/NAME.install), and each line there
finds some; each program that listens has a unit with a user that is made for it; where systemd-analyze(1)
is, it finds the units right, and closed enough."""
import fnmatch, glob, os, re, shutil, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

os.chdir(tm.TOP)
UNITS = "conf/systemd"


def text(path):
    with open(path) as f:
        return f.read()


def run(*argv, **env):
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, env={**os.environ, **env})


with tempfile.TemporaryDirectory(prefix="tm-") as top:
    r = run("scripts/install", B=os.path.dirname(tm.BINDIR), DESTDIR=top, PREFIX="/usr", CONFDIR="/etc/tiermail", RUNDIR="/run/tiermail",
            QUEUEDIR="/var/spool/tiermail", STOREDIR="/var/lib/tiermail", LIBEXEC="/usr/lib/tiermail", UNITDIR="/lib/systemd/system")
    tm.is_((r.returncode, r.stderr), (0, ""), "everything is installed")
    installed = [os.path.relpath(os.path.join(d, n), top) for d, _, names in os.walk(top) for n in names]
lines = [(os.path.basename(f)[:-8], line) for f in glob.glob("scripts/debian/*.install") for line in text(f).split()]
# etc/tiermail/FILE or a folder: what debhelper takes with a line
owners = {f: [p for p, line in lines if fnmatch.fnmatch(f, line) or f.startswith(line + "/")] for f in installed}
tm.is_(sorted(f"{f}: {p}" for f, p in owners.items() if len(p) != 1), [], "each file is in one package")
tm.is_([line for _, line in lines if not any(fnmatch.fnmatch(f, line) or f.startswith(line + "/") for f in installed)], [],
       "each line of a package's list is a file")
control = text("scripts/debian/control")
tm.is_(sorted({p for p, _ in lines} - set(re.findall(r"^Package: (.*)", control, re.M))), [], "the lists are of packages")
tm.is_(re.match(r"tiermail \((.*?)\)", text("scripts/debian/changelog"))[1], re.search(r"^VERSION := (.*)", text("Makefile"), re.M)[1],
       "they are of this version")

daemons = sorted(os.path.basename(p) for p in glob.glob(tm.BINDIR + "/*") if os.path.exists(f"conf/{os.path.basename(p)}.conf"))
daemons.remove("channel-master")  # jobctl's
daemons.remove("pabctl")          # a tool, with a file of its own
users = set(re.findall(r"^u (\S+)", text("conf/sysusers.d/tiermail.conf"), re.M))
added = set(re.findall(r"\b(\w+):\w+", re.search(r"for who in (.*); do", text("scripts/debian/tiermail-common.postinst"))[1]))
tm.is_({f"tm-{a}" for a in added}, users, "packages make the same users")
for d in daemons:
    path = f"{UNITS}/tiermail-{d}.service"
    if not tm.ok(os.path.exists(path), f"{d} has a unit"):
        continue
    unit = text(path)
    tm.ok(f"\nExecStart=/usr/sbin/{d} -c /etc/tiermail/{d}.conf\n" in unit and re.search(r"^User=(.*)", unit, re.M)[1] in users,
          "which starts it as its user")
tm.is_(sorted(re.search(r"^User=(.*)", text(f), re.M)[1] for f in glob.glob(UNITS + "/tiermail-*.service") if "Type=oneshot" not in text(f) and not f.endswith("/tiermail-storectl-serve.service")),
       sorted(users), "each has one of its own, but storectl serve, which is stored's right hand")
tm.is_([f for f in glob.glob(UNITS + "/*.timer") if not os.path.exists(f[:-6] + ".service")], [], "a timer has its service")
named = {w for f in glob.glob(UNITS + "/*.target") for w in re.findall(r"tiermail-[\w-]+\.service", text(f))}
tm.is_(sorted(w for w in named if not os.path.exists(f"{UNITS}/{w}")), [], "targets want units that there are")


def service(path):
    """The keys of [Service]."""
    return set(re.findall(r"^(\w+)=", text(path).partition("[Service]")[2].partition("\n[")[0], re.M))


# systemd.unit(5): the drop-in is read behind the unit, whatever the order in which people read them.
for path in sorted(glob.glob(UNITS + "/tiermail-*.service")):
    both = service(path) & service(UNITS + "/tiermail-.service.d/10-confine.conf") - {"ReadWritePaths"}
    tm.is_(sorted(both), [], f"{os.path.basename(path)} says nothing that the drop-in for all takes back")
    own = glob.glob(f"{UNITS}/{os.path.basename(path)}.d/*.conf")
    tm.is_(sorted({"CapabilityBoundingSet", "AmbientCapabilities", "RestrictAddressFamilies", "Restart"} - service(path).union(*map(service, own))), [],
           "and all that daemons differ in")

# The samples for hosts without systemd start what the units start.
def of_unit(d):
    unit = text(f"{UNITS}/tiermail-{d}.service") + "".join(text(f) for f in glob.glob(f"{UNITS}/tiermail-{d}.service.d/*"))
    return re.search(r"^User=(.*)", unit, re.M)[1], re.search(r"^AmbientCapabilities=(.*)", unit, re.M)[1].lower().replace("cap_", "").replace(" ", ",")


INIT = "conf/examples/init"
table = {d: (u, c) for d, u, c in re.findall(r"([\w-]+):(tm-\w+):([\w,]*)", re.search(r'table="(.*?)"', text(INIT + "/sysv/tiermail"), re.S)[1])}
served = [d for d in daemons if not d.endswith("-serve")]
tm.is_(table, {d: of_unit(d) for d in served}, "the sysv script has each daemon, its user and its capabilities")
cases = re.findall(r"^([\w-]+)\) tm_user=(\S+)(?: tm_caps=(\S*))? ;;", text(INIT + "/openrc/tiermail"), re.M)
dflt = re.search(r"^tm_caps=(\S+)", text(INIT + "/openrc/tiermail"), re.M)[1]
lines = text(INIT + "/openrc/tiermail")
tm.is_({d: (u, c if f"{d}) tm_user={u} tm_caps=" in lines else dflt) for d, u, c in cases}, {d: of_unit(d) for d in served}, "and so has OpenRC's")
shellcheck = shutil.which("shellcheck") and run("shellcheck", "-S", "warning", INIT + "/sysv/tiermail").stdout
tm.is_(shellcheck or "", "", "(which shellcheck finds nothing in)")

# What they signal as root is what they have started, whatever a daemon's user has written into its pid file.
tm.is_([f for f in glob.glob(INIT + "/*/tiermail") if re.search(r"kill [^\n]*\.pid", text(f))], [], "no sample signals what a daemon's file says alone")
if os.getuid() == 0 and shutil.which("start-stop-daemon"):
    with tempfile.TemporaryDirectory(prefix="tm-") as d:
        os.chmod(d, 0o755)
        script, daemon = text(INIT + "/sysv/tiermail"), d + "/imapd"
        for old, new in (("/usr/sbin/", d + "/"), ("etc=/etc/tiermail", "etc=" + d), ("run=/run/tiermail", "run=" + d), ("imapd:tm-imap:", "imapd:nobody:"),
                         ("-g tiermail ", "-g 0 ")):
            tm.ok(old in script, f"({old} in the sample)")
            script = script.replace(old, new)
        with open(daemon, "w") as f:
            f.write(f"#!/bin/sh\n[ $1 != -n ] || exit 0\ntrap 'touch {d}/told; exit' HUP\nwhile :; do sleep 0.1; done\n")
        os.chmod(daemon, 0o755)
        own, other = subprocess.Popen([daemon, "-c"], user="nobody"), subprocess.Popen([daemon, "-c"])
        for pid, told in ((other.pid, False), (own.pid, True)):
            with open(d + "/imapd.pid", "w") as f:
                f.write(f"{pid}\n")
            os.chown(d + "/imapd.pid", 65534, 65534)
            r = run("sh", "-c", script, "tiermail", "reload", "imapd")
            tm.is_((r.returncode == 0, other.poll()), (told, None), "sysv: a reload tells " + ("the daemon" if told else "no process of another user")) or tm.diag(r)
        tm.is_(own.wait(10) is not None, True, "which hears it")
        other.kill()
        other.wait()

if shutil.which("systemd-analyze"):
    with tempfile.TemporaryDirectory(prefix="tm-") as d:
        shutil.copytree(UNITS, d, dirs_exist_ok=True)
        where = {"SYSTEMD_UNIT_PATH": d + ":"}
        for unit in sorted(glob.glob(d + "/tiermail-*.service")):
            said = run("systemd-analyze", "verify", "--man=no", unit, **where).stderr
            wrong = [line for line in said.splitlines() if line.startswith(d) or "Unknown" in line]
            level = re.search(r"exposure level for .*: ([\d.]+)",
                              run("systemd-analyze", "security", "--offline=true", "--no-pager", unit, **where).stdout)
            # Programs of users need what no daemon of ours does: becoming them, devices, homes.
            # Ports below 1024 take a capability, which costs 0.2; sockets of systemd do not (below).
            most = 3.0 if "piped" in unit else 1.6 if "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n" in text(unit) else 1.5
            tm.ok(not wrong and level and float(level[1]) <= most, f"{os.path.basename(unit)} is right and closed ({level and level[1]})") \
                or tm.diag("\n".join(wrong))
        os.mkdir(d + "/tiermail-imapd.service.d")
        for f in glob.glob(INIT + "/sockets/*"):
            shutil.copy(f, d + "/tiermail-imapd.service.d" if f.endswith(".conf") else d)
        said = run("systemd-analyze", "verify", "--man=no", d + "/tiermail-imapd.service", *glob.glob(d + "/*.socket"), **where).stderr
        tm.is_([line for line in said.splitlines() if d in line or "Unknown" in line], [], "the sample with sockets is right")
        level = re.search(r"exposure level for .*: ([\d.]+)", run("systemd-analyze", "security", "--offline=true", "--no-pager", d + "/tiermail-imapd.service", **where).stdout)
        tm.ok(level and float(level[1]) <= 1.5, f"and closed enough ({level and level[1]})")
tm.done()
