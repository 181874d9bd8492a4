#!/usr/bin/env python3
"""The copy of what a user sends in his own Sent folder, made by submission: once, also beside a client that stores one
itself; not for those who have not asked for it; and it is no mail that has come: no script, no answer, no INBOX."""
import imaplib, json, os, re, signal, socket, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

sb = tm.Sandbox("--users", "4", "--set", "smtp-relay.submission.sent_delay=3s", "--set", "tiermail.ldap.cache_age=0")
D = sb.domain


def address(n):
    return f"{sb.user(n)}@{D}"


def configure(users):
    with open(sb.conf("smtp-relay.conf")) as f:
        old = "".join(x for x in f if not x.startswith("submission.sent_copy"))
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(f"submission.sent_copy = {users}\n" + old)
    r = sb.tool("tmctl", "-d", "smtp-relay", "reload")
    tm.ok(r.returncode == 0, f"submission.sent_copy = {users}") or tm.diag(r.stdout + r.stderr)


def text(n, subject, extra=""):
    return (f"From: <{address(n)}>\r\nTo: <{address(2)}>\r\nBcc: <secret@x.test>\r\nSubject: {subject}\r\n"
            f"Message-ID: <{subject.replace(' ', '.')}@client.test>\r\n{extra}\r\nhello\r\n")


def send(n, subject, to=None, message=None, sender=None):
    with sb.smtp("SUBMISSION") as s:
        s.ehlo()
        s.login(address(n), sb.password)
        s.sendmail(address(n) if sender is None else sender, to or [address(2)], message or text(n, subject))


def found(n, subject, folder="Sent", what="FLAGS"):
    """The flags of each message with that subject."""
    c = sb.imap(n)
    c.select(folder, readonly=True)
    uids = c.uid("SEARCH", "SUBJECT", f'"{subject}"')[1][0].split()
    got = [imaplib.ParseFlags(c.uid("FETCH", u, "(FLAGS)")[1][0]) for u in uids]
    c.logout()
    return got


def settled():
    """Nothing waits any more, copies included."""
    return tm.ok(sb.queue_empty(), "the queue is empty")


# ---- not for everybody -----------------------------------------------------------------------------------
send(1, "nobody asked")
settled()
tm.is_((len(found(2, "nobody asked", "INBOX")), found(1, "nobody asked")), (1, []), "by default there is no copy")
configure(address(1))
send(1, "one copy")
send(3, "not me")
tm.ok(tm.wait_for(lambda: found(2, "one copy", "INBOX")), "the message arrives at once")
tm.is_(found(1, "one copy"), [], "the copy is not there yet")
row = [json.loads(x) for x in sb.tool("jobctl-ctl", "--json", "list", "state=waiting").stdout.splitlines()]
tm.ok(len(row) == 1 and 0 < row[0]["release"] - time.time() <= 3, "it waits in the queue for its time") or tm.diag(row)
settled()
flags = found(1, "one copy")
tm.ok(len(flags) == 1 and b"\\Seen" in flags[0], "then it is there, once, and read") or tm.diag(flags)
tm.is_((found(1, "one copy", "INBOX"), found(3, "not me")), ([], []), "not as mail that has come, and not for others")
c = sb.imap(1)
c.select("Sent", readonly=True)
body = c.fetch("1", "(BODY[])")[1][0][1]
c.logout()
tm.ok(b"\r\nhello\r\n" in body and b"Message-ID: <one.copy@client.test>" in body and b"Bcc" not in body, "it is what the others have got")

# ---- a client that stores its own -----------------------------------------------------------------------------
send(1, "my own")
c = sb.imap(1)
c.append("Sent", r"(\Seen \Flagged)", None, text(1, "my own").encode())
c.append("Drafts", "", None, text(1, "a draft").encode())
c.logout()
settled()
flags = found(1, "my own")
tm.ok(len(flags) == 1 and b"\\Flagged" in flags[0], "there is his copy alone") or tm.diag(flags)
with open(f"{sb.env['RUNDIR']}/lmtpd.log") as f:
    tm.ok("verdict=2.0.0 reply=250 uid=0" in f.read(), "lmtpd has left its own out")
send(1, "a draft")
settled()
tm.is_(len(found(1, "a draft")), 1, "what lies in another folder is no such copy")
message = text(1, "no name").replace("Message-ID: <no.name@client.test>\r\n", "")
send(1, "no name", message=message)
settled()
tm.is_(len(found(1, "no name")), 1, "submission gives a Message-ID to what has none, and the copy has it")

# ---- to himself, from others' addresses, to many ------------------------------------------------------------------
send(1, "to myself", [address(1), address(2)])
settled()
tm.is_((len(found(1, "to myself")), len(found(1, "to myself", "INBOX"))), (1, 1), "who sends to himself has it in both folders")
send(1, "from nobody", sender="")
settled()
tm.is_(found(1, "from nobody"), [], "nothing of mail from the null sender")

# ---- the folder has another name, or is not there --------------------------------------------------------------
c = sb.imap(1)
c.rename("Sent", "Outbox")
c.logout()
send(1, "renamed")
settled()
tm.is_(len(found(1, "renamed", "Outbox")), 1, "the folder with that use, whatever it is called")
c = sb.imap(1)
c.delete("Outbox")
c.logout()
send(1, "made anew")
settled()
tm.is_(len(found(1, "made anew")), 1, "without any it is made")

# ---- the store is away ---------------------------------------------------------------------------------------------
sb.kill("stored")
send(1, "later")
tm.ok(len(sb.queue_files()) == 2, "while the store is away both wait")
sb.restart("stored")
sb.tool("jobctl-ctl", "retry", "all")
tm.ok(tm.wait_for(lambda: sb.tool("jobctl-ctl", "retry", "all") and found(1, "later")), "and the copy comes, too")
tm.is_(len(found(1, "later")), 1, "once")

# ---- who may say it --------------------------------------------------------------------------------------------------
with sb.smtp() as s:
    s.ehlo()
    s.mail("x@outside.test")
    tm.is_(s.docmd(f"RCPT TO:<{address(1)}> XSENT")[0], 555, "no stranger puts anything into a Sent folder")
# A copy that was on its way to a store that has it no more comes back by a program of ours.
s = socket.socket(socket.AF_UNIX)
s.settimeout(tm.LONG)
s.connect(f"{sb.env['RUNDIR']}/submit.sock")
f = s.makefile("rwb")
for line in ("", f"EHLO x.test\r\n", f"MAIL FROM:<{address(4)}>\r\n", "RCPT TO:<nobody@sender.invalid> XSENT\r\n", f"RCPT TO:<{address(4)}> XSENT\r\n", f"RCPT TO:<{address(3)}> XSENT\r\n",
             "DATA\r\n", text(4, "on its way") + ".\r\n", "QUIT\r\n"):
    f.write(line.encode())
    f.flush()
    said = f.readline().decode()
    while said[3] == "-":
        said = f.readline().decode()
    if line.startswith("RCPT"):
        tm.is_(said[:3], "250" if address(4) in line else "452" if address(3) in line else "550", line.strip()) or tm.diag(said)
s.close()
settled()
tm.is_((len(found(4, "on its way")), len(found(4, "on its way", "INBOX"))), (1, 0), "and goes where it was to go")
configure("*")
send(3, "everybody")
settled()
tm.is_(len(found(3, "everybody")), 1, "* is everybody")
tm.done()
