#!/usr/bin/env python3
"""storectl backup and restore: what comes back has its UIDs, UIDVALIDITY, flags, dates, keywords, rights and single copy; into
mailboxes that are there it is merged; a later backup has only what changed; a stream cut or changed anywhere gives all that
stands before and says where; two partitions at a time; stdin and stdout."""
import imaplib, json, os, random, re, shutil, struct, subprocess, time
import tm
from crc32c import crc32c

imaplib._MAXLINE = 10 ** 8
SEED = int(os.environ.get("TM_SEED", "7"))
CUTS = int(os.environ.get("TM_CUTS", "0")) // 4 or 6
random.seed(SEED)
ARGS = ("--users", "6", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--without", "pop3d", "--without", "mmpd",
        "--set", "imapd.workers=1", "--set", "stored.cleanup_age=1h")
DIR = tm.tempdir()
old, new = tm.Sandbox(*ARGS), tm.Sandbox(*ARGS)
WORDS = ["", "\\Seen", "\\Flagged $Junk", "work \\Answered", "\\Draft"]
FOLDERS = ["INBOX", "Archive", "Made/Deep &AMQ-", "Sent"]


def me(n, sb=old):
    return f"{sb.user(n)}@{sb.domain}"


def text(i, size=0):
    return (f"From: s{i}@a.test\r\nSubject: number {i}\r\nMessage-ID: <{i}@x.test>\r\n\r\n" + "x" * 70 * (i % 5) + f"\r\nbody {i}\r\n").encode() + b"y" * size


def content(sb, user, folder):
    """UIDNEXT, UIDVALIDITY and {uid: (flags, date, save date, octets)}"""
    c = sb.imap(user)
    typ, data = c.status(f'"{folder}"', "(UIDVALIDITY UIDNEXT)")
    if typ != "OK":
        return None
    v = tuple(map(int, re.findall(rb"(?:UIDVALIDITY|UIDNEXT) (\d+)", data[0])))
    c.select(f'"{folder}"', readonly=True)
    out = {}
    for d in c.fetch("1:*", "(UID FLAGS INTERNALDATE SAVEDATE BODY.PEEK[])")[1]:
        if isinstance(d, tuple):
            head = d[0]
            out[int(re.search(rb"UID (\d+)", head)[1])] = (frozenset(re.search(rb"FLAGS \((.*?)\)", head)[1].split()) - {b"\\Recent"},
                                                          re.search(rb'INTERNALDATE "(.*?)"', head)[1], re.search(rb'SAVEDATE "(.*?)"', head)[1], d[1])
    c.logout()
    return v + (out,)


def whole(sb, users=(1, 2, 3), folders=FOLDERS):
    return {(u, f): content(sb, u, f) for u in users for f in folders}


def same(got, want, what):
    if not tm.ok(got == want, what):
        for k in want:
            if got.get(k) != want[k]:
                a, b = got.get(k), want[k]
                tm.diag(f"{k}: {a and a[:2]} {sorted(a[2]) if a else ''}\n{b and b[:2]} {sorted(b[2]) if b else ''}"[:500])
                for uid in (b[2] if a and b else {}):
                    if a[2].get(uid) != b[2][uid]:
                        tm.diag(f"{uid}: {a[2].get(uid)}\n{b[2][uid]}"[:400])
                        break


def storectl(sb, *args, rc=0, **kw):
    r = sb.tool("storectl", *args, **kw)
    if r.returncode != rc:
        tm.ok(False, f"storectl {' '.join(args)}: exit code {r.returncode}") or tm.diag(r.stderr[-1500:])
    return r


def numbers(r):
    return json.loads(r.stdout.splitlines()[-1])


def restart_empty(sb):
    """A store with nothing in it."""
    sb.call("down", sb.dir)
    shutil.rmtree(sb.env["STORE"])
    os.mkdir(sb.env["STORE"])
    sb.call("up", sb.dir)


def frames(data):
    """(offset, kind, text) of each."""
    at = 0
    while at < len(data):
        n = struct.unpack_from("<I", data, at + 12)[0]
        yield at, data[at + 7:at + 8], data[at + 24:at + 24 + n]
        at += 24 + n


# ---- what there is: gaps in UIDs, flags, keywords, dates, a large message, the same content in many folders
for u in (1, 2, 3):
    c = old.imap(u)
    c.create('"Made/Deep &AMQ-"')
    for i in range(20):
        c.append("INBOX", f"({WORDS[i % 5]})", imaplib.Time2Internaldate(1000000000 + i * 5000 + u), text(u * 100 + i, 3000000 if (u, i) == (1, 7) else 0))
    c.select("INBOX")
    c.store("3,9,20", "+FLAGS", "\\Deleted")
    c.expunge()
    c.copy("1:5", '"Made/Deep &AMQ-"')
    c.copy("2:4", "Archive")
    c.setacl("Archive", old.user(2 if u != 2 else 1), "lr")
    c.unsubscribe("Sent")
    c.logout()
was = whole(old)
FULL = f"{DIR}/full.tmb"
got = numbers(storectl(old, "backup", "--json", FULL))
tm.is_((got["accounts"], got["messages"], got["failed"]), (3, 75, 0), "all accounts, all messages")
with open(FULL, "rb") as f:
    stream = f.read()
kinds = b"".join(k for _, k, _ in frames(stream))
tm.is_(sum(b"message" in t and b"same=1" in t for _, k, t in frames(stream) if k == b"M"), 24, "of copies the octets are there once")
tm.ok(kinds.startswith(b"BAF") and kinds.endswith(b"DE"), "a stream from its beginning to its end")
tm.is_(storectl(old, "backup", FULL, rc=73).returncode, 73, "nothing is written over")

# ---- into an empty store
got = numbers(storectl(new, "restore", "--json", "--dry-run", FULL))
tm.is_((got["messages"], got["failed"]), (75, 0), "a dry run goes through the stream")
tm.is_(storectl(new, "list").stdout, "", "and changes nothing")
got = numbers(storectl(new, "restore", "--json", FULL))
tm.is_((got["messages"], got["merged"], got["there"], got["failed"]), (75, 0, 0, 0), "all of it comes back")
same(whole(new), was, "with UIDs, UIDVALIDITY, next UIDs, flags, keywords, dates and octets")
tm.is_(storectl(new, "check").returncode, 0, "the store agrees with itself")
tm.is_(storectl(new, "acl", me(1), "Archive").stdout, storectl(old, "acl", me(1), "Archive").stdout, "with rights")
files = [os.stat(os.path.join(d, n)) for d, _, names in os.walk(new.env["STORE"] + "/partition/primary") for n in names if n.endswith(".msg")]
tm.is_((len(files), len({s.st_ino for s in files})), (75, 51), "and single copy")
c = new.imap(1)
tm.ok(c.append("INBOX", None, None, text(1))[0] == "OK" and max(content(new, 1, "INBOX")[2]) == 21, "new mail comes behind all UIDs that were")
c.logout()
got = numbers(storectl(new, "restore", "--json", FULL))
tm.is_((got["messages"], got["merged"], got["there"]), (0, 0, 75), "a second time it is all there")

# ---- merged
c = new.imap(2)
c.select("INBOX")
c.store("1:3", "+FLAGS", "\\Deleted")
c.expunge()
c.logout()
got = numbers(storectl(new, "restore", "--json", "--account", me(2), FULL))
tm.is_((got["messages"], got["merged"], got["there"]), (0, 3, 22), "what was expunged since comes under new UIDs")
tm.is_(sorted(content(new, 2, "INBOX")[2])[-3:], [21, 22, 23], "behind the others")
got = numbers(storectl(new, "restore", "--json", "--account", me(2), "--to", me(5, new), FULL))
tm.is_((got["messages"], got["merged"]), (25, 0), "one account under another name")
same({f: content(new, 5, f) for f in FOLDERS}, {f: was[2, f] for f in FOLDERS}, "as it was, also what an earlier account has the octets of")
# A UIDVALIDITY is the time at which a mailbox was made, and one that is new gets none that a restored one has had.
tm.wait_for(lambda: time.time() > max(was[3, f][1] for f in FOLDERS) + 1)
c = new.imap(6)
c.append("INBOX", None, None, text(999))
c.logout()
got = numbers(storectl(new, "restore", "--json", "--account", me(3), "--to", me(6, new), FULL))
tm.is_((got["messages"], got["merged"]), (8, 17), "a mailbox that has mail of its own keeps its UIDVALIDITY")
tm.is_(len(content(new, 6, "INBOX")[2]), 18, "and has both")
tm.is_(storectl(new, "check").returncode, 0, "the store agrees with itself")
tm.is_(storectl(new, "restore", "--account", "nobody@x.test", FULL, rc=67).returncode, 67, "an account that is not in it")

# ---- only what changed
STATE = f"{DIR}/state"
os.mkdir(STATE)
first = numbers(storectl(old, "backup", "--json", "-s", STATE, f"{DIR}/0.tmb"))
tm.is_(first["messages"], 75, "the first with a state is whole")
nothing = numbers(storectl(old, "backup", "--json", "-s", STATE, f"{DIR}/1.tmb"))
tm.is_((nothing["accounts"], nothing["messages"]), (0, 0), "nothing has changed")
c = old.imap(1)
c.append("INBOX", "(new \\Seen)", None, text(500))
c.select("INBOX")
c.store("2", "+FLAGS", "(\\Flagged)")
c.store("4", "+FLAGS", "\\Deleted")
c.expunge()
c.rename("Archive", "Elsewhere")
c.logout()
c = old.imap(4)
c.append("INBOX", None, None, text(501))
c.logout()
more = numbers(storectl(old, "backup", "--json", "-s", STATE, f"{DIR}/2.tmb"))
tm.is_((more["accounts"], more["states"]), (2, 1), "then the accounts that have")
tm.ok(more["messages"] == 5 and more["written"] < first["written"] / 100, "with what has come, and what was renamed") or tm.diag(more)
restart_empty(new)
for i in range(3):
    got = numbers(storectl(new, "restore", "--json", f"{DIR}/{i}.tmb"))
    tm.is_(got["failed"], 0, f"one behind the other: {i}")
now = {k: v for k, v in whole(old, (1, 2, 3, 4), FOLDERS + ["Elsewhere"]).items() if v}
got = {k: v for k, v in whole(new, (1, 2, 3, 4), FOLDERS + ["Elsewhere"]).items() if v}
gone = got.pop((1, "Archive"), None)     # a folder that is gone stays, with its UIDVALIDITY, which no other gets then
tm.ok(gone and gone[1] == now[1, "Elsewhere"][1] != got[1, "Elsewhere"][1], "no UIDVALIDITY twice in an account")
tm.is_([m[3] for _, m in sorted(got.pop((1, "Elsewhere"))[2].items())], [m[3] for _, m in sorted(now.pop((1, "Elsewhere"))[2].items())],
       "what was renamed is there as a whole")
strip = lambda w: {k: (v[0], v[1], {u: m[:1] + m[3:] for u, m in v[2].items()}) for k, v in w.items()}
same(strip(got), strip(now), "the same as at the last of them")
tm.is_(storectl(new, "check").returncode, 0, "the store agrees with itself")
with open(f"{STATE}/primary", "a") as f:
    f.write("torn")
os.truncate(f"{STATE}/primary", os.path.getsize(f"{STATE}/primary") - 8)
tm.is_(numbers(storectl(old, "backup", "--json", "-s", STATE, f"{DIR}/3.tmb"))["accounts"], 4, "a state that is torn is none: all is backed up")

# ---- a later stream and mail that has come since; streams that nobody has made
def made(*fs):
    out = b""
    for n, (kind, t) in enumerate(fs):
        head = b"\nTMBKUP" + kind + struct.pack("<II", n, len(t))
        out += head + struct.pack("<II", crc32c(head + bytes(8) + t), 0) + t
    return out


def run(data, rc):
    r = subprocess.run([new.bin("storectl"), "-c", new.conf("tiermail.conf"), "restore", "--json", "-"], input=data, capture_output=True)
    tm.is_(r.returncode, rc, f"exit code {rc}") or tm.diag(r.stderr[-600:])
    return json.loads(r.stdout.splitlines()[-1]) if r.stdout else None


before = content(new, 2, "INBOX")
NOW = int(time.time())
begin = lambda at: (b"B", b"tiermail-backup version=1 host=x at=%d" % at)
account = lambda modseq=5: (b"A", b"account name=%s modseq=%d since=1" % (me(2).encode().replace(b"@", b"%40"), modseq))
folder = lambda validity, uidnext, name=b"INBOX": (b"F", b"folder name=%s uidvalidity=%d uidnext=%d use=0 noselect=0 subscribed=0" % (name, validity, uidnext))
END = [(b"D", b"done messages=0"), (b"E", b"end accounts=1 messages=0")]
c = new.imap(2)
c.append("INBOX", "(\\Seen)", None, text(777))
late = content(new, 2, "INBOX")
c.logout()
run(made(begin(NOW - 3600), account(), folder(late[1], 30), (b"S", b"state uid=%d flags=4" % max(late[2])), (b"G", b"gone first=%d last=4294967295" % max(late[2])), *END), 0)
tm.is_(content(new, 2, "INBOX")[2], late[2], "what came after a stream was made is not what it says is changed and gone")
run(made(begin(NOW), account(), folder(late[1], 4294967295), *END), 70)
run(made(begin(NOW), account(2 ** 64 - 1), folder(late[1], 100), *END), 70)
run(made(begin(NOW), account(), folder(4294967295, 100, b"Drafts"), *END), 70)
m = text(778)
for at, zone in ((b"-9223372036854775808", b"99999"), (b"9223372036854775807", b"-"), (b"", b"")):
    run(made(begin(NOW), account(), folder(late[1], 100), (b"M", b"message uid=40 size=%d email=1 zone=%s at=%s" % (len(m), zone, at)), (b"O", m), *END), 0)
run(made(begin(NOW), account(), folder(late[1], 100), (b"S", b"state uid=1 flags=4 keywords=" + b"a%22b%20" * 1000 + b"good"), *END), 0)
run(made(begin(NOW), account(), folder(late[1], 100), (b"M", b"message uid=41 size=%d crc=1 email=1" % len(m)), (b"O", m), *END), 1)
run(made(begin(NOW), account(), folder(late[1], 100), (b"M", b"message uid=4294967338 size=4294967297 email=1"), (b"O", m), *END), 65)
got = content(new, 2, "INBOX")
tm.is_((got[1], sorted(set(got[2]) - set(late[2]))), (late[1], [40]), "numbers that no mailbox has are refused, and what is whole is restored once")
tm.is_(storectl(new, "check").returncode, 0, "the store agrees with itself")

# ---- cut and changed
marks = list(frames(stream))
ends = [at for at, _, _ in marks[1:]] + [len(stream)]


def expected(at):
    """Messages of one account that are whole before this octet."""
    n, left = 0, 0
    for (begin, kind, t), end in zip(marks, ends):
        if end > at:
            break
        if kind == b"M":
            left = 0 if b" same=1" in t else int(re.search(rb" size=(\d+)", t)[1])
            n += left == 0
        elif kind == b"O":
            left -= len(t)
            n += left == 0
    return n


def good_before(at):
    return max([0] + [e for e in ends if e <= at])


small = [at for at, _, _ in marks]
places = random.sample(range(len(stream)), CUTS) + [at + d for at in random.sample(small, CUTS) for d in (0, 1, 13, 30)]
bad = []
for k, at in enumerate(places):
    for how in ("cut", "flip"):
        data = bytearray(stream[:at] if how == "cut" else stream)
        if how == "flip" and at < len(data):
            data[at] ^= 1 << random.randrange(8)
        r = subprocess.run([new.bin("storectl"), "-c", new.conf("tiermail.conf"), "restore", "--json", "--dry-run", "-"], input=bytes(data), capture_output=True)
        if at >= len(stream):
            continue
        n = json.loads(r.stdout)
        where = re.search(rb"octet (\d+):", r.stderr)
        if r.returncode != 65 or n["messages"] != expected(at) or not where or int(where[1]) != good_before(at) or n["octets"] != good_before(at):
            bad.append((how, at, r.returncode, n["messages"], expected(at), r.stderr[:200], good_before(at)))
tm.is_(bad[:2], [], f"cut and changed at {len(places)} places: all that stands before, and words that say where")
at = next(a for a, k, t in marks if k == b"M" and b"uid=12" in t) + 40
restart_empty(new)
with open(f"{DIR}/cut.tmb", "wb") as f:
    f.write(stream[:at])
r = storectl(new, "restore", "--json", f"{DIR}/cut.tmb", rc=65)
tm.is_(numbers(r)["messages"], expected(at), "in earnest too")
got = content(new, 1, "INBOX")
tm.is_(got[2], {u: m for u, m in was[1, "INBOX"][2].items() if u in got[2]}, "and that is as it was")
tm.is_(got[1], was[1, "INBOX"][1], "with its UIDVALIDITY")
got = numbers(storectl(new, "restore", "--json", FULL))
tm.ok(got["merged"] == 0 and got["failed"] == 0, "the whole stream then brings the rest")
same(whole(new), was, "all of it")

# ---- through a pipe, on the way to another host
restart_empty(new)
p = subprocess.Popen([old.bin("storectl"), "-c", old.conf("tiermail.conf"), "backup", "-a", me(3), "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
r = subprocess.run([new.bin("storectl"), "-c", new.conf("tiermail.conf"), "restore", "--json", "-"], stdin=p.stdout, capture_output=True, text=True)
p.stdout.close()
tm.is_((p.wait(), r.returncode, numbers(r)["messages"]), (0, 0, 25), "one account through a pipe") or tm.diag(r.stderr)
same(whole(new, (3,)), {k: v for k, v in was.items() if k[0] == 3}, "as it was")
r = subprocess.run([old.bin("storectl"), "-c", old.conf("tiermail.conf"), "backup", "/dev/full"], capture_output=True, text=True)
tm.ok(r.returncode in (73, 74), "a disk that is full is told") or tm.diag(r)

# ---- stored dies in between
restart_empty(new)
p = subprocess.Popen([new.bin("storectl"), "-c", new.conf("tiermail.conf"), "restore", "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
half = next(a for a, k, t in marks if k == b"A" and me(2).encode() in t.replace(b"%40", b"@")) + 3000
p.stdin.write(stream[:half])
p.stdin.flush()
tm.wait_for(lambda: me(2) in storectl(new, "list").stdout)
new.kill("stored")
try:
    p.stdin.write(stream[half:])
except BrokenPipeError:
    pass
out, err = p.communicate()
tm.ok(p.returncode == 69 and b"octet " in err, "without stored it ends, and says where") or tm.diag((p.returncode, err))
new.restart("stored")
new.restart("imapd")
got = numbers(storectl(new, "restore", "--json", FULL))
same(whole(new), was, "another run brings the rest")
tm.is_(storectl(new, "check").returncode, 0, "the store agrees with itself")

# ---- two partitions at a time
with open(old.conf("stored.conf")) as f:
    conf = f.read()
with open(old.conf("stored.conf"), "w") as f:
    f.write("default_partition = second\n" + conf + "\n[partition primary]\n")
for d in ("stored", "imapd"):
    old.restart(d)
c = old.imap(6)
c.append("INBOX", None, None, text(1))
c.logout()
storectl(old, "backup", "-d", f"{DIR}/parts")
tm.is_(sorted(os.listdir(f"{DIR}/parts")), ["primary.tmb", "second.tmb"], "a stream for each partition")
restart_empty(new)
r = storectl(new, "restore", "--json", f"{DIR}/parts")
tm.is_(sum(json.loads(l)["accounts"] for l in r.stdout.splitlines()), 5, "which come back at the same time")
tm.is_(len(content(new, 6, "INBOX")[2]), 1, "both")
tm.done()
