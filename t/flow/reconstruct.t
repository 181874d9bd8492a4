#!/usr/bin/env python3
"""storectl reconstruct on a living account: it neither loses mail that arrives meanwhile nor brings
back what has been expunged or moved, takes a folder that it cannot read for an error and not for an
empty one, and settles message files that are damaged."""
import os, re, subprocess, threading, time
import tm

sb = tm.Sandbox("--users", "8", "--set", "stored.cleanup_age=4s")
PARTITION = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary")


def account(user):
    return f"{sb.user(user)}@{sb.domain}"


def reconstruct(user):
    r = sb.tool("storectl", "reconstruct", account(user), timeout=tm.LONG)
    return r.returncode, r.stdout + r.stderr


def folder_dir(user, folder="INBOX"):
    """Where the files of a folder are."""
    for hh in range(65536):
        d = os.path.join(PARTITION, f"=user/{hh >> 8:02x}/{hh & 255:02x}", "=" + account(user))
        if os.path.isdir(d):
            return os.path.join(d, *("=" + c for c in folder.split("/")))
        if hh & 255 == 0 and not os.path.isdir(os.path.join(PARTITION, f"=user/{hh >> 8:02x}")):
            continue
    raise FileNotFoundError(account(user))


def uids(c, folder="INBOX", search="ALL"):
    c.select(folder, readonly=True)
    return [int(u) for u in c.uid("SEARCH", search)[1][0].split()]


def append(c, folder, flags, text):
    """The UID that the server promises."""
    typ, data = c.append(folder, flags, None, text)
    m = re.search(rb"APPENDUID \d+ (\d+)", data[0])
    return int(m.group(1)) if typ == "OK" and m else None


def findings():
    return sb.tool("storectl", "check").stdout.splitlines()[:-1]


def clean(what):
    tm.ok(tm.wait_for(lambda: not findings()), what) or tm.diag("\n".join(findings()[:10]))


def waiting():
    """Files that the purge will remove."""
    return int(re.search(r"(\d+) waiting for the purge", sb.tool("storectl", "check").stdout)[1])


def text(i, size=200):
    return f"Subject: message {i}\r\nFrom: a@b.test\r\n\r\n".encode() + b"x" * size + b"\r\n"


# ---- a healthy account -------------------------------------------------------------------------
c = sb.imap(1)
for i in range(4):
    append(c, "INBOX", None, text(i))
c.select("INBOX")
c.uid("MOVE", "1", "Archive")
c.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
c.expunge()
rc, said = reconstruct(1)
tm.is_(rc, 0, "reconstruct of a healthy account succeeds") or tm.diag(said)
tm.is_(uids(c), [3, 4], "and brings back nothing that was moved or expunged")
tm.is_(uids(c, "Archive"), [1], "nor doubles what was moved")
tm.ok("0 messages found, 0 lost" in said, "and says that there was nothing to do") or tm.diag(said)
inbox = folder_dir(1)
tm.ok(tm.wait_for(lambda: not os.path.exists(os.path.join(inbox, "00/2.msg"))), "the purge takes the expunged file later")
tm.ok(os.path.exists(os.path.join(inbox, "00/3.msg")), "and no other")
tm.is_(reconstruct(1)[0], 0, "reconstruct succeeds after the purge")
tm.is_(uids(c), [3, 4], "and nothing has changed")
clean("check finds nothing")

# ---- while mail arrives -------------------------------------------------------------------------
promised, stop = {}, threading.Event()


def feed(tag):
    mine = sb.imap(2)
    i = 0
    while not stop.is_set() and i < 150:
        uid = append(mine, "INBOX", "(\\Flagged)", text(f"{tag}.{i}"))
        if uid:
            promised[uid] = tag
        i += 1
    mine.logout()


c2 = sb.imap(2)
for i in range(300):
    promised[append(c2, "INBOX", "(\\Flagged)", text(i))] = "before"
feeders = [threading.Thread(target=feed, args=(t,)) for t in range(3)]
for f in feeders:
    f.start()
runs = []
while any(f.is_alive() for f in feeders) and (len(runs) < 8 or len(promised) < 400):
    runs.append(reconstruct(2))
stop.set()
for f in feeders:
    f.join()
tm.ok(all(rc == 0 for rc, _ in runs), f"{len(runs)} reconstructs while {len(promised) - 300} messages arrive") or tm.diag(runs)
have = uids(c2)
tm.is_(sorted(set(promised) - set(have))[:5], [], "no acknowledged message is lost")
tm.is_(sorted(set(have) - set(promised))[:5], [], "none appears from nowhere")
tm.is_(sorted(set(promised) - set(uids(c2, search="FLAGGED")))[:5], [], "none has lost its flag")
clean("check finds nothing after it")

# ---- expunges and moves meanwhile ------------------------------------------------------------------
c2.select("INBOX")
some = sorted(promised)
removed = threading.Event()


def remove():
    mine = sb.imap(2)
    mine.select("INBOX")
    for u in some[:80]:
        mine.uid("STORE", str(u), "+FLAGS", "(\\Deleted)")
        mine.uid("EXPUNGE", str(u))
    for u in some[80:160]:
        mine.uid("MOVE", str(u), "Archive")
    mine.logout()
    removed.set()


t = threading.Thread(target=remove)
t.start()
while not removed.is_set():
    rc, said = reconstruct(2)
    if rc:
        tm.ok(False, "reconstruct beside expunges") or tm.diag(said)
t.join()
tm.is_(uids(c2), some[160:], "what is expunged and moved meanwhile stays so")
tm.is_(len(uids(c2, "Archive")), 80, "and is moved once")
tm.is_(reconstruct(2)[0], 0, "once more")
tm.is_(uids(c2), some[160:], "the same")

# ---- files that are really gone, files that are really new --------------------------------------------
c3 = sb.imap(3)
for i in range(6):
    append(c3, "INBOX", "(\\Seen)", text(i))
inbox = folder_dir(3)
os.unlink(f"{inbox}/00/2.msg")
os.mkdir(f"{inbox}/03", 0o750)
with open(f"{inbox}/03/900.msg", "wb") as f:
    f.write(text("put there"))
os.utime(f"{inbox}/03/900.msg", (1.6e9, 1.6e9))
rc, said = reconstruct(3)
tm.is_(rc, 0, "a lost and a found file")
tm.is_(uids(c3), [1, 3, 4, 5, 6, 900], "become so in the index")
tm.is_(uids(c3, search="SEEN"), [1, 3, 4, 5, 6], "with flags as they were")
tm.ok("1 messages found, 1 lost" in said, "and are counted") or tm.diag(said)
clean("no cache record stays behind")

# ---- folders that cannot be read -------------------------------------------------------------------------
os.rename(f"{inbox}/00", f"{inbox}/away")
with open(f"{inbox}/00", "w"):
    pass
rc, said = reconstruct(3)
os.unlink(f"{inbox}/00")
os.rename(f"{inbox}/away", f"{inbox}/00")
tm.is_(rc, 74, "a directory that cannot be read is an error") or tm.diag(said)
tm.ok("/00: " in said, "which is named") or tm.diag(said)
tm.is_(uids(c3), [1, 3, 4, 5, 6, 900], "and no message is dropped for it")
rc, said = reconstruct(3)
tm.is_((rc, uids(c3)), (0, [1, 3, 4, 5, 6, 900]), "all is well when it can be read again") or tm.diag(said)

# ---- damaged message files --------------------------------------------------------------------------------
c4 = sb.imap(4)
for i in range(10):
    append(c4, "INBOX", "(\\Flagged)", text(i, 300 + i))
inbox = folder_dir(4)


def damage(uid, how):
    path = f"{inbox}/00/{uid}.msg"
    if how == "emptied":
        os.truncate(path, 0)
    elif how == "cut":
        os.truncate(path, 100)
    elif how == "grown":
        with open(path, "ab") as f:
            f.write(b"more")
    else:
        os.unlink(path)
        if how == "a folder":
            os.mkdir(path)
        elif how == "a link":
            os.symlink("1.msg", path)


kinds = {2: "emptied", 3: "cut", 4: "grown", 5: "a folder", 6: "a link"}
for uid, how in kinds.items():
    damage(uid, how)
for uid, how in kinds.items():
    reader = sb.imap(4)
    reader.select("INBOX", readonly=True)
    typ, data = reader.uid("FETCH", str(uid), "BODY.PEEK[]")
    tm.ok(typ == "NO" and b"SERVERBUG" in data[0], f"FETCH of a message that is {how} says so") or tm.diag((typ, data))
    reader.logout()
found = findings()
for uid, how in kinds.items():
    tm.ok(any(f"00/{uid}.msg" in l for l in found), f"check finds a message file that is {how}") or tm.diag("\n".join(found))
os.mkdir(f"{inbox}/03", 0o750)
with open(f"{inbox}/03/800.msg", "wb"):
    pass
rc, said = reconstruct(4)
tm.is_(rc, 0, "reconstruct settles them") or tm.diag(said)
tm.is_(uids(c4), [1, 7, 8, 9, 10], "their messages are gone from the mailbox")
tm.ok("0 messages found, 0 lost, 6 set aside" in said, "which is said") or tm.diag(said)
aside = os.listdir(os.path.join(PARTITION, "=aside"))
tm.is_(len(aside), 6, "and what was there is kept in =aside") or tm.diag(aside)
tm.is_(uids(c4, search="FLAGGED"), [1, 7, 8, 9, 10], "the others are as they were")
c4.select("INBOX")
tm.is_(c4.uid("FETCH", "7", "BODY[]")[1][0][1], text(6, 306), "and can be read")
tm.ok(tm.wait_for(lambda: not waiting()), "the purge has had what waited for it")
clean("check finds nothing then")
tm.ok("0 messages found, 0 lost, 0 set aside" in reconstruct(4)[1], "nor has reconstruct anything to do")

# The same by permission, which holds only for an ordinary user.
sb.close()
if os.getuid() == 0 and not tm.nobody_can():
    tm.skip("a folder without permission", "an ordinary user cannot run what was built")
else:
    run_as = tm.NOBODY if os.getuid() == 0 else []
    sb = tm.Sandbox("--users", "2", run_as=run_as, prepare=lambda d: os.getuid() or os.chown(d, 65534, 65534))
    PARTITION = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary")
    c = sb.imap(1)
    for i in range(3):
        append(c, "INBOX", None, text(i))
    inbox = folder_dir(1)
    for what in (inbox + "/00", inbox):
        os.chmod(what, 0)
        r = subprocess.run([*run_as, sb.bin("storectl"), "-c", sb.conf("tiermail.conf"), "reconstruct", account(1)],
                           capture_output=True, text=True)
        os.chmod(what, 0o750)
        tm.is_(r.returncode, 74, "a folder without permission is an error") or tm.diag(r.stdout + r.stderr)
        tm.is_(uids(c), [1, 2, 3], "and keeps its messages")
tm.done()
