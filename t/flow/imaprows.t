#!/usr/bin/env python3
"""FETCH and SEARCH of a whole mailbox give each message what it gives alone: states and keywords in
any order, holes, \\Recent, numbers that get a digit more, days in their own zones, what has changed."""
import datetime, random, re
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
rnd = random.Random(7)
FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "kw1", "kw2"]
N = 140
a = Raw(sb, login=1)


def rows(c, command):
    """UID or number -> the rest of its row"""
    return [m.groups() for m in (re.match(rb"\* (\d+) FETCH \((.*)\)$", l, re.S) for l in c.ok(command)) if m]


# Days: around midnight in zones on both sides, and behind 2038.
dates = []
for i in range(N):
    zone = rnd.choice([0, 60, 330, -480, 840, -720])
    day = datetime.date(rnd.choice([1970, 2024, 2039]), rnd.choice([1, 2, 12]), 28) + datetime.timedelta(rnd.choice([-27, -1, 0, 1, 2, 3]))
    t = datetime.datetime.combine(day, datetime.time(rnd.choice([0, 23]), rnd.choice([0, 59]), rnd.choice([0, 59])))
    dates.append(t.date())
    stamp = t.strftime("%d-%b-%Y %H:%M:%S ") + f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}{abs(zone) % 60:02}"
    flags = " ".join(rnd.sample(FLAGS, rnd.choice([0, 0, 0, 1, 2]) if i % 40 > 20 else 0))
    a.append("INBOX", f"Subject: {i}\r\n\r\n{i}\r\n", f'({flags}) "{stamp}"')


def same(c, items, what):
    whole = rows(c, f"FETCH 1:* ({items})")
    single = [rows(c, f"FETCH {n.decode()} ({items})")[0] for n, _ in whole]
    if not tm.ok(whole == single, f"{what}: FETCH 1:* ({items}) is what FETCH n is"):
        tm.diag(next(f"{w} is not {s}" for w, s in zip(whole, single) if w != s))
    return whole


def all_items(c, what, n):
    for items in ("FLAGS", "UID", "MODSEQ", "UID FLAGS", "UID MODSEQ", "FLAGS MODSEQ", "UID FLAGS MODSEQ", "UID FLAGS RFC822.SIZE INTERNALDATE"):
        got = same(c, items, what)
        tm.is_([int(k) for k, _ in got], list(range(1, n + 1)), f"{what}: as many")
    return got


b = Raw(sb, login=1)
b.ok("EXAMINE INBOX")  # all are \Recent, and stay it
all_items(b, "all recent", N)
a.ok("SELECT INBOX")
all_items(a, "taken", N)
a.ok("UNSELECT")
for i in range(20):
    a.append("INBOX", f"Subject: more\r\n\r\n{i}\r\n", "(\\Seen)" if i % 2 else "")
    dates.append(None)
c = Raw(sb, login=1)
c.ok("SELECT INBOX")
got = all_items(c, "some recent", N + 20)
tm.is_(sum(b"\\Recent" in r for _, r in got), 20, "twenty of them")
tm.ok(b"\\Recent" not in rows(c, f"FETCH {N}:{N} FLAGS")[0][1] and b"\\Recent" in rows(c, f"FETCH {N + 1} FLAGS")[0][1], "the new ones")

a.ok("SELECT INBOX")

# Holes that are told, and such that are not yet.
c.ok("STORE 1:* -FLAGS.SILENT (\\Deleted)")
gone = [3, 9, 10, 31, 32, 33, 64, 99, 100, 101, N + 20]
c.ok(f"UID STORE {','.join(map(str, gone))} +FLAGS.SILENT (\\Deleted)")
a.ok("NOOP")
c.ok("EXPUNGE")
left = [u for u in range(1, N + 21) if u not in gone]
got = all_items(c, "with holes", len(left))
tm.is_([int(re.search(rb"UID (\d+)", r).group(1)) for _, r in got], left, "the right UIDs")
lines, t = a.cmd("FETCH 1:* (UID FLAGS)")
tm.ok(t.startswith(b"NO [EXPUNGEISSUED]"), "who has not been told is")
tm.is_([int(re.match(rb"\* (\d+) FETCH", l).group(1)) for l in lines if b" FETCH " in l], left, "and gets the others by their old numbers")
lines = a.ok("UID FETCH 1:* (FLAGS)")
tm.is_([(int(x), int(y)) for x, y in (re.match(rb"\* (\d+) FETCH \(UID (\d+)", l).groups() for l in lines if b" FETCH " in l)],
       [(u, u) for u in left], "the same by UIDs")
a.ok("NOOP")
a.ok("UNSELECT")
a.ok("SELECT INBOX")

# Days.
months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
days = {d + datetime.timedelta(k) for d in dates if d for k in (-1, 0, 1)}
wrong = []
for d in sorted(days):
    for key, fits in (("BEFORE", lambda x: x < d), ("ON", lambda x: x == d), ("SINCE", lambda x: x >= d)):
        want = [u for u in left if u <= N and fits(dates[u - 1])]
        text = a.ok(f"UID SEARCH UID 1:{N} {key} {d.day}-{months[d.month - 1]}-{d.year}")[0].split()[2:]
        if want != [int(x) for x in text]:
            wrong.append(f"{key} {d}: {text}, want {want}")
if not tm.ok(not wrong, f"BEFORE, ON and SINCE of {len(days)} days"):
    tm.diag(wrong[0])
tm.is_([int(x) for x in a.ok("SEARCH ALL")[0].split()[2:]], list(range(1, len(left) + 1)), "SEARCH ALL")
tm.is_([int(x) for x in a.ok("UID SEARCH ALL")[0].split()[2:]], left, "UID SEARCH ALL")

# What has changed, and what is gone besides.
high = int(re.search(rb"HIGHESTMODSEQ (\d+)", a.ok("STATUS INBOX (HIGHESTMODSEQ)")[0]).group(1))
d = Raw(sb, login=1)
d.ok("SELECT INBOX")
tm.is_(rows(a, f"FETCH 1:* (UID FLAGS) (CHANGEDSINCE {high})"), [], "nothing has changed")
d.ok("STORE 5,40:42,90 +FLAGS.SILENT (kw3)")
a.ok("NOOP")
changed = [left[n - 1] for n in (5, 40, 41, 42, 90)]
for kind in ("FETCH", "UID FETCH"):
    got = rows(a, f"{kind} 1:* (UID FLAGS) (CHANGEDSINCE {high})")
    tm.is_([int(re.search(rb"UID (\d+)", r).group(1)) for _, r in got], changed, f"{kind} CHANGEDSINCE")
    tm.ok(all(b"MODSEQ" in r and b"kw3" in r for _, r in got), "with keyword and MODSEQ")
got = rows(a, f"UID FETCH {changed[1]}:{changed[3]},{left[-1]} (UID) (CHANGEDSINCE {high})")
tm.is_([int(re.search(rb"UID (\d+)", r).group(1)) for _, r in got], changed[1:4], "of those that are asked for")
tm.is_(len(rows(a, "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)")), len(left), "from the beginning on: all")
d.ok("STORE 7 +FLAGS.SILENT (\\Deleted)")
d.ok("EXPUNGE")
lines, t = a.cmd(f"FETCH 1:* (UID) (CHANGEDSINCE {high})")
tm.ok(t.startswith(b"NO [EXPUNGEISSUED]"), "a message that is gone is told of, changed or not")
tm.is_([int(re.search(rb"UID (\d+)", l).group(1)) for l in lines if b" FETCH " in l], changed, "beside those that have changed")
tm.ok(a.tagged(f"FETCH 1:5 (UID) (CHANGEDSINCE {high})").startswith(b"OK"), "not by who has not asked for it")
tm.ok(a.tagged(f"UID FETCH 1:* (UID) (CHANGEDSINCE {high})").startswith(b"OK"), "nor by UIDs")
tm.done()
