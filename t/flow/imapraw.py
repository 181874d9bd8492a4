"""An IMAP client by hand for the flow tests: raw lines and literals, in whole or split writes."""
import re, socket, ssl
import tm

LITERAL = re.compile(rb"\{(\d+)\}$")


class Raw:
    """c = Raw(sb); c.ok("SELECT INBOX") gives the untagged lines, literals inlined."""

    def __init__(self, sb, login=None, tls=False, step=0, greet=True):
        self.sock = socket.create_connection((sb.host, sb.port("IMAPS" if tls else "IMAP")), timeout=tm.LONG)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.sock = self.context(sb).wrap_socket(self.sock, server_hostname="localhost")
        self.buf, self.n, self.step, self.sb = b"", 0, step, sb
        self.greeting = self.response() if greet else b""
        if login:
            self.ok(f"LOGIN {sb.user(login) if isinstance(login, int) else login} {sb.password}")

    @staticmethod
    def context(sb):
        c = ssl.create_default_context(cafile=sb.env["CAFILE"])
        c.check_hostname = False
        return c

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if not self.step:
            self.sock.sendall(data)
        for i in range(0, len(data), self.step or len(data) or 1):
            if self.step:
                self.sock.sendall(data[i:i + self.step])

    def fill(self):
        more = self.sock.recv(65536)
        if not more:
            raise EOFError
        self.buf += more

    def line(self):
        while b"\r\n" not in self.buf:
            self.fill()
        line, _, self.buf = self.buf.partition(b"\r\n")
        return line

    def take(self, n):
        while len(self.buf) < n:
            self.fill()
        data, self.buf = self.buf[:n], self.buf[n:]
        return data

    def response(self):
        """One response line with its literals behind their {n} CRLF."""
        whole = b""
        while True:
            line = self.line()
            whole += line
            m = LITERAL.search(line)
            if not m:
                return whole
            whole += b"\r\n" + self.take(int(m.group(1)))

    def start(self, command):
        self.n += 1
        self.tag = b"t%d" % self.n
        self.send(self.tag + b" " + (command if isinstance(command, bytes) else command.encode()) + b"\r\n")
        return self.tag

    def finish(self, tag=None):
        """Responses up to the tagged one: (list of untagged, tagged without its tag)."""
        tag, lines = tag or self.tag, []
        while True:
            r = self.response()
            if r.startswith(tag + b" "):
                return lines, r[len(tag) + 1:]
            lines.append(r)

    def cmd(self, command):
        self.start(command)
        return self.finish()

    def ok(self, command):
        lines, tagged = self.cmd(command)
        if not tagged.startswith(b"OK"):
            raise AssertionError(f"{command!r}: {tagged!r}")
        return lines

    def tagged(self, command):
        return self.cmd(command)[1]

    def append(self, box, message, args=""):
        message = message if isinstance(message, bytes) else message.encode()
        self.send(b"ap APPEND %s %s{%d+}\r\n" % (box.encode(), args.encode() + (b" " if args else b""), len(message)))
        self.send(message + b"\r\n")
        return self.finish(b"ap")

    def close(self):
        self.sock.close()
