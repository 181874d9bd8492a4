#!/usr/bin/env python3
"""The index of a busy store is destroyed while stored is dead.  `storectl recover` makes it again
from a snapshot and the operation log: messages, flags, folders and subscriptions are as before."""
import os, re, time
import tm

sb = tm.Sandbox("--users", "6", "--set", "stored.log_segment=64k", "--set", "stored.cleanup_age=0")
PARTITION = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary")
SNAPSHOTS = os.path.join(PARTITION, "../../snapshot/primary")


def send(to, n):
    s = sb.smtp()
    for i in range(n):
        s.sendmail("out@sender.test", [f"{sb.user(u)}@{sb.domain}" for u in to],
                   f"Subject: message {i}\r\nMessage-ID: <{i}.{time.time_ns()}@sender.test>\r\n\r\nbody {i}\r\n")
    s.quit()


def good(answer, what):
    if answer[0] != "OK":
        tm.ok(False, what) or tm.diag(answer)
    return answer[1]


def folders(c, verb):
    out = []
    for line in good(getattr(c, verb)(), verb) or []:
        if line:
            out.append(line.decode().split(' "/" ', 1)[1].strip('"'))
    return sorted(out)


def state(user):
    """All that a client can see of an account."""
    c = sb.imap(user)
    seen = {"subscribed": folders(c, "lsub")}
    for name in folders(c, "list"):
        if c.select(f'"{name}"', readonly=True)[0] != "OK":
            seen[name] = "not selectable"
            continue
        status = good(c.status(f'"{name}"', "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"), name)
        parts = []
        if b"MESSAGES 0 " not in status[0]:
            data = good(c.uid("FETCH", "1:*", "(UID MODSEQ FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY.PEEK[])"), name)
            parts = [re.sub(rb" ?\\Recent", b"", b"|".join(d) if isinstance(d, tuple) else d) for d in data]
        seen[name] = (status, parts)
    c.logout()
    return seen


def check(what):
    def clean():
        r = sb.tool("storectl", "check")
        return r.returncode == 0 or (tm.diag(r.stdout[-1500:] + r.stderr[-500:]) and False)
    tm.ok(tm.wait_for(clean), what)


def work(c, tag):
    """Changes of every kind."""
    good(c.select("INBOX"), "select")
    n = int(c.status("INBOX", "(MESSAGES)")[1][0].split()[-1].rstrip(b")"))
    good(c.create(f"{tag}/Deep"), "create")
    good(c.create(f"{tag}Old"), "create")
    good(c.create(f"{tag}Gone"), "create")
    good(c.copy(f"1:{n}", f"{tag}Gone"), "copy")
    good(c.copy(f"1:{n}", f"{tag}Old"), "copy")
    good(c.rename(f"{tag}Old", f"{tag}New"), "rename")
    good(c.delete(f"{tag}Gone"), "delete")
    good(c.subscribe(f"{tag}/Deep"), "subscribe")
    good(c.unsubscribe("Junk"), "unsubscribe")
    good(c.store("1:3", "+FLAGS", f"(\\Seen {tag})"), "store")
    good(c.store("2", "-FLAGS", "(\\Seen)"), "store")
    good(c.store("4", "FLAGS", "(\\Flagged \\Answered)"), "store")
    good(c._simple_command("MOVE", "5:6", f'"{tag}/Deep"'), "move")
    good(c.store("1", "+FLAGS", "(\\Deleted)"), "store")
    good(c.expunge(), "expunge")
    good(c.append("Drafts", "(\\Draft)", '"01-Feb-2024 10:00:00 +0100"', b"Subject: d\r\n\r\nd\r\n"), "append")


def lose(bad):
    sb.kill("stored")
    with open(PARTITION + "/index/data.mdb", "r+b") as f:
        f.write(bad)


def back(what):
    ok = sb.restart("stored") and sb.restart("imapd")
    tm.ok(ok, what)


users = range(1, 5)
send(users, 10)
tm.ok(tm.wait_for(lambda: all(sb.count(u) == 10 for u in users)), "mail for four users")
for u in users:
    c = sb.imap(u)
    work(c, "First")
    c.logout()
r = sb.tool("storectl", "snapshot")
tm.is_(r.returncode, 0, "a snapshot") or tm.diag(r.stdout + r.stderr)
send(users, 10)
tm.ok(tm.wait_for(lambda: all(sb.count(u) == 17 for u in users)), "more mail") or \
    tm.diag([sb.count(u) for u in users])
for u in users:
    c = sb.imap(u)
    work(c, "Second")
    c.logout()
before = {u: state(u) for u in users}
check("all is well")

lose(os.urandom(65536))
r = sb.call("restart", sb.dir, "stored")
tm.ok(r.returncode != 0, "stored does not start with a destroyed index")
with open(os.path.join(sb.env["RUNDIR"], "../log/stored.log") if os.path.exists(
        os.path.join(sb.env["RUNDIR"], "../log/stored.log")) else next(
        os.path.join(d, "stored.log") for d, _, fs in os.walk(sb.dir) if "stored.log" in fs)) as f:
    tm.ok("storectl recover" in f.read(), "and says what helps")
r = sb.tool("storectl", "recover", "primary")
tm.is_(r.returncode, 0, "recover") or tm.diag(r.stderr)
tm.diag(r.stdout)
tm.ok("snapshot " in r.stdout and "batches replayed" in r.stdout, "says what it did")
tm.ok(os.path.exists(SNAPSHOTS + "/bad/data.mdb"), "the bad index is kept")
back("stored starts again")
after = {u: state(u) for u in users}
for u in users:
    for name in sorted(before[u].keys() | after[u].keys()):
        if before[u].get(name) != after[u].get(name):
            tm.is_(after[u].get(name), before[u].get(name), f"user {u} {name}")
tm.ok(before == after and len(before[1]) > 8, "messages, flags, folders and subscriptions are as before")
check("storectl check finds nothing")
r = sb.tool("storectl", "recover", "primary")
tm.ok(r.returncode == 75 and "stop it first" in r.stdout, "no recovery beside a stored that works") or \
    tm.diag(r.stdout + r.stderr)

# The file goes altogether.
send(users, 1)
tm.wait_for(lambda: all(sb.count(u) == before_n + 1 for u in users for before_n in [14]))
c = sb.imap(1)
work(c, "Third")
c.logout()
before = {u: state(u) for u in users}
lose(b"")
os.remove(PARTITION + "/index/data.mdb")
r = sb.call("restart", sb.dir, "stored")
tm.ok(r.returncode != 0, "stored does not start empty where a log tells of more")
r = sb.tool("storectl", "recover")
tm.is_(r.returncode, 0, "recover once more") or tm.diag(r.stdout + r.stderr)
back("stored starts again")
tm.ok({u: state(u) for u in users} == before, "all is as before")
check("storectl check finds nothing")
send([5], 1)
tm.ok(tm.wait_for(lambda: sb.count(5) == 1), "and mail is delivered")
tm.done()
