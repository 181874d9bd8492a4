#!/usr/bin/env python3
"""INPROGRESS (RFC 9585): a search that takes long says how far it is, of its own messages."""
import re
import tm
from imapraw import Raw

MESSAGES, SIZE = 400, 200_000
sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.timeout.progress=1ms")
c = Raw(sb, login=1)
tm.ok("INPROGRESS" in c.ok("CAPABILITY")[0].decode().split(), "offered")
body = b"".join(b"%06d the quick brown fox\r\n" % n for n in range(SIZE // 30))
for n in range(4):
    c.append("INBOX", b"Subject: %d\r\n\r\n" % n + body)
c.ok("SELECT INBOX")
have = 4
while have < MESSAGES:
    c.ok(f"COPY 1:{min(have, MESSAGES - have)} INBOX")
    have += min(have, MESSAGES - have)
for command, goal in (("SEARCH TEXT nowhere", MESSAGES), ("UID SEARCH RETURN (COUNT) 11:* BODY nowhere", MESSAGES - 10),
                      ("SORT (ARRIVAL) UTF-8 TEXT nowhere", MESSAGES), ("THREAD REFERENCES UTF-8 TEXT nowhere", MESSAGES)):
    lines = c.ok(command)
    told = [re.match(rb'\* OK \[INPROGRESS \("(\w+)" (\d+) (\d+)\)\]', l) for l in lines]
    said = [(int(m[2]), int(m[3])) for m in told if m]
    tm.ok(said, f"{command}: says how far it is ({len(said)} times)")
    tm.ok(all(m[1] == c.tag for m in told if m), "of this command")
    tm.is_({g for _, g in said}, {goal}, "to where")
    tm.ok(said == sorted(said) and said[-1][0] <= goal, "going up")
    tm.ok(not told[-1] and not any(told[len(said):]), "and then the answer")
tm.done()
