#!/usr/bin/env python3
"""Who may ask stored for what: the user of each program tries every verb, and a stranger too.  Only
root can be all of them."""
import os, subprocess, sys
import storewire as w
import tm

if len(sys.argv) > 1:  # as another user: the code of each verb's answer
    for verb in sorted(w.NAMES):
        if verb < w.REPLY and verb not in (w.PURGED,):
            s = w.connect(sys.argv[1])
            print(w.NAMES[verb], w.ask(s, verb, w.body(min=2, max=2) if verb == w.HELLO else b"", actor=b"joe@x").code)
            s.close()
    sys.exit(0)
if os.getuid():
    tm.skip_all("only root can be everybody")
if subprocess.run(["setpriv", "--reuid=60001", "test", "-r", __file__]).returncode:
    tm.skip_all("another user cannot read this test")

ALWAYS = "ping hello"
MAIL = "bodies release watch append account create delete rename subscribe flags expunge copy move reserve replace acl login domain"
MAY = {"lmtpd": "bodies release deliver know", "imapd": MAIL + " know handled", "pop3d": "watch account flags expunge login", "jmapd": MAIL + " know",
       "storectl": "account create relink recount snapshot settle forget mend acl bodies release append subscribe expunge move restore erase rename_account orphan warn freeze delete login know rethread handled"}
UIDS = {role: 60001 + i for i, role in enumerate(MAY)}

sb = tm.Sandbox("--users", "1", "--set", "stored.socket_mode=0666", *(a for role, uid in UIDS.items() for a in ("--set", f"stored.peer.{role}={uid}")))
path = os.path.join(sb.env["RUNDIR"], "stored.sock")
LOG = os.path.join(sb.env["RUNDIR"], "stored.log")
os.chmod(sb.env["RUNDIR"], 0o755)


def tries(uid):
    """Verb -> code, as that user."""
    r = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable, __file__, path],
                       capture_output=True, text=True)
    if r.returncode:
        tm.diag(r.stderr)
    return {name: int(code) for name, code in (l.split() for l in r.stdout.splitlines())}


for role, uid in UIDS.items():
    got = tries(uid)
    want = set((ALWAYS + " " + MAY[role]).split())
    may = {v for v, code in got.items() if code != w.FORBIDDEN}
    tm.ok(len(got) == len([v for v in w.NAMES if v < w.REPLY and v != w.PURGED]) and may == want, f"{role} may do its own and nothing else") or tm.diag(f"too many {may - want}, too few {want - may}")

def code_of(uid, verb, actor, **fields):
    """One request, asked by that user for that login."""
    program = f"import storewire as w; s = w.connect({path!r}); print(w.ask(s, {verb}, w.body(**{fields!r}), actor={actor!r}).code)"
    r = subprocess.run(["setpriv", f"--reuid={uid}", "--clear-groups", sys.executable, "-c", program], capture_output=True, text=True, cwd=os.path.dirname(os.path.abspath(__file__)))
    return int(r.stdout) if r.returncode == 0 else tm.diag(r.stderr)


# ---- for whom ----------------------------------------------------------------------------------
sb.send(1)
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "mail for a victim")
victim = f"{sb.user(1)}@{sb.domain}".encode()
s = w.connect(path)
r = w.ask(s, w.ACCOUNT, w.body(name=victim))
account, inbox = r.get(w.R_ACCOUNT), r.get(w.R_MAILBOX)
s.close()
for actor, what in ((b"eve@example.test", "for somebody else"), (b"", "for nobody")):
    for verb, fields in ((w.EXPUNGE, dict(mailbox=inbox, ranges=[(1, 9)], options=2)), (w.FLAGS, dict(mailbox=inbox, ranges=[(1, 9)], flags=8)),
                         (w.COPY, dict(mailbox=inbox, mailbox2=inbox, ranges=[(1, 9)])), (w.DELETE, dict(account=account, name=b"Trash")),
                         (w.RENAME, dict(account=account, name=b"INBOX", name2=b"x")), (w.SUBSCRIBE, dict(account=account, name=b"x")), (w.ACL, dict(mailbox=inbox, name=b"eve@example.test", count=2047)), (w.CREATE, dict(account=account, name=b"INBOX/x"))):
        tm.is_(code_of(UIDS["imapd"], verb, actor, **fields), w.FORBIDDEN, f"imapd's user {what}: {w.NAMES[verb]} is refused")
tm.is_(code_of(UIDS["imapd"], w.KNOW, b"eve@example.test", name=victim, questions=[w.question(0, b"k" * 16)]), w.FORBIDDEN, "nor marks in another's account")
tm.is_(code_of(UIDS["imapd"], w.DOMAIN, b"eve@elsewhere.test", name=sb.domain.encode()), w.FORBIDDEN, "nor what another's domain uses")
tm.is_(code_of(UIDS["imapd"], w.DOMAIN, victim, name=sb.domain.encode()), w.DONE, "one's own is no secret")
tm.is_(code_of(UIDS["imapd"], w.ACCOUNT, b"eve@example.test", name=victim), w.FORBIDDEN, "and so is another's account")
tm.is_(code_of(UIDS["imapd"], w.FLAGS, victim, mailbox=inbox, ranges=[(1, 9)], flags=1, how=1), w.DONE, "for the owner it is done")
tm.is_(sb.count(1), 1, "nothing is lost")
got = tries(60099)
tm.is_({v for v, code in got.items() if code != w.FORBIDDEN}, set(), "a stranger may nothing")
got = tries(0)
tm.is_([v for v, code in got.items() if code == w.FORBIDDEN], [], "root may everything")
sb.send(1)
tm.ok(tm.wait_for(lambda: sb.count(1) == 2), "and the daemons, as stored's own user, do their work")
with open(LOG) as f:
    lines = [l for l in f if "ev=store_forbidden" in l]
tm.ok(any("verb=deliver" in l and "uid=60099" in l for l in lines), "refusals are logged") or tm.diag(lines[:3])
own = os.path.join(sb.dir, "bad.conf")
for user, want in (("60005, root", 0), ("no-such-user-here", 78)):
    with open(own, "w") as f:
        f.write(f"peer.imapd = {user}\n")
    r = subprocess.run([sb.bin("stored"), "-n", "-c", own], capture_output=True, text=True)
    tm.is_(r.returncode, want, f"stored -n with peer.imapd = {user}") or tm.diag(r.stdout[-300:] + r.stderr)
tm.done()
