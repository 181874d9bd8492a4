#!/usr/bin/env python3
"""Limits that the store keeps itself: QUOTASET by administrators (RFC 9208), folders with limits of their own, and what
storectl quota sets, shows and resets."""
import json, os, re
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--set", "tiermail.quota.messages=50", "--set", "imapd.quota.admins=user0001@example.test", "--set", "imapd.workers=1", "--set", "tiermail.ldap.cache_age=0")
D = sb.domain
ok, is_ = tm.ok, tm.is_
admin, joe = f"{sb.user(1)}@{D}", f"{sb.user(2)}@{D}"


def quota(*args):
    return sb.tool("storectl", "quota", *args)


def report(*args):
    return [json.loads(l) for l in quota("report", "--json", *args).stdout.splitlines()]


a, j = Raw(sb, login=1), Raw(sb, login=2)
ok(b"QUOTASET" in b" ".join(a.ok("CAPABILITY")), "an administrator is offered QUOTASET")
ok(b"QUOTASET" not in b" ".join(j.ok("CAPABILITY")), "nobody else")
ok(j.cmd(f"SETQUOTA user/{joe} (MESSAGE 1000)")[-1].startswith(b"NO [NOPERM]"), "who may not set his own")
ok(j.cmd(f"GETQUOTA user/{admin}")[-1].startswith(b"NO [NONEXISTENT]"), "nor see another's")
for n in range(4):
    j.append("INBOX", f"Subject: {n}\r\n\r\nx\r\n")
is_(a.ok(f"GETQUOTA user/{joe}"), [f"* QUOTA user/{joe} (MESSAGE 4 50)".encode()], "the administrator sees what the directory says")
is_(a.ok(f"SETQUOTA user/{joe} (MESSAGE 5 STORAGE 10)"), [f"* QUOTA user/{joe} (STORAGE 1 10 MESSAGE 4 5)".encode()], "and sets something else")
is_(j.ok("GETQUOTAROOT INBOX"), [f"* QUOTAROOT INBOX user/{joe}".encode(), f"* QUOTA user/{joe} (STORAGE 1 10 MESSAGE 4 5)".encode()], "which the user sees")
ok(j.append("INBOX", "Subject: 4\r\n\r\nx\r\n")[1].startswith(b"OK"), "one more")
ok(j.append("INBOX", "Subject: 5\r\n\r\nx\r\n")[1].startswith(b"NO [OVERQUOTA]"), "and no further one")
r = report(joe)
is_([(x["limit"], x["message_limit"], x["set_by"]) for x in r], [(10240, 5, admin)], "a report says who has set it")
ok(re.fullmatch(r"20\d\d-\d\d-\d\dT.*", r[0]["set_at"]), "and when") or tm.diag(r)
is_(a.ok(f"SETQUOTA user/{joe} ()"), [f"* QUOTA user/{joe} ()".encode()], "none at all: RFC 9208 4.1.3")
ok(j.append("INBOX", "Subject: 5\r\n\r\nx\r\n")[1].startswith(b"OK"), "holds against the directory")
is_(j.ok("GETQUOTAROOT INBOX"), [b"* QUOTAROOT INBOX"], "the user has no root then")
is_(a.ok(f"SETQUOTA user/{joe} (STORAGE 9223372036854775807)"), [f"* QUOTA user/{joe} (STORAGE 1 9007199254740992)".encode()], "2^63 - 1")
ok(a.cmd(f"SETQUOTA user/{joe} (STORAGE 9223372036854775808)")[-1].startswith(b"BAD"), "2^63 is no number of IMAP")
ok(a.cmd(f"SETQUOTA user/{joe} (STORAGE -1)")[-1].startswith(b"BAD"), "nor is -1")
ok(a.cmd(f"SETQUOTA user/{joe} (MAILBOX 5)")[-1].startswith(b"NO [CANNOT]"), "another resource has no limits here")
ok(a.cmd(f"SETQUOTA user/nobody@{D} (MESSAGE 5)")[-1].startswith(b"NO [NONEXISTENT]"), "nobody's account")
ok(a.cmd(f"SETQUOTA domain/{D} (MESSAGE 5)")[-1].startswith(b"NO [CANNOT]"), "a domain")
ok(a.cmd(f"SETQUOTA user/{joe}/Nowhere (MESSAGE 5)")[-1].startswith(b"NO [NONEXISTENT]"), "a folder that is not there")
is_(quota("reset", joe).returncode, 0, "storectl quota reset")
is_(j.ok("GETQUOTAROOT INBOX"), [f"* QUOTAROOT INBOX user/{joe}".encode(), f"* QUOTA user/{joe} (MESSAGE 6 50)".encode()], "gives it back to the directory")
is_(list(report(joe)[0]), ["account", "partition", "messages", "bytes", "state"], "and the report says no more of it")

# ---- folders ---------------------------------------------------------------------------------------
j.ok("CREATE Entw&APw-rfe")
is_(a.ok(f'SETQUOTA "user/{joe}/Entw&APw-rfe" (MESSAGE 2)'), [f'* QUOTA user/{joe}/Entw&APw-rfe (MESSAGE 0 2)'.encode()], "a folder gets a limit")
is_(j.ok("GETQUOTAROOT Entw&APw-rfe"), [f'* QUOTAROOT Entw&APw-rfe user/{joe} user/{joe}/Entw&APw-rfe'.encode(), f"* QUOTA user/{joe} (MESSAGE 6 50)".encode(),
                                        f'* QUOTA user/{joe}/Entw&APw-rfe (MESSAGE 0 2)'.encode()], "and two roots")
is_(j.ok(f"GETQUOTA user/{joe}/Entw&APw-rfe"), [f'* QUOTA user/{joe}/Entw&APw-rfe (MESSAGE 0 2)'.encode()], "the owner asks for it")
ok(j.cmd(f"GETQUOTA user/{joe}/Sent")[-1].startswith(b"NO [NONEXISTENT]"), "one without a limit is no root")
is_(len(j.ok("GETQUOTAROOT INBOX")), 2, "others have it not")
j.ok("SELECT INBOX")
ok(j.cmd("COPY 1:3 Entw&APw-rfe")[-1].startswith(b"NO [OVERQUOTA]"), "COPY of three")
ok(j.cmd("MOVE 1:3 Entw&APw-rfe")[-1].startswith(b"NO [OVERQUOTA]"), "and MOVE")
ok(j.cmd("MOVE 1:2 Entw&APw-rfe")[-1].startswith(b"OK"), "of two it may be")
ok(j.append("Entw&APw-rfe", "Subject: 7\r\n\r\nx\r\n")[1].startswith(b"NO [OVERQUOTA]"), "APPEND")
j.ok("RENAME Entw&APw-rfe Old")
is_(j.ok("GETQUOTAROOT Old")[-1], f"* QUOTA user/{joe}/Old (MESSAGE 2 2)".encode(), "RENAME keeps it")
is_(quota("set", "-b", "1M", "-m", "1", joe, "Old").returncode, 0, "storectl sets it below what is there")
is_(j.ok(f"GETQUOTA user/{joe}/Old"), [f"* QUOTA user/{joe}/Old (STORAGE 1 1024 MESSAGE 2 1)".encode()], "which takes nothing away")
r = report(joe)
is_([(x["folder"], x["messages"], x["limit"], x["message_limit"]) for x in r[1:]], [("Old", 2, 1 << 20, 1)], "and is reported")
ok(re.search(r"(?m)^  Old +folder +2 .*of 1 messages, 1048576 bytes", quota("report", joe).stdout), "in words too") or tm.diag(quota("report", joe).stdout)
lines, tagged = j.cmd("GETMETADATA (DEPTH infinity) Old /shared")
ok(tagged.startswith(b"OK") and b"bytes=" not in repr(lines).encode(), "it is no annotation that a client sees") or tm.diag(lines)
ok(j.cmd('SETMETADATA Old (/shared/tiermail/quota NIL)')[-1].startswith(b"NO"), "or removes")

# ---- a backup has them -----------------------------------------------------------------------------
out = os.path.join(tm.tempdir(), "all")
is_(sb.tool("storectl", "backup", "-a", joe, out).returncode, 0, "a backup")
r = sb.tool("storectl", "restore", "-a", joe, "-t", f"{sb.user(3)}@{D}", out)
is_(r.returncode, 0, "restored as another's") or tm.diag(r.stderr)
is_([(x["folder"], x["message_limit"]) for x in report(f"{sb.user(3)}@{D}")[1:]], [("Old", 1)], "has the limits")

is_(quota("reset", joe, "Old").returncode, 0, "reset")
ok(j.append("Old", "Subject: 7\r\n\r\nx\r\n")[1].startswith(b"OK"), "there is none any more")
is_((quota("set", joe, "Old").returncode, quota("set", "-m", "0", joe).returncode, quota("set", "-m", "5", joe, "None").returncode, quota("set", "-m", "5", f"none@{D}").returncode),
    (64, 64, 65, 67), "mistakes")
with open(os.path.join(sb.env["RUNDIR"], "imapd.log")) as f:
    said = [l for l in f if "ev=quota_set" in l]
ok(any(f"account={joe}" in l and f"user={admin}" in l and "messages=5" in l for l in said), "imapd logs who has set what") or tm.diag(said)
r = sb.tool("tmctl", "-d", "stored", "metrics")
ok(re.search(r"tiermail_stored_over_folder_quota_total [1-9]", r.stdout), "stored counts what did not fit into a folder")
is_(sb.tool("storectl", "check").returncode, 0, "check finds nothing")
tm.done()
