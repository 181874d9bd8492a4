#!/usr/bin/env python3
"""What is broken around the suite gets a temporary answer, loses nothing, and heals by itself:
full disks, unwritable directories, a stopped directory, store or LMTP server."""
import os, smtplib, struct, subprocess
import tm
from crc32c import crc32c

root = os.geteuid() == 0


def answer(sb, to, rcpt="", text="Subject: x\r\n\r\nx\r\n"):
    """The first refusal of a transaction, or 250."""
    s = sb.smtp()
    try:
        s.ehlo()
        for cmd in ("MAIL FROM:<out@sender.test>", f"RCPT TO:<{to}>{rcpt}", "DATA"):
            code, words = s.docmd(cmd)
            if code >= 400:
                return code, words.decode()
        s.send(text.replace("\r\n.", "\r\n..") + ".\r\n")
        code, words = s.getreply()
        return code, words.decode()
    finally:
        s.close()


# ---- the directory, the store and lmtpd stop, one after the other ------------------------
sb = tm.Sandbox("--users", "5", "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.negative_age=0",
                "--set", "tiermail.ldap.auth_age=0", "--set", f"tiermail.ldap.timeout={2 * tm.SHORT:.0f}s",
                "--set", "channels.channel tcp_lmtp.backoff=1s")
to = f"{sb.user(1)}@{sb.domain}"
tm.is_(answer(sb, to)[0], 250, "a message is accepted")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "and can be read")

slapd = sb.pid("slapd")
tm.freeze(slapd)
tm.is_(answer(sb, to)[0], 451, "the directory hangs: 451 at RCPT, no bounce")
os.kill(slapd, 18)
tm.ok(tm.wait_for(lambda: answer(sb, to)[0] == 250), "it goes on without a restart")
sb.kill("slapd")
code, words = answer(sb, to)
tm.ok(code == 451 and "4.3.0" in words, "the directory is gone: 451 4.3.0")
try:
    sb.imap(1)
    said = "OK"
except Exception as e:
    said = str(e)
tm.ok("UNAVAILABLE" in said, "a login then is refused as UNAVAILABLE, not as a wrong password") or tm.diag(said)
tm.ok(sb.restart("slapd"), "slapd starts again")
tm.ok(tm.wait_for(lambda: answer(sb, to)[0] == 250), "mail is accepted again without a restart of ours")


def login():
    try:
        return "OK" in sb.imap(1).noop()[0]
    except Exception as e:
        return "UNAVAILABLE" not in str(e) and tm.diag(e)


tm.ok(tm.wait_for(login), "logins work again")

for victim in ("lmtpd", "stored"):
    tm.ok(sb.queue_empty(), "nothing is under way")
    before = sb.count(1)
    sb.kill(victim)
    tm.is_(answer(sb, to)[0], 250, f"{victim} is gone: the relay accepts and keeps")
    tm.ok(sb.queue_files(), "the message waits in the queue")
    tm.ok(sb.restart(victim), f"{victim} starts again")
    tm.ok(tm.wait_for(lambda: sb.count(1) == before + 1), "the message arrives by itself")
tm.ok(sb.queue_empty(), "the queue is empty")
sb.close()

# ---- an unwritable directory ---------------------------------------------------------------
if not tm.nobody_can():
    tm.skip("an unwritable queue", "needs root, and a source that others may read")
else:
    sb = tm.Sandbox("--users", "5", run_as=tm.NOBODY,
                    prepare=lambda d: os.chown(d, 65534, 65534))
    to = f"{sb.user(1)}@{sb.domain}"
    tm.is_(answer(sb, to)[0], 250, "as an ordinary user: a message is accepted")
    tm.ok(sb.queue_empty(), "and delivered")
    tmp, pool = (os.path.join(sb.env["QUEUE"], d) for d in ("tmp", "pool"))
    for d in (tmp, pool):
        os.chmod(d, 0o500)
    code, words = answer(sb, to, " NOTIFY=SUCCESS")     # whose report needs the queue, whatever the store says
    tm.is_((code, words.split()[0]), (451, "4.3.0"), "the queue cannot be written: a temporary answer")
    for d in (tmp, pool):
        os.chmod(d, 0o700)
    tm.is_(answer(sb, to)[0], 250, "and it works again at once")
    tm.ok(sb.queue_empty(), "delivered")
    sb.close()

# ---- the index could not be synced ---------------------------------------------------------------
# stored's mark, made by hand: the newer of two points, flag 2, and its checksum.
def mark_suspect(path):
    with open(path, "r+b") as f:
        data = f.read()
        at = max((0, 4096), key=lambda a: struct.unpack_from("<Q", data, a + 16)[0])
        slot = bytearray(data[at:at + 208])
        slot[6] |= 2
        slot[8:12] = bytes(4)
        slot[8:12] = struct.pack("<I", crc32c(slot))
        f.seek(at)
        f.write(slot)


sb = tm.Sandbox("--users", "2", "--set", "stored.steady_interval=1h")
to = f"{sb.user(1)}@{sb.domain}"
answer(sb, to)
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "a message is there")
c = sb.imap(1)
tm.is_(c.select("INBOX")[0], "OK", "and its mailbox selected")
mark_suspect(os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary/index/steady"))
got = c.status("INBOX", "(MESSAGES)")
tm.ok(got[0] == "NO" and b"[UNAVAILABLE]" in got[1][0], "the index could not be synced: a session that has it open reads it no more") or tm.diag(got)
r = sb.tool("storectl", "check")
tm.ok(r.returncode != 0 and "its disk has failed" in r.stdout + r.stderr, "and nobody opens it") or tm.diag(r.stdout + r.stderr)
sb.kill("stored")
tm.ok(sb.restart("stored"), "stored puts it back, though imapd had it open")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "and it is read again")
tm.is_(answer(sb, to)[0], 250, "a message is taken")
tm.ok(tm.wait_for(lambda: sb.count(1) == 2), "and stored")
sb.close()

# ---- full disks ------------------------------------------------------------------------------
def full(what, users="5"):
    def mount(d):
        os.makedirs(os.path.join(d, what), exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", os.path.join(d, what)], check=True)
    return mount


def unmount(sb, what):
    sb.call("down", sb.dir)
    subprocess.run(["umount", "-l", os.path.join(sb.dir, what)])
    sb.close()


def try_full(what):
    try:
        sb = tm.Sandbox("--users", "5", "--set", "stored.min_free=2M", "--set", "stored.cleanup_age=0",
                        "--set", "channels.channel tcp_lmtp.backoff=1s", prepare=full(what))
    except subprocess.CalledProcessError:
        tm.skip(f"{what} on a full disk", "cannot mount")
        return
    to = f"{sb.user(1)}@{sb.domain}"
    big = "Subject: big\r\n\r\n" + ("x" * 70 + "\r\n") * 14000      # about 1 MB
    n, last = 0, (250, "")
    while n < 60 and last[0] == 250:
        last = answer(sb, to, text=big.replace("Subject: big", f"Subject: big-{n}"))
        n += last[0] == 250
        # a queue that does not get shorter any more, not one that is merely behind
        if what == "store" and len(sb.queue_files()) > 3 and not tm.wait_for(
                lambda: len(sb.queue_files()) <= 3, 10):
            break
    if what == "queue":
        # deliveries go on while the queue fills; hold the channel so that it does fill
        sb.tool("jobctl-ctl", "stop", "tcp_lmtp")
        last = (250, "")
        while n < 90 and last[0] == 250:
            last = answer(sb, to, text=big.replace("Subject: big", f"Subject: big-{n}"))
            n += last[0] == 250
        tm.is_((last[0], last[1].split()[0]), (452, "4.3.1"), "the queue's disk is full: a temporary answer")
        sb.tool("jobctl-ctl", "start", "tcp_lmtp")
    else:
        tm.ok(sb.queue_files(), "the store's disk is full: mail waits in the queue")
        c = sb.imap(1)
        have = int(c.select("INBOX")[1][0])
        tm.ok(have > 3, f"what was delivered before is there ({have})")
        c.store("1:*", "+FLAGS", r"(\Deleted)")
        tm.is_(c.expunge()[0], "OK", "deleting works on a full disk")
        c.logout()
    seen = have if what == "store" else 0
    tm.ok(sb.queue_empty(), "the queue empties by itself when there is room")
    tm.is_(seen + sb.count(1), n, "every message that got a 250 was delivered")
    tm.is_(answer(sb, to)[0], 250, "and mail is accepted again")
    r = sb.tool("storectl", "check")
    tm.is_(r.returncode, 0, "storectl check finds nothing") or tm.diag(r.stdout + r.stderr)
    unmount(sb, what)


for what in ("queue", "store"):
    if root:
        try_full(what)
    else:
        tm.skip(f"{what} on a full disk", "needs root")
tm.done()
