#!/usr/bin/env python3
"""tmctl config: what daemons run with, a key set when they accept it and not before, and what differs."""
import fcntl, json, os, re, signal, stat, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

sb = tm.Sandbox("--users", "1", "--metrics", "--moves")
ETC = os.path.dirname(sb.conf("imapd.conf"))


def tmctl(*args):
    r = sb.tool("tmctl", *args)
    return r.returncode, r.stdout.splitlines(), r.stderr


def read(name):
    with open(sb.conf(name)) as f:
        return f.read()


def write(name, text):
    with open(sb.conf(name), "w") as f:
        f.write(text)


def value(daemon, key):
    rows = [json.loads(l) for l in tmctl("-j", "-d", daemon, "config", "get", key)[1]]
    return rows[0]["value"] if rows else None


def rest():
    """What a trial or a file that is being written leaves behind."""
    return [n for n in os.listdir(ETC) if ".tmctl" in n]


# ---- get
rc, lines, _ = tmctl("-d", "imapd", "config", "get", "limit.clients")
tm.ok(rc == 0 and len(lines) == 1 and re.match(r"limit\.clients = \d+  # \S+$", lines[0]), "get: a key, and where it is from") or tm.diag(lines)
rc, lines, _ = tmctl("-d", "imapd,pop3d", "config", "get", "limit.")
tm.ok(len(lines) > 6 and all("limit." in l for l in lines), "all of a section")
names = {l.split(" = ")[0] for l in tmctl("-d", "imapd", "config", "get")[1]}
tm.ok({"log_level", "ldap.base", "drain_timeout"} <= names and any(re.match(r"\[listen \S+\]\.address$", n) for n in names), "all of a daemon")
with open("/proc/self/status") as f:
    tm.ok(sb.env["LDAP_BASE"] in "".join(tmctl("config", "get", "ldap.base")[1]), "of all daemons")
tm.is_(value("imapd", "ldap.password"), "(secret)", "a secret stays one")
tm.is_(tmctl("-d", "imapd", "config", "get", "no.such")[0], 1, "no such key: exit 1")
rows = [json.loads(l) for l in tmctl("-j", "config", "get", "log_level")[1]]
tm.ok(len(rows) > 5 and all(set(r) == {"from", "key", "value", "where"} for r in rows), "as JSON")

# ---- set
before = "# of the site\n" + read("imapd.conf").replace("sandbox\n", "sandbox\nlimit.per_user = 9   # as agreed\n", 1)
write("imapd.conf", before)
os.chmod(sb.conf("imapd.conf"), 0o640)
tm.is_(tmctl("-d", "imapd", "reload")[0], 0, "a file that somebody has written")
rc, lines, err = tmctl("-d", "imapd", "config", "set", "limit.per_user=7")
tm.is_((rc, lines, err), (0, ["ok"], ""), "set: accepted, written, reloaded")
tm.is_(read("imapd.conf"), before.replace("per_user = 9", "per_user = 7"), "one word of the file has changed")
tm.is_(stat.S_IMODE(os.stat(sb.conf("imapd.conf")).st_mode), 0o640, "its mode has not")
tm.is_(value("imapd", "limit.per_user"), "7", "imapd has it")
tm.is_(tmctl("-d", "imapd", "config", "set", "drain_timeout=9s", "limit.per_user=8")[0], 0, "two keys at once, one of them new")
tm.is_((value("imapd", "drain_timeout"), value("imapd", "limit.per_user")), ("9s", "8"), "both are there")
tm.is_(tmctl("-d", "imapd", "config", "unset", "drain_timeout")[0], 0, "unset")
tm.ok("drain_timeout" not in read("imapd.conf") and value("imapd", "drain_timeout") != "9s", "as if it had never been there")
good = read("imapd.conf")
for what, args, code, why in (
    ("a value that cannot be", ["limit.per_user=many"], 78, "imapd: " + ETC + "/imapd.conf:"),
    ("a good one beside a bad one", ["limit.per_user=3", "limit.clients=-"], 78, "limit.clients"),
    ("an unknown key", ["limit.clinets=3"], 78, "did you mean limit.clients"),
    ("no key at all", ["limit.per_user"], 64, "KEY=VALUE"),
    ("an odd name", ["a b=c"], 64, "no name of a key"),
    ("two lines", ["postmaster=a\nlog_level = debug"], 64, "control"),
    ("a listener at a place that is taken in the file", ["[listen other].address=" + value("imapd", next(n for n in names if n.endswith("].address")))], 78, "has it already"),
):
    rc, _, err = tmctl("-d", "imapd", "config", "set", *args)
    tm.ok(rc == code and why in err and ".tmctl" not in err, f"set: {what}: exit {code}") or tm.diag((rc, err))
    tm.is_((read("imapd.conf") == good, rest()), (True, []), "and nothing has changed")
rc, lines, err = tmctl("-d", "imapd", "config", "set", "limit.clients=4321", "core=yes")
tm.ok(rc == 0 and any("core" in l and "restart" in l for l in lines), "what needs a restart is said") or tm.diag((rc, lines, err))
tm.is_(tmctl("-d", "imapd", "config", "unset", "core")[0], 0, "taken back")

# ---- for all: every daemon that runs must accept it
shared = read("tiermail.conf")
rc, lines, err = tmctl("config", "set", "log_level=debug")
tm.ok(rc == 0 and len(lines) > 5 and set(l.split(": ")[1] for l in lines) == {"ok"}, "set without a daemon: tiermail.conf, and all reload it") or tm.diag((lines, err))
tm.is_({value(d, "log_level") for d in ("imapd", "stored", "smtp-relay")}, {"debug"}, "they have it")
tm.ok({"tmctl-serve", "storectl-serve"} <= {l.split(":")[0] for l in lines}, "also daemons that are a verb of a tool")
tm.is_(tmctl("config", "unset", "log_level")[0], 0, "and not")
write("tiermail.conf", shared)
rc, lines, err = tmctl("config", "set", 'hostname=two words')
tm.ok(rc == 78 and err.count("tiermail.conf:") > 5 and read("tiermail.conf") == shared, "what they refuse changes nothing")
rc, lines, err = tmctl("-d", "imapd", "config", "set", "log_level=warn")
tm.is_((rc, value("imapd", "log_level"), value("pop3d", "log_level")), (0, "warn", "info"), "a key of all for one alone: in its own file")
rc, lines, err = tmctl("config", "set", "log_level=error")
tm.ok(rc == 0 and "log_level: of imapd," in err and "wins" in err, "for all then: said of whom it is not true") or tm.diag((rc, err))
write("tiermail.conf", shared)
write("imapd.conf", good)
tm.is_(tmctl("reload")[0], 0, "all as before")

# ---- a daemon that refuses after all: a certificate where its workers may not read
away = sb.dir + "/elsewhere"
os.makedirs(away)
for name in ("server.pem", "server.key"):
    with open(f"{sb.dir}/tls/{name}") as f, open(f"{away}/{name}", "w") as to:
        to.write(f.read())
rc, lines, err = tmctl("-d", "imapd", "config", "set", f"tls.certificate={away}/server.pem", f"tls.key={away}/server.key")
tm.ok(rc == 65 and "it is as it was before" in err, "a reload that refuses: exit 65") or tm.diag((rc, lines, err))
tm.ok(read("imapd.conf") == good and not rest(), "the file is as it was")
tm.is_(tmctl("-d", "imapd", "reload")[0], 0, "and the daemon content")

# ---- others who change it
fd = os.open(ETC, os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_EX)
tm.is_(tmctl("-d", "imapd", "config", "set", "limit.per_user=5")[0], 75, "one at a time: exit 75")
os.close(fd)
os.rename(sb.conf("imapd.conf"), ETC + "/imapd.real")
os.symlink(ETC + "/imapd.real", sb.conf("imapd.conf"))
tm.is_(tmctl("-d", "imapd", "config", "set", "limit.per_user=6")[0], 0, "a file that is a link")
tm.ok(os.path.islink(sb.conf("imapd.conf")) and "limit.per_user = 6 " in open(ETC + "/imapd.real").read(), "stays one, and what it leads to is changed")
tm.is_([tmctl(*a)[0] for a in (["-d", "nosuch", "config", "set", "a=b"], ["-d", "a,b", "config", "set", "a=b"], ["config"], ["config", "x"], ["config", "set"], ["-H", "x", "config", "set", "a=b"])],
       [66, 64, 64, 64, 64, 64], "mistakes")


# ---- what is so already, and what nobody knows
text = read("imapd.conf")
rc, lines, err = tmctl("-d", "imapd", "config", "set", "limit.per_user=6")
tm.is_((rc, lines, read("imapd.conf") == text), (0, ["ok"], True), "set to what it is: loaded all the same, for who was interrupted")
rc, lines, err = tmctl("-d", "imapd", "config", "unset", "limit.per_usr")
tm.ok(rc == 65 and "limit.per_usr: no such key" in err, "unset of no key that there is: exit 65") or tm.diag((rc, err))
write("imapd.conf", text.replace("limit.per_user", "limit.per_usr = 5\nlimit.per_user", 1))
tm.is_(tmctl("-d", "imapd", "config", "unset", "limit.per_usr")[0], 0, "of one in the file that nobody knows: gone, and the file is good again")
write("imapd.conf", text)

# ---- who does not answer, who is impatient, and who was killed
daemon = sb.pid("imapd")
os.kill(daemon, signal.SIGSTOP)
rc, lines, err = tmctl("-t", "1", "-d", "imapd", "config", "set", "limit.per_user=6")
os.kill(daemon, signal.SIGCONT)
tm.ok(rc == 69 and "no answer" in err, "a daemon that does not say whether it has loaded it: exit 69") or tm.diag((rc, lines, err))
os.mkdir(ETC + "/.tmctl-killed")
os.symlink("../imapd.conf", ETC + "/.tmctl-killed/imapd.conf")
for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    p = subprocess.Popen([sb.bin("tmctl"), "-c", sb.conf("tiermail.conf"), "config", "set", "log_level=debug"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    tm.ok(tm.wait_for(lambda: [n for n in rest() if not n.endswith("killed")]), "it tries")
    p.send_signal(sig)
    out, err = p.communicate(timeout=tm.LONG)
    tm.is_((p.returncode, out, rest(), read("tiermail.conf") == shared), (75, "", [], True), f"signal {sig}: nothing is left of it, nor of one that was killed") or tm.diag(err)

# ---- diff
tm.is_(tmctl("config", "diff")[:2], (0, []), "what runs is what the files say")
write("imapd.conf", read("imapd.conf").replace("limit.per_user = 6", "limit.per_user = 2"))
tm.is_(tmctl("config", "diff")[:2], (1, ["imapd: limit.per_user: running(6) file(2)"]), "a change that nobody has loaded: exit 1")
tm.is_([json.loads(l) for l in tmctl("-j", "-d", "imapd", "config", "diff")[1]], [{"from": "imapd", "key": "limit.per_user", "running": "6", "file": "2"}], "as JSON")
tm.is_(tmctl("-d", "imapd", "reload")[0], 0, "loaded")
tm.is_(tmctl("config", "diff")[:2], (0, []), "nothing differs")
tm.done()
