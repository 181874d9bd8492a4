"""ManageSieve by hand.

    s = Sieve(sb, login=1)      logged in as user 1; s.told: the greeting's lines; port="MMP_SIEVE": by the proxy
    s.ask('NOOP "x"')           sends it, gives the answer: lines, the last one OK, NO or BYE, with literals in it
    s.put("name", "keep;")      PUTSCRIPT; the last line of the answer
"""
import base64
import wire


class Sieve(wire.Line):
    def __init__(self, sb, login=None, password=None, port="SIEVE", **kw):
        super().__init__((sb.host, sb.port(port)), **kw)
        self.sb = sb
        self.told = self.answer()
        if login is not None:
            self.said = self.login(login, password)

    def piece(self):
        """A line with the literal that it ends in."""
        line = self.line()
        while line.endswith("}") and line.rpartition("{")[2][:-1].isdigit():
            n = int(line.rpartition("{")[2][:-1])
            while len(self.buf) < n and (got := self.sock.recv(65536)):
                self.buf += got
            text, self.buf = self.buf[:n], self.buf[n:]
            line = line.rpartition("{")[0] + repr(text.decode()) + self.line()
        return line

    def answer(self):
        lines = [self.piece()]
        while lines[-1] and not lines[-1].startswith(("OK", "NO", "BYE")):
            lines.append(self.piece())
        return lines

    def ask(self, text):
        self.send(text if isinstance(text, bytes) else text + "\r\n")
        return self.answer()

    def last(self, text):
        return self.ask(text)[-1]

    def login(self, user, password=None):
        name = self.sb.user(user) if isinstance(user, int) else user
        return self.last('AUTHENTICATE "PLAIN" "%s"' % plain(name, password or self.sb.password))

    def starttls(self, cert=None):
        assert self.last("STARTTLS").startswith("OK")
        self.tls(self.sb, cert)
        self.told = self.answer()
        return self

    def put(self, name, text, verb="PUTSCRIPT"):
        text = text if isinstance(text, bytes) else text.encode()
        head = f'{verb} "{name}" ' if name is not None else verb + " "
        return self.last(head.encode() + b"{%d+}\r\n%s\r\n" % (len(text), text))

    def scripts(self):
        return self.ask("LISTSCRIPTS")[:-1]


def plain(name, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{name}\0{password}".encode()).decode()
