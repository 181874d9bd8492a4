"""A POP3 client by hand: raw lines, in whole or split writes.

    p = Pop(sb, login=1)
    p.say("STAT")               the answer's line
    p.many("LIST")              [line, ...] of a multi-line answer, stuffing undone; None: -ERR
    p.raw("RETR 1")             its octets as they came, behind the +OK line and without the last line
"""
import socket, ssl
import tm


class Pop:
    def __init__(self, sb, login=None, tls=False, step=0, port=None, rcvbuf=0, password=None):
        self.sb, self.step, self.buf = sb, step, b""
        self.sock = socket.socket()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(tm.LONG)
        self.sock.connect((sb.host, port or sb.port("POP3S" if tls else "POP3")))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.tls()
        self.greeting = self.line()
        if login is not None:
            self.answer = self.login(login, password)

    def tls(self):
        c = ssl.create_default_context(cafile=self.sb.env["CAFILE"])
        c.check_hostname = False
        self.sock = c.wrap_socket(self.sock, server_hostname="localhost")

    def login(self, user, password=None):
        name = self.sb.user(user) if isinstance(user, int) else user
        self.say(f"USER {name}")
        return self.say(f"PASS {password or self.sb.password}")

    def send(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        for i in range(0, len(data), self.step or len(data) or 1):
            self.sock.sendall(data[i:i + (self.step or len(data))])

    def fill(self):
        more = self.sock.recv(65536)
        if not more:
            raise EOFError
        self.buf += more

    def line(self):
        """Without its CRLF; "" when the connection is over."""
        try:
            while b"\r\n" not in self.buf:
                self.fill()
        except (EOFError, ConnectionResetError):
            return ""
        line, _, self.buf = self.buf.partition(b"\r\n")
        return line.decode(errors="replace")

    def say(self, text):
        self.send(text.encode() + b"\r\n")
        return self.line()

    def body(self):
        """The octets of a multi-line answer up to the line that ends it, as they came."""
        at = 0
        while True:
            if self.buf.startswith(b".\r\n"):
                end = 0
                break
            end = self.buf.find(b"\r\n.\r\n", max(0, at - 5))
            if end >= 0:
                end += 2
                break
            at = len(self.buf)
            self.fill()
        out, self.buf = self.buf[:end], self.buf[end + 3:]
        return out

    def raw(self, text):
        first = self.say(text)
        return self.body() if first.startswith("+OK") else None

    def octets(self, text):
        """The same with the stuffing undone."""
        got = self.raw(text)
        return got if got is None else unstuff(got)

    def many(self, text):
        got = self.octets(text)
        return got if got is None else got.decode().split("\r\n")[:-1]

    def quit(self):
        answer = self.say("QUIT")
        self.sock.close()
        return answer

    def over(self):
        """All that comes until the server closes."""
        try:
            while True:
                self.fill()
        except (EOFError, OSError):
            return self.buf

    def close(self):
        self.sock.close()


def unstuff(data):
    return b"".join(l[1:] if l.startswith(b".") else l for l in data.splitlines(True))
