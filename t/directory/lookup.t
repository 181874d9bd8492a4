#!/usr/bin/env python3
"""The directory library against a real slapd: what is found, what is refused, outages, speed.

Asks through t/tools/dirtool, one process for the life of the test.
"""
import os, re, signal, subprocess, sys, time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

TOOL = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/dirtool")
if not os.access(TOOL, os.X_OK):
    tm.skip_all("t/tools/dirtool is not built")

without = [w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd")
           for w in ("--without", d)]
sb = tm.Sandbox("--users", "10000", *without)
LATE = int(1000 * tm.SLOW)  # ms after which a search is given up here


class Tool:
    """dirtool: lines in, answers by number."""

    def __init__(self):
        self.p = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                  stderr=open(os.path.join(sb.dir, "dirtool.log"), "a"),
                                  env={**os.environ, **sb.env}, bufsize=1)
        self.n, self.early = 0, {}

    def send(self, line):
        self.n += 1
        self.p.stdin.write(line + "\n")
        self.p.stdin.flush()
        return self.n

    def answer(self, n):
        while n not in self.early:
            line = self.p.stdout.readline()
            if not line:
                raise SystemExit("Bail out!  dirtool has died")
            k, _, rest = line.partition(" ")
            fields = dict(re.findall(r"(\w+)=((?:(?<=text=).*)|\S+)", rest.strip()))
            self.early[int(k)] = fields
        return self.early.pop(n)

    def ask(self, line):
        return self.answer(self.send(line))


def check(line, what, **want):
    got = t.ask(line)
    return tm.is_({k: got.get(k) for k in want}, want, what) and got


def slapd(sig):
    pid = sb.pid("slapd")
    os.kill(pid, sig)
    return pid


t = Tool()
d = sb.domain

# ---- domains and users
check(f"domain {d.upper()}", "a domain in any case", v="2.1.5", domain=d, dstatus="active")
check("domain alias." + d, "a name of a domain leads to its canonical one", v="2.1.5", domain=d)
check("domain elsewhere.test", "a domain that is not ours", v="5.1.2", domain=None)
check(f"rcpt user0001@{d}", "a user", v="2.1.5", account=f"user0001@{d}", alias="0",
      status="active", delivery="1", addresses="2", mailhost="mail." + d, quota="-2")
check(f"rcpt ALIAS0002@{d}", "by another address", v="2.1.5", account=f"user0002@{d}", alias="1")
check(f"rcpt alias0002@alias.{d}", "by another address and another name of the domain",
      v="2.1.5", account=f"user0002@{d}", domain=d, alias="1")
check(f"rcpt user0003+list.a@{d}", "with a subaddress", v="2.1.5", account=f"user0003@{d}")
check(f"rcpt nobody@{d}", "no such user", v="5.1.1", domain=d, account=None)
check(f"rcpt +user0003@{d}", "a tag alone is nobody", v="5.1.1")
check("rcpt user0001@elsewhere.test", "a user elsewhere", v="5.1.2", domain=None)
check(f"rcpt nobody@second.{d}", "a catchall", v="2.1.5", account=f"catchall@second.{d}",
      alias="1", domain="second." + d)
check(f"rcpt user0001@second.{d}", "the same uid in another domain", v="2.1.5",
      account=f"user0001@second.{d}")
check(f"rcpt forward@{d}", "forwarding", delivery="2", forward=f"user0001@{d}")
check(f"rcpt full@{d}", "a quota", quota="1", status="active")
for s in ("disabled", "inactive", "hold", "overquota"):
    check(f"rcpt {s}@{d}", f"status {s}", v="2.1.5", status=s)

# ---- hostile names
for name in ("*", "*)(uid=*", "user0001)(|(uid=*", "\\2a", "user\x01", "a" * 5000, "\xff\xfe"):
    check(f"rcpt {name}@{d}", f"hostile local part {name[:20]!r}", v="5.1.1", account=None)
check("domain *", "a star is no domain", v="5.1.2")
check("domain " + "x" * 5000, "nor is a long word", v="5.1.2")

# ---- logins and passwords
pw = sb.password
check("login user0004", "a bare uid", v="2.1.5", account=f"user0004@{d}")
check(f"login alias0004@alias.{d}", "a login by address", v="2.1.5", account=f"user0004@{d}")
check("login alias0004", "a bare address is no uid but an address", account=f"user0004@{d}")
check("login user0004+x", "a login has no subaddress", v="5.1.1")
check(f"auth user0005 {pw}", "the right password", v="2.1.5", account=f"user0005@{d}")
check(f"auth USER0005@{d} {pw}", "by uid@domain", v="2.1.5", account=f"user0005@{d}")
wrong = check("auth user0006 wrong", "a wrong password", v="5.7.8", account=None)
unknown = check(f"auth nouser {pw}", "an unknown user", v="5.7.8", account=None)
foreign = check(f"auth user0001@elsewhere.test {pw}", "a login elsewhere", v="5.7.8", account=None)
empty = check("auth user0005 ", "no password", v="5.7.8", account=None)
if wrong and unknown and foreign and empty:
    tm.is_({a["text"] for a in (wrong, unknown, foreign, empty)}, {wrong["text"]},
           "all refusals have the same words")
    times = [int(a["us"]) for a in (wrong, unknown, foreign, empty)]
    tm.ok(min(times) >= 49000 and max(times) - min(times) < 30000 * tm.SLOW,
          "and take the same time")
    tm.diag("refusals took %s us" % times)
check(f"auth disabled {pw}", "the right password of a disabled user", v="5.7.13")
check("auth disabled wrong", "a wrong one tells nothing about the status", v="5.7.8")
check(f"auth overquota {pw}", "over quota one may log in", v="2.1.5")
before = int(t.ask("status")["proved"])
check(f"auth user0005 {pw}", "again", v="2.1.5")
tm.is_(int(t.ask("status")["proved"]), before + 1, "from memory")
check("auth user0005 wrong", "memory takes no wrong password", v="5.7.8")

# ---- one search for all who ask the same
before = int(t.ask("status")["searches"])
asks = [t.send(f"rcpt user0777@{d}") for _ in range(50)]
tm.ok(all(t.answer(n)["v"] == "2.1.5" for n in asks), "50 ask the same at once")
tm.ok(int(t.ask("status")["searches"]) - before <= 1, "one search answers them")

# ---- ages
t.send("set cache_age 300"), t.send("set negative_age 300"), t.send("reload")
check(f"rcpt late@{d}", "not there yet", v="5.1.1")
ldif = "".join(f"dn: uid=late,ou=People,o={d},{sb.env['LDAP_BASE']}\n" + x for x in [
    "objectClass: inetOrgPerson\nobjectClass: inetMailUser\nobjectClass: inetLocalMailRecipient\n"
    f"cn: l\nsn: l\nuid: late\nmail: late@{d}\n"])


def ldap(tool, text):
    return subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                           "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, text=True,
                          capture_output=True)


r = ldap("ldapadd", ldif)
tm.is_(r.returncode, 0, "an entry is added" + r.stderr)
check(f"rcpt late@{d}", "remembered as absent", v="5.1.1")
tm.ok(tm.wait_for(lambda: t.ask(f"rcpt late@{d}")["v"] == "2.1.5", 3), "until that is too old")
double = ldif.replace("uid=late", "uid=later").replace("uid: late", "uid: later")
tm.is_(ldap("ldapadd", double).returncode, 0, "a second entry with the same address")
tm.ok(tm.wait_for(lambda: t.ask(f"rcpt late@{d}")["v"] == "4.3.5", 3),
      "is a fault of the directory: mail waits")
bad = ldif.replace("uid=late", "uid=a/b").replace("uid: late", "uid: a/b").replace("late@", "bad@")
tm.is_(ldap("ldapadd", bad).returncode, 0, "an entry whose uid cannot name a mailbox")
check(f"rcpt bad@{d}", "likewise", v="4.3.5")

# ---- the server restarts, is away, hangs
t.send("set cache_age 0"), t.send("set negative_age 0"), t.send("set auth_age 0")
t.send(f"set timeout {LATE}"), t.send("reload")
check(f"rcpt user0001@{d}", "before", v="2.1.5")
tm.ok(sb.restart("slapd"), "slapd restarts")
check(f"rcpt user0001@{d}", "nobody notices", v="2.1.5")
check(f"auth user0007 {pw}", "nor do logins", v="2.1.5")
tm.ok(sb.restart("slapd"), "slapd restarts again")
check(f"auth user0007 {pw}", "a login on a lost connection", v="2.1.5")

pid = slapd(signal.SIGTERM)
tm.wait_for(lambda: not os.path.exists(f"/proc/{pid}") or
            open(f"/proc/{pid}/stat").read().split()[2] == "Z", 5, "slapd to end")
for line in (f"rcpt user0001@{d}", f"domain {d}", "login user0001"):
    got = t.ask(line)
    tm.ok(got["v"] == "4.3.0" and int(got["us"]) < LATE * 1000, f"away: {line.split()[0]} says so at once")
tm.is_(t.ask(f"auth user0007 {pw}")["v"], "4.7.0", "away: a login")
tm.ok(sb.restart("slapd"), "slapd is back")
tm.ok(tm.wait_for(lambda: t.ask(f"rcpt user0001@{d}")["v"] == "2.1.5", 5), "and is found again")
tm.ok(tm.wait_for(lambda: t.ask(f"auth user0007 {pw}")["v"] == "2.1.5", 5), "for logins too")

slapd(signal.SIGSTOP)
asks = [t.send(f"rcpt user{n:04d}@{d}") for n in range(1, 200)] + [t.send(f"auth user0007 {pw}")]
got = [t.answer(n) for n in asks]
tm.is_({a["v"] for a in got[:-1]}, {"4.3.0"}, "hung: 199 lookups are told to come again")
tm.is_(got[-1]["v"], "4.7.0", "hung: so is a login")
worst = max(int(a["us"]) for a in got)
tm.ok(worst < 1000 * LATE * 2, f"after the time limit ({worst // 1000} ms of {LATE})")
slapd(signal.SIGCONT)
tm.ok(tm.wait_for(lambda: t.ask(f"rcpt user0001@{d}")["v"] == "2.1.5", 5), "it goes on, so do we")
tm.ok(tm.wait_for(lambda: t.ask(f"auth user0007 {pw}")["v"] == "2.1.5", 5), "for logins too")

# ---- several servers
nowhere = "ldap://127.0.0.1:1"
t.send(f"set urls {nowhere} ldap://localhost:{sb.env['LDAP_PORT']}"), t.send("reload")
tm.ok(tm.wait_for(lambda: t.ask(f"rcpt user0001@{d}")["v"] == "2.1.5", 5),
      "the first replica is dead, the second answers (by TCP, by name)")
tm.ok(tm.wait_for(lambda: t.ask(f"auth user0007 {pw}")["v"] == "2.1.5", 5), "also for logins")

# ---- TLS
t.send("set cache_age 0"), t.send("set auth_age 0")
for how, host in (("yes", "localhost"), ("yes", "127.0.0.1")):
    t.send(f"set urls ldap://{host}:{sb.env['LDAP_PORT']}"), t.send("set starttls yes")
    t.send("reload")
    check(f"rcpt user0001@{d}", f"StartTLS to {host}", v="2.1.5")
    check(f"auth user0007 {pw}", f"a login over TLS to {host}", v="2.1.5")
r = t.ask("bench 10000 64 user%")
tm.is_(r["bad"], "0", "10,000 lookups over TLS")
tm.diag(f"over TLS: {r['cpu_us_each']} us of our CPU each, {r['per_second']} a second")
t.send(f"set urls ldaps://localhost:{sb.env['LDAPS_PORT']}"), t.send("set starttls no")
t.send("reload")
check(f"rcpt user0001@{d}", "ldaps", v="2.1.5")
t.send(f"set urls ldaps://127.1:{sb.env['LDAPS_PORT']}"), t.send("reload")
check(f"rcpt user0001@{d}", "a name that the certificate does not have", v="4.3.0")
t.send("set ca /etc/hostname"), t.send(f"set urls ldaps://localhost:{sb.env['LDAPS_PORT']}")
t.send("reload")
check(f"rcpt user0001@{d}", "no CA that would vouch for it", v="4.3.0")
t.send(f"set ca {sb.env['CAFILE']}"), t.send("set starttls yes")
slapd(signal.SIGSTOP)
t.send(f"set urls ldap://localhost:{sb.env['LDAP_PORT']}"), t.send("reload")
tm.is_(t.ask(f"rcpt user0001@{d}")["v"], "4.3.0", "a server that hangs before TLS")
slapd(signal.SIGCONT)
t.send("set starttls no")

# ---- speed
t.send(f"set urls {sb.env['LDAP_URL']}"), t.send("set cache_age 60000"), t.send("reload")
check(f"rcpt user0001@{d}", "connected", v="2.1.5")
for name in ("not cached", "cached"):
    r = t.ask("bench 10000 64 user%")
    tm.is_(r["bad"], "0", f"10,000 lookups, {name}")
    tm.diag(f"{name}: {r['cpu_us_each']} us of our CPU each, {r['per_second']} a second")
    if tm.SLOW == 1:
        tm.ok(float(r["cpu_us_each"]) < (50 if name == "not cached" else 2), "fast")
t.send("set auth_age 60000")
for name in ("by binding", "from memory"):
    r = t.ask(f"benchauth 2000 8 user% {pw}")
    tm.is_(r["bad"], "0", f"2,000 logins, {name}")
    tm.diag(f"{name}: {r['cpu_us_each']} us of our CPU each, {r['per_second']} a second")

t.p.stdin.close()
tm.is_(t.p.wait(), 0, "dirtool ends in good order")
tm.done()
