#!/usr/bin/env python3
"""storectl import and export: 20,000 messages of a real Dovecot's Maildir come with flags, dates, keywords and folders,
a second time only what is new; what goes out Dovecot reads with the same UIDs; mbox there and back; broken files are
told and lose nothing."""
import imaplib, json, os, re, shutil, subprocess, time
import tm

IMAP = "/usr/lib/dovecot/imap"
if not os.path.exists(IMAP):
    tm.skip_all("dovecot-imapd is not installed")
imaplib._MAXLINE = 10 ** 8
sb = tm.Sandbox("--users", "8", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--without", "pop3d", "--without", "mmpd",
                "--set", "imapd.workers=1")
DIR = tm.tempdir()
os.chmod(DIR, 0o755)
DV = f"{DIR}/dovecot"   # Dovecot's own; its mail is not root's
os.mkdir(DV)
ROOT = os.getuid() == 0
WHO = 65534 if ROOT else os.getuid()
N = 2000


def give(path):
    """To the user as whom Dovecot is run."""
    if ROOT:
        subprocess.run(["chown", "-R", f"{WHO}:{WHO}", path], check=True)
    return path


give(DV)


def dovecot(location):
    """An IMAP session of Dovecot's own program on a mail location."""
    conf = f"{DIR}/dovecot.conf"
    with open(conf, "w") as f:
        f.write(f"base_dir = {DV}/run\nstate_dir = {DV}/run\nlog_path = {DV}/log\nssl = no\nfirst_valid_uid = 0\nfirst_valid_gid = 0\nmail_uid = {WHO}\nmail_gid = {WHO}\n"
                f"mail_location = {location}\nmail_fsync = never\nnamespace inbox {{\n  inbox = yes\n}}\n")
    c = imaplib.IMAP4_stream(f"{' '.join(tm.NOBODY) if ROOT else ''} env USER=mail HOME={DV} {IMAP} -c {conf} 2>>{DIR}/dovecot.err")
    c.state = "AUTH"
    return c


def folder_names(c):
    names = []
    for l in c.list()[1]:
        m = re.match(rb'\((.*?)\) "(.)" (.*)', l)
        if b"\\Noselect" not in m[1] and b"\\NonExistent" not in m[1]:
            names.append((m[3].strip(b'"').decode(), m[2].decode()))
    return names


def content(c, folder, uids=False):
    """Every message of a folder: (date, flags, octets), in order; with UIDs and UIDVALIDITY."""
    if c.select(f'"{folder}"', readonly=True)[0] != "OK":
        return None
    data = c.fetch("1:*", "(UID INTERNALDATE FLAGS BODY.PEEK[])")[1]
    out = []
    for k in range(0, len(data)):
        if not isinstance(data[k], tuple):
            continue
        head, body = data[k]
        tail = data[k + 1] if k + 1 < len(data) and isinstance(data[k + 1], bytes) else b""
        head += tail
        flags = set(re.search(rb"FLAGS \((.*?)\)", head)[1].split()) - {b"\\Recent"}
        when = time.mktime(imaplib.Internaldate2tuple(head))
        uid = int(re.search(rb"UID (\d+)", head)[1])
        out.append((when, frozenset(flags), body) + ((uid,) if uids else ()))
    return out


def same(got, want, what):
    if not tm.ok(got == want, what):
        tm.diag(f"{len(got or [])} and {len(want or [])} messages; the first that differ:")
        for a, b in zip(got or [], want or []):
            if a != b:
                tm.diag(f"{a}\n{b}"[:600])
                break


def storectl(*args, rc=0):
    r = sb.tool("storectl", *args)
    if r.returncode != rc:
        tm.ok(False, f"storectl {args[0]}: exit code {r.returncode}") or tm.diag(r.stderr[-2000:])
    return r


def imported(*args, rc=0):
    r = storectl("import", "--json", *args, rc=rc)
    return json.loads(r.stdout.splitlines()[-1]) if r.stdout else {}


def me(n):
    return f"{sb.user(n)}@{sb.domain}"


def text(i):
    return (f"From: sender{i}@a.test\r\nTo: me@b.test\r\nSubject: number {i}\r\nMessage-ID: <{i}@x.test>\r\n\r\n" + f"line {i}\r\n" * (i % 40) +
            "From here on\r\n>From there\r\n").encode()


# ---- a Maildir that Dovecot has made
SRC = f"{DV}/src"
c = dovecot(f"maildir:{SRC}")
FLAGS = ["", "\\Seen", "\\Flagged \\Seen", "$Junk \\Answered", "work \\Draft", "\\Deleted"]
for i in range(N):
    c.append("INBOX", f"({FLAGS[i % len(FLAGS)]})", imaplib.Time2Internaldate(1000000000 + i * 1000), text(i))
c.select("INBOX")
FOLDERS = ["Arbeit", "Arbeit.&AMQ-rger.Deep", "Sent", "Kept &- done", "Lists.one", "Lists.two", "Lists.three", "Old.2001", "Old.2002"]
for f in FOLDERS:
    tm.is_(c.create(f'"{f}"')[0], "OK", f"Dovecot has {f}") if f == FOLDERS[1] else c.create(f'"{f}"')
    c.copy("1:*", f'"{f}"')
was = {f: content(c, f) for f in ["INBOX"] + FOLDERS}
c.logout()
tm.is_(sum(map(len, was.values())), 20000, "20,000 messages in Dovecot's Maildir")

watch = tm.Stopwatch()
dry = imported("--dry-run", "--from", "maildir++", me(1), SRC)
tm.is_((dry["messages"], sb.count(1)), (20000, 0), "a dry run counts them")
watch = tm.Stopwatch()
got = imported("--from", "maildir++", me(1), SRC)
tm.is_({k: got[k] for k in ("messages", "there", "failed", "folders")}, dict(messages=20000, there=0, failed=0, folders=10), "all of them come")
tm.diag(f"{20000 / watch.took():.0f} messages a second, {got['bytes']} bytes")
c = sb.imap(1)
for f in ["INBOX"] + FOLDERS:
    if f in ("INBOX", FOLDERS[1], "Old.2002"):
        same(content(c, f.replace(".", "/")), was[f], f"{f}: order, octets, dates, flags and keywords")
names = {n for n, _ in folder_names(c)}
tm.ok({f.replace(".", "/") for f in FOLDERS} <= names, "with their names") or tm.diag(names)
tm.ok(b"Arbeit/&AMQ-rger/Deep" in b"".join(c.lsub()[1]), "which are subscribed")
c.logout()
got = imported("--from", "maildir++", me(1), SRC)
tm.is_({k: got[k] for k in ("messages", "there", "failed")}, dict(messages=0, there=20000, failed=0), "the second time nothing is new")
c = dovecot(f"maildir:{SRC}")
for i in range(3):
    c.append("Sent", None, None, text(N + i))
c.append("Sent", None, None, text(1))
c.logout()
got = imported("--from", "maildir++", me(1), SRC)
tm.is_((got["messages"], got["there"]), (4, 20000), "then only what is: also another copy of what is there")
tm.is_(storectl("check", rc=0).returncode, 0, "the store agrees with itself")

# ---- out, and into Dovecot
OUT = f"{DIR}/out"
c = sb.imap(1)
c.create("dots.in/a.name")
c.append("dots.in/a.name", "(one two)", None, text(7))
c.logout()
r = storectl("export", "--json", "--to", "maildir", me(1), OUT)
tm.is_({k: v for k, v in json.loads(r.stdout).items() if k in ("messages", "failed")}, dict(messages=20005, failed=0), "all of them go out")
ours, c = sb.imap(1), dovecot(f"maildir:{give(OUT)}")
for f in ("INBOX", FOLDERS[1], "Sent"):
    same(content(c, f, uids=True), content(ours, f.replace(".", "/"), uids=True), f"Dovecot reads {f}: the same UIDs, octets, dates, flags")
    tm.is_(c.status(f'"{f}"', "(UIDVALIDITY UIDNEXT)")[1][0].split(b"(")[1], ours.status('"%s"' % f.replace(".", "/"), "(UIDVALIDITY UIDNEXT)")[1][0].split(b"(")[1],
           "and UIDVALIDITY")
c.logout()
got = imported("--from", "maildir++", me(2), OUT)
tm.is_((got["messages"], got["failed"]), (20005, 0), "and in again")
c = sb.imap(2)
same(content(c, "dots.in/a.name"), content(ours, "dots.in/a.name"), "with dots in names")
same(content(c, "Sent"), content(ours, "Sent"), "as they were")
c.logout()
tm.is_(storectl("export", "--to", "maildir", me(1), OUT, rc=73).returncode, 73, "nothing is written over")

# ---- mbox
BOX = f"{DIR}/box"
c = sb.imap(3)
for i, f in enumerate(("INBOX", "A", "A/B", ".dot", "50% &- more", "A/B.sbd")):
    c.create(f'"{f}"')
    for k in range(5):
        c.append(f'"{f}"', f"({FLAGS[k]})", imaplib.Time2Internaldate(1000000000 + k), text(i * 10 + k))
r = storectl("export", "--json", "--to", "mbox", me(3), BOX)
tm.is_(json.loads(r.stdout)["messages"], 30, "into mbox files")
tm.ok(os.path.exists(f"{BOX}/A") and os.path.exists(f"{BOX}/A.sbd/B"), "one beside the folder of those below it")
shutil.copy(f"{BOX}/A.sbd/B", f"{DV}/B")    # it writes into what it reads
give(f"{DV}/B")
d = dovecot(f"mbox:{DV}/none:INBOX={DV}/B")
same([(w, fl, re.sub(rb"(?m)^>(>*From )", rb"\1", t)) for w, fl, t in content(d, "INBOX")],
     [(w, frozenset(x for x in fl if x.startswith(b"\\")), t) for w, fl, t in content(c, "A/B")], "which Dovecot reads, but for quotes, and keywords without its X-IMAPbase")
d.logout()
got = imported("--from", "mbox", me(4), BOX)
tm.is_((got["messages"], got["failed"]), (30, 0), "and in again")
d = sb.imap(4)
for f in ("INBOX", "A/B", ".dot", "50% &- more", "A/B.sbd"):
    same(content(d, f), content(c, f), f"{f} is as it was")
got = imported("--from", "mbox", "--folder", "One/File", me(4), f"{BOX}/A")
same(content(d, "One/File"), content(c, "A"), "one file into a folder of another name")
tm.is_(imported("--from", "mbox", me(4), BOX)["messages"], 0, "nothing twice")
c.logout()
d.logout()

# ---- maildir with folders below each other
FS = f"{DV}/fs"
c = dovecot(f"maildir:{FS}:LAYOUT=fs")
c.create("Top/Below")
c.append("Top/Below", "(\\Seen)", imaplib.Time2Internaldate(1000000000), text(1))
c.append("INBOX", None, None, text(2))
c.logout()
got = imported("--from", "maildir", me(5), FS)
tm.is_((got["messages"], got["failed"]), (2, 0), "folders below each other")
tm.is_((sb.count(5), sb.count(5, "Top/Below")), (1, 1), "come as such")

# ---- what is broken
BAD = f"{DIR}/bad"
for s in ("cur", "new", "tmp", ".Odd..Name/cur", ".&AAA/cur", "cur/directory"):
    os.makedirs(f"{BAD}/{s}")
with open(f"{BAD}/cur/1.good:2,S", "wb") as f:
    f.write(text(1))
open(f"{BAD}/cur/2.empty:2,", "w").close()
os.symlink("/etc/passwd", f"{BAD}/cur/3.link:2,")
os.mkfifo(f"{BAD}/cur/4.fifo:2,")
with open(f"{BAD}/new/5.binary", "wb") as f:
    f.write(b"Subject: \xff\0\r\rx\n\n" + bytes(range(256)) * 20)
with open(f"{BAD}/.Odd..Name/cur/6.x", "wb") as f:
    f.write(text(6))
with open(f"{BAD}/.&AAA/cur/7.x", "wb") as f:
    f.write(text(7))
with open(f"{BAD}/dovecot-keywords", "w") as f:
    f.write("nonsense\n0 bad(word\n1 good\n")
with open(f"{BAD}/cur/8.words:2,ab", "wb") as f:
    f.write(text(8))
r = storectl("import", "--json", "--from", "maildir++", me(6), BAD, rc=65)
got = json.loads(r.stdout)
tm.is_((got["messages"], got["failed"]), (4, 5), "what is good comes") or tm.diag(r.stderr)
for word in ("2.empty:2,: empty", "3.link", "4.fifo", "cur/directory", "Odd//Name", "keyword bad(word is left out"):
    tm.ok(word in r.stderr, f"{word}: is told with its place") or tm.diag(r.stderr)
tm.is_(len(os.listdir(f"{BAD}/cur")), 6, "nothing of the source is touched")
with open(f"{DIR}/torn", "wb") as f:
    f.write(b"torn head\r\nof a file\r\n\r\nFrom x Sun Sep  9 01:46:40 2001\nSubject: a\n\nbody\n\nFrom nobody\nknows\n\nFrom y Sun Sep  9 01:46:40 2001\nSubj")
r = storectl("import", "--json", "--from", "mbox", "-f", "Torn", me(6), f"{DIR}/torn", rc=65)
tm.is_(json.loads(r.stdout)["messages"], 3, "a torn file: all of it is mail")
tm.ok(f"{DIR}/torn:1: expected a line that begins with From" in r.stderr, "with words") or tm.diag(r.stderr)
c = sb.imap(6)
tm.ok(b"From nobody\r\nknows" in content(c, "Torn")[1][2], "a line that divides nothing is text")
c.logout()
with open(f"{DIR}/words", "wb") as f:
    for i in range(70):
        f.write(b"From x Sun Sep  9 01:46:40 2001\nX-Keywords: w%d\nSubject: %d\n\nx\n\n" % (i, i))
r = storectl("import", "--json", "--from", "mbox", "-f", "Words", me(6), f"{DIR}/words")
tm.is_(json.loads(r.stdout)["messages"], 70, "more keywords than a folder has places")
tm.is_(r.stderr.count("is left out: there are too many"), 6, "cost keywords and not mail")
tm.is_(storectl("import", "--from", "maildir++", me(6), f"{DIR}/none", rc=65).returncode, 65, "nothing there")
tm.is_(storectl("import", "--from", "pst", me(6), BAD, rc=64).returncode, 64, "no such format")
tm.is_(storectl("export", "--to", "mbox", "nobody@x.test", f"{DIR}/x", rc=67).returncode, 67, "no such account")
tm.ok(not os.path.exists(f"{DIR}/x"), "and nothing is made for it")

# ---- stored dies in between
def stored7():
    m = re.search(rf"^{re.escape(me(7))}\s+\S+\s+\d+\s+(\d+)", sb.tool("storectl", "list", me(7)).stdout, re.M)
    return int(m[1]) if m else 0


p = subprocess.Popen([sb.bin("storectl"), "-c", sb.conf("tiermail.conf"), "import", "--json", "--from", "maildir++", me(7), SRC],
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
tm.wait_for(lambda: p.poll() is not None or stored7() > 300)
sb.kill("stored")
out, err = p.communicate()
tm.ok(p.returncode == 69 and "storectl: " in err, "stored is killed meanwhile, and it says so") or tm.diag((p.returncode, err))
sb.restart("stored")
sb.restart("imapd")
first = json.loads(out)["messages"]
got = imported("--from", "maildir++", me(7), SRC)
tm.is_(got["messages"] + got["there"], 20004, f"another run brings the rest ({first} were told)")
tm.ok(got["there"] >= first, "what was told was there")
c = sb.imap(7)
same(sorted(content(c, "INBOX")), sorted(was["INBOX"]), "and nothing is there twice")
c.logout()
tm.done()
