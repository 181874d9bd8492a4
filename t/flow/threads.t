#!/usr/bin/env python3
"""Threads of an account: mail that is delivered, appended, restored or made again from its files joins what it answers, THREADID
and THREAD=REFS agree over folders and changed subjects, and mail of an old store joins by storectl rethread."""
import json, os, re, shutil, signal, smtplib, subprocess, time
import tm
from imapraw import Raw
from tm import is_, ok

V1 = os.path.join(tm.TOP, "t/fixtures/v1")
WITHOUT = [x for d in ("jobctl", "smtp-relay", "pop3d", "mmpd", "memd", "sieved") for x in ("--without", d)]


def mail(name, subject, *refs, how="References"):
    return (f"From: a@x.test\r\nMessage-ID: <{name}@x.test>\r\nSubject: {subject}\r\n" +
            (f"{how}: " + "\r\n ".join(f"<{r}@x.test>" for r in refs) + "\r\n" if refs else "") + f"\r\nbody of {name}\r\n")


def deliver(sb, text, to=1):
    s = smtplib.LMTP(sb.env["RUNDIR"] + "/lmtpd.sock")
    s.sendmail("a@x.test", [f"{sb.user(to)}@{sb.domain}"], text)
    s.quit()


def threads(c, folder):
    """{name: THREADID} of a folder."""
    c.ok(f'SELECT "{folder}"')
    got = b"".join(l for l in c.ok("FETCH 1:* (THREADID ENVELOPE)"))
    pairs = re.findall(rb"THREADID (?:\((T[0-9a-f]{16})\)|(NIL)).*?<([\w.]+)@x\.test>\"?\)", got)
    return {n.decode(): (t or nil).decode() for t, nil, n in pairs}


def refs(c):
    """THREAD=REFS of the selected folder: sets of sequence numbers."""
    text = b"".join(c.ok("THREAD REFS UTF-8 ALL")).split(b"* THREAD", 1)[1].decode()
    out, depth = [], 0
    for token in re.findall(r"[()]|\d+", text):
        depth += (token == "(") - (token == ")")
        if token == "(" and depth == 1:
            out.append(set())
        elif token.isdigit():
            out[-1].add(int(token))
    return sorted(out, key=min)


def groups(by_name):
    """Who is with whom, in the order of names."""
    out = {}
    for i, name in enumerate(by_name):
        out.setdefault(by_name[name], set()).add(i + 1)
    return sorted(out.values(), key=min)


sb = tm.Sandbox("--users", "4", *WITHOUT, "--set", "imapd.workers=1", "--set", "stored.cleanup_age=1h")
one = f"{sb.user(1)}@{sb.domain}"
c = Raw(sb, login=1)

# ---- delivery, APPEND, THREAD ----------------------------------------------------------------------------------------
deliver(sb, mail("a1", "Hello"))
deliver(sb, mail("b1", "Other"))
c.append("Sent", mail("a2", "Re: hello", "a1", how="In-Reply-To"))
deliver(sb, mail("a3", "=?utf-8?q?AW=3A_Hello?= ".replace("AW", "Re"), "a1", "a2"))
deliver(sb, mail("a4", "Now this", "a1", "a2", "a3"))
deliver(sb, mail("a5", "Re: Now this", "a1", "a2", "a3", "a4"))
deliver(sb, mail("d2", "Re: late", "d1"))
deliver(sb, mail("d3", "Re: late", "d1"))
deliver(sb, mail("a6", "Re: hello", "a2"))
deliver(sb, mail("d1", "late"))
inbox, sent = threads(c, "INBOX"), threads(c, "Sent")
is_(list(inbox), ["a1", "b1", "a3", "a4", "a5", "d2", "d3", "a6", "d1"], "all has come")
ok(sent["a2"] == inbox["a1"] == inbox["a3"] == inbox["a6"], "answers join over folders, however they say it")
ok(inbox["a4"] == inbox["a5"] != inbox["a1"], "a new subject is a new thread")
ok(inbox["d1"] == inbox["d2"] == inbox["d3"], "and what comes late joins its answers")
c.ok("SELECT INBOX")
is_(refs(c), groups(inbox), "THREAD=REFS says the same as THREADID")

# ---- a folder of somebody else ----------------------------------------------------------------------------------------
d = Raw(sb, login=2)
deliver(sb, mail("a3", "Re: Hello", "a1", "a2"), 2)
d.ok("CREATE work")
d.ok(f'SETACL work "{sb.user(1)}" lrswi')
c.ok("SELECT INBOX")
c.ok(f'COPY 1:5 "Shared Folders/User/{sb.user(2)}/work"')
theirs, had = threads(d, "work"), threads(d, "INBOX")
ok(theirs["a1"] == theirs["a3"] == had["a3"] != inbox["a1"] and theirs["a4"] == theirs["a5"] != theirs["a1"], "copies join the threads of the account that they come to") or tm.diag(str(theirs))

# ---- kill, backup and restore, reconstruct -----------------------------------------------------------------------------
for pid in sb.pids_of("stored"):
    os.kill(pid, signal.SIGKILL)
sb.restart("stored")
deliver(sb, mail("a7", "Re: hello", "a6"))
is_(threads(Raw(sb, login=1), "INBOX").get("a7"), inbox["a1"], "after a kill an answer finds its thread")
inbox = threads(Raw(sb, login=1), "INBOX")
stream = os.path.join(sb.dir, "stream")
r = sb.tool("storectl", "backup", "-a", one, stream)
r2 = sb.tool("storectl", "restore", "-a", one, "-t", f"{sb.user(3)}@{sb.domain}", stream)
ok(r.returncode == 0 and r2.returncode == 0, "backup, and restore to another account") or tm.diag(r.stderr + r2.stderr)
back = threads(Raw(sb, login=3), "INBOX")
ok(back.keys() == inbox.keys() and groups(back) == groups(inbox), "has the same threads") or tm.diag(f"{back} {inbox}")

part = os.path.join(sb.env["STORE"], "partition/primary")
c = d = None
for pid in sb.pids_of("stored"):
    os.kill(pid, signal.SIGTERM)
tm.wait_for(lambda: not sb.pids_of("stored"))
for where in (f"{part}/index", f"{part}/log", os.path.join(sb.env["STORE"], "snapshot/primary")):
    shutil.rmtree(where, ignore_errors=True)
sb.restart("stored")
r = sb.tool("storectl", "reconstruct", one)
again = threads(Raw(sb, login=1), "INBOX")
ok(again.keys() == inbox.keys() and groups(again) == groups(inbox), "an account made again from its files has the same threads") or tm.diag(r.stderr + str(again))
for n in (2, 3):
    sb.tool("storectl", "reconstruct", f"{sb.user(n)}@{sb.domain}")
r = sb.tool("storectl", "check")
ok(r.returncode == 0, "all agrees") or tm.diag(r.stdout)
r = sb.tool("storectl", "rethread", "-n")
ok(r.returncode == 0 and r.stdout == "", "there is nothing to rethread") or tm.diag(r.stdout + r.stderr)
sb.close()

# ---- an old store -------------------------------------------------------------------------------------------------------
def unpack(where):
    subprocess.run(["tar", "-xzf", f"{V1}/store.tar.gz", "-C", where, "--no-same-owner"], check=True)


sb = tm.Sandbox("--users", "3", "--set", "imapd.workers=1", "--without", "lmtpd", *WITHOUT, "--without", "stored", "--without", "imapd", prepare=unpack)
r = sb.tool("storectl", "upgrade")
ok(r.returncode == 0, "a store of before") or tm.diag(r.stderr)
for daemon in ("stored", "imapd"):
    sb.call("restart", sb.dir, daemon)
plan = [l for l in sb.tool("storectl", "rethread", "--dry-run").stdout.splitlines()]
ok(plan and all("to be done" in l for l in plan), "says what is to be done") or tm.diag(str(plan))
c = Raw(sb, login=1)
names = [l.split(b'"/" ')[1].strip().strip(b'"').decode() for l in c.ok('LIST "" *') if l.startswith(b"* LIST") and b"Noselect" not in l]


def by_references():
    out = {}
    for n in names:
        c.ok(f'SELECT "{n}"')
        out[n] = refs(c)
    return out


def of_id(folder, number, item=rb"THREADID \((T[0-9a-f]{16})\)"):
    c.ok(f'SELECT "{folder}"')
    return re.search(item, b"".join(c.ok(f"FETCH {number} (THREADID ENVELOPE)"))).group(1)


c.ok("SELECT INBOX")
fetched = c.ok("FETCH 1:* (ENVELOPE)")
number, subject, ident = next((m.group(1).decode(), m.group(2).decode(), m.group(3).decode()) for m in
                              (re.match(rb'\* (\d+) FETCH \(ENVELOPE \("[^"]*" "([\w ]+)" .*"<([^">]+)>"\)\)', l) for l in fetched) if m)
c.append("Sent", f"Message-ID: <answer@x.test>\r\nSubject: Re: {subject}\r\nReferences: <{ident}>\r\n\r\nanswer\r\n")
ok(of_id("INBOX", number) != of_id("Sent", "*"), "what is old is not found by an answer")
before = by_references()
r = sb.tool("storectl", "rethread", "--json")
done = [json.loads(l) for l in r.stdout.splitlines()]
ok(r.returncode == 0 and len(done) == len(plan) and sum(x["messages"] for x in done) > 10 and sum(x["joined"] for x in done) > 0,
   "done, account by account") or tm.diag(r.stdout + r.stderr)
is_(of_id("INBOX", number), of_id("Sent", "*"), "now it is with its answer")
is_(sb.tool("storectl", "rethread").stdout, "", "and once")

def by_threadid():
    out = {}
    for n in names:
        c.ok(f'SELECT "{n}"')
        out[n] = groups({i: t for i, t in enumerate(re.findall(rb"THREADID \((T[0-9a-f]{16})\)", b"".join(c.ok("FETCH 1:* (THREADID)"))))}) if before[n] else []
    return out


is_(by_references(), by_threadid(), "THREAD=REFS says what THREADID says")
ok(any(len(g) > 1 for n in names for g in before[n]), "and before, what references say")
c.ok("CREATE Talk")
c.append("Talk", mail("t2", "Re: talk", "t1"))
c.append("Talk", mail("t1", "talk"))
talk = threads(c, "Talk")
ok(talk["t1"] == talk["t2"], "new mail joins as ever")
r = sb.tool("storectl", "rethread", sb.user(1) + "@" + sb.domain)
ok(r.returncode == 0 and "0 joined" in r.stdout, "once more, what has joined stays") or tm.diag(r.stdout + r.stderr)

# A folder that is deleted while its messages are in hand: stored hears of that first.
c.ok("CREATE Doomed")
c.append("Doomed", mail("d1", "doomed"))
c.ok("SELECT Talk")
tm.freeze(sb.pid("stored"))
c.send("gone DELETE Doomed\r\n")
time.sleep(0.5)
r = subprocess.Popen([sb.bin("storectl"), "-c", sb.conf("tiermail.conf"), "rethread", sb.user(1) + "@" + sb.domain],
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
time.sleep(0.5)
os.kill(sb.pid("stored"), signal.SIGCONT)
said = r.communicate()[0]
ok(r.returncode == 0 and "0 joined" in said, "a folder that is deleted meanwhile") or tm.diag(said)
ok(sb.tool("storectl", "rethread", "nobody@x.test").returncode == 67, "an account that is not there")
ok(sb.tool("storectl", "check").returncode == 0, "all agrees")
sb.close()

# ---- one account is damaged -------------------------------------------------------------------------------------------
sb = tm.Sandbox("--users", "3", "--without", "lmtpd", *WITHOUT, "--without", "stored", "--without", "imapd", prepare=unpack)
sb.tool("storectl", "upgrade")
first = plan[0].split(":")[0]
with open(f"{sb.env['STORE']}/partition/primary/index/data.mdb", "r+b") as f:
    data = f.read()
    for m in re.finditer(re.escape(f"{first}INBOX".encode()), data):
        f.seek(m.start())
        f.write(bytes([data[m.start()] ^ 1]))
sb.call("restart", sb.dir, "stored")
r = sb.tool("storectl", "rethread")
left = sb.tool("storectl", "rethread", "--dry-run").stdout.splitlines()
ok(len(plan) > 1 and r.returncode != 0 and [l.split(":")[0] for l in left] == [first], "the others are done all the same") or tm.diag(r.stdout + r.stderr + str(left))
tm.done()
