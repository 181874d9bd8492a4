#!/usr/bin/env python3
"""What people move to Junk and away from it is told to the filter: each once, by IMAP's COPY and MOVE, nothing of what else
they do; a filter that is away, refuses, fails, is slow or breaks off loses nothing and holds nobody up for ever."""
import glob, http.server, os, socket, subprocess, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from imapraw import Raw

port = tm.free_port()
ok, is_ = tm.ok, tm.is_
told, answers, tries = [], {}, []


class Controller(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        subject = body.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
        tries.append(subject)
        said = answers.get(subject, [200])
        code = said.pop(0) if len(said) > 1 else said[0]
        if code == "cut":
            self.close_connection = True
            return
        if code == "slow":
            time.sleep(3)
            code = 200
        if code < 300:
            told.append((self.path, subject, self.headers.get("Password"), len(body)))
        text = b'{"success":true}' if code < 300 else b'{"error":"no"}'
        self.send_response(code)
        if code != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if code != 204:
            self.wfile.write(text)

    def handle(self):
        try:
            super().handle()
        except OSError:             # (imapd has given up)
            pass

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


def serve():
    s = Server(("127.0.0.1", port), Controller)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    return s


def away(s):
    s.shutdown()
    s.server_close()


GLOBAL = os.path.join(tm.tempdir(), "global")
os.makedirs(GLOBAL)
os.chmod(os.path.dirname(GLOBAL), 0o755)
with open(f"{GLOBAL}/train.sieve", "w") as f:
    f.write('require ["imapsieve", "fileinto", "mailbox", "copy"];\nfileinto :copy :create "trained";\n')
sb = tm.Sandbox("--users", "3", "--set", f"lmtpd.sieve.global={GLOBAL}", "--set", "imapd.imapsieve.junk=train", "--set", "imapd.workers=2", "--set", "stored.events=junk", "--set", f"imapd.learn.address=127.0.0.1:{port}",
                "--set", "imapd.learn.password=sesame", "--set", "imapd.learn.size=100K", "--set", "imapd.learn.timeout=1s",
                *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved", "smtp-relay") for w in ("--without", d)))
c = Raw(sb, login=1)
n = 0


def append(subject, box="INBOX", size=0):
    data = f"From: a@b.test\r\nSubject: {subject}\r\n\r\nhello\r\n".encode() + b"x" * 70 * (size // 70)
    c.ok(b"APPEND %s {%d+}\r\n" % (box.encode(), len(data)) + data)


def last():
    return max(int(w) for l in c.ok("UID SEARCH ALL") if l.startswith(b"* SEARCH") for w in l.split()[2:])


def move(subject, box="INBOX", to="Junk", verb="MOVE", size=0):
    append(subject, box, size)
    c.ok(f"SELECT {box}")
    c.ok(f"UID {verb} {last()} {to}")
    c.ok("UNSELECT")


def reaches(*want):
    return tm.wait_for(lambda: len(told) >= len(want), what="the filter is told") and [t[:2] for t in told] == list(want)


def log(*words):
    return [l for p in glob.glob(os.path.join(sb.env["RUNDIR"], "imapd*.log")) for l in open(p, errors="replace") if all(w in l for w in words)]


for name in ("Junk", "Trash", "Other"):
    if not any(l.endswith(f'" {name}'.encode()) for l in c.ok('LIST "" *')):
        c.ok(f"CREATE {name}")
server = serve()

# ---- what is told
want = [("/learnspam", "one"), ("/learnspam", "two"), ("/learnham", "three")]
move("one")
move("two", verb="COPY")
move("three", box="Junk", to="INBOX")
ok(reaches(*want), "to Junk is spam, away from it is not") or tm.diag(told)
is_({t[2] for t in told}, {"sesame"}, "with the password")
append("brought", box="Junk")
move("thrown away", box="Junk", to="Trash")
move("elsewhere", to="Other")
move("large", size=200000)
move("four", box="Junk", to="Other")
want.append(("/learnham", "four"))
ok(reaches(*want), "what was brought there, goes to Trash or elsewhere, and what is larger than learn.size is not told") or tm.diag(told)
answers.update({"known": [208], "short": [204], "bad": [400]})
for s in "known", "short", "bad", "five":
    move(s)
want += [("/learnspam", s) for s in ("known", "short", "five")]
ok(reaches(*want), "what it knows, or learns nothing of, is no trouble") or tm.diag(told)
is_(tries.count("bad"), 1, "and what it will not have is told once")
ok(log("ev=event", "verdict=5.6.0", "400"), "as the log says")

# ---- trouble
answers.update({"cut": ["cut", 200], "fails": [500, 503, 200], "slow": ["slow", 200]})
for s in "cut", "fails", "slow":
    move(s)
want += [("/learnspam", s) for s in ("cut", "fails", "slow")]
ok(tm.wait_for(lambda: {t[1] for t in told} >= {"cut", "fails", "slow"}, seconds=60, what="again"), "one that breaks off, fails or is slow is told again") or tm.diag(tries)
answers["refused"] = [403, 403, 200]
move("refused")
ok(tm.wait_for(lambda: any(t[1] == "refused" for t in told), seconds=60, what="in the end"), "one that does not let us in is asked until it does")
ok(log("ev=event", "wait=1", "learn.password"), "and the log says why")
away(server)
before = len(told)
move("while it is away")
move("and another")
ok(tm.wait_for(lambda: log("ev=event", "wait=1", "verdict=4.4.1"), what="it is away"), "it is away, and nobody waits for it but these")
sb.kill("imapd")
sb.restart("imapd")
c = Raw(sb, login=1)
move("after a crash")
is_(len(told), before, "(nothing can be told)")
server = serve()
ok(tm.wait_for(lambda: len(told) >= before + 3, seconds=90, what="all of them") and [t[1] for t in told[before:]] == ["while it is away", "and another", "after a crash"],
   "when it is back it hears of all, in their order, past a kill -9") or tm.diag(told[before:])
metrics = sb.tool("tmctl", "-d", "imapd", "metrics").stdout
ok(any(l.startswith("tiermail_imap_learned_total") and float(l.split()[-1]) >= 1 for l in metrics.splitlines()), "it is counted")
silent = socket.socket()
away(server)
silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
silent.bind(("127.0.0.1", port))
silent.listen(50)
move("to nobody")
ok(tm.wait_for(lambda: log("ev=event", "verdict=4.4.1", "wait=1")[1:], what="silence"), "one that takes connections and says nothing is given up in its time")
# It has ten minutes now, and takes them; all that time nobody else waits.
sb.kill("imapd")
with open(sb.conf("imapd.conf")) as f:
    conf = f.read()
with open(sb.conf("imapd.conf"), "w") as f:
    f.write(conf.replace("timeout=1s", "timeout=10m").replace("timeout = 1s", "timeout = 10m"))
sb.restart("imapd")
silent.settimeout(tm.LONG)
while True:     # (some are those that were given up)
    held = silent.accept()[0]
    held.settimeout(2 * tm.SLOW)
    try:
        while held.recv(65536):
            pass
    except TimeoutError:
        break   # it waits for an answer
    except OSError:
        pass
def trained(n):
    try:
        return sb.count(n, "trained")
    except ValueError:      # there is no such folder yet
        return 0


for n in (2, 3):
    c = Raw(sb, login=n)
    if not any(l.endswith(b'" Junk') for l in c.ok('LIST "" *')):
        c.ok("CREATE Junk")
    move(f"script {n}")
ok(tm.wait_for(lambda: [trained(n) for n in (2, 3)] == [1, 1], what="scripts"), "scripts of others do not wait for it, though they have something for it, too")
c = Raw(sb, login=1)
began = time.monotonic()
c.ok("NOOP")
sb.restart("imapd")
ok(time.monotonic() - began < 20 * tm.SLOW, "and imapd ends without it")
sb.kill("imapd")
held.close()
silent.close()

# ---- not more than a person may
with open(sb.conf("imapd.conf")) as f:
    conf = f.read()
with open(sb.conf("imapd.conf"), "w") as f:
    f.write(conf.replace("timeout=10m", "timeout=10s").replace("timeout = 10m", "timeout = 10s") + "\n[learn]\nper_day = 4\n")
answers.clear()
before = len(told)
server = serve()
sb.restart("imapd")
c = Raw(sb, login=2)
ok(tm.wait_for(lambda: {t[1] for t in told[before:]} >= {"to nobody", "script 2", "script 3"}, what="those that waited"), "then it hears of all") or tm.diag(told[before:])
for i in range(6):
    move(f"many {i}")
ok(tm.wait_for(lambda: trained(2) == 7, what="the scripts"), "a person moves more than learn.per_day")
c = Raw(sb, login=1)
move("of another")
ok(tm.wait_for(lambda: any(t[1] == "of another" for t in told), what="the other one"), "another's is told")
is_([t[1] for t in told if t[1].startswith("many")], [f"many {i}" for i in range(3)], "of his so many a day, and those of before count")
is_(len(log("ev=learn_limit", f"user={sb.user(2)}", "told=4")), 1, "the log says so once")
ok(tm.wait_for(lambda: "tiermail_imap_learn_over_total 3\n" in sb.tool("tmctl", "-d", "imapd", "metrics").stdout, what="the metric"), "and they are counted")
with open(sb.conf("imapd.conf"), "a") as f:
    f.write("\n[learn]\naddress = rspamd.example.test\n")
r = subprocess.run([sb.bin("imapd"), "-n", "-c", sb.conf("imapd.conf")], capture_output=True, text=True)
ok(r.returncode == 78 and "learn.address" in r.stderr, "an address that is none is refused")
tm.done()
