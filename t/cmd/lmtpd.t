#!/usr/bin/env python3
"""lmtpd before a real store and a real directory: RFC 2033, who gets mail, one copy for all."""
import os, re, socket, ssl, subprocess, sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow")]
import tm

sb = tm.Sandbox("--users", "6", "--without", "imapd", "--without", "smtp-relay", "--without", "jobctl")
D = sb.domain
MSG = b"From: a@b.test\r\nSubject: hello\r\n\r\n.dot\r\nbody\r\n"


class Lmtp:
    def __init__(self, address=None):
        if address is None:
            address = f"{sb.env['RUNDIR']}/lmtpd.sock"
        if isinstance(address, str):
            self.s = socket.socket(socket.AF_UNIX)
            self.s.connect(address)
        else:
            self.s = socket.create_connection(address)
        self.s.settimeout(tm.LONG)
        self.f = self.s.makefile("rb")

    def reply(self):
        lines = []
        while True:
            line = self.f.readline().decode()
            if not line:
                return "closed"
            lines.append(line.rstrip())
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, *lines):
        """All lines in one packet; the replies' codes with the enhanced ones."""
        self.s.sendall(b"".join(x if isinstance(x, bytes) else x.encode() + b"\r\n" for x in lines))
        return [self.reply() for x in lines if not isinstance(x, bytes)]


def codes(replies):
    return [" ".join(r.split()[:2]) for r in replies]


def files():
    out = []
    for d, _, names in os.walk(sb.env["STORE"]):
        out += [os.path.join(d, n) for n in names if n.endswith(".msg") and "user0006" not in d]
    return out


def rcpt(*users):
    return [f"RCPT TO:<{u}@{D}>" for u in users]


c = Lmtp()
tm.ok(c.reply().startswith("220 "), "the greeting")
hello = c.say("LHLO client.test")[0]
for word in "PIPELINING ENHANCEDSTATUSCODES 8BITMIME CHUNKING SMTPUTF8 SIZE XTIERMAIL".split():
    tm.ok(re.search(rf"^250[- ]{word}\b", hello, re.M), f"LHLO offers {word}")
tm.ok(c.say("HELO x")[0].startswith("5"), "no HELO in LMTP")
r = c.say("MAIL FROM:<a@b.test>", *rcpt("user0001", "alias0002", "nobody", "disabled", "hold"), "RCPT TO:<x@elsewhere.test>",
          "RCPT TO:<postmaster>")
tm.is_(codes(r), ["250 2.1.0", "250 2.1.5", "250 2.1.5", "550 5.1.1", "550 5.2.1", "450 4.2.1", "550 5.1.1", "250 2.1.5"],
       "each recipient is judged by the directory")
c.say("RSET")



def probe(user):
    """One message: the store is there."""
    return codes(c.say("MAIL FROM:<>", *rcpt(user), f"BDAT {len(MSG)} LAST", MSG))[-1] == "250 2.1.5"


tm.ok(probe("user0006"), "the first message finds the store")

# ---- one transaction in one packet, one file for all
r = c.say("MAIL FROM:<a@b.test>", *rcpt("user0001", "nobody", "user0002", "full"), f"BDAT {len(MSG)} LAST", MSG)
r += [c.reply(), c.reply()]
tm.is_(codes(r), ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "250 2.1.5", "250 2.1.5", "250 2.1.5", "452 4.2.2"],
       "three accepted recipients, three replies: the full one is 452")
paths = files()
tm.is_(len(paths), 2, "two mailboxes have it")
tm.is_(len({os.stat(p).st_ino for p in paths}), 1, "in one copy")
text = open(paths[0], "rb").read()
tm.ok(text.startswith(b"Return-Path: <a@b.test>\r\nReceived: from client.test"), "with Return-Path and Received")
tm.ok(text.endswith(MSG), "and otherwise unchanged")

# ---- addresses of one mailbox, folders, duplicates
r = c.say("MAIL FROM:<> XQID=q1", *rcpt("user0003", "alias0003"), "DATA")
tm.is_(codes(r), ["250 2.1.0", "250 2.1.5", "250 2.1.5", "354 end"], "DATA")
r = c.say(b"Subject: x\r\n\r\n..\r\n", ".") + [c.reply()]
tm.is_(codes(r), ["250 2.1.5", "250 2.1.5"], "two addresses of one user: two replies")
paths = [p for p in files() if "user0003" in p]
tm.is_(len(paths), 1, "one copy")
tm.ok(open(paths[0], "rb").read().endswith(b"\r\n\r\n.\r\n"), "a doubled dot is undone")
AGAIN = b"Subject: x\r\n\r\n.\r\n"
r = c.say("MAIL FROM:<> XQID=q1", *rcpt("user0003"), f"BDAT {len(AGAIN)} LAST", AGAIN)
tm.is_((codes(r)[-1], len([p for p in files() if "user0003" in p])), ("250 2.1.5", 1), "the same message again: 250 and nothing stored")
OTHER = MSG.replace(b"\r\n\r\n", b"\r\n\r\nAnother one.\r\n", 1)
r = c.say("MAIL FROM:<> XQID=q1", *rcpt("user0003"), f"BDAT {len(OTHER)} LAST", OTHER)
tm.is_((codes(r)[-1], len([p for p in files() if "user0003" in p])), ("250 2.1.5", 2), "another message of the same XQID is not swallowed")
r = c.say("MAIL FROM:<>", "RCPT TO:<user0003>", "RCPT TO:<nobody>", "RSET")
tm.is_(codes(r)[1:3], ["250 2.1.5", "550 5.1.1"], "a recipient without a domain gets the default one")
r = c.say("MAIL FROM:<> XQID=q2", *rcpt("user0004+Junk", "user0004+nowhere"), f"BDAT {len(MSG)} LAST", MSG) + [c.reply()]
where = sorted(re.search("=user0004@[^/]*/=([^/]*)/", p)[1] for p in files() if "user0004" in p)
tm.is_(where, ["INBOX", "Junk"], "a subaddress goes into its folder, or into INBOX when there is none")

# ---- bodies
big = b"Subject: big\r\n\r\n" + b"x" * 70 * 1024 * 20 + b"\r\n"
big = b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * 30000
r = c.say("MAIL FROM:<a@b.test>", *rcpt("user0005"), f"BDAT {len(big)} LAST", big)
path = [p for p in files() if "user0005" in p][0]
tm.ok(codes(r)[-1] == "250 2.1.5" and open(path, "rb").read().endswith(big), "two megabytes")
half = len(MSG) // 2
r = c.say("MAIL FROM:<a@b.test>", *rcpt("user0005"), f"BDAT {half}", MSG[:half], f"BDAT {len(MSG) - half} LAST", MSG[half:])
tm.is_(codes(r)[2:], ["250 2.0.0", "250 2.1.5"], "two chunks")
r = c.say("MAIL FROM:<a@b.test>", *rcpt("nobody"), "BDAT 5 LAST", b"abc\r\n")
tm.is_(codes(r)[1:], ["550 5.1.1", "503 5.5.1"], "BDAT without recipients: one reply, in step")
r = c.say("RSET", "MAIL FROM:<a@b.test> SIZE=99999999999")
tm.is_(codes(r)[-1], "552 5.3.4", "SIZE over the limit")
r = c.say("RSET", "MAIL FROM:<a@b.test>", *rcpt("user0005"), "DATA")
r = c.say(b"bare\nlf\rcr\0nul\r\n.\n.\r\nx\r\n", ".")
tm.ok(codes(r)[0] in ("250 2.1.5", "550 5.6.0"), f"odd bytes have a defined answer ({codes(r)[0]})")
tm.is_(codes(c.say("NOOP", "VRFY x", "QUIT")), ["250 2.0.0", "252 2.0.0", "221 2.0.0"], "NOOP, VRFY, QUIT")
tm.is_(c.reply(), "closed", "and the connection is closed")

# ---- who may deliver over TCP
port = int(sb.env["LMTP_PORT"])
c = Lmtp(("127.0.0.1", port))
c.reply()
ctx = ssl.create_default_context(cafile=sb.env["CAFILE"])
ctx.check_hostname = False
tm.ok("STARTTLS" in c.say("LHLO x")[0], "STARTTLS is offered on TCP")
tm.is_(codes(c.say("STARTTLS")), ["220 2.0.0"], "STARTTLS")
c.s = ctx.wrap_socket(c.s)
c.f = c.s.makefile("rb")
hello = c.say("LHLO x")
tm.ok(probe("user0006"), "the first message finds the store")
r = hello + c.say("MAIL FROM:<a@b.test>", *rcpt("user0001"), f"BDAT {len(MSG)} LAST", MSG)
tm.ok(codes(r)[-1] == "250 2.1.5" and "STARTTLS" not in r[0], "mail over TLS") or tm.diag(r)

# ---- a relay that is not trusted by its address
sb.call("down", sb.dir)
r = sb.call("up", sb.dir, "--set", "lmtpd.trusted=192.0.2.0/24", "--set", "lmtpd.trusted_names=relay.test")
tm.ok(r.returncode == 0, "again, with no trusted hosts") or tm.diag(r.stdout + r.stderr)
sb.env = sb.read_env()
port = int(sb.env["LMTP_PORT"])
key, req, pem = (f"{sb.dir}/relay.{x}" for x in ("key", "csr", "pem"))
ca = os.path.dirname(sb.env["CAFILE"])
subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", req,
                "-subj", "/CN=relay.test"], check=True, capture_output=True)
subprocess.run(["openssl", "x509", "-req", "-in", req, "-CA", f"{ca}/ca.pem", "-CAkey", f"{ca}/ca.key", "-CAcreateserial",
                "-out", pem, "-days", "2"], check=True, capture_output=True)
other = f"{ca}/server.pem", f"{ca}/server.key"
for cert, want, what in ((None, "530 5.7.0", "nor without a certificate"), (other, "450 4.7.1", "nor with one of another name"),
                         ((pem, key), "250 2.1.0", "with a certificate")):
    c = Lmtp(("127.0.0.1", port))
    c.reply()
    c.say("LHLO x")
    tm.is_(codes(c.say("MAIL FROM:<a@b.test>")), ["530 5.7.0"], "not without TLS")
    if cert:
        ctx.load_cert_chain(*cert)
    c.say("STARTTLS")
    c.s = ctx.wrap_socket(c.s)
    c.f = c.s.makefile("rb")
    c.say("LHLO x")
    tm.is_(codes(c.say("MAIL FROM:<a@b.test>")), [want], what)

# ---- the store goes and comes back
c = Lmtp()
c.reply()
c.say("LHLO x")
sb.kill("stored")
r = c.say("MAIL FROM:<a@b.test> XQID=q9", *rcpt("user0001"), f"BDAT {len(MSG)} LAST", MSG)
tm.is_(codes(r), ["250 2.1.0", "250 2.1.5", "451 4.3.0"], "stored is away: 451")
sb.restart("stored")
tm.ok(tm.wait_for(lambda: probe("user0001")), "and back: 250, on the same connection")
tm.done()
