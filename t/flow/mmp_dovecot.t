#!/usr/bin/env python3
"""Debian's Dovecot as a foreign store behind the multiplexor, by its master user: IMAP, POP3, and ManageSieve with
Pigeonhole; and what the multiplexor itself says of ManageSieve before the login."""
import base64, imaplib, os, poplib, re, signal, socket, ssl, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import dovecot, tm, wire

tm.need("ldapmodify", "openssl")
SIEVE, SIEVES = tm.free_port(), tm.free_port()
sb = tm.Sandbox("--users", "4", *(x for s in (
    f"listen sieve.address=127.0.0.1:{SIEVE}", "listen sieve.role=sieve", "listen sieve.tls=starttls", f"listen sieves.address=127.0.0.1:{SIEVES}",
    "listen sieves.role=sieve", "listen sieves.tls=implicit", "auth.delay=100ms", "limit.bad_commands=5", "store.failures=1", "store.retry=1s",
    "host dovecot.test.address=127.0.0.1", "host dovecot.test.auth=master", f"host dovecot.test.master={dovecot.MASTER}",
    f"host dovecot.test.master_password={dovecot.WORD}") for x in ("--set", "mmpd." + s)))
ME = f"{sb.user(1)}@{sb.domain}"
d = dovecot.Dovecot(wire.certificate(sb, "dovecot.test"), *(f"{sb.user(n)}@{sb.domain}" for n in (1, 2)))
with open(sb.conf("mmpd.conf")) as f:
    text = f.read()
with open(sb.conf("mmpd.conf"), "w") as f:
    f.write(text.replace("[host dovecot.test]\n", f"[host dovecot.test]\nimap_port = {d.imap}\npop3_port = {d.pop3}\nsieve_port = {d.sieve}\n"))
tm.is_(sb.tool("tmctl", "-d", "mmpd", "reload").stdout, "ok\n", "the proxy knows its ports")
for n in (1, 2, 3):
    tm.ok(wire.modify(sb, n, "replace: mailHost\nmailHost: dovecot.test"), f"user {n} is there")

# ---- IMAP and POP3
message = b"From: a@b.test\r\nSubject: foreign\r\n\r\n" + b"".join(b"line %d of it\r\n" % i for i in range(20000))
c = imaplib.IMAP4("127.0.0.1", sb.port("MMP_IMAP"), timeout=tm.LONG)
c.starttls(wire.context(sb))
tm.is_(c.login(sb.user(1), sb.password)[0], "OK", "IMAP: a login in the user's name")
tm.is_(c.append("INBOX", None, None, message)[0], "OK", "APPEND")
c.select("INBOX")
tm.ok(c.fetch("1", "(BODY.PEEK[])")[1][0][1] == message, "FETCH gives the same octets")
c.logout()
def told(protocol):
    """Has Dovecot logged him in under the session id that the proxy has?"""
    sids = [re.search(r"sid=(\S+)", l)[1] for l in wire.logged(sb, "mmpd", "ev=login ", f"user={ME}", "store=dovecot.test")]
    return tm.wait_for(lambda: any(re.search(rf"{protocol}-login: .*Login: user=<{ME}>.*session=<{sid}>", d.log()) for sid in sids))


tm.ok(told("imap"), "Dovecot knows the user, and the proxy's session id")
p = poplib.POP3_SSL("127.0.0.1", sb.port("MMP_POP3S"), context=wire.context(sb), timeout=tm.LONG)
p.user(sb.user(1)), p.pass_(sb.password)
tm.ok(b"\r\n".join(p.retr(1)[1]) + b"\r\n" == message, "POP3 gives it too")
p.dele(1)
p.quit()
c = imaplib.IMAP4_SSL("127.0.0.1", sb.port("MMP_IMAPS"), ssl_context=wire.context(sb), timeout=tm.LONG)
c.login(sb.user(1), sb.password)
tm.is_(c.select("INBOX")[1], [b"0"], "and has deleted it")
c.logout()
try:
    c = imaplib.IMAP4("127.0.0.1", sb.port("MMP_IMAP"), timeout=tm.LONG)
    c.login(sb.user(3), sb.password)
    said = "OK"
except imaplib.IMAP4.error as e:
    said = str(e)
tm.ok("UNAVAILABLE" in said, "a user whom Dovecot does not know: not a wrong password") or tm.diag(said)

# ---- ManageSieve
class Sieve(wire.Line):
    """Answers are the lines up to OK, NO or BYE."""
    def __init__(self, port=SIEVE, **kw):
        super().__init__(("127.0.0.1", port), **kw)
        self.told = self.answer()

    def answer(self):
        lines = [self.line()]
        while lines[-1] and not lines[-1].startswith(("OK", "NO", "BYE")):
            lines.append(self.line())
        if literal := re.search(r"\{(\d+)\}$", lines[-1]):     # words of more than a line
            while len(self.buf) < int(literal[1]) + 2:
                self.buf += self.sock.recv(65536)
            self.buf = self.buf[int(literal[1]) + 2:]
        return lines

    def ask(self, text):
        self.send(text if isinstance(text, bytes) else text + "\r\n")
        return self.answer()

    def starttls(self):
        said = self.ask("STARTTLS")
        self.tls(sb)
        self.told = self.answer()
        return said


def plain(n, password=None):
    return base64.b64encode(f"\0{sb.user(n) if isinstance(n, int) else n}\0{password or sb.password}".encode()).decode()


s = Sieve()
tm.ok('"STARTTLS"' in s.told and any(l.startswith('"SASL"') for l in s.told) and '"VERSION" "1.0"' in s.told and s.told[-1].startswith("OK"), "it greets with capabilities") or tm.diag(s.told)
first = next(l for l in s.told if l.startswith('"SIEVE"'))
tm.is_(s.starttls()[0][:2], "OK", "STARTTLS")
tm.ok('"SASL" "PLAIN LOGIN"' in s.told and '"STARTTLS"' not in s.told, "behind which they are told again")
tm.is_(s.ask("NOOP"), ['OK "Done"'], "NOOP")
tm.is_(s.ask('NOOP "a \\"tag\\""'), ['OK (TAG "a \\"tag\\"") "Done"'], "with a tag")
s.send(b"NOOP {4+}\r\na\r\nb\r\n")
tm.is_([s.line() for _ in range(3)], ["OK (TAG {4}", "a", 'b) "Done"'], "with a tag of two lines")
tm.is_(s.ask("CAPABILITY")[-1][:2], "OK", "CAPABILITY")
s.send('AUTHENTICATE "PLAIN"\r\n')
tm.is_((s.line(), s.ask('"a\\b"')[-1][:2], s.ask("NOOP")), ('""', "NO", ['OK "Done"']), "a response that is none: NO, and the exchange is over")
tm.ok(s.ask(f'AUTHENTICATE "PLAIN" "{plain(1, "wrong")}"')[0].startswith('NO "'), "a wrong password: NO, without a code")
tm.ok(s.ask(f'AUTHENTICATE "PLAIN" "{plain("nobody")}"')[0].startswith('NO "'), "nobody's name: the same")
tm.is_(s.ask(f'AUTHENTICATE "PLAIN" "{plain(1)}"'), ['OK "Logged in"'], "the right one")
script = b'require "fileinto";\r\nif header :contains "subject" "x" { fileinto "X"; }\r\n'
tm.ok(s.ask(b'PUTSCRIPT "mine" {%d+}\r\n%s\r\n' % (len(script), script))[-1].startswith("OK"), "PUTSCRIPT goes to Pigeonhole")
tm.ok(s.ask(b'PUTSCRIPT "bad" {7+}\r\nbogus;\n\r\n')[-1].startswith("NO"), "which refuses what is none")
tm.ok(s.ask('SETACTIVE "mine"')[-1].startswith("OK"), "SETACTIVE")
tm.ok('"mine" ACTIVE' in s.ask("LISTSCRIPTS"), "LISTSCRIPTS")
s.send('GETSCRIPT "mine"\r\n')
tm.is_(s.line(), "{%d}" % len(script), "GETSCRIPT gives it back")
while not s.line().startswith("OK"):
    pass
said = s.ask("LOGOUT")
tm.ok(said[-1].startswith("OK") and s.line() == "", "LOGOUT ends both") or tm.diag(said)
tm.ok(os.path.exists(f"{d.home}/{ME}/sieve/mine.sieve"), "it is there")
tm.ok(told("managesieve"), "by a login in the user's name, with the proxy's session id")

s = Sieve(SIEVES, tls=sb)
told = next(l for l in s.told if l.startswith('"SIEVE"'))
tm.ok(told != first and "imapsieve" not in first and '"fileinto' in told, "the SIEVE capability is Pigeonhole's from then on") or tm.diag(told)
s.send('AUTHENTICATE "PLAIN"\r\n')
tm.is_(s.line(), '""', "without a response it is asked for one")
word = plain(2)
s.send(f"{{{len(word)}+}}\r\n{word}\r\nLISTSCRIPTS\r\n")
tm.ok(s.answer()[-1].startswith("OK") and s.answer()[-1].startswith("OK"), "a literal, and a command behind it, which goes on to the store")
tm.ok(f"user={sb.user(2)}@{sb.domain}" in sb.tool("tmctl", "-d", "mmpd", "who", "protocol=sieve").stdout, "tmctl shows it")
s.close()

# ---- before the login
s = Sieve()
for text, want in (("LISTSCRIPTS", "NO"), ('GETSCRIPT "mine"', "NO"), (b'PUTSCRIPT "a" {3+}\r\nabc\r\n', "NO"), ('"CAPABILITY"', "NO"), ('AUTHENTICATE PLAIN', "BYE")):
    tm.is_(s.ask(text)[-1].split()[0], want, f"{text!r}: {want}")
tm.is_(s.line(), "", "five in a row, and it is over")
for what, octets in (("a line without end", b"x" * 20000), ("a literal of 4 GB", b"NOOP {4294967296+}\r\n"), ("binary", bytes(range(256)) * 60), ("NULs", b"\0" * 20000),
                     ("101 commands", b"NOOP\r\n" * 101), ("quotes", b'"' * 20000), ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ("half a literal", b'AUTHENTICATE "PLAIN" {100+}\r\nabc')):
    s = Sieve()
    try:
        s.send(octets)
        s.sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    s.rest()
    tm.ok(Sieve().told[-1].startswith("OK"), f"{what}: the next one is served")
tm.is_([l for l in wire.log(sb, "mmpd", "ev=disconnect ") if "why=timeout user=\"\"" in l], [], "half a command is not waited for when its client has closed")
s = Sieve()
s.send(f'STARTTLS\r\nAUTHENTICATE "PLAIN" "{plain(1)}"\r\n')
tm.ok("Logged" not in " ".join(s.rest()), "plain text behind STARTTLS is nobody's command")
s = Sieve(SIEVES, tls=sb)
for ch in f'AUTHENTICATE "PLAIN" "{plain(1)}"\r\n'.encode():
    s.send(bytes([ch]))
tm.is_(s.answer(), ['OK "Logged in"'], "octet by octet")

# ---- a Dovecot that goes
d.end()
tm.ok(s.answer()[-1].startswith("BYE"), "a store that goes: BYE to its client")
s = Sieve(SIEVES, tls=sb)
tm.ok(s.ask(f'AUTHENTICATE "PLAIN" "{plain(1)}"')[0].startswith("NO (TRYLATER)"), "a store that is away: TRYLATER")
tm.ok(tm.wait_for(lambda: "store=dovecot.test protocol=sieve state=down" in sb.tool("tmctl", "-d", "mmpd", "status").stdout), "and it is taken for dead")
tm.ok(not [l for l in wire.log(sb, "mmpd", "") if dovecot.WORD in l or sb.password in l], "no password is in the log")
tm.done()
