#!/usr/bin/env python3
"""SIGUSR2: a new process of a daemon takes the listeners, the old one keeps its sessions; no connection is refused or
lost, operators reach both, and a new one that cannot start changes nothing."""
import fcntl, imaplib, os, re, signal, socket, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

sb = tm.Sandbox("--users", "4", "--admin", "--set", "mmpd.workers=2", "--set", "imapd.upgrade_timeout=30m")


def state(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return None


def gone(pid):
    return state(pid) in (None, "Z")


def workers(pid):
    """Its living children: workers, and who has taken over from it."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [p for p in map(int, f.read().split()) if not gone(p)]
    except OSError:
        return []


def take_over(daemon):
    """The process that has it then, or None."""
    old = sb.pid(daemon)
    os.kill(old, signal.SIGUSR2)
    return tm.wait_for(lambda: sb.pid(daemon) != old and sb.pid(daemon), what=f"another {daemon}"), old


def proxy(n):
    c = imaplib.IMAP4(sb.host, sb.port("MMP_IMAP"), timeout=tm.LONG)
    c.starttls(wire.context(sb))
    c.login(sb.user(n), sb.password)
    c.select("INBOX")
    return c


# ---- people log in all the while, others stay
stop, faults, logins = threading.Event(), [], []


def crowd(n):
    while not stop.is_set():
        try:
            proxy(n).logout()
            logins.append(n)
        except (OSError, imaplib.IMAP4.error) as err:
            faults.append(repr(err))


stay = [proxy(n) for n in (1, 2)]
threads = [threading.Thread(target=crowd, args=(n,)) for n in (3, 4)]
for t in threads:
    t.start()
tm.wait_for(lambda: len(logins) > 4, what="logins")
new, old = take_over("mmpd")
tm.ok(new, "mmpd: another process has taken over")
seen = len(logins)
tm.wait_for(lambda: len(logins) > seen + 4, what="logins at the new one")
again, middle = take_over("mmpd")
tm.ok(again and again != old, "and another one from that")
seen = len(logins)
tm.wait_for(lambda: len(logins) > seen + 4, what="logins at the newest")
stop.set()
for t in threads:
    t.join()
tm.is_(faults[:3], [], f"{len(logins)} logins meanwhile, none refused or cut off")
tm.is_([c.noop()[0] for c in stay], ["OK", "OK"], "sessions of the first go on")
tm.ok(tm.wait_for(lambda: workers(middle) == [again]) and len(workers(old)) > 1, "so its workers are there still; the second's, which had none left, are not")
tm.is_(sb.tool("tmctl", "-d", "mmpd", "ping").stdout.strip(), "pong", "who asks by the control socket is answered")
tm.ok(wire.logged(sb, "mmpd", "ev=upgraded "), "the log tells of it")

# ---- who is to have no session any more has none at the old one either
r = sb.tool("tmctl", "-d", "mmpd", "kick", f"user={sb.user(1)}@{sb.domain}")


def ended(c):
    try:
        return c.noop()[0] != "OK"
    except (imaplib.IMAP4.abort, OSError):
        return True


tm.ok(tm.wait_for(lambda: ended(stay[0])), "a session of the first is ended by way of the newest")
tm.is_(stay[1].noop()[0], "OK", "and no other")
stay[1].logout()
tm.ok(tm.wait_for(lambda: gone(old) and gone(middle)), "the first ends with its last session, and the second with it")

tm.is_(wire.log(sb, "mmpd", "ev=worker_died "), [], "workers that end so are not told of as dead")

# ---- a new one that does not come up changes nothing
now = sb.pid("mmpd")
with open(sb.conf("mmpd.conf")) as f:
    good = f.read()
c = proxy(1)
with open(sb.conf("mmpd.conf"), "a") as f:
    f.write("\n[limit]\nclients = many\n")
os.kill(now, signal.SIGUSR2)
tm.ok(wire.logged(sb, "mmpd", "ev=upgrade_failed "), "with a wrong configuration: it is logged")
tm.is_((sb.pid("mmpd"), c.noop()[0], proxy(2).logout()[0]), (now, "OK", "BYE"), "and the old one goes on with all it had")
tm.is_(sb.tool("tmctl", "-d", "mmpd", "ping").stdout.strip(), "pong", "its control socket too")
with open(sb.conf("mmpd.conf"), "w") as f:
    f.write(good)
tm.is_(c.logout()[0], "BYE", "and its sessions")

# ---- the new one is killed: who asks again is served by what starts next, and the old one keeps what it has
c = proxy(1)
new, old = take_over("mmpd")
os.kill(new, signal.SIGKILL)
tm.ok(tm.wait_for(lambda: gone(new)), "the new one is killed")
tm.is_(c.noop()[0], "OK", "sessions of the old one do not end by it")
tm.ok(sb.restart("mmpd"), "it is started again")
tm.is_((proxy(2).logout()[0], c.noop()[0]), ("BYE", "OK"), "and serves beside the old one")
os.kill(old, signal.SIGTERM)
tm.ok(tm.wait_for(lambda: gone(old)), "which ends when it is told to")

# ---- before it serves: who asks is answered by the one that has the sessions; and who ends that one ends both


def pending(daemon):
    """Its heir, whose workers wait before they serve for the table of who is let in, which this test has locked."""
    old = sb.pid(daemon)
    before = set(workers(old))
    table = open(os.path.join(sb.env["RUNDIR"], "admit-1"), "rb")
    fcntl.flock(table, fcntl.LOCK_EX)
    os.kill(old, signal.SIGUSR2)
    tm.wait_for(lambda: any(workers(p) for p in set(workers(old)) - before), what="the heir's workers")
    return old, (set(workers(old)) - before).pop(), table


c = proxy(1)
old, heir, table = pending("mmpd")
tm.is_(sb.pid("mmpd"), old, "one that does not serve yet has not taken over")
tm.is_({sb.tool("tmctl", "-d", "mmpd", "ping").stdout.strip() for _ in range(20)}, {"pong"}, "the control socket is answered by the old one")
tm.is_(proxy(2).logout()[0], "BYE", "and so are people")
sb.tool("tmctl", "-d", "mmpd", "kick", f"user={sb.user(1)}@{sb.domain}")
tm.ok(tm.wait_for(lambda: ended(c)), "whose session is to end has none")
os.kill(old, signal.SIGTERM)
tm.ok(tm.wait_for(lambda: gone(old)), "it is told to end, and ends")
table.close()
tm.ok(tm.wait_for(lambda: gone(heir)), "and so does who was to take over") or os.kill(heir, signal.SIGKILL)
tm.ok(sb.restart("mmpd"), "it is started again")

# ---- a listener that has moved
with open(sb.conf("pop3d.conf")) as f:
    good = f.read()
port = int(re.search(r"(?m)^address\s*=\s*\S+:(\d+)", good)[1])
free = tm.free_port()
with open(sb.conf("pop3d.conf"), "w") as f:
    f.write(good.replace(f":{port}", f":{free}"))
take_over("pop3d")


def greets(port):
    try:
        with socket.create_connection((sb.host, port), timeout=5) as s:
            return s.recv(3) == b"+OK"
    except OSError:
        return False


tm.ok(tm.wait_for(lambda: greets(free)), "an address that has changed: the new process is there")
tm.ok(tm.wait_for(lambda: not greets(port)), "and nobody at the old one")
with open(sb.conf("pop3d.conf"), "w") as f:
    f.write(good)
take_over("pop3d")
tm.ok(tm.wait_for(lambda: greets(port)), "and back")

# ---- every daemon that has workers
imap = sb.imap(1)
imap.select("INBOX")
for daemon in ("imapd", "pop3d", "lmtpd", "smtp-relay", "jmapd", "sieved", "memd", "admind"):
    new, old = take_over(daemon)
    tm.ok(new and sb.tool("tmctl", "-d", daemon, "ping").stdout.strip() == "pong", f"{daemon}: another process serves")
    tm.ok(daemon == "imapd" or tm.wait_for(lambda: gone(old)), "and the old one is gone" if daemon != "imapd" else "and the old one has a session")
tm.is_(imap.noop()[0], "OK", "an IMAP session goes on at the old imapd")
sb.send(1)
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "mail arrives, by what has taken over")
tm.ok(tm.wait_for(lambda: imap.noop()[0] == "OK" and imap.untagged_responses.get("EXISTS", [b"0"])[-1] == b"1" or imap.response("EXISTS")[1][-1] == b"1"), "and the old session sees it")
imap.logout()

# ---- and those that have none
for daemon in ("stored", "jobctl"):
    before = sb.pid(daemon)
    os.kill(before, signal.SIGUSR2)
    tm.ok(wire.logged(sb, daemon, "ev=upgrade_refused "), f"{daemon}: is one process, and says so")
    tm.is_((sb.pid(daemon), sb.tool("tmctl", "-d", daemon, "ping").stdout.strip()), (before, "pong"), "and goes on")
tm.done()
