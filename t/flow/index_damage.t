#!/usr/bin/env python3
"""An index that is cut off or damaged: stored, storectl check and imapd say so in words and name
storectl recover, no one dies of a signal without a word, and recover brings everything back."""
import imaplib, os, re, shutil, subprocess, time
import tm

sb = tm.Sandbox("--users", "4")
PARTITION = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary")
INDEX = os.path.join(PARTITION, "index/data.mdb")
GOOD = os.path.join(sb.dir, "good.mdb")


def said(daemon):
    with open(os.path.join(sb.env["RUNDIR"], daemon + ".log"), errors="replace") as f:
        return f.read()


def stop(daemon="stored", sig=15):
    """By its processes, not its pid file: it may be ending by itself."""
    for pid in sb.pids_of(daemon):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass
    tm.wait_for(lambda: not sb.pids_of(daemon))


def start_by_hand():
    """stored in the foreground: (status, words)."""
    r = subprocess.run([sb.bin("stored"), "-c", sb.conf("stored.conf")], capture_output=True, text=True, errors="replace", timeout=tm.LONG)
    return r.returncode, r.stderr


def login(user):
    c = imaplib.IMAP4(sb.host, sb.port("IMAP"), timeout=tm.LONG)
    try:
        c.login(sb.user(user), sb.password)
        typ, data = c.select("INBOX", readonly=True)
        c.logout()
        return typ, data
    except imaplib.IMAP4.error as e:
        return "NO", str(e)


c = sb.imap(1)
for i in range(300):
    c.append("INBOX", None, None, f"Subject: {i}\r\n\r\n{'x' * 500}\r\n".encode())
c.create("Some")
c.select("INBOX")
c.copy("1:300", "Some")
c.logout()
stop()
stop("imapd")
shutil.copy(INDEX, GOOD)
size = os.path.getsize(GOOD)
page = 4096


def zero(at, n):
    def do(f):
        f.seek(at)
        f.write(bytes(n))
    return do


# A last page that is free may be missing without harm, so "cut" is some more.
kinds = {"cut in the middle": lambda f: f.truncate(size // 2 // page * page), "cut to three pages": lambda f: f.truncate(3 * page),
         "cut to one page": lambda f: f.truncate(page), "cut inside the first page": lambda f: f.truncate(100),
         "emptied": lambda f: f.truncate(0), "without its meta pages": zero(0, 2 * page), "without its root pages": zero(2 * page, size - 2 * page)}
for how, do in kinds.items():
    shutil.copy(GOOD, INDEX)
    with open(INDEX, "r+b") as f:
        do(f)
    status, words = start_by_hand()
    tm.ok(status > 0 and "storectl recover" in words, f"an index {how}: stored does not start and says what helps") or tm.diag(f"{status} {words[-400:]}")
    r = sb.tool("storectl", "check")
    tm.ok(r.returncode == 66 and "storectl recover" in r.stderr, f"an index {how}: storectl check says it too") or tm.diag(f"{r.returncode} {r.stdout[-200:]} {r.stderr[-400:]}")
shutil.copy(GOOD, INDEX)
sb.restart("stored")
sb.restart("imapd")
tm.is_(login(1)[1], [b"300"], "the whole one is good")

# ---- while everything runs ---------------------------------------------------------------------------
with open(INDEX, "r+b") as f:
    f.truncate(2 * page)        # whatever is read next is not there any more
answers = []
for i in range(4):
    try:
        answers.append(login(1 + i % 2))
    except (OSError, EOFError, imaplib.IMAP4.abort) as e:
        answers.append(("closed", str(e)))
words = said("imapd") + said("stored")
tm.ok("storectl recover" in words, "cut off while everything runs: the log says what it is") or tm.diag(words[-800:])
tm.ok(not re.search(r"signal=7\b|SIGBUS|Bus error", words), "and nobody dies without a word") or tm.diag(re.findall(r".*(?:signal=7|SIGBUS).*", words)[:3])
stop(sig=9)
r = sb.tool("storectl", "recover")
tm.is_(r.returncode, 0, "storectl recover") or tm.diag(r.stdout + r.stderr)
sb.restart("stored")
sb.restart("imapd")
tm.is_(login(1)[1], [b"300"], "brings everything back")
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "and check finds nothing") or tm.diag(r.stdout[-500:])

# ---- a snapshot that is cut off is passed over -----------------------------------------------------------
r = sb.tool("storectl", "snapshot")
snapshot = r.stdout.strip().split(": ")[-1]
with open(snapshot, "r+b") as f:
    f.truncate(os.path.getsize(snapshot) // 2 // page * page)
stop()
r = sb.tool("storectl", "recover")
tm.ok(r.returncode == 0 and "is no good" in r.stdout, "recover passes over a snapshot that is cut off") or tm.diag((r.returncode, r.stdout, r.stderr))
sb.restart("stored")
tm.ok(tm.wait_for(lambda: login(1)[1] == [b"300"]), "and everything is there")
tm.done()
