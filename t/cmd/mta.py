"""Servers that do as they are told, for the tests of channel-master: SMTP/LMTP, DNS, jobctl."""
import os, queue, re, socket, socketserver, struct, sys, threading

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow"))
import tm


class Mail(threading.Thread):
    """An SMTP or LMTP server.  `say` maps a prefix of a command ("RCPT TO:<a", "BODY", "GREET")
    to a reply, a list of replies (one after the other, the last stays), or None: hang up."""

    def __init__(self, address, lmtp=False, offers=("PIPELINING", "8BITMIME", "SIZE 0"), say=None, tls=None):
        super().__init__(daemon=True)
        self.tls, self.secured = tls, 0
        self.lmtp, self.offers, self.say = lmtp, offers, say or {}
        self.mails, self.connections, self.commands = [], 0, []
        if isinstance(address, str):
            if os.path.exists(address):
                os.unlink(address)
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.bind(address)
        else:
            self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(address)
            self.port = self.sock.getsockname()[1]
        self.sock.listen(64)
        self.open, self.serving = [], []
        self.start()

    def run(self):
        while True:
            try:
                c, _ = self.sock.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(c)
            self.serving = [t for t in self.serving if t.is_alive()]
            self.serving.append(threading.Thread(target=self.serve, args=(c,), daemon=True))
            self.serving[-1].start()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.hang_up()

    def hang_up(self):
        """Ends all connections; over when the clients have closed theirs, and know it."""
        for c in self.open:
            try:
                c.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        self.open.clear()
        for t in self.serving:
            t.join(tm.LONG)

    def answer(self, f, what, default):
        for prefix in sorted(self.say, key=len, reverse=True):
            if what.startswith(prefix):
                r = self.say[prefix]
                if isinstance(r, list):
                    r = r.pop(0) if len(r) > 1 else r[0]
                if callable(r):
                    r = r()
                if r is None:
                    raise ConnectionError
                default = r
                break
        f.write(default.encode() + b"\r\n")
        return default

    def serve(self, c):
        f = c.makefile("rwb")
        rcpts, sender = [], None
        try:
            self.answer(f, "GREET", "220 test ESMTP")
            f.flush()
            while True:
                line = f.readline()
                if not line:
                    return
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self.commands.append(text)
                verb = text[:4].upper()
                if verb in ("EHLO", "LHLO"):
                    for o in self.offers:
                        f.write(b"250-" + o.encode() + b"\r\n")
                    f.write(b"250 OK\r\n")
                elif verb == "STAR" and self.tls:
                    f.write(b"220 2.0.0 go\r\n")
                    f.flush()
                    c = self.tls.wrap_socket(c, server_side=True)
                    self.open.append(c)
                    self.secured += 1
                    f = c.makefile("rwb")
                    continue
                elif verb == "MAIL":
                    rcpts, sender = [], re.search("<(.*?)>", text)[1]
                    self.answer(f, text, "250 2.1.0 ok")
                elif verb == "RCPT":
                    if self.answer(f, text, "250 2.1.5 ok")[0] == "2":
                        rcpts.append(re.search("<(.*?)>", text)[1])
                elif verb in ("DATA", "BDAT"):
                    if verb == "DATA":
                        if self.answer(f, text, "354 go")[0] != "3":
                            f.flush()
                            continue
                        f.flush()
                        body = b""
                        while True:
                            line = f.readline()
                            if not line:
                                return
                            if line == b".\r\n":
                                break
                            body += line[1:] if line.startswith(b".") else line
                    else:
                        size = int(text.split()[1])
                        body = f.read(size)
                        if len(body) < size:
                            return
                    for r in (rcpts if self.lmtp else [None]) or [None]:
                        a = self.answer(f, f"BODY {r}" if r else "BODY", "250 2.0.0 ok")
                        if a[0] == "2":
                            self.mails.append((sender, [r] if r else rcpts, body))
                elif verb == "QUIT":
                    f.write(b"221 bye\r\n")
                    f.flush()
                    return
                else:
                    self.answer(f, text, "250 2.0.0 ok")
                f.flush()
        except (ConnectionError, OSError, ValueError):
            pass
        finally:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            c.close()


class Dns(threading.Thread):
    """Answers for MX, A, AAAA, TXT and PTR from a table {"name": {"MX": [(10, "host")], "A": ["127.0.0.1"]}}; a
    name that is not there does not exist."""

    def __init__(self, table):
        super().__init__(daemon=True)
        self.table = table
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.start()

    @staticmethod
    def name(s):
        return b"".join(bytes([len(p)]) + p.encode() for p in s.split(".") if p) + b"\0"

    def run(self):
        while True:
            q, peer = self.sock.recvfrom(4096)
            at, labels = 12, []
            while q[at]:
                labels.append(q[at + 1:at + 1 + q[at]].decode().lower())
                at += 1 + q[at]
            qtype = struct.unpack(">H", q[at + 1:at + 3])[0]
            question = q[12:at + 5]
            entry = self.table.get(".".join(labels))
            rrs = []
            if entry and qtype == 15:
                rrs = [struct.pack(">H", p) + self.name(h) for p, h in entry.get("MX", [])]
            elif entry and qtype == 12:
                rrs = [self.name(h) for h in entry.get("PTR", [])]
            elif entry and qtype == 1:
                rrs = [socket.inet_aton(a) for a in entry.get("A", [])]
            elif entry and qtype == 16:
                rrs = [b"".join(bytes([len(t[i:i + 255])]) + t[i:i + 255].encode() for i in range(0, len(t), 255)) for t in entry.get("TXT", [])]
            elif entry and qtype == 28:
                rrs = [socket.inet_pton(socket.AF_INET6, a) for a in entry.get("AAAA", [])]
            zone = ".".join(labels[-1:])
            soa = b"" if rrs else (self.name(zone) + struct.pack(">HHIH", 6, 1, 60, 0))
            head = q[:2] + struct.pack(">HHHHH", 0x8580 | (0 if entry is not None else 3), 1, len(rrs), 0 if rrs else 1, 0)
            body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", qtype, 1, 60, len(r)) + r for r in rrs)
            if soa:
                rdata = self.name("ns." + zone) + self.name("x." + zone) + struct.pack(">IIIII", 1, 60, 60, 60, 60)
                body = soa[:-2] + struct.pack(">H", len(rdata)) + rdata
            self.sock.sendto(head + question + body, peer)


class Jobctl:
    """Listens as jobctl, hands out leases to one master, collects the results."""

    def __init__(self, path):
        if os.path.exists(path):
            os.unlink(path)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(path)
        self.sock.listen(4)
        self.sock.settimeout(tm.LONG)
        self.id = 0
        self.conn = None
        self.counts = {}  # what masters have counted, before the last result

    def accept(self):
        self.conn, _ = self.sock.accept()
        self.conn.settimeout(tm.LONG)
        self.f = self.conn.makefile("rb")
        self.hello = self.f.readline().decode().rstrip()

    def work(self, file, dest, **more):
        self.id += 1
        extra = "".join(f" {k}={v}" for k, v in more.items())
        self.conn.sendall(f"work id={self.id} file={file} dest={dest}{extra}\n".encode())
        return self.id

    def result(self):
        while True:
            words = self.f.readline().decode().rstrip().split()
            if words[:1] != ["count"]:
                break
            for name, n in (w.split("=") for w in words[1:]):
                self.counts[name] = self.counts.get(name, 0) + int(n)
        return (words[0], dict(w.split("=", 1) for w in words[1:])) if words else ("", {})
