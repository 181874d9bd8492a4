#!/usr/bin/env python3
"""imapd ends soon after SIGTERM, whatever its clients have left half said; but not in the middle of
what still moves."""
import os, signal, socket, threading, time
import tm
from imapraw import Raw

SOON = 5                             # seconds of a quiet machine
BYE = b"* BYE Server is going down\r\n"
HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(40)  # the beginning of a ClientHello
SIZE = 4 * 76 * 40000                                        # more than sockets hold

sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
filler = Raw(sb, login=2)
for _ in range(4):
    filler.append("INBOX", b"Subject: large\r\n\r\n" + b"x" * (SIZE // 4))
filler.close()


class Client:
    """Says this, waits until the answer holds `then`, says `last`, and falls silent."""

    def __init__(self, name, text=b"", login=None, then=b"", last=b"", bye=True, tls=False, reads=True):
        self.name, self.bye, self.reads, self.heard, self.ended = name, bye, reads, b"", None
        if tls:
            self.sock = socket.create_connection((sb.host, sb.port("IMAPS")))
            self.sock.sendall(last)
            return
        c = Raw(sb, login=login)
        c.send(text)
        while then not in c.buf:
            c.fill()
        c.send(last)
        self.sock = c.sock

    def listen(self):
        """Until it is over."""
        self.sock.settimeout(tm.LONG)
        try:
            while more := self.sock.recv(65536):
                self.heard += more
        except OSError:
            pass
        self.ended = time.monotonic()


def terminate():
    """SIGTERM; asks for the seconds, of a quiet machine, until the process has gone."""
    pid, watch = sb.pid("imapd"), tm.Stopwatch()
    os.kill(pid, signal.SIGTERM)

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return watch.took()
    return watch, lambda: tm.wait_for(gone) or tm.LONG


clients = [
    Client("nothing"),
    Client("half a LOGIN", last=b"a LOGIN us"),
    Client("half a literal of LOGIN", b"a LOGIN {8}\r\n", then=b"+ ", last=b"us"),
    Client("no answer to AUTHENTICATE's challenge", b"a AUTHENTICATE PLAIN\r\n", then=b"+ "),
    Client("half an answer to it", b"a AUTHENTICATE PLAIN\r\n", then=b"+ ", last=b"AHVz"),
    Client("STARTTLS and no handshake", b"a STARTTLS\r\n", then=b"a OK", bye=False),
    Client("STARTTLS and half a handshake", b"a STARTTLS\r\n", then=b"a OK", last=HELLO, bye=False),
    Client("no handshake", tls=True, bye=False),
    Client("half a handshake", tls=True, last=HELLO, bye=False),
    Client("nothing after LOGIN", login=1),
    Client("half a command", login=1, last=b"a SELECT IN"),
    Client("half a literal", b"a SELECT {5}\r\n", login=1, then=b"+ ", last=b"IN"),
    Client("a message not begun", b"a APPEND INBOX {2000}\r\n", login=1, then=b"+ "),
    Client("half a message", login=1, last=b"a APPEND INBOX {2000+}\r\nSubject: half\r\n"),
    Client("a message without its line's end", login=1, last=b"a APPEND INBOX {12+}\r\nSubject: x\r\n"),
    Client("half a message that is refused", login=1, last=b"a APPEND none {2000+}\r\nSubject: half\r\n"),
    Client("IDLE", b"a SELECT INBOX\r\nb IDLE\r\n", login=1, then=b"+ "),
    Client("IDLE and half its end", b"a IDLE\r\n", login=1, then=b"+ ", last=b"DO"),
    Client("a long answer not read", b"a SELECT INBOX\r\n", login=2, then=b"a OK",
           last=b"f FETCH 1:* BODY.PEEK[]\r\n", bye=False, reads=False),
    Client("a password that the directory is asked about", last=b""),
]
slapd = sb.pid("slapd")
tm.freeze(slapd)
clients[-1].sock.sendall(b"a LOGIN user0002 wrong\r\n")
listening = [threading.Thread(target=c.listen) for c in clients if c.reads]
for t in listening:
    t.start()
watch, gone = terminate()
took = gone()
os.kill(slapd, signal.SIGCONT)
for t in listening:
    t.join()
for c in clients:
    if c.reads:
        tm.ok(watch.took(c.ended - watch.began) < SOON, f"{c.name}: over within 5 s of SIGTERM")
    if c.bye:
        tm.ok(c.heard.endswith(BYE), f"{c.name}: BYE")
if not tm.ok(took < SOON, "imapd has gone within 5 s, also from one that does not read"):
    tm.diag(f"after {took:.1f} s")

# ---- what moves ---------------------------------------------------------------------------------
tm.ok(sb.restart("imapd"), "imapd comes again")
writer, reader = Raw(sb, login=1), Raw(sb, login=2)
body = b"Subject: slow\r\n\r\n" + b"y" * 98 + b"\r\n"
writer.send(b"a APPEND INBOX {%d+}\r\n" % len(body))
reader.ok("SELECT INBOX")
reader.start("FETCH 1:* BODY.PEEK[]")
_, gone = terminate()


def read_slowly():
    for _ in range(36):
        reader.buf += reader.sock.recv(100000)
        time.sleep(0.1)
    while not reader.buf.endswith(BYE):
        reader.fill()


slow = threading.Thread(target=read_slowly)
slow.start()
for at in range(0, len(body), 3):  # for longer than silence is borne, with none of that length
    writer.send(body[at:at + 3])
    time.sleep(0.1)
writer.send(b"\r\n")
tm.ok(writer.finish(b"a")[1].startswith(b"OK [APPENDUID"), "a message that comes slowly is taken")
tm.is_(writer.line() + b"\r\n", BYE, "and BYE follows")
slow.join()
tm.ok(b"t3 OK FETCH completed" in reader.buf[-200:] and len(reader.buf) > SIZE, "an answer read slowly is whole")
tm.ok(gone() < 30, "then imapd has gone")
tm.done()
