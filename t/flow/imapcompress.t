#!/usr/bin/env python3
"""COMPRESS=DEFLATE (RFC 4978): the same session in and out of it, over TCP and TLS, in pieces of any size;
and what a client may send instead of it."""
import random, zlib
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "4", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.workers=1")
rnd = random.Random(3)


class Deflated(Raw):
    def squeeze(self):
        """COMPRESS; from here on all is compressed"""
        self.ok("COMPRESS DEFLATE")
        self.packer, self.unpacker = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.decompressobj(-15)
        self.saved, self.wire = 0, 0

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if hasattr(self, "packer"):
            data = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        super().send(data)

    def fill(self):
        if not hasattr(self, "packer"):
            return super().fill()
        more = self.sock.recv(65536)
        if not more:
            raise EOFError
        plain = self.unpacker.decompress(more)
        self.wire += len(more)
        self.saved += len(plain)
        self.buf += plain


def gone(c):
    """Does the server close?"""
    try:
        while True:
            c.fill()
    except (EOFError, OSError, zlib.error):
        return True


big = b"Subject: big\r\n\r\n" + b"".join(b"line %d of a text that is long %s\r\n" % (n, rnd.randbytes(8).hex().encode()) for n in range(40_000))
plain = Raw(sb, login=1)
tm.ok("COMPRESS=DEFLATE" in plain.ok("CAPABILITY")[0].decode().split(), "offered after the login")
tm.ok(b"COMPRESS" not in Raw(sb).greeting, "not before")
tm.ok(Raw(sb).tagged("COMPRESS DEFLATE").startswith(b"BAD"), "nor taken")
plain.append("INBOX", big)
for what, how in (("TCP", {}), ("TLS", {"tls": True}), ("a byte at a time", {"step": 1})):
    c = Deflated(sb, login=1, **how)
    tm.ok(c.tagged("COMPRESS LZMA").startswith(b"BAD"), f"{what}: another mechanism")
    c.squeeze()
    tm.ok(c.tagged("COMPRESS DEFLATE").startswith(b"NO [COMPRESSIONACTIVE]"), "a second time")
    c.ok("SELECT INBOX")
    got = c.ok("FETCH 1 BODY.PEEK[]")[0]
    tm.ok(big in got, "a large message comes whole")
    tm.ok(c.wire * 2 < c.saved, f"in less than half of the octets ({c.wire} of {c.saved})")
    small = b"Subject: small\r\n\r\n" + rnd.randbytes(700).hex().encode() + b"\r\n"
    tm.ok(c.append("Sent", small)[1].startswith(b"OK"), "APPEND")
    c.send(b"".join(b"p%d NOOP\r\n" % n for n in range(200)))
    tm.ok(all(c.finish(b"p%d" % n)[1].startswith(b"OK") for n in range(200)), "pipelined commands")
    c.start("IDLE")
    c.line()
    plain.append("INBOX", "Subject: x\r\n\r\nx\r\n")
    tm.ok(c.line().endswith(b"EXISTS"), "IDLE")
    c.line()
    c.send("DONE\r\n")
    c.finish()
    c.step = 0      # the line is there before the last octets of its stream, which would find the session closed
    lines, tagged = c.cmd("LOGOUT")
    tm.ok(tagged.startswith(b"OK") and gone(c), "LOGOUT")
m = Deflated(sb, login=2)
m.squeeze()
message = b"Subject: up\r\n\r\n" + rnd.randbytes(1_500_000).hex().encode() + b"\r\n"
tm.ok(m.append("INBOX", message)[1].startswith(b"OK"), "a large APPEND")
m.ok("SELECT INBOX")
tm.ok(message in m.ok("FETCH 1 BODY[]")[0], "and back")
m.ok("UNAUTHENTICATE")
m.ok(f"LOGIN {sb.user(3)} {sb.password}")
tm.ok(m.tagged("COMPRESS DEFLATE").startswith(b"NO [COMPRESSIONACTIVE]"), "UNAUTHENTICATE leaves it as it is")

# ---- what is none ----------------------------------------------------------------------------------------
for what, data in (("plain text behind the command", b"x COMPRESS DEFLATE\r\ny NOOP\r\n"),
                   ("much of it", b"x COMPRESS DEFLATE\r\n" + b"y NOOP\r\n" * 20_000),
                   ("random octets", b"x COMPRESS DEFLATE\r\n" + rnd.randbytes(100_000))):
    c = Raw(sb, login=4)
    try:
        c.send(data)
    except OSError:
        pass
    tm.ok(gone(c), f"{what}: the connection ends")
c = Deflated(sb, login=4)
c.squeeze()
c.sock.sendall(c.packer.compress(b"z NOOP\r\n") + c.packer.flush(zlib.Z_FINISH))
tm.ok(gone(c), "so it does when the stream of DEFLATE is over")

c = Deflated(sb, login=4)
c.squeeze()
packer = zlib.compressobj(9, zlib.DEFLATED, -15)
bomb = packer.compress(b"a SEARCH TEXT " + b"x" * 200_000_000) + packer.flush(zlib.Z_SYNC_FLUSH)
other = Raw(sb, login=3)
try:
    c.sock.sendall(bomb)
except OSError:
    pass
tm.ok(gone(c), f"a command of 200 MB in {len(bomb)} octets ends the connection")
tm.ok(other.tagged("NOOP").startswith(b"OK"), "and nothing else")
tm.done()
