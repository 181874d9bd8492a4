#!/usr/bin/env python3
"""index/lock.mdb with anything in it: with nobody at it stored makes it anew; with readers at it stored
says what is wrong instead of naming the index or standing still, and readers whose lock file was
taken away begin anew."""
import os, re, struct, subprocess
import tm

sb = tm.Sandbox("--users", "2", "--without", "jmapd", "--without", "memd")  # imapd is the one who reads
INDEX = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary/index")
LOCK = os.path.join(INDEX, "lock.mdb")
MESSAGE = b"Subject: x\r\n\r\nx\r\n"
sent = 0


def stop(daemon):
    for pid in sb.pids_of(daemon):
        try:
            os.kill(pid, 15)
        except ProcessLookupError:
            pass
    tm.wait_for(lambda: not sb.pids_of(daemon))


def put(content):
    with open(LOCK, "wb") as f:
        f.write(content)


def over(content, at=0):
    """In place: the readers have it mapped."""
    with open(LOCK, "r+b") as f:
        f.seek(at)
        f.write(content)


def by_hand():
    """stored in the foreground, when it is expected to end by itself: (status, words)"""
    r = subprocess.run([sb.bin("stored"), "-c", sb.conf("stored.conf")], capture_output=True, text=True, errors="replace", timeout=tm.LONG)
    return r.returncode, r.stderr


def append():
    global sent
    c = sb.imap(1)
    typ = c.append("INBOX", None, None, MESSAGE)[0]
    sent += typ == "OK"
    n = int(c.select("INBOX")[1][0])
    c.logout()
    return typ, n


tm.is_(append(), ("OK", 1), "a message")
stop("imapd")
stop("stored")
with open(LOCK, "rb") as f:
    good = f.read()
noise = bytes((i * 37 + 11) & 255 for i in range(len(good)))

# ---- nobody has it open -------------------------------------------------------------------------------
kinds = {"noise": noise, "ones": b"\xff" * len(good), "nothing": b"", "a piece": good[:100], "a piece of noise": noise[:1000],
         "one byte less": good[:-1], "more": good + noise[:5001], "no magic": bytes(4) + good[4:], "another format": good[:4] + b"\7\0\0\0" + good[8:]}
for what, content in kinds.items():
    put(content)
    sb.restart("stored")
    sb.restart("imapd")
    tm.is_(append(), ("OK", sent), f"with {what} in it, stored starts and takes mail")
    tm.is_(sb.tool("storectl", "check").returncode, 0, f"with {what} in it, the index is as it was")
    stop("imapd")
    stop("stored")

# ---- readers have it open -------------------------------------------------------------------------------
broken = {"noise": lambda: over(noise), "zeros": lambda: over(bytes(len(good))), "another format": lambda: over(b"\7\0\0\0", 4), "cut off": lambda: os.truncate(LOCK, 0)}
for what, do in broken.items():
    sb.restart("stored")
    sb.restart("imapd")
    append()
    stop("stored")
    do()
    status, words = by_hand()
    tm.ok(status > 0 and "lock.mdb is damaged" in words and "storectl recover" not in words, f"{what}, while readers have it: stored names the lock file, not the index") or tm.diag((status, words[-500:]))
    pid = re.search(r"in use by process (\d+)", words)
    tm.ok(pid and int(pid[1]) in sb.pids_of("imapd"), f"{what}: and who has it") or tm.diag((words[-500:], sb.pids_of("imapd")))
    stop("imapd")

# A mutex whose owner is nobody: glibc's robust ones of two processes have the kind 0x90.
sb.restart("stored")
sb.restart("imapd")
append()
stop("stored")
mutexes = [i - 16 for i in range(16, 512, 4) if struct.unpack_from("<I", good, i)[0] == 0x90]
if len(mutexes) == 2:
    for at in mutexes:
        over(struct.pack("<I", 0x3ffffff0), at)
    status, words = by_hand()
    tm.ok(status == 75 and "ev=store_lock " in words, "a mutex that nobody gives back: stored ends in words") or tm.diag((status, words[-500:]))
else:
    tm.skip("a mutex that nobody gives back", f"LMDB's mutexes are not where they are here: {mutexes}")
stop("imapd")
for pid in sb.pids_of("imapd"):  # its workers may wait for that mutex
    os.kill(pid, 9)
tm.wait_for(lambda: not sb.pids_of("imapd"))

# ---- it is taken away from readers --------------------------------------------------------------------------
sb.restart("stored")
sb.restart("imapd")
append()
before = set(sb.pids_of("imapd"))
stop("stored")
os.unlink(LOCK)
sb.restart("stored")
with_log = os.path.join(sb.env["RUNDIR"], "imapd.log")
tm.ok(tm.wait_for(lambda: "ev=store_replaced " in open(with_log, errors="replace").read()), "a lock file that was removed: readers notice")
tm.ok(tm.wait_for(lambda: set(sb.pids_of("imapd")) - before), "and begin anew")


def works():
    try:
        return append()
    except OSError:
        return None
    except Exception as e:
        return None if "abort" in type(e).__name__ else repr(e)


tm.is_(tm.wait_for(works), ("OK", sent), "mail comes and is seen")
tm.is_(sb.tool("storectl", "check").returncode, 0, "check finds nothing")
tm.done()
