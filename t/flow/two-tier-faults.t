#!/usr/bin/env python3
"""The reference deployment, while hosts die and the network is cut: what was accepted arrives, once; people come
back by the balancer; and whom the fault does not concern notices nothing.  TM_FAULTS names the faults; `make soak' has all of them."""
import collections, imaplib, os, re, smtplib, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from twotier import Deployment

tt = Deployment("--users", "6")
D = tt.env["DOMAIN"]
sent = collections.defaultdict(list)    # user: subjects
later = []      # submissions that were to try again


def mail(n, subject, by="internet"):
    subject = f"{subject}, {by}"
    if by == "internet":
        tt.internet([tt.address(n)], subject)
    else:
        tm.ok(tm.wait_for(lambda: submits(n, subject)), f"{subject}: is taken")
    sent[n].append(subject)
    return subject


def submits(n, subject):
    """User 3 sends; told that passwords cannot be checked at present, as after the loss of a replica, no."""
    try:
        tt.submit(3, [tt.address(n)], subject)
    except smtplib.SMTPAuthenticationError as e:
        if e.smtp_code != 454:
            raise
        later.append(subject)
        return False
    return True


def fine(n, what):
    """A user logs in by the balancer, sees his folders and gets mail."""
    try:
        c = tt.imap(n)
        good = c.list()[0] == "OK" and c.select("INBOX")[0] == "OK"
        c.logout()
    except (imaplib.IMAP4.error, OSError) as e:
        good = tm.diag(repr(e))
    return tm.ok(good, f"{what}: user {n} logs in and reads")


def answer(n):
    """What a login is answered; closed: by a balancer whose proxy has not answered, too."""
    try:
        c = imaplib.IMAP4_SSL(tt.env["MAIL_HOST"], 993, ssl_context=tt.tls, timeout=tm.LONG)
        c.login(tt.user(n), tt.env["PASSWORD"])
        c.logout()
        return "OK"
    except (imaplib.IMAP4.abort, OSError):
        return "closed"
    except imaplib.IMAP4.error as e:
        return str(e)


began = time.monotonic()


def kill(host):
    tm.diag(f"{time.monotonic() - began:.1f} s")
    tm.is_(tt.call("kill", host).returncode, 0, f"---- {host} is gone")


def start(host):
    r = tt.call("start", host)
    tm.is_((r.returncode, r.stderr), (0, ""), f"{host} is back")



def relay():
    """An inbound relay: the other MX."""
    kill("in1")
    first = [mail(1 + i % 2, f"without in1 {i}") for i in range(4)]
    for i, subject in enumerate(first):
        text = tt.arrived(1 + i % 2, subject)
        tm.ok(text and b"by in2." in text and b"by in1." not in text, f"{subject}: by the other MX")
    start("in1")


def proxy():
    """A proxy: its people come back by the other."""
    open_ = [(n, tt.imap(n)) for n in (1, 2, 1, 2)]
    kill("mmp1")
    alive = 0
    for n, c in open_:
        try:
            alive += c.noop()[0] == "OK"
        except (imaplib.IMAP4.abort, OSError):
            pass
    tm.is_(alive, 2, "the sessions of mmp1 end, those of mmp2 go on")
    for n in (1, 2):
        tm.is_(tm.wait_for(lambda: answer(n) == "OK"), True, f"user {n} connects again and is in, by the other")
    start("mmp1")


def replica():
    """A replica: whoever waits for its answer is asked of the next one."""
    kill("ldap1")
    for n in (1, 2):
        fine(n, "without ldap1")
    s = mail(2, "without ldap1", "submission")
    tm.ok(tt.arrived(2, s), s)
    start("ldap1")
    tm.is_(later, [], "and nobody was told to come back later")


def master():
    """The master of the directory: reads go on."""
    kill("ldap-master")
    fine(2, "without the master")
    s = mail(1, "without the master")
    tm.ok(tt.arrived(1, s), s)
    start("ldap-master")
    tm.ok(tt.modify(1, "replace: mailQuota\nmailQuota: 987654321"), "a change at the master again")
    for host in ("ldap1", "ldap2"):
        tm.ok(tm.wait_for(lambda: "987654321" in tt.ldap(host, 1, "mailQuota")), f"and it comes to {host}, which had lost it")


def store():
    """A store: its mail waits, its people are told, others notice nothing."""
    reader = tt.imap(2)
    kill("store1")
    late = [mail(1, "while store1 is away", by) for by in ("internet", "submission")]
    other = [mail(2, "while store1 is away", by) for by in ("internet", "submission")]
    for subject in other:
        tm.ok(tt.arrived(2, subject), f"{subject}: mail of the other store arrives")
    tm.is_(reader.noop()[0], "OK", "sessions at the other store go on")
    fine(2, "without store1")
    tm.ok(tm.wait_for(lambda: "UNAVAILABLE" in answer(1)), "users of store1 are told UNAVAILABLE")
    fine(4, "and while they are")
    tm.is_([s for s in late if tt.find(1, s)], [], "its mail waits")
    start("store1")
    for subject in late:
        tm.ok(tt.arrived(1, subject), f"{subject}: arrives when it is back")
    tm.ok(tm.wait_for(lambda: answer(1) == "OK"), "and its users are in again")


def cut():
    """A cut between the tiers."""
    for proxy in ("mmp1", "mmp2"):
        tm.is_(tt.call("cut", proxy, "store2").returncode, 0, f"---- cut {proxy} store2")
    tm.ok(tm.wait_for(lambda: "UNAVAILABLE" in answer(2)), "users of store2 are told UNAVAILABLE")
    fine(1, "while store2 is cut off")
    s = mail(2, "behind the cut")
    tm.ok(tt.arrived(2, s), "mail has another road and arrives")
    tm.is_(tt.call("heal").returncode, 0, "healed")
    tm.ok(tm.wait_for(lambda: answer(2) == "OK"), "and they are in again")


def hangs(host):
    tm.diag(f"{time.monotonic() - began:.1f} s")
    tm.is_(tt.call("freeze", host).returncode, 0, f"---- {host} hangs")


def thaw(host):
    tm.is_(tt.call("thaw", host).returncode, 0, f"{host} goes on")


def frozen():
    """A host of each kind that hangs: its system takes connections, and nobody answers."""
    for host, what in (("mmp1", "a proxy"), ("out1", "a relay of submission"), ("in1", "an inbound relay"), ("ldap1", "a replica"),
                       ("ldap-master", "the master")):
        hangs(host)
        for n in (1, 2):
            tm.is_(tm.wait_for(lambda: answer(n) == "OK"), True, f"{what} hangs: user {n} logs in")
            fine(n, f"{what} hangs")
        s = mail(2, f"{host} hangs", "submission" if host != "in1" else "internet")
        tm.ok(tt.arrived(2, s), s)
        thaw(host)
        tm.is_(tm.wait_for(lambda: tt.call("status").returncode == 0), True, "every host is up")
    reader = tt.imap(2)
    hangs("store1")
    late = mail(1, "while store1 hangs")
    tm.ok(tm.wait_for(lambda: "UNAVAILABLE" in answer(1)), "a store hangs: its users are told UNAVAILABLE")
    tm.is_(reader.noop()[0], "OK", "sessions at the other store go on")
    fine(4, "a store hangs")
    s = mail(2, "while store1 hangs")
    tm.ok(tt.arrived(2, s), s)
    thaw("store1")
    tm.is_(tm.wait_for(lambda: answer(1) == "OK"), True, "it goes on, and its users are in again")
    tm.ok(tt.arrived(1, late), f"{late}: arrives")


for part in os.environ.get("TM_FAULTS", "relay proxy store cut").split():
    {"relay": relay, "proxy": proxy, "replica": replica, "master": master, "store": store, "cut": cut, "frozen": frozen}[part]()

# ---- nothing lost, nothing twice
for n, subjects in sent.items():
    counts = collections.Counter(m for m in tt.subjects(n))
    tm.is_({s: counts[s] for s in subjects if counts[s] != 1}, {}, f"user {n}: each of {len(subjects)} messages is there once")
tm.is_(tt.call("status").returncode, 0, "every host is up")
tt.done()
