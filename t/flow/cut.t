#!/usr/bin/env python3
"""Cut-through: a message that its store has before the client hears 250, past the queue; and every way in which it has to
go through the queue after all, once, with nobody missing or served twice."""
import concurrent.futures, os, re, signal, smtplib, threading, time
import tm

sb = tm.Sandbox("--users", "12", "--set", "channels.channel tcp_lmtp.minjobs=1",
                "--set", "channels.channel tcp_lmtp.backoff=1s", "--set", "smtp-relay.auth.delay=0",
                "--set", "smtp-relay.deliver_by.offer=yes", "--set", "smtp-relay.deliver_by.least=1s")
relay_log, jobctl_log = (f"{sb.env['RUNDIR']}/{n}.log" for n in ("smtp-relay", "jobctl"))
SOCKET = f"{sb.env['QUEUE']}/tcp_lmtp.cut"


def queued(path=relay_log):
    """What was accepted: for each message its recipients, how many of them past the queue, its id."""
    with open(path) as f:
        return [(int(m[2]), int(m[3]), m[1]) for m in re.finditer(r"ev=queued .*?qid=(\S+) .*?nrcpt=(\d+) cut=(\d+)", f.read())]


def one(msgid):
    """(recipients, past the queue) of the message, when it is accepted."""
    with open(relay_log) as f:
        m = re.search(r"ev=queued .*?nrcpt=(\d+) cut=(\d+) .*msgid=<%s>" % re.escape(msgid), f.read())
    return m and (int(m[1]), int(m[2]))


def cut(what, *args, **kw):
    """Sends one, and says what has become of it."""
    msgid = f"{what.replace(' ', '-')}@cut.test"
    sb.send(*args, subject=what, extra=f"Message-ID: <{msgid}>\r\n", **kw)
    tm.wait_for(lambda: one(msgid))
    return one(msgid)


def metric():
    out = sb.tool("tmctl", "-d", "smtp-relay", "metrics").stdout
    return sum(int(float(l.split()[-1])) for l in out.splitlines() if "smtp_recipients_cut_through" in l and not l.lstrip().startswith("#"))


def subjects(user):
    return sorted(re.search(rb"(?im)^subject: (.*?)\r", m)[1].decode() for m in sb.messages(user))


tm.ok(tm.wait_for(lambda: os.path.exists(SOCKET)), "a master waits for messages")
for i in range(20):
    sb.send(1, subject=f"n{i}")
tm.wait_for(lambda: len(queued()) == 20)
tm.is_([q[:2] for q in queued()], [(1, 1)] * 20, "each of 20 messages goes past the queue")
tm.is_(subjects(1), sorted(f"n{i}" for i in range(20)), "and is there, once, when the client is answered")
with open(jobctl_log) as f:
    tm.is_(len(re.findall(r"ev=deliver .*channel=tcp_lmtp .*state=delivered", f.read())), 20, "the log says of each who has it")
tm.ok(tm.wait_for(lambda: metric() == 20), "the metric counts them")

# ---- what does not go this way
s = sb.smtp()
s.ehlo()
s.mail("outside@sender.test")
s.rcpt(f"{sb.user(2)}@{sb.domain}", ["NOTIFY=SUCCESS"])
s.data(b"Subject: told\r\nMessage-ID: <told@cut.test>\r\n\r\nhello\r\n")
s.quit()
tm.wait_for(lambda: one("told@cut.test"))
tm.is_(one("told@cut.test"), (1, 0), "a sender who wants to hear of success: the report needs the queue")
s = sb.smtp()
s.ehlo()
s.mail("outside@sender.test", ["BY=1;R"])
s.rcpt(f"{sb.user(2)}@{sb.domain}")
time.sleep(2.1)
s.data(b"Subject: late\r\nMessage-ID: <late@cut.test>\r\n\r\nhello\r\n")
s.quit()
tm.wait_for(lambda: one("late@cut.test"))
tm.is_(one("late@cut.test"), (1, 0), "one that is to be there by a time: the queue looks at the clock, and returns what is late")
tm.is_(cut("large", 2, body="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 2000), (1, 0), "a large message: a file is as cheap")
tm.is_(cut("both", [2, 3]), (2, 2), "two of one store in one go")
tm.ok(sb.queue_empty(), "all of it arrives")
tm.is_((subjects(2), subjects(3)), (["both", "large", "told"], ["both"]), "once")

# ---- who cannot take it waits in the queue, alone
tm.is_(cut("full", [f"full@{sb.domain}", sb.user(4) + "@" + sb.domain]), (2, 1), "one of two has no room: he alone is queued")
left = sb.queue_files()
text = open(left[0], "rb").read().decode(errors="replace") if len(left) == 1 else ""
tm.ok(tm.wait_for(lambda: subjects(4) == ["full"]) and "full@" in text and sb.user(4) not in text.split("\r\n\r\n")[0].split("Received:")[0],
      "and the other one is not in his file") or tm.diag(left)
tm.is_(cut("goes on", 5), (1, 1), "which is no fault of the store: others' mail goes past the queue")
tm.is_(sb.tool("jobctl-ctl", "delete", f"to=full@{sb.domain}").returncode, 0, "he is given up")

# ---- a store that hangs with it in its hands: queued after a second, and nobody gets two
lmtpd = sb.pids_of("lmtpd")
for p in lmtpd:
    os.kill(p, signal.SIGSTOP)
watch = tm.Stopwatch()
got = cut("hangs", 7)
tm.is_(got, (1, 0), "a store that does not answer: the message is queued")
tm.ok(watch.took() < 10, "and the client is answered then") or tm.diag(watch.took())
for p in lmtpd:
    os.kill(p, signal.SIGCONT)
tm.ok(tm.wait_for(lambda: subjects(7) == ["hangs"]) and sb.queue_empty(), "the store goes on: it is there")
tm.is_(subjects(7), ["hangs"], "once, though it was given twice")

# ---- an operator's word counts
tm.ok(tm.wait_for(lambda: cut(f"again{time.monotonic_ns()}", 6) == (1, 1), 30), "past the queue again")
tm.is_(sb.tool("jobctl-ctl", "stop", "tcp_lmtp").returncode, 0, "the channel is stopped")
tm.ok(tm.wait_for(lambda: not os.path.exists(SOCKET)), "its master waits no more")
tm.is_(cut("stopped", 8), (1, 0), "mail for it is queued")
tm.is_(subjects(8), [], "and stays there")
tm.is_(sb.tool("jobctl-ctl", "start", "tcp_lmtp").returncode, 0, "until it is started")
tm.ok(tm.wait_for(lambda: subjects(8) == ["stopped"]), "then it comes")
tm.ok(tm.wait_for(lambda: os.path.exists(SOCKET)), "and a master waits again")

# ---- killed in the middle, whoever it is
seen, over, tried = [], threading.Event(), [0]


def load(k):
    for i in range(2000):
        if over.is_set():
            break
        tried[0] += 1
        try:
            sb.send(9 + k % 2, subject=f"k{k}.{i}")
            seen.append(f"k{k}.{i}")
        except (OSError, smtplib.SMTPException):
            time.sleep(0.05)


def passed():
    return sum(c for _, c, _ in queued())


with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for k in range(4):
        pool.submit(load, k)
    for victim in ("channel-master", "lmtpd", "smtp-relay", "stored"):
        at = passed()
        tm.ok(tm.wait_for(lambda: passed() >= at + 10), f"mail goes past the queue when {victim} is killed")
        if victim == "channel-master":
            for p in sb.pids_of(victim):
                os.kill(p, signal.SIGKILL)
        else:
            sb.kill(victim)
            sb.restart(victim)
    at = passed()
    tm.ok(tm.wait_for(lambda: passed() >= at + 10), "and again behind the last one")
    over.set()
want = set(seen)
tm.ok(tm.wait_for(lambda: want <= set(subjects(9) + subjects(10))), f"each of {len(seen)} that were answered is there") or tm.diag(want - set(subjects(9) + subjects(10)))
tm.ok(sb.queue_empty(), "and nothing is left over")
have = subjects(9) + subjects(10)
doubles = [x for x in set(have) if have.count(x) > 1]
tm.is_(doubles, [], "nobody has two of one")
tm.done()
