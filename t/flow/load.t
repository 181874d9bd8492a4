#!/usr/bin/env python3
"""tiermail-load: each profile against the suite, with TLS and without; a relay that loses messages and doubles others,
one that is slow, one that refuses, one that goes away; what is wrong."""
import json, os, smtplib, socket, socketserver, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
import tm, wire

USERS = 12
sb = tm.Sandbox("--users", str(USERS), "--set", "imapd.auth.delay=10ms", "--set", "pop3d.auth.delay=10ms")
PW, CA, IMAP = sb.dir + "/pw", ("-a", sb.env["CAFILE"]), f"127.0.0.1:{sb.port('IMAP')}"
with open(PW, "w") as f:
    f.write(sb.password + "\nanother line\n")
WHO = ("-u", f"user%04d@{sb.domain}", "-N", str(USERS), "-w", PW, "-f", "load@sender.test")


def load(*args, who=WHO):
    r = subprocess.run([sb.bin("tiermail-load"), "-c", sb.conf("tiermail.conf"), *who, *args], capture_output=True, text=True, timeout=3 * tm.LONG)
    return r.returncode, r.stdout, r.stderr


def figures(*args, who=WHO):
    code, out, err = load("-j", *args, who=who)
    try:
        f = json.loads(out)
    except ValueError:
        tm.diag((code, out, err))
        f = {"steps": []}
    return {**f, "code": code, "steps": {s["step"]: s for s in f["steps"]}}


def at(port, host="127.0.0.1"):
    return f"{host}:{sb.port(port)}"


# ---- the profiles
f = figures("smtp", at("SMTP"), "-n", "120", "-i", IMAP)
tm.is_([f.get(k) for k in ("code", "begun", "good", "refused", "broken", "found", "lost", "twice", "unseen")], [0, 120, 120, 0, 0, 120, 0, 0, 0],
       "smtp: 120 messages are accepted, and all of them arrive, once") or tm.diag(f)
steps = f["steps"]
tm.is_({s: steps[s]["count"] for s in steps}, {"connect": 12, "hello": 12, "envelope": 120, "body": 120, "message": 120} if steps.get("connect", {}).get("count") == 12 else
       {**{s: steps[s]["count"] for s in ("connect", "hello")}, "envelope": 120, "body": 120, "message": 120}, "with its steps")
tm.ok(12 <= steps["connect"]["count"] <= 21, "ten messages on a connection")
tm.ok(all(0 < s["p50_us"] <= s["p99_us"] <= s["p999_us"] <= s["max_us"] for s in steps.values()), "their times are in order")
tm.ok(steps["message"]["max_us"] >= steps["body"]["max_us"], "the whole is not shorter than a part")
tm.is_([sum(sb.count(n) for n in range(1, USERS + 1)), sb.count(1)], [120, 10], "in the mailboxes of all users, in turn")
m = sb.messages(1)[0]
tm.ok(4000 <= len(m) - m.index(b"From: <load@") <= 4200, "of the size that was asked for")
f = figures("lmtp", at("LMTP"), "-n", "24", "-i", IMAP, "-s", "0", "-m", "1")
tm.is_([f.get(k) for k in ("code", "good", "found", "lost", "twice")], [0, 24, 24, 0, 0], "lmtp") or tm.diag(f)
f = figures("submission", at("SUBMISSION", "localhost"), "-n", "24", "-T", "starttls", *CA, "-i", f"localhost:{sb.port('IMAPS')}", "-I", "implicit", who=WHO[:-2])
tm.is_([f.get(k) for k in ("code", "good", "found", "lost", "twice")], [0, 24, 24, 0, 0], "submission, by TLS, from the users themselves") or tm.diag(f)
tm.ok(b"Return-Path: <user0002@" in b"".join(sb.messages(1) + sb.messages(2)), "who are the senders")
for profile, port, tls in (("imap", "IMAP", "off"), ("imap", "IMAP", "starttls"), ("imap", "IMAPS", "implicit"), ("pop3", "POP3", "off"), ("pop3", "POP3", "starttls"),
                           ("pop3", "POP3S", "implicit")):
    f = figures(profile, at(port, "localhost"), "-n", "24", "-p", "4", "-T", tls, *CA)
    tm.is_([f.get(k) for k in ("code", "good")] + [f["steps"].get(s, {}).get("count") for s in ("login", "read", "session")], [0, 24, 24, 24, 24], f"{profile}, tls {tls}") or tm.diag(f)
code, out, err = load("imap", at("IMAP"), "-n", "10")
tm.ok(code == 0 and err == "" and [l.split()[0] for l in out.splitlines()[2:8]] == ["connect", "login", "select", "list", "read", "session"] and "p99.9 ms" in out,
      "in words") or tm.diag(out)


# ---- relays that are not as they should be
class Relay(socketserver.ThreadingTCPServer):
    """Takes messages as it is told: `fate` of the n-th is how often it goes on, or "slow", "refuse", "die"."""
    allow_reuse_address = daemon_threads = True
    request_queue_size = 100

    def __init__(self, fate, banner=b"220 x\r\n"):
        self.fate, self.banner, self.n, self.lock = fate, banner, 0, threading.Lock()
        super().__init__(("127.0.0.1", 0), Talk)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.talk()
        except ConnectionError:
            pass

    def talk(self):
        say = lambda b: (self.wfile.write(b), self.wfile.flush())
        say(self.server.banner)
        rcpt = None
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"RCPT":
                rcpt = line[line.index(b"<") + 1:line.index(b">")].decode()
            if verb != b"DATA":
                say(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                continue
            say(b"354 go\r\n")
            text = b""
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                text += line
            with self.server.lock:
                fate = self.server.fate(self.server.n)
                self.server.n += 1
            if fate == "die":
                return
            if fate == "slow":
                time.sleep(0.5)
            if fate == "astray":
                rcpt, fate = sb.user(int(rcpt[4:8]) % USERS + 1) + "@" + sb.domain, 1
            for _ in range(fate if isinstance(fate, int) else 0):
                with smtplib.SMTP("127.0.0.1", sb.port("SMTP"), timeout=tm.LONG) as s:
                    s.sendmail("load@sender.test", [rcpt], text)
            say(b"452 4.3.1 full\x1b[2J\r\n" if fate == "refuse" else b"250 ok\r\n")


bad = Relay(lambda n: (1, 0, 2, 1)[n % 4])
f = figures("smtp", f"127.0.0.1:{bad.port}", "-n", "40", "-p", "4", "-i", IMAP, "-W", str(int(4 * tm.SHORT)))
tm.is_([f.get(k) for k in ("code", "good", "found", "lost", "twice", "astray")], [1, 40, 40, 10, 10, 0], "of 40, ten were lost and ten came twice: one does not stand for the other") or tm.diag(f)
tm.ok("envelope" not in f["steps"] and f["steps"]["rcpt"]["count"] == 40, "without PIPELINING the commands wait for each other")
wrong = Relay(lambda n: "astray" if n == 5 else 1)
f = figures("smtp", f"127.0.0.1:{wrong.port}", "-n", "12", "-p", "2", "-i", IMAP, "-W", "2")
tm.is_([f.get(k) for k in ("code", "found", "lost", "twice", "astray")], [1, 11, 1, 0, 1], "one that is in another's mailbox") or tm.diag(f)
refusing = Relay(lambda n: "refuse" if n % 2 else 0)
f = figures("smtp", f"127.0.0.1:{refusing.port}", "-n", "20", "-p", "2")
tm.is_([f.get(k) for k in ("code", "good", "refused", "broken")] + [f["steps"]["body"]["failed"]], [1, 10, 10, 0, 10], "what is refused is counted") or tm.diag(f)
code, out, _ = load("smtp", f"127.0.0.1:{refusing.port}", "-n", "4", "-p", "1")
tm.ok("body: 452 4.3.1 full" in out and "\x1b" not in out, "with the server's words, which move no cursor") or tm.diag(out)
dying = Relay(lambda n: "die" if n == 3 else 0)
f = figures("smtp", f"127.0.0.1:{dying.port}", "-n", "20", "-p", "2")
tm.is_([f.get(k) for k in ("code", "good", "refused", "broken")], [1, 19, 0, 1], "a connection that breaks is one message, and the others go on") or tm.diag(f)
# Due ten times a second, for one client; a half second's standstill is in the times of those that had to wait.
slow = Relay(lambda n: "slow" if n == 2 else 0)
f = figures("smtp", f"127.0.0.1:{slow.port}", "-n", "8", "-p", "1", "-r", "10", "-m", "100")
late = f["steps"]["message"]
tm.ok(f["good"] == 8 and late["p50_us"] >= 50_000 and f["steps"]["body"]["p50_us"] < late["p50_us"], "with a rate, who had to wait for another is late, too") or tm.diag(f)
hello = Relay(lambda n: 0, banner=b"554 no\r\n")
f = figures("smtp", f"127.0.0.1:{hello.port}", "-n", "3")
tm.is_([f["code"], f["refused"], f.get("first")], [69, 3, "connect: 554 no"], "a host that greets nobody: exit 69")
f = figures("smtp", f"127.0.0.1:{slow.port}", "-t", "1", "-p", "2")
tm.ok(f["code"] == 0 and f["good"] > 2 and f["us"] >= 1_000_000, "for a second")
wrong = sb.dir + "/wrong"
with open(wrong, "w") as to:
    to.write("no\n")
f = figures("imap", at("IMAP"), "-n", "2", who=("-u", sb.user(1), "-w", wrong))
tm.ok(f["code"] == 69 and f["first"].startswith("login: NO "), "a wrong password is told of") or tm.diag(f)
other = tm.tempdir()
wire.directory.certificates(other, ["other.test"], ["127.0.0.9"])
code, out, err = load("imap", at("IMAPS", "localhost"), "-n", "1", "-T", "implicit", "-a", other + "/ca.pem")
tm.ok(code == 69 and "connect: TLS: " in out, "another authority's certificate is not taken") or tm.diag((code, out, err))
tm.is_(load("imap", at("IMAPS", "localhost"), "-n", "1", "-T", "implicit", "-a", other + "/ca.pem", "-k")[0], 0, "unless any is")
tm.is_(load("imap", at("IMAPS"), "-n", "1", "-T", "implicit", "-a", tm.TOP + "/conf/tiermail.conf")[0], 66, "a file that has no certificate: exit 66")

# ---- what cannot be
for args in (("smtp",), ("http", "h"), ("smtp", "h:x"), ("smtp", "h:0"), ("-n", "0", "smtp", "h"), ("-n", "1", "-t", "1", "smtp", "h"), ("-T", "perhaps", "smtp", "h"),
             ("-r", "-1", "smtp", "h"), ("-N", "2", "-u", "a@b", "smtp", "h"), ("-u", "%s@b", "smtp", "h"), ("-u", "%n%d@b", "smtp", "h"), ("-u", "a>\r\nb%d", "smtp", "h"),
             ("-i", "h", "imap", "h")):
    code, out, err = load(*args)
    tm.ok(code == 64 and out == "", f"{args!r}: exit 64") or tm.diag((code, out, err))
tm.is_(load("imap", IMAP, who=("-u", "a@b"))[0], 64, "imap without a password: exit 64")
tm.is_(load("-w", "/no/such", "smtp", "h")[0], 66, "no password file: exit 66")
tm.is_(load("smtp", "no-such-host.invalid")[0], 68, "no host: exit 68")
tm.done()
