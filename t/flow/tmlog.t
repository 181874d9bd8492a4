#!/usr/bin/env python3
"""tmlog on the logs of a real run: a message that was delivered, one that came back, one for a list, one that was
refused, a session; found by whatever is known of them, in a folder with what was turned over, of several hosts, on
standard input, as syslog has carried them; and in a bounded memory."""
import glob, json, os, re, resource, shutil, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm, wire
from mta import Mail

tm.need("ldapadd")
LOGS = tm.tempdir()
out = Mail(("127.0.0.1", 0), say={"RCPT": "550 5.1.1 no such user\x1b[2J here"})
sb = tm.Sandbox("--users", "6", "--set", f"tiermail.log_to=dir:{LOGS}", "--route", f"out.test=smtp:127.0.0.1:{out.port}")
D, BASE = sb.domain, sb.env["LDAP_BASE"]


def tmlog(*args, logs=(LOGS,), text=None):
    r = subprocess.run([sb.bin("tmlog"), "-c", sb.conf("tiermail.conf"), *(w for l in logs for w in ("-l", l)), *args], input=text,
                       capture_output=True, text=True, timeout=tm.LONG)
    return r.returncode, r.stdout, r.stderr


def found(*args, **kw):
    """{id: its object}"""
    return {s["id"]: s for s in map(json.loads, tmlog("-j", *args, **kw)[1].splitlines())}


def recipients(s):
    return {r["to"]: r["state"] for r in s["recipients"]}


# ---- the run
mail = lambda n: f"{sb.user(n)}@{D}"
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                   input="\n".join([f"dn: cn=team,ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in ("groupOfURLs", "inetMailGroup", "inetMailGroupManagement",
                                   "inetLocalMailRecipient")), "cn: team", f"mail: team@{D}",
                                   *(f"uniqueMember: uid={sb.user(n)},ou=People,o={D},{BASE}" for n in (4, 5, 6)), ""]))
tm.is_(r.returncode, 0, "a list of three") or tm.diag(r.stderr)
sb.send(1, extra="Message-ID: <first@sender.test>\r\n")
sb.send([2, "gone@out.test"], sender=mail(3), extra="Message-ID: <second@sender.test>\r\n")
sb.send(f"team@{D}", extra="Message-ID: <third@sender.test>\r\n")
try:
    sb.send("nobody@" + D, sender="stranger@sender.test")
except Exception:
    pass
tm.ok(tm.wait_for(lambda: sb.queue_empty() and [sb.count(n) for n in range(1, 7)] == [1] * 6), "all has arrived, or come back")
c = sb.imap(2)
c.select()
c.store("1", "+FLAGS", r"(\Deleted)"), c.expunge(), c.logout()

# ---- by what is known of a message
first = found("<first@sender.test>")
tm.is_([(s["is"], s["from"], s["msgid"], recipients(s)) for s in first.values()],
       [("message", "outside@sender.test", "<first@sender.test>", {mail(1): "delivered"})], "a message by its Message-ID, and what became of it")
(qid, story), = first.items()
way = [("smtp-relay", "connect"), ("smtp-relay", "rcpt"), ("smtp-relay", "queued"), ("lmtpd", "deliver"), ("channel-master", "deliver")]
tm.is_(sorted((e["who"], e["ev"]) for e in story["events"]), sorted(way), "its way through the daemons")
tm.is_([e["ts"] for e in story["events"]], sorted(e["ts"] for e in story["events"]), "in order")
for what in (qid, "qid=" + qid, "id=" + qid, "msgid=first@sender.test", mail(1), "to=" + mail(1).upper(), "from=outside@sender.test", "sid=" + story["sid"]):
    tm.ok(qid in found(what), f"it is found by {what}")
tm.is_(set(found("from=outside@sender.test", "to=" + mail(1))), {qid}, "by both")
tm.is_(found("from=" + mail(3), "to=" + mail(1)), {}, "and not by what is true of two others")
code, text, err = tmlog(qid)
tm.ok(code == 0 and text.startswith(f"message {qid}, from <outside@sender.test>\n  {mail(1)}: delivered\n") and err == "", "in words") or tm.diag(text)
tm.ok(re.search(rf"^  \d\d:\d\d:\d\d\.\d{{3}} +lmtpd +{re.escape(mail(1))}: 2\.1\.5, into the mailbox of {re.escape(mail(1))}, UID 1$", text, re.M), "a line for each step") \
    or tm.diag(text)

# ---- one that came back
second = found("<second@sender.test>")
tm.is_(len(second), 2, "a message that came back, and its report")
parent = next(s for s in second.values() if "parent" not in s)
report = next(s for s in second.values() if "parent" in s)
tm.is_(recipients(parent), {mail(2): "delivered", "gone@out.test": "failed"}, "each recipient for himself")
tm.is_((report["parent"], report["from"], recipients(report)), (parent["id"], "", {mail(3): "delivered"}), "the report knows of what it is")
tm.is_(set(found(report["id"])), {parent["id"], report["id"]}, "and leads back to it")
text = tmlog(parent["id"])[1]
tm.ok("gone@out.test: failed, 5.1.1 (550)" in text and "\x1b" not in text, "nothing of a server's words moves a terminal's cursor") or tm.diag(text)
tm.ok(f"message {report['id']}, of {parent['id']}, from <>" in text, "both in words")

# ---- a list, a refusal, a session
third = found("<third@sender.test>")
tm.is_({to: s for m in third.values() for to, s in recipients(m).items() if "user" in to}, {mail(n): "delivered" for n in (4, 5, 6)}, "a list's members")
refused = found("stranger@sender.test") or found("to=nobody@" + D)
tm.is_([recipients(s) for s in refused.values()], [{"nobody@" + D: "refused"}], "one that was refused")
sessions = found("user=" + mail(2))
imap = [s for s in sessions.values() if s["is"] == "session" and any(e["ev"] == "expunge" for e in s["events"])]
tm.is_([[e["ev"] for e in s["events"] if e["ev"] in ("connect", "login", "expunge", "disconnect")] for s in imap], [["connect", "login", "expunge", "disconnect"]],
       "what a user has done with his mail")
tm.is_(set(found("sid=" + imap[0]["id"])), {imap[0]["id"]}, "his session alone")

# ---- wherever the lines are
whole = "".join(open(f).read() for f in sorted(glob.glob(LOGS + "/*.log")))
want = story["events"]
tm.is_(found(qid, logs=("-",), text=whole)[qid]["events"], want, "standard input")
hosts = tm.tempdir()
for host, names in (("relay1", ("smtp-relay", "channel-master")), ("store1", ("lmtpd", "stored"))):
    os.mkdir(f"{hosts}/{host}")
    for n in names:
        shutil.copy(f"{LOGS}/{n}.log", f"{hosts}/{host}/{n}.log.2")
both = found(qid, logs=(hosts,))[qid]["events"]
tm.is_({(e["who"], e.pop("host")) for e in both}, {("smtp-relay", "relay1"), ("channel-master", "relay1"), ("lmtpd", "store1")}, "a folder of folders: each is a host")
tm.is_(both, want, "with what was turned over")
carried = "".join("%s mail %s: %s\n" % (line.split(" ")[0][3:], re.search(r"who=(\S+)", line)[1], line[line.index("ev="):]) for line in whole.splitlines())
tm.is_([{k: v for k, v in e.items() if k not in ("host", "lvl")} for e in found(qid, logs=("-",), text=carried)[qid]["events"]],
       [{k: v for k, v in e.items() if k != "lvl"} for e in want], "as syslog carries them")
day = whole[3:13]
tm.is_((set(found(qid, "-s", day)), set(found(qid, "-u", day)), found(qid, "-s", "9999"), found(qid, "-u", "1999-12-31T23")), ({qid}, {qid}, {}, {}), "since and until")

# ---- what is wrong
tm.is_(tmlog("nosuchid")[:2], (1, ""), "nothing: exit 1")
for args in ((), ("qdi=x",), ("-m", "0", "x"), ("-s", "yesterday", "x"), ("=",)):
    tm.is_(tmlog(*args)[0], 64, f"{' '.join(args) or 'no condition'}: exit 64")
tm.is_(tmlog("x", logs=("/no/such",))[0], 66, "a log that is not there: exit 66")
tm.is_(tmlog("x", logs=(sb.dir + "/tls",))[0], 66, "a folder without logs: exit 66")

# ---- bounds: a file that is larger than the memory it takes, lines of any length, too many messages
big = tm.tempdir() + "/big.log"
line = "ts=2026-11-30T08:00:00.000Z lvl=info who=smtp-relay[1] ev=queued sid=s%07d qid=q%07d peer=192.0.2.1 user=\"\" from=many@sender.test nrcpt=1 size=1 ms=1 msgid=\"\"\n"
with open(big, "w") as f:
    f.write("x" * 3_000_000 + "\n" + whole + "y" * 300_000 + " qid=" + qid)
    for i in range(0, 300000, 1000):
        f.write("\n" + "".join(line % (j, j) for j in range(i, i + 1000)))
before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
tm.is_(found(qid, logs=(big,))[qid]["events"], want, f"in {os.path.getsize(big) >> 20} MiB of others, and of lines without end")
code, text, err = tmlog("-j", "from=many@sender.test", logs=(big,))
tm.ok(code == 0 and text.count("\n") == 1000 and "more than these 1000" in err, "of 300,000 that fit, a thousand, and it says so") or tm.diag(err)
tm.is_(tmlog("-j", "-m", "7", "from=many@sender.test", logs=(big,))[1].count("\n"), 7, "or as many as are wanted")
peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) >> 10
tm.ok(peak < 100 * (8 if tm.SLOW > 1 else 1), f"in {peak} MiB of memory")
tm.done()
