#!/usr/bin/env python3
"""mbsync pushes a Maildir of 2,000 mixed messages into the store and pulls it back into a
second one: the same octets, the same flags, the same folders."""
import os, random, re, subprocess
import tm

tm.need("mbsync")
COUNT = 2000
rnd = random.Random(7)
sb = tm.Sandbox("--users", "3")
work = os.path.join(sb.dir, "mbsync")
# mbsync passes names through as they are: what is not ASCII is in modified UTF-7 on both sides.
FOLDERS = ["INBOX", "Archive", "M&APw-ll &- Co", "&ZeVnLIqe-", "Deep.er/Nest ed/third"]


def text_part(n):
    return "".join(rnd.choice("abcdefgh ijklmnop qrstuvwxyz") for _ in range(n)).strip() or "x"


def lines(octets):
    out = []
    while octets > 0:
        out.append(text_part(min(octets, 72)))
        octets -= 74
    return "\n".join(out) + "\n"


def deep(n):
    """A multipart nested n deep"""
    b = f"b{n}"
    inner = deep(n - 1) if n else "Content-Type: text/plain\n\nthe bottom\n"
    return f'Content-Type: multipart/mixed; boundary="{b}"\n\n--{b}\n{inner}\n--{b}\n\nside\n--{b}--\n'


def message(i):
    """A message of kind i % 12, as Maildir holds it (LF line ends), bytes"""
    head = (f"From: Sender {i} <s{i}@sender.test>\nTo: <u@{sb.domain}>\nSubject: message {i}\n"
            f"Date: Mon, 1 Jan 2024 10:{i // 60 % 60:02d}:{i % 60:02d} +0000\nMessage-ID: <mix-{i}@sender.test>\n")
    kind = i % 12
    if i in (5, 777):
        return (head + "\n" + lines(5 * 1024 * 1024 - 600)).encode()
    if kind == 0:
        return f"Subject: {i}\n\n".encode()                                # no body, hardly a header
    if kind == 1:
        return (head + "MIME-Version: 1.0\n" + deep(12)).encode()
    if kind == 2:
        return head.encode() + b"X-Eight: \xe4\xf6\xfc raw latin \xff\n\nbody \xe9\n"
    if kind == 3:                                                            # no final boundary
        return (head + 'MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=x\n\n--x\n\nopen\n').encode()
    if kind == 4:                                                            # junk in MIME headers
        return (head + 'Content-Type: multipart/; boundary="\nContent-Transfer-Encoding: what??\n\n--\n').encode()
    if kind == 5:
        return (head + "Subject: =?utf-8?B?w6TDtsO8?= =?bogus?Q?=zz?=\nTo: <>,,;: \"un(closed\n\n" + lines(3000)).encode()
    if kind == 6:
        return (head + "\n" + lines(rnd.choice([200, 5000, 80000, 300000]))).encode()
    if kind == 7:
        return (head + "MIME-Version: 1.0\nContent-Type: message/rfc822\n\n" + head + "\ninner\n").encode()
    if kind == 8:
        return head.encode() + b"\n" + "äöü ß 日本語\n".encode() * 40
    if kind == 9:
        return (head + "\n" + "x" * 3000 + "\n.\n..\n.leading dot\nFrom here\n").encode()
    if kind == 10:
        return (f"no header at all {i}\n\njust text\n").encode()
    return (head + "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
            + "QUJD" * 15 + "\n").encode()


def subdir(folder):
    return work + "/a/" + ("" if folder == "INBOX" else folder)


flags = {}
for f in FOLDERS:
    for d in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(work, "a", f, d))
for i in range(COUNT):
    folder = FOLDERS[i % 20 if i % 20 < len(FOLDERS) else 0]
    fl = "".join(sorted(rnd.sample("DFRST"[:4] if i % 9 else "DFRS", rnd.randint(0, 3))))
    with open(os.path.join(work, "a", folder, "cur", f"{1700000000 + i}.{i}.host:2,{fl}"), "wb") as out:
        out.write(message(i))


def config(side):
    path = os.path.join(work, side + ".rc")
    with open(path, "w") as f:
        f.write(f"""IMAPAccount t
Host {sb.host}
Port {sb.port('IMAP')}
User {sb.user(1)}
Pass {sb.password}
SSLType None
AuthMechs LOGIN

IMAPStore remote
Account t

MaildirStore local
Path {work}/{side}/
Inbox {work}/{side}/INBOX
SubFolders Verbatim

Channel c
Far :remote:
Near :local:
Patterns *
Create Both
Expunge None
SyncState *
""")
    return path


def mbsync(side):
    os.makedirs(os.path.join(work, side), exist_ok=True)
    return subprocess.run(["mbsync", "-q", "-c", config(side), "-a"], capture_output=True, text=True)


def contents(side):
    """folder -> sorted list of (octets, flags)"""
    out = {}
    for root, dirs, _ in os.walk(os.path.join(work, side)):
        if "cur" in dirs:
            got = []
            for d in ("cur", "new"):
                for n in os.listdir(os.path.join(root, d)):
                    fl = n.partition(":2,")[2]
                    with open(os.path.join(root, d, n), "rb") as f:
                        data = re.sub(rb"(?m)^X-TUID: .*\n", b"", f.read(), count=1)
                    got.append((data, "".join(sorted(fl))))
            out[os.path.relpath(root, os.path.join(work, side))] = sorted(got)
    return out


r = mbsync("a")
tm.is_(r.returncode, 0, f"mbsync pushes {COUNT} messages") or tm.diag(r.stdout[-1500:] + r.stderr[-1500:])
r = mbsync("b")
tm.is_(r.returncode, 0, "mbsync pulls them into another Maildir") or tm.diag(r.stdout[-1500:] + r.stderr[-1500:])
a, b = contents("a"), contents("b")
tm.is_(sum(len(v) for v in a.values()), COUNT, "the source still has all")
for f in FOLDERS:
    same = a.get(f) == b.get(f)
    tm.ok(same, f"{f}: {len(a.get(f, []))} messages, the same octets and flags")
    if not same:
        x, y = a.get(f, []), b.get(f, [])
        tm.diag(f"{len(x)} against {len(y)}")
        for p, q in [(p, q) for p, q in zip(x, y) if p != q][:3]:
            tm.diag(f"{p[1]!r} {p[0][:150]!r}\n{q[1]!r} {q[0][:150]!r}")
tm.ok(set(b) >= {f for f in FOLDERS}, "every folder is there, names intact")
r = sb.tool("storectl", "check")
tm.is_(r.returncode, 0, "storectl check finds nothing") or tm.diag(r.stdout + r.stderr)
tm.done()
