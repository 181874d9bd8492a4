"""SCRAM-SHA-256 (RFC 5802, 7677) by hand, over what speaks SASL.

    say = Imap(sb, port)              a way to a server: begin(mechanism, initial), answer(bytes), each gives
                                      ("+", bytes) or ("ok" or "no", the answer's text)
    s = Scram("user", "password")
    s.run(say)                        the whole exchange: ("ok" or "no", text); s.salt, s.rounds, s.trusted (the
                                      server has proved that it knows the verifier)
"""
import base64, hashlib, hmac, os
import wire
from sieveraw import Sieve

b64 = lambda b: base64.b64encode(b).decode()
sha = lambda b: hashlib.sha256(b).digest()
mac = lambda k, t: hmac.new(k, t, hashlib.sha256).digest()


class Scram:
    def __init__(self, user, password, header="n,,", nonce=None):
        self.user, self.password, self.header = user, password, header
        self.nonce = nonce or b64(os.urandom(12))
        self.trusted = False

    def first(self):
        self.bare = f"n={self.user.replace('=', '=3D').replace(',', '=2C')},r={self.nonce}"
        return (self.header + self.bare).encode()

    def final(self, challenge, without=None):
        self.challenge = challenge.decode()
        said = dict(p.split("=", 1) for p in self.challenge.split(","))
        self.theirs, self.salt, self.rounds = said["r"], base64.b64decode(said["s"]), int(said["i"])
        assert self.theirs.startswith(self.nonce) and len(self.theirs) >= len(self.nonce) + 18
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), self.salt, self.rounds)
        key = mac(salted, b"Client Key")
        without = without or f"c={b64(self.header.encode())},r={self.theirs}"
        text = ",".join((self.bare, self.challenge, without)).encode()
        self.proof = bytes(a ^ b for a, b in zip(key, mac(sha(key), text)))
        self.signature = mac(mac(salted, b"Server Key"), text)
        return f"{without},p={b64(self.proof)}".encode()

    def run(self, say, last=b""):
        how, got = say.begin("SCRAM-SHA-256", self.first())
        if how == "+":
            how, got = say.answer(self.final(got))
        if how == "+":
            self.trusted = got == b"v=" + b64(self.signature).encode()
            how, got = say.answer(last)
        return how, got


def _sasl(line, plus):
    return ("+", base64.b64decode(line[len(plus):])) if line.startswith(plus) else None


class Imap(wire.Line):
    def __init__(self, sb, port, tls=True):
        super().__init__((sb.host, sb.port(port) if isinstance(port, str) else port), tls=sb if tls else None)
        self.line()

    def _take(self):
        while (line := self.line()).startswith("* "):
            if line.startswith("* BYE"):
                return "bye", line
        return _sasl(line, "+ ") or ("ok" if line.startswith("a OK") else "no", line)

    def begin(self, mechanism, initial):
        self.send(f"a AUTHENTICATE {mechanism} {b64(initial) or '='}\r\n")
        return self._take()

    def answer(self, text):
        self.send(b64(text) + "\r\n")
        return self._take()


class Pop3(Imap):
    def _take(self):
        line = self.line()
        return _sasl(line, "+ ") or ("ok" if line.startswith("+OK") else "no", line)

    def begin(self, mechanism, initial):
        self.send(f"AUTH {mechanism} {b64(initial) or '='}\r\n")
        return self._take()


class Smtp(Imap):
    def __init__(self, sb, port, tls=True):
        super().__init__(sb, port, tls)
        self.send("EHLO client.test\r\n")
        self.told = []
        while (line := self.line())[3:4] == "-":
            self.told.append(line)

    def _take(self):
        line = self.line()
        return _sasl(line, "334 ") or ("ok" if line.startswith("235") else "no", line)

    def begin(self, mechanism, initial):
        self.send(f"AUTH {mechanism} {b64(initial) or '='}\r\n")
        return self._take()


class ManageSieve:
    def __init__(self, sb, port):
        self.s = Sieve(sb, port=port).starttls()

    def _take(self):
        line = self.s.piece()
        return ("+", base64.b64decode(line.strip('"'))) if line.startswith('"') else ("ok" if line.startswith("OK") else "no", line)

    def begin(self, mechanism, initial):
        self.s.send(f'AUTHENTICATE "{mechanism}" "{b64(initial)}"\r\n')
        return self._take()

    def answer(self, text):
        self.s.send(f'"{b64(text)}"\r\n')
        return self._take()
