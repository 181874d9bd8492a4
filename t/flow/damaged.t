#!/usr/bin/env python3
"""The record of a mailbox or of an account that is damaged on disk: IMAP says CORRUPTION, mail waits,
nothing new is made over it, it is never taken for an empty one or none, and storectl reconstruct brings everything back."""
import os, re, smtplib, socket
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3")
PARTITION = os.path.join(sb.env.get("STORE", os.path.join(sb.dir, "store")), "partition/primary")
INDEX = os.path.join(PARTITION, "index/data.mdb")


def account(user):
    return f"{sb.user(user)}@{sb.domain}"


def damage(what, at):
    """Flips a bit of the record that holds this text, in every page that has a copy, with stored
    stopped."""
    pid = sb.pid("stored")
    os.kill(pid, 15)
    tm.wait_for(lambda: not sb.pids_of("stored"))
    with open(INDEX, "r+b") as f:
        data = bytearray(f.read())
        found = [m.start() for m in re.finditer(re.escape(what), data)]
        for i in found:
            data[i + at] ^= 1
        f.seek(0)
        f.write(data)
    sb.restart("stored")
    return len(found)


def no(result):
    typ, data = result
    return typ, (re.findall(rb"^\[[A-Z]+", data[0]) or [b""])[0][1:].decode()


def deliver(user, text="Subject: x\r\n\r\nx\r\n"):
    """Through lmtpd itself: its answer for the recipient."""
    with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
        c.ehlo("test")
        c.mail("a@b.test")
        code, words = c.rcpt(account(user))
        if code != 250:
            return code, words
        return c.data(text)


def metric(name):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{sb.env['RUNDIR']}/stored.ctl")
        s.sendall(b"metrics\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return int(re.search(rf"{name} (\d+)", text, re.M)[1])


def log(event):
    with open(os.path.join(sb.env["RUNDIR"], "stored.log"), errors="replace") as f:
        return [line for line in f if f"ev={event} " in line]


c = sb.imap(1)
c.create("Projects")
for i in range(20):
    c.append("Projects", "(\\Flagged $Work)" if i % 2 else None, None, f"Subject: {i}\r\n\r\n{i}\r\n".encode())
c.append("INBOX", None, None, b"Subject: in\r\n\r\nin\r\n")
c.select("Projects")
validity = c.response("UIDVALIDITY")[1][0]
c.logout()

# ---- a folder -------------------------------------------------------------------------------------
tm.ok(damage((account(1) + "Projects").encode(), -1) > 0, "the record of a folder is damaged on disk")
c = sb.imap(1)
c.select("INBOX")
tm.is_(no(c.append("Projects", None, None, b"Subject: y\r\n\r\ny\r\n")), ("NO", "CORRUPTION"), "APPEND says so")
tm.is_(no(c.copy("1", "Projects")), ("NO", "CORRUPTION"), "COPY says so")
tm.is_(no(c.create("Projects")), ("NO", "CORRUPTION"), "CREATE makes nothing over it")
tm.is_(no(c.rename("Projects", "Other")), ("NO", "CORRUPTION"), "RENAME says so")
tm.is_(no(c.delete("Projects")), ("NO", "CORRUPTION"), "DELETE says so")
tm.is_(deliver(1)[0], 250, "mail for INBOX comes in")
tm.is_(len(log("store_bad_record")), 1, "the log has it once")
tm.is_(metric("stored_damaged_records"), 1, "and so has a metric")
c.logout()
r = sb.tool("storectl", "check")
tm.ok(r.returncode == 1 and "Projects has no mailbox record or a damaged one" in r.stdout, "storectl check finds it") or tm.diag(r.stdout)
r = sb.tool("storectl", "reconstruct", account(1))
tm.ok(r.returncode == 0 and "1 records mended" in r.stdout, "storectl reconstruct mends it") or tm.diag((r.stdout, r.stderr))
tm.is_(metric("stored_damaged_records"), 0, "the metric goes back")
c = sb.imap(1)
tm.is_(c.select("Projects")[1], [b"20"], "its messages are there")
tm.ok(int(c.response("UIDVALIDITY")[1][0]) > int(validity), "under a new UIDVALIDITY")
tm.is_(len(c.search(None, "KEYWORD", "$Work")[1][0].split()), 10, "with their keywords")
tm.is_(len(c.search(None, "FLAGGED")[1][0].split()), 10, "and flags")
tm.is_(c.append("Projects", None, None, b"Subject: y\r\n\r\ny\r\n")[0], "OK", "and it takes new ones")
c.logout()

# ---- INBOX ------------------------------------------------------------------------------------------
tm.ok(damage((account(1) + "INBOX").encode(), 1) > 0, "the record of INBOX is damaged")
code, words = deliver(1)
tm.ok(code == 451 and b"damaged" in words, "mail for it waits") or tm.diag((code, words))
tm.is_(deliver(1)[0], 451, "still")
tm.is_(deliver(2)[0], 250, "mail for others does not")
r = sb.tool("storectl", "reconstruct", account(1))
tm.is_(r.returncode, 0, "reconstruct") or tm.diag((r.stdout, r.stderr))
tm.is_(deliver(1)[0], 250, "and it comes in")
tm.is_(sb.count(1), 3, "with all that was there")

# ---- the account ------------------------------------------------------------------------------------
# The row's key, and the value behind it: version 1, 3 zero bytes, checksum, id.
tm.ok(damage(account(1).encode() + b"\x01\x00\x00\x00", len(account(1)) + 16) > 0, "the record of an account is damaged")
tm.is_(deliver(1)[0], 451, "mail for it waits")
try:
    sb.imap(1)
    tm.ok(False, "no login")
except Exception as e:
    tm.ok("UNAVAILABLE" in str(e) or "CORRUPTION" in str(e), "a login is refused in words") or tm.diag(str(e))
r = sb.tool("storectl", "reconstruct", account(1))
tm.ok(r.returncode == 0 and "1 records mended" in r.stdout, "reconstruct") or tm.diag((r.stdout, r.stderr))
tm.is_(deliver(1)[0], 250, "brings it back")
tm.is_(sb.count(1), 4, "with its mail")
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "check finds nothing") or tm.diag(r.stdout)

# ---- under sessions that are there ------------------------------------------------------------------
# Before the names in the row: one run of UIDs, and the head, which begins with the version; then the key.
# stored stays and does nothing meanwhile.
HEAD, RUN = 104, 8


def flip(what, at):
    """As damage(), and the other way round."""
    with open(INDEX, "r+b") as f:
        data = f.read()
        found = [m.start() + at for m in re.finditer(re.escape(what), data)]
        for i in found:
            os.pwrite(f.fileno(), bytes([data[i] ^ 1]), i)
    return len(found)


texts = (account(3) + "Last").encode()
a, b = Raw(sb, login=3), Raw(sb, login=3)
a.ok("CREATE Last")
for box in ("INBOX", "Last"):
    a.append(box, b"Subject: x\r\n\r\nx\r\n")
a.ok("SELECT Last")
CATENATE = 'APPEND INBOX CATENATE (URL "/Last/;UID=1")'
tm.ok(flip(texts, -HEAD - RUN) > 0, "the record of a selected mailbox is damaged")
tm.ok(a.tagged("SEARCH ALL").startswith(b"NO [SERVERBUG]"), "SEARCH does not take it for an empty one")
flip(texts, -HEAD - RUN)
a.close()
a = Raw(sb, login=3)
a.ok("SELECT Last")
tm.is_(a.ok("SEARCH ALL"), [b"* SEARCH 1"], "and finds what is there when it is back")
tm.ok(flip(texts, -HEAD - RUN - 1) > 0, "the record is another's, and none is there")
lines, tagged = b.cmd("ESEARCH IN (personal) ALL")
tm.ok(tagged.startswith(b"NO [SERVERBUG]") and len(lines) == 1, "ESEARCH says so behind what it finds in others") or tm.diag((lines, tagged))
tm.ok(b.tagged(CATENATE).startswith(b"NO [UNAVAILABLE]"), "and a URL of it is no bad one")
flip(texts, -HEAD - RUN - 1)
tm.is_(len(b.ok("ESEARCH IN (personal) ALL")), 2, "it is back")
tm.ok(b.tagged(CATENATE).startswith(b"OK"), "for both")
for c in (a, b):
    c.close()
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "check finds nothing") or tm.diag(r.stdout)
tm.done()
