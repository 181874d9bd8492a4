#!/usr/bin/env python3
"""stored dies with a change in its hands: imapd does not say NO to what may have happened, but ends the
session, so that the client looks before it tries again.  What was never sent is a plain NO."""
import os, re, signal, socket, threading
import tm

sb = tm.Sandbox("--users", "3", "--set", "imapd.workers=1")


class Line:
    """An IMAP session by hand."""

    def __init__(self, user=1):
        self.s = socket.create_connection((sb.host, sb.port("IMAP")), timeout=tm.LONG)
        self.f = self.s.makefile("rb")
        self.f.readline()
        self.n = 0
        self.ask(f"LOGIN {sb.user(user)} {sb.password}")

    def say(self, text):
        self.n += 1
        self.s.sendall(f"a{self.n} {text}\r\n".encode())

    def answer(self):
        """What comes up to the tagged answer or the end."""
        lines = []
        while True:
            line = self.f.readline()
            if line:
                lines.append(line.decode(errors="replace").strip())
            if not line or line.startswith(f"a{self.n} ".encode()):
                return lines

    def ask(self, text):
        self.say(text)
        return self.answer()


def pending():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(sb.env["RUNDIR"], "imapd.ctl"))
        s.sendall(b"status\n")
        text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
    return sum(int(n) for n in re.findall(r"\bpending=(\d+)", text))


def kill():
    for pid in sb.pids_of("stored"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    tm.wait_for(lambda: not sb.pids_of("stored"))


# ---- each kind of change, for certain in stored's hands when it dies ------------------------------------
for command in ("CREATE New", "STORE 1 +FLAGS (\\Flagged)", "COPY 1 Archive", "MOVE 1 Archive", "EXPUNGE", "RENAME Drafts Other", "DELETE Junk", "SUBSCRIBE Some"):
    c = sb.imap(1)
    c.append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")
    c.logout()
    line = Line()
    line.ask("SELECT INBOX")
    line.ask("STORE 1 +FLAGS (\\Deleted)")
    tm.wait_for(lambda: pending() == 0)
    for pid in sb.pids_of("stored"):
        os.kill(pid, signal.SIGSTOP)
    line.say(command)
    sent = tm.wait_for(lambda: pending() == 1)
    kill()
    said = line.answer()
    tm.ok(sent and said and said[-1].startswith("* BYE [UNAVAILABLE]"), f"{command}: stored dies with it, and the session ends without an answer") or tm.diag((sent, said))
    sb.restart("stored")

# ---- what it never got ----------------------------------------------------------------------------------
line = Line()
line.ask("SELECT INBOX")
kill()
said = line.ask("CREATE Never")
tm.ok("NO [UNAVAILABLE]" in said[-1], "a change that is not sent is refused") or tm.diag(said)
tm.ok("OK" in line.ask("NOOP")[-1], "and the session goes on")
sb.restart("stored")
tm.ok(tm.wait_for(lambda: " OK " in line.ask("CREATE Never")[-1]), "the same is done when stored is back: it had not happened")

# ---- under load ---------------------------------------------------------------------------------------------
answers, stop = {}, threading.Event()


def feed(who):
    i = 0
    c = None
    while not stop.is_set():
        try:
            c = c or sb.imap(2)
            name = f"{who}.{i}"
            i += 1
            answers[name] = "none"
            answers[name] = c.append("INBOX", None, None, f"Subject: {name}\r\n\r\nx\r\n".encode())[0]
        except Exception:
            c = None


threads = [threading.Thread(target=feed, args=(n,)) for n in range(6)]
for t in threads:
    t.start()
for _ in range(12):
    n = list(answers.values()).count("OK")
    tm.wait_for(lambda: list(answers.values()).count("OK") > n + 20)
    kill()
    sb.restart("stored")
stop.set()
for t in threads:
    t.join()
have = set()
for m in sb.messages(2, what="(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"):
    have.add(m.decode().split(":", 1)[1].strip())
by = {kind: {n for n, a in answers.items() if a == kind} for kind in ("OK", "NO", "none")}
tm.diag({k: len(v) for k, v in by.items()} | {"cut off and there": len(by["none"] & have)})
tm.is_(sorted(by["NO"] & have)[:5], [], "nothing that was refused has happened")
tm.is_(sorted(by["OK"] - have)[:5], [], "all that was acknowledged has")
tm.ok(len(by["OK"]) > 200, "while the work went on")
tm.is_(sb.tool("storectl", "check").returncode, 0, "check finds nothing")
tm.done()
