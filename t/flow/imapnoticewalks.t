#!/usr/bin/env python3
"""imapd: what telling costs and how it goes on: subscriptions that change a thousand times while nobody reads, walks
over annotations that stop in the middle, accounts with more folders than can be told of."""
import collections, threading
import tm
from imapraw import Raw

ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "36", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1",
                "--set", "imapd.limit.subscriptions=4000", "--set", "imapd.limit.notify_mailboxes=400")
MESSAGE = b"Subject: hello\r\n\r\nx\r\n"
BIG = b"Subject: big\r\n\r\n" + (b"y" * 70 + b"\r\n") * 100000
worker = sb.pids_of("imapd")[-1]


def many(client, commands):
    """Pipelined, in portions that no buffer on the way is too small for."""
    commands = list(commands)
    for at in range(0, len(commands), 200):
        client.send(b"".join(b"m%d %s\r\n" % (n, c.encode()) for n, c in enumerate(commands[at:at + 200])))
        for n in range(len(commands[at:at + 200])):
            got = client.finish(b"m%d" % n)[1]
            if not got.startswith(b"OK"):
                raise AssertionError(f"{commands[at + n]}: {got}")


def busy(client):
    """An answer that nobody reads yet, behind which all that is to be told waits."""
    client.ok("EXAMINE Big")
    client.start("FETCH 1 (BODY.PEEK[] BODY.PEEK[]<1.9000000>)")


def with_big(user):
    client = Raw(sb, login=user)
    client.ok("CREATE Big")
    client.append("Big", BIG)
    return client


# ---- subscriptions ---------------------------------------------------------------------------------------------------
def look(user, subscriptions):
    """The worker's time for telling of a subscription that has changed 400 times."""
    by = with_big(user)
    many(by, (f"SUBSCRIBE Many/{n}" for n in range(subscriptions)))
    hears = Raw(sb, login=user)
    hears.ok("NOTIFY SET (personal (SubscriptionChange))")
    least = 1e9
    for _ in range(2):
        busy(hears)
        many(by, ["SUBSCRIBE x", "UNSUBSCRIBE x"] * 200)
        by.ok("SUBSCRIBE last")
        at = tm.cpu(worker)
        hears.finish()
        told = hears.response()
        least = min(least, tm.cpu(worker) - at)
        by.ok("UNSUBSCRIBE last")
        hears.response()
        hears.ok("UNSELECT")
    is_(told, b'* LIST (\\NonExistent \\Subscribed) "/" last', f"with {subscriptions} subscriptions it is told what has become of them")
    return least


little, much = look(1, 10), look(2, 2500)
ok(much < little * 4, "and that they have changed 400 times costs one look at them") or tm.diag((little, much))

# ---- annotations -----------------------------------------------------------------------------------------------------
BOXES, ENTRIES, ROUNDS = 300, 5, 6
by, again = with_big(3), Raw(sb, login=3)
long = "n" * 180
names = [f"{n:03}-" + "b" * 120 for n in range(BOXES)]
many(by, (f"CREATE {name}" for name in names))
for words in ("NOTIFY SET (personal (MailboxMetadataChange))", "ENABLE METADATA"):
    hears, got = Raw(sb, login=3), collections.Counter()
    hears.ok(words)
    for r in range(ROUNDS):
        busy(hears)
        many(by, ("SETMETADATA %s (%s)" % (name, " ".join(f'/private/{long}{e} "{words[0]}{r}"' for e in range(ENTRIES))) for name in names))
        # While it is told, which goes in slices, others are set: before and behind where telling stands.
        t = threading.Thread(target=lambda: many(again, (f'SETMETADATA {name} (/private/again "{words[0]}{r}")' for name in reversed(names))))
        t.start()
        while any(got[name, e] <= r for name in names for e in (f"{long}0", f"{long}{ENTRIES - 1}", "again")):
            line = hears.response().decode()
            if line.startswith("* METADATA "):
                name, *entries = line[len("* METADATA "):].split(" ")
                got.update((name, e.removeprefix("/private/")) for e in entries)
            elif line.startswith(hears.tag.decode()):
                hears.start("NOOP")
        t.join()
        hears.finish()
        hears.ok("UNSELECT")
    is_({k[0][:3] + "/" + k[1][-6:]: n for k, n in got.items() if n != ROUNDS}, {}, f"{words}: each annotation is told once, in whatever slices")
    hears.close()


def told(user, size):
    """The worker's time for telling of an annotation beside large ones."""
    by, hears = Raw(sb, login=user), Raw(sb, login=user)
    for box in range(3):
        by.ok(f"CREATE box{box}")
        for n in range(40):
            by.send(b"s SETMETADATA box%d (/private/v%d {%d+}\r\n%s)\r\n" % (box, n, size, b"v" * size))
            if not by.finish(b"s")[1].startswith(b"OK"):
                raise AssertionError("a large value")
    at = tm.cpu(worker)
    for box in range(3):
        by.ok(f"GETMETADATA box{box} ({' '.join(f'/private/v{n}' for n in range(40))})")
    whole = tm.cpu(worker) - at
    hears.ok("NOTIFY SET (personal (MailboxMetadataChange))")
    least = 1e9
    for _ in range(4):
        at = tm.cpu(worker)
        for n in range(50):
            by.ok(f'SETMETADATA INBOX (/private/n "{n}")')
            hears.response()
        least = min(least, tm.cpu(worker) - at)
    return least / 50, whole


(little, _), (much, whole) = told(4, 60), told(5, 65000)
ok(much < whole / 5, "of an annotation it is told without a look at the values of all") or tm.diag((little, much, whole))

# ---- more folders than can be told of ---------------------------------------------------------------------------------
one, six = sb.user(1), sb.user(6)
big, guest = with_big(6), Raw(sb, login=1)
big.ok(f"SETACL Big {one} lr")
own, own2, early = Raw(sb, login=6), Raw(sb, login=6), Raw(sb, login=1)
many(big, (f"CREATE {n}/" + "/".join("a" * 31) for n in range(12)))        # 384 and two
events = "(MessageNew MessageExpunge MailboxName)"
for client in (own, own2):
    client.ok(f"NOTIFY SET (personal {events})")
is_(early.ok(f'NOTIFY SET (subtree "Shared Folders" {events})'), [], "somebody with almost too many folders")
busy(own2)
many(big, (f"CREATE more{n}/" + "/".join("a" * 31) for n in range(2)))
for client in (own, own2):
    line = b"* LIST"
    while line.startswith(b"* LIST") or b"FETCH" in line:
        ok(b"NonExistent" not in line, "no folder has gone") if b"NonExistent" in line else None
        line = client.response()
    is_(line[:27], b"* OK [NOTIFICATIONOVERFLOW]", "too many of one's own end what is told")
is_(early.response()[:12], b"* NO [LIMIT]", "too many of somebody else's are said to be")
is_([l[:12] for l in guest.ok(f'NOTIFY SET (subtree "Shared Folders" {events}) (personal {events})')], [b"* NO [LIMIT]"], "also when it begins")
ok(own.tagged(f"NOTIFY SET (personal {events})").startswith(b"NO [NOTIFICATIONOVERFLOW]"), "but one's own are refused")
big.append("Big", MESSAGE)
for client in (guest, early):
    is_(client.response()[:10], b"* STATUS \"", "and his messages are told of all the same")
guest2 = Raw(sb, login=1)
guest2.ok("CREATE Mine")
is_(guest.response(), b'* LIST (\\HasNoChildren) "/" Mine', "and one's own folders")

# ---- many who share -----------------------------------------------------------------------------------------------------
SHARERS = range(7, 37)
sharers = {n: Raw(sb, login=n) for n in SHARERS}
for n, s in sharers.items():
    many(s, ["CREATE Club"] + [f"CREATE Box/{k}" for k in range(60)] + [f"SETACL Club {one} lr"])
heard = Raw(sb, login=1)
heard.ok(f'NOTIFY SET (subtree "Shared Folders" {events})')
for s in sharers.values():
    s.append("Club", MESSAGE)
told_of = set()
while len(told_of) < len(SHARERS):
    told_of.add(heard.response().split(b"/")[2])
is_(len(told_of), len(SHARERS), "all who share are listened to, however long it takes to find them")
tm.done()
