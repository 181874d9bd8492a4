#!/usr/bin/env python3
"""What the digests answer without a file, and what is said when a file cannot be read: never that
the message is not there."""
import glob, os, re, resource
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--set", "imapd.workers=1", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
ok, is_ = tm.ok, tm.is_


def ask(command):
    """(untagged lines as one, tagged line)"""
    lines, tagged = c.cmd(command)
    return b"\n".join(lines), tagged


def said(command, pattern, what, has=(), lacks=()):
    lines, tagged = ask(command)
    good = re.match(pattern, tagged) and all(h in lines for h in has) and not any(x in lines for x in lacks)
    ok(good, what) or tm.diag(f"{lines!r}\n{tagged!r}")


c = Raw(sb, login=1)
for n in range(1, 4):
    c.append("INBOX", f"Received: by x\r\nFrom: a{n}@example.org\r\nTO: Some\r\n  Body <b@example.org>\r\nSubject: number {n}\r\n"
                      f"Message-ID: <Id.{n}@example.org>\r\nReferences: <r{n}@x>\r\n\t<s{n}@x>\r\nX-Own: own{n}\r\n\r\ntext {n}\r\n".encode())
c.ok("SELECT INBOX")
files = sorted(glob.glob(os.path.join(sb.dir, "store/partition/*/=user/**/*.msg"), recursive=True), key=lambda p: int(os.path.basename(p)[:-4]))
is_(len(files), 3, "three files")

# ---- no descriptors ---------------------------------------------------------------------------------
def imapds():
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = open(f"/proc/{p}/cmdline").read().split("\0")
        except OSError:
            continue
        if line[0].endswith("/imapd") and any(sb.dir in x for x in line):
            yield int(p)


limits = {p: resource.prlimit(p, resource.RLIMIT_NOFILE) for p in imapds()}
for p, (soft, hard) in limits.items():
    resource.prlimit(p, resource.RLIMIT_NOFILE, (0, hard))     # it keeps those that it has
said("FETCH 1:3 BODY.PEEK[]", rb"NO \[UNAVAILABLE\]", "no descriptors: FETCH says so, not that messages are expunged", lacks=[b"BODY[]"])
said("UID FETCH 1:3 BODY.PEEK[]", rb"NO \[UNAVAILABLE\]", "UID FETCH too")
said("SEARCH TEXT own2", rb"NO \[UNAVAILABLE\]", "SEARCH says so, not that nothing matches", lacks=[b"* SEARCH"])
said("SEARCH RETURN (COUNT) BODY text", rb"NO \[UNAVAILABLE\]", "nor that there are none", lacks=[b"ESEARCH"])
said("FETCH 2 (FLAGS ENVELOPE)", rb"OK", "what needs no file goes on", has=[b'"number 2"'])
for p, limit in limits.items():
    resource.prlimit(p, resource.RLIMIT_NOFILE, limit)
said("FETCH 1:3 BODY.PEEK[]", rb"OK", "and then all is as before", has=[b"text 1", b"text 3"])
said("SEARCH TEXT own2", rb"OK", "SEARCH too", has=[b"* SEARCH 2"])

# ---- a lost file ---------------------------------------------------------------------------------------
os.rename(files[1], files[1] + "x")
said("FETCH 1:3 BODY.PEEK[]", rb"NO \[SERVERBUG\]", "a lost file: the others are given, and NO", has=[b"text 1", b"text 3"], lacks=[b"* 2 FETCH"])
said("SEARCH BODY text", rb"NO \[SERVERBUG\]", "SEARCH gives the others, and does not leave it out in silence", has=[b"* SEARCH 1 3"])
said("SEARCH NOT BODY text", rb"NO \[SERVERBUG\]", "nor take it for one without the text", lacks=[b"* SEARCH 2"])
said("SEARCH UID 1 BODY text", rb"OK", "messages that can be read are searched", has=[b"* SEARCH 1"])
os.rename(files[1] + "x", files[1])

# ---- without files ---------------------------------------------------------------------------------------
for f in files:
    os.rename(f, f + "x")
for key, want in (("HEADER Message-ID <id.2@EXAMPLE.org>", b"* SEARCH 2"), ("HEADER References \"<r3@x> <s3@x>\"", b"* SEARCH 3"),
                  ("HEADER In-Reply-To x", b"* SEARCH"), ("TO \"some body\"", b"* SEARCH 1 2 3"), ("SUBJECT \"NUMBER 3\"", b"* SEARCH 3"),
                  ("HEADER List-Id x", b"* SEARCH"), ("HEADER Cc \"\"", b"* SEARCH"), ("HEADER Subject \"\"", b"* SEARCH 1 2 3"),
                  ("OR SUBJECT \"number 1\" HEADER Message-ID id.3", b"* SEARCH 1 3")):
    said(f"SEARCH {key}", rb"OK", f"SEARCH {key} opens no file", has=[want])
to = b"TO: Some\r\n  Body <b@example.org>\r\n"
said("FETCH 2 BODY.PEEK[HEADER.FIELDS (Message-Id TO)]", rb"OK", "HEADER.FIELDS: octet by octet, in the message's order",
     has=[b"BODY[HEADER.FIELDS (Message-Id TO)] {%d}" % (len(to) + 34), to + b"Message-ID: <Id.2@example.org>\r\n\r\n"])
said("FETCH 2 (BODY.PEEK[HEADER.FIELDS (To)]<3.5> BODY.PEEK[HEADER.FIELDS (Date)])", rb"OK", "in part, and without any",
     has=[b" Some", b"BODY[HEADER.FIELDS (Date)] {2}"])
many = " ".join(f"BODY.PEEK[HEADER.FIELDS (Subject List-Id Cc)]<{n}.9>" for n in range(20))
said(f"FETCH 1:3 ({many})", rb"OK", "twenty sections of each", has=[b"* 3 FETCH", b"Subject: "])
said("FETCH 2 BODY.PEEK[HEADER.FIELDS (Subject X-Own)]", rb"NO \[SERVERBUG\]", "a field that is not kept needs the file")
for f in files:
    os.rename(f + "x", f)
said("FETCH 2 BODY.PEEK[HEADER.FIELDS (X-Own Subject)]", rb"OK", "which has it", has=[b"Subject: number 2\r\nX-Own: own2\r\n\r\n"])
said("FETCH 2 BODY.PEEK[HEADER.FIELDS.NOT (Received X-Own To References)]", rb"OK", "and the others",
     has=[b"From: a2@example.org\r\nSubject: number 2\r\nMessage-ID: <Id.2@example.org>\r\n\r\n"])
tm.done()
