#!/usr/bin/env python3
"""Smuggling, through: every mark that some server takes for the end of a message, with DATA and with BDAT, in the header and
in the body, refused and normalised; what the next host gets, with and without CHUNKING, is looked at octet by octet: one
message for each that was taken, CRLF alone ends its lines, and nobody's second envelope is in it."""
import os, re, socket, sys, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

MARKS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\n.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\r\n.\r\r\n",
         b"\r\n.\r\r\n", b"\n\r.\n\r"]
EVIL = b"MAIL FROM:<evil@evil.test>\r\nRCPT TO:<evil@one.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n.\r\n"


class Sink(threading.Thread):
    """Keeps the octets of every message as they come on the wire, and the commands."""

    def __init__(self, chunking):
        super().__init__(daemon=True)
        self.chunking, self.raw, self.commands = chunking, [], []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.start()

    def run(self):
        while True:
            c, _ = self.sock.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        f = c.makefile("rb")
        c.sendall(b"220 sink\r\n")
        chunk = b""
        for line in f:
            verb = line.strip().upper()
            self.commands.append(line)
            if verb.startswith(b"EHLO"):
                c.sendall(b"250-sink\r\n250-PIPELINING\r\n" + (b"250-CHUNKING\r\n" if self.chunking else b"") + b"250 8BITMIME\r\n")
            elif verb.startswith(b"BDAT"):
                chunk += f.read(int(verb.split()[1]))
                if verb.endswith(b"LAST"):
                    self.raw.append(chunk)
                    chunk = b""
                c.sendall(b"250 ok\r\n")
            elif verb == b"DATA":
                c.sendall(b"354 go\r\n")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += f.read(1)
                self.raw.append(text[:-3])
                c.sendall(b"250 ok\r\n")
            else:
                c.sendall(b"250 ok\r\n")


plain, chunks = Sink(False), Sink(True)
without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "1", *without, "--route", f"one.test=smtp:127.0.0.1:{plain.port}", "--route", f"two.test=smtp:127.0.0.1:{chunks.port}",
                "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", "smtp-relay.limit.errors=0", "--set", "channels.channel tcp_local.backoff=1s")


def send(text, how, cut):
    """The answers to everything, raw: (of the message, how many commands were answered behind it)."""
    with socket.create_connection((sb.host, sb.port("SMTP")), timeout=tm.LONG) as s:
        f = s.makefile("rb")

        def reply():
            line = f.readline()
            while line[3:4] == b"-":
                line = f.readline()
            return line.decode()
        reply()
        s.sendall(b"EHLO x\r\n")
        reply()
        s.sendall(b"MAIL FROM:<good@good.test>\r\nRCPT TO:<a@one.test>\r\nRCPT TO:<b@two.test>\r\n" + (b"DATA\r\n" if how == "DATA" else b""))
        for _ in range(3):
            reply()
        if how == "DATA":
            reply()
            s.sendall(text + b"\r\n.\r\n")
        else:
            # in two chunks, cut inside of the mark
            s.sendall(b"BDAT %d\r\n" % cut + text[:cut])
            first = reply()
            if not first.startswith("250"):
                return first, 0
            s.sendall(b"BDAT %d LAST\r\n" % (len(text) - cut) + text[cut:])
        answer = reply()
        s.sendall(b"NOOP\r\nQUIT\r\n")
        behind = 0
        while reply():
            behind += 1
        return answer, behind


def clean(raw):
    return b"\0" not in raw and not re.search(rb"\r(?!\n)|(?<!\r)\n", raw)


for mode in ("refuse", "normalise"):
    conf = sb.conf("smtp-relay.conf")
    text = open(conf).read()
    with open(conf, "w") as f:
        f.write(re.sub(r"(?m)^line_ends.*\n", "", text) if mode == "refuse" else f"line_ends = normalise\n" + text)
    sb.restart("smtp-relay")
    before, taken = len(plain.raw), 0
    for how in ("DATA", "BDAT"):
        for where in ("header", "body"):
            for mark in MARKS:
                head = b"Subject: s\r\nX: y" if where == "header" else b"Subject: s\r\n\r\nfirst"
                answer, behind = send(head + mark + EVIL + b"end", how, len(head) + len(mark) // 2)
                # Of EVIL the dot is the end of DATA, so that what stands behind it is a command, and an error.
                good = answer.startswith("550 5.6.0") if mode == "refuse" or b"\0" in mark else answer.startswith(("250", "550 5.6.0"))
                taken += answer.startswith("250")
                if not good:
                    tm.ok(False, f"{mode}, {how}, {where}, {mark!r}")
                    tm.diag(answer)
    tm.ok(True, f"{mode}: {taken} of {4 * len(MARKS)} are taken")
    tm.is_(taken > 0, mode == "normalise", f"{mode}: some or none")
    tm.ok(tm.wait_for(lambda: len(plain.raw) - before == taken and sb.queue_empty()), f"{mode}: as many go on as were taken, and not one more")
tm.is_(len(plain.raw), len(chunks.raw), "to both hosts")
tm.is_([r for r in plain.raw + chunks.raw if not clean(r)], [], "each line ends in CRLF, and in nothing else")
envelopes = [c for c in plain.commands + chunks.commands if b"evil" in c.lower()]
tm.is_(envelopes, [], "no host has heard a command of the smuggled message")
tm.is_([r for r in plain.raw if re.search(rb"\r\n\.(\r\n|$)", r) or re.search(rb"(^|\r\n)\.[^.]", r)], [], "no line of DATA has a dot that is not doubled")
tm.done()
