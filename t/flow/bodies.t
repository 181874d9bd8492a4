#!/usr/bin/env python3
"""The checksum of a message's content: whoever writes a message gives it along, COPY keeps it, and
storectl check --bodies finds a body that the disk has changed, which nothing else does."""
import os, re, shutil, time
import tm

sb = tm.Sandbox("--users", "2", "--set", "stored.check_rate=0", "--set", "lmtpd.message.keep=16K")
PARTITION = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary")


def check(*args):
    """(exit code, findings, what was read, messages without a checksum)"""
    r = sb.tool("storectl", "check", *args)
    lines = r.stdout.splitlines()
    m = re.match(r"(\d+) files read, (\d+) messages without", lines[-1]) if lines else None
    n = [int(m[1]), int(m[2])] if m else [None, None]
    return r.returncode, [s for s in lines if s.startswith(("mailbox", "file", "account", "cache"))], *n


def file_of(text):
    """The paths of the message that has this text."""
    found = []
    for root, _, names in os.walk(os.path.join(PARTITION, "=user")):
        for n in names:
            with open(os.path.join(root, n), "rb") as f:
                if text in f.read():
                    found.append(os.path.join(root, n))
    return found


c = sb.imap(1)
c.append("INBOX", None, None, b"Subject: one\r\n\r\n" + b"appended " * 100 + b"\r\n")
c.append("INBOX", None, None, b"Subject: two\n\nbare\nline feeds " + b"x" * 900000 + b"\n")
sb.send([1, 2], subject="three", body="delivered to two\r\n" * 50)
sb.send(1, subject="large", body=("large " * 10 + "\r\n") * 5000)
tm.ok(sb.queue_empty() and tm.wait_for(lambda: sb.count(1) == 4, 10), "messages come by APPEND and by LMTP, small and large")
c.select("INBOX")
c.copy("1:*", "Archive")
tm.is_(check(), (0, [], None, None), "check without --bodies reads none")
tm.is_(check("--bodies"), (0, [], 4, 0), "with it, each file once and all are what was stored")
tm.is_(check("-b", f"{sb.user(2)}@{sb.domain}"), (0, [], 1, 0), "-b of one account")

# ---- fifty zeroed bytes ---------------------------------------------------------------------------
names = file_of(b"delivered to two")
tm.is_(len(names), 3, "one content has three names")
mtime = os.stat(names[0])
with open(names[0], "r+b") as f:
    f.seek(-200, 2)
    f.write(bytes(50))
os.utime(names[0], ns=(mtime.st_atime_ns, mtime.st_mtime_ns))
tm.is_(check()[:2], (0, []), "nothing else sees fifty zeroed bytes in a body")
rc, found, read, _ = check("--bodies")
tm.ok(rc == 1 and len(found) == 3 and all("is not what was stored" in s for s in found), "check --bodies finds them under every name") or tm.diag((rc, found))
r = sb.tool("storectl", "reconstruct", f"{sb.user(1)}@{sb.domain}")
tm.ok(r.returncode == 0 and "0 lost, 0 set aside" in r.stdout, "reconstruct leaves the message as it is") or tm.diag((r.stdout, r.stderr))
tm.is_(len(check("--bodies")[1]), 3, "and it stays a finding")

# ---- a file that reconstruct takes in ---------------------------------------------------------------
good = file_of(b"appended appended")[0]
shutil.copy(good, os.path.join(os.path.dirname(good), "200.msg"))
r = sb.tool("storectl", "reconstruct", f"{sb.user(1)}@{sb.domain}")
tm.ok("1 messages found" in r.stdout, "reconstruct takes a file in") or tm.diag((r.stdout, r.stderr))
tm.is_(check("--bodies")[2:], (7, 0), "with its checksum")  # the damaged one is read for each name
c.select("INBOX")
c.uid("STORE", "200", "+FLAGS", "(\\Deleted)")
c.expunge()

# ---- not too fast -----------------------------------------------------------------------------------
with open(sb.conf("stored.conf")) as f:
    conf = f.read()
with open(sb.conf("stored.conf"), "w") as f:
    f.write(re.sub(r"check_rate *= *0", "check_rate = 512K", conf))
began = time.monotonic()
check("--bodies")
took = time.monotonic() - began
tm.ok(took > 1.2, f"check_rate holds it back ({took:.1f} s)")
tm.done()
