#!/usr/bin/env python3
"""imapd: METADATA (RFC 5464): two users on a shared folder, what others are told and who is not, answers larger than
a client reads, stored's death in the middle, and the server's own entries."""
import os, random, re, threading
import tm
from imapraw import Raw

KILLS = 6
sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1",
                "--set", "imapd.metadata.comment=A test server", "--set", "imapd.metadata.admin=mailto:admin@example.test")
one, two = sb.user(1), sb.user(2)
W = f"Shared Folders/User/{one}/work"
ok, is_ = tm.ok, tm.is_
a, b, c = Raw(sb, login=1), Raw(sb, login=2), Raw(sb, login=3)


def no(client, command, code, words):
    got = client.tagged(command)
    return ok(got.startswith(b"NO [" + code + b"]"), words) or tm.diag(got)


def get(client, box, entry):
    return client.ok(f'GETMETADATA "{box}" {entry}')


caps = a.ok("CAPABILITY")[0].split()
ok({b"METADATA", b"LIST-METADATA"} <= set(caps), "capabilities")

# ---- the server -----------------------------------------------------------------------------------
is_(get(a, "", "(/shared/comment /shared/admin)"), [b'* METADATA "" (/shared/comment "A test server" /shared/admin "mailto:admin@example.test")'],
    "what the configuration says of the server")
is_(a.ok('GETMETADATA (DEPTH 1) "" /shared'), [b'* METADATA "" (/shared/comment "A test server" /shared/admin "mailto:admin@example.test")'], "and as entries below /shared")
no(a, 'SETMETADATA "" (/shared/vendor/x "y")', b"NOPERM", "which nobody sets")
a.ok('SETMETADATA "" (/private/vendor/x "mine")')
is_(get(b, "", "/private/vendor/x"), [b'* METADATA "" (/private/vendor/x NIL)'], "what is private is one's own")

# ---- somebody else's mailbox -----------------------------------------------------------------------
a.ok("CREATE work")
a.ok('SETMETADATA work (/shared/comment "of all" /private/comment "of one")')
said = {b.tagged(f'{verb} "{n}" {args}') for verb, args in (("GETMETADATA", "/shared/comment"),) for n in (W, W + "x", "Shared Folders/User/nobody/work")}
is_(len(said), 1, "a stranger hears the same of what is there and what is not")
said = {b.tagged(f'SETMETADATA "{n}" (/private/comment "x")') for n in (W, W + "x")}
is_(len(said), 1, "also when he sets one")
a.ok(f"SETACL work {two} l")
no(b, f'GETMETADATA "{W}" /shared/comment', b"NOPERM", "l alone is not enough")
no(b, f'SETMETADATA "{W}" (/private/comment "x")', b"NOPERM", "for setting neither")
is_([l for l in b.ok(f'LIST "" "{W}" RETURN (METADATA (/shared/comment))') if b"METADATA" in l], [], "and LIST has none")
a.ok(f"SETACL work {two} lr")
is_(get(b, W, "(/shared/comment /private/comment)"), [f'* METADATA "{W}" (/shared/comment "of all" /private/comment NIL)'.encode()], "with lr he reads what all share")
b.ok(f'SETMETADATA "{W}" (/private/comment "of two")')
is_(get(b, W, "/private/comment"), [f'* METADATA "{W}" (/private/comment "of two")'.encode()], "and has his own beside it")
is_(get(a, "work", "/private/comment"), [b'* METADATA work (/private/comment "of one")'], "which the owner does not see")
no(b, f'SETMETADATA "{W}" (/private/a "x" /shared/comment "y")', b"NOPERM", "without w he sets none for all")
is_(get(b, W, "/private/a"), [f'* METADATA "{W}" (/private/a NIL)'.encode()], "and nothing of that request is done")
no(b, f'SETMETADATA "{W}" (/private/specialuse "\\\\Archive")', b"USEATTR", "nor a use")
is_([l for l in b.ok('LIST "" * RETURN (METADATA (/shared/comment))') if b"METADATA" in l and b"NIL" not in l],
    [f'* METADATA "{W}" (/shared/comment "of all")'.encode()], "LIST-METADATA, behind each mailbox")
b.ok(f'SUBSCRIBE "{W}"')
is_([l for l in b.ok('LIST (SUBSCRIBED) "" * RETURN (METADATA (/private/comment))') if b"METADATA" in l and b"NIL" not in l],
    [f'* METADATA "{W}" (/private/comment "of two")'.encode()], "also of what is subscribed")
ok(all(b"NIL" in l for l in b.ok('LIST "" % RETURN (METADATA (/private/none))') if b"METADATA INBOX" in l), "NIL where there is none")

# ---- what others are told --------------------------------------------------------------------------
a2, b2 = Raw(sb, login=1), Raw(sb, login=2)
a2.ok("ENABLE METADATA")
b2.ok("ENABLE METADATA")
b2.ok(f'SELECT "{W}"')
is_(a2.ok("NOOP"), [], "nothing of what was before")
a.ok('SETMETADATA work (/shared/color "red" /private/color "blue")')
a.ok('SETMETADATA INBOX (/private/color "green")')
is_(sorted(tm.wait_for(lambda: a2.ok("NOOP")) + a2.ok("NOOP")), [b"* METADATA INBOX /private/color", b"* METADATA work /shared/color /private/color"],
    "another session is told which, without values")
is_(a2.ok("NOOP"), [], "once")
is_(tm.wait_for(lambda: b2.ok("NOOP")), [f'* METADATA "{W}" /shared/color'.encode()], "a guest in the mailbox is told of what is shared")
a2.ok('SETMETADATA INBOX (/private/color NIL /private/other "x")')
is_(a2.ok("NOOP"), [], "nobody is told of his own")
is_(a.ok("NOOP"), [], "nor who did not ask")
b2.start("IDLE")
b2.response()
a.ok("SETMETADATA work (/shared/color NIL)")
is_(b2.response(), f'* METADATA "{W}" /shared/color'.encode(), "in IDLE, also of one that goes")
b2.send("DONE\r\n")
b2.finish()
a3 = Raw(sb, login=1)
a3.ok("ENABLE METADATA")
a3.start("IDLE")
a3.response()
a.ok('SETMETADATA "" (/private/color "x")')
is_(a3.response(), b'* METADATA "" /private/color', "in IDLE without a mailbox, of the server")
a3.send("DONE\r\n")
a3.finish()
a.ok(f"SETACL work {two} l")
a.ok('SETMETADATA work (/shared/color "secret")')
try:
    told = b2.cmd("NOOP")[0] + b2.cmd("NOOP")[0]
except (EOFError, OSError):
    told = []
ok(not any(b"color" in l for l in told), "a guest who may no longer is told nothing") or tm.diag(told)

# ---- large answers ---------------------------------------------------------------------------------
value = b"v" * 60000
for n in range(40):
    a.send(b"s SETMETADATA work (/private/large/v%d {%d+}\r\n%s)\r\n" % (n, len(value), value))
    if not a.finish(b"s")[1].startswith(b"OK"):
        ok(False, "a large value is set")
a.start("GETMETADATA (DEPTH 1) work /private/large")       # which nobody reads for now
others = Raw(sb, login=3)
is_(others.ok("NOOP"), [], "others are answered")
lines, tagged = a.finish()
is_((lines[0].count(value), len(lines), tagged[:2]), (40, 1, b"OK"), "2.4 MB in one response, when it is read")
a.start('LIST "" * RETURN (METADATA (%s))' % " ".join("/private/large/v%d" % n for n in range(40)))
others.ok("NOOP")
lines, tagged = a.finish()
is_((sum(l.count(value) for l in lines), tagged[:2]), (40, b"OK"), "and in LIST")
lines = a.ok("GETMETADATA (DEPTH infinity MAXSIZE 10) work /private")
ok(all(value not in l for l in lines), "MAXSIZE leaves them out")

# ---- kill -9 ---------------------------------------------------------------------------------------
a.ok("CREATE killed")
seed = int(os.environ.get("SEED", random.randrange(10**6)))
rnd = random.Random(seed)
done, stop = [0], threading.Event()


def again():
    """A new session; None while there is nobody to let it in."""
    try:
        return Raw(sb, login=1)
    except (EOFError, OSError, AssertionError):
        return None


def setter():
    """Counts up in two entries at once: what was answered is there, and both are the same."""
    n, client = 0, Raw(sb, login=1)
    while not stop.is_set():
        try:
            n += 1
            got = client.tagged(f'SETMETADATA killed (/private/n "{n}" /shared/n "{n}")')
            if got.startswith(b"OK"):
                done[0] = n
        except (EOFError, OSError):
            client = tm.wait_for(again)


t = threading.Thread(target=setter)
t.start()
for _ in range(KILLS):
    before = done[0]
    tm.wait_for(lambda: done[0] > before + rnd.randrange(3, 20))
    sb.kill("stored")
    sb.restart("stored")
stop.set()
t.join()
last = done[0]
a = tm.wait_for(again)
values = [int(n) for n in re.findall(rb'"(\d+)"', tm.wait_for(lambda: get(a, "killed", "(/private/n /shared/n)"))[0])]
ok(len(values) == 2 and values[0] == values[1] and values[0] >= last, f"after {KILLS} kills of stored both entries are of one command, not before the last that was answered (SEED={seed})") or tm.diag((values, last))
is_(sb.tool("storectl", "check").returncode, 0, "check finds nothing")
tm.done()
