#!/usr/bin/env python3
"""Programs and mailbox files get mail: whose they run as, what they see, how they end, what they may not, and
that no program, whatever it does, loses a message or holds up others."""
import grp, mailbox, os, pwd, signal, socket, subprocess, sys, threading, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import tm

if os.getuid() != 0:
    tm.skip_all("only root can become others")
tm.need("ldapmodify")
tm.need("python3")
# Accounts that every Debian has; here they are people.
ANNA, BERT, CARL = "games", "news", "backup"
try:
    uid = {u: pwd.getpwnam(u).pw_uid for u in (ANNA, BERT, CARL, "nobody")}
    MAIL = grp.getgrnam("mail").gr_gid
except KeyError as e:
    tm.skip_all(f"no account {e}")

D = tm.tempdir()
os.chmod(D, 0o755)
OUT, BOX = D + "/out", D + "/mail"
for path, mode in ((OUT, 0o1777), (BOX, 0o2775)):
    os.mkdir(path)
    os.chmod(path, mode)
os.chown(BOX, 0, MAIL)


def program(name, text):
    path = f"{D}/{name}"
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


PY = "#!/usr/bin/python3\nimport os, sys, time\nOUT = %r\n" % OUT
take = program("take", PY + """
f = open(f"{OUT}/take.{os.getpid()}.new", "wb")
say = lambda *a: f.write((" ".join(map(str, a)) + "\\n").encode("utf-8", "surrogateescape"))
say("env", sorted(os.environ.items()))
say("argv", sys.argv[1:])
say("ids", os.getresuid(), os.getresgid(), os.getgroups(), os.getcwd(), oct(os.umask(0)))
say("fds", sorted(int(n) for n in os.listdir("/proc/self/fd") if int(n) not in (f.fileno(),) and os.path.exists(f"/proc/self/fd/{n}")))
say("session", os.getsid(0) == os.getpid(), [l.split()[1] for l in open("/proc/self/status") if l.startswith(("NoNewPrivs", "SigIgn", "SigBlk"))])
f.write(sys.stdin.buffer.read())
f.close()
os.rename(f.name, f.name[:-4])
""")
code = program("code", "#!/bin/sh\ncat >/dev/null\n[ -z \"$1\" ] || echo \"code $1\"\nexit $1\n")
# Descendants that leave their session and their parent: their pids are written down.
stay = """
def stay(n):
    for i in range(n):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                with open(f"{OUT}/stay.{os.getpid()}", "w"): pass
                time.sleep(600)
            os._exit(0)
        os.wait()
"""
hang = program("hang", PY + stay + "stay(3)\ntime.sleep(600)\n")
leave = program("leave", PY + stay + "sys.stdin.read()\nstay(3)\n")
bomb = program("bomb", PY + """
n = 0
try:
    while n < 5000:
        if os.fork() == 0:
            time.sleep(600)
        n += 1
except OSError:
    pass
open(f"{OUT}/bomb", "w").write(str(n))
sys.exit(75)
""")
endless = program("endless", "#!/bin/sh\nexec yes\n")
fill = program("fill", PY + "f = open(f'{OUT}/fill', 'wb')\nfor i in range(1024): f.write(bytes(1 << 20)); f.flush()\n")
eat = program("eat", PY + "try: x = bytearray(1 << 30)\nexcept MemoryError: print('no memory'); sys.exit(75)\n")
deaf = program("deaf", "#!/bin/sh\nexit 0\n")
wait = program("wait", PY + "open(f'{OUT}/wait.{os.getpid()}', 'w')\nwhile not os.path.exists(OUT + '/go'): time.sleep(0.02)\n")
slowly = program("slowly", PY + "open(f'{OUT}/slowly', 'a').write('begun\\n')\ntime.sleep(0 if os.path.exists(OUT + '/quick') else 600)\nopen(OUT + '/done', 'wb').write(sys.stdin.buffer.read())\n")
secret = program("secret", "#!/bin/sh\nexit 0\n")
os.chmod(secret, 0o700)

sets = []
for name, command, *keys in (
        ("take", take + " ${sender} x${extension}y", "from_line=yes"), ("taken", take, f"run_as={CARL}", "crlf=yes", f"folder={OUT}"),
        ("code", code + " ${extension}"), ("hang", hang, f"time={tm.SHORT:.0f}s"), ("leave", leave), ("bomb", bomb, f"run_as={CARL}", "processes=20"),
        ("endless", endless, "output=100K"), ("fill", fill, "file_size=1M"), ("eat", eat, "memory=200M"), ("deaf", deaf),
        ("wait", wait, "parallel=4", "time=200s"), ("slowly", slowly, "time=200s"), ("none", "/nonexistent"), ("secret", secret)):
    sets += ["--set", f"piped.program {name}.command={command}"] + [a for k in keys for a in ("--set", f"piped.program {name}.{k}")]
os.environ["TM_SECRET"] = "not for programs"
sb = tm.Sandbox("--users", "4", "--programs", "--set", "tiermail.group=mail", "--set", "piped.user=nobody", "--set", "piped.limit.min_uid=2",
                "--set", "piped.native.deliver=yes", "--set", f"piped.native.folder={BOX}", "--set", f"piped.native.time={4 * tm.SHORT:.0f}s",
                "--set", "piped.limit.wait=100s", "--set", "tiermail.ldap.cache_age=0", "--set", "tiermail.ldap.negative_age=0",
                "--set", "channels.channel pipe.backoff=1s", *sets)
RUN = sb.env["RUNDIR"]


class Lmtp:
    def __init__(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(RUN + "/piped.sock")
        self.s.settimeout(tm.LONG)
        self.f = self.s.makefile("rb")
        self.get()
        self.say("LHLO test")

    def get(self):
        lines = []
        while not lines or lines[-1][3:4] == "-":
            lines.append(self.f.readline().decode(errors="replace").rstrip())
            if not lines[-1]:
                return "closed"
        return lines[-1]

    def say(self, line):
        self.s.sendall(line.encode() + b"\r\n")
        return self.get()

    def begin(self, *runs, sender="out@sender.test", text="Subject: x\r\n\r\nFrom here\r\n>From there\r\n.dot\r\n"):
        """RCPTs of (XRUN, address); the body is sent, the answers not read."""
        self.say(f"MAIL FROM:<{sender}> XQID=q1")
        said = [self.say(f"RCPT TO:<{to}> XRUN={run}") for run, to in runs]
        self.taken = [s for s in said if s.startswith("2")]
        if self.taken:
            self.say("DATA")
            self.s.sendall(text.replace("\r\n.", "\r\n..").encode() + b".\r\n")
        return said

    def end(self):
        return [self.get() for _ in self.taken]

    def give(self, run, to="someone@x.test", **kw):
        said = self.begin((run, to), **kw)
        if not self.taken:
            self.say("RSET")
        return self.end()[0] if self.taken else said[0]


def took():
    names = [n for n in os.listdir(OUT) if n.startswith("take.") and not n.endswith(".new")]
    for n in names:
        with open(f"{OUT}/{n}", "rb") as f:
            yield f.read()
        os.unlink(f"{OUT}/{n}")


def left(kind="stay"):
    return [n for n in os.listdir(OUT) if n.startswith(kind + ".") and tm.lives(int(n.split(".")[1]))]


# ---- what a program sees
l = Lmtp()
tm.is_(l.give(f"{ANNA}%take", "a.b+ext@x.test", sender="`touch`|$HOME&x@s.test"), "250 2.0.0 taken by take", "a program takes a message")
got = b"".join(took()).decode()
home = pwd.getpwnam(ANNA).pw_dir
lines = dict(s.split(" ", 1) for s in got.split("\n")[:5])
tm.is_(dict(eval(lines["env"])), {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "SHELL": "/bin/sh", "LANG": "C.UTF-8", "HOME": home, "USER": ANNA, "LOGNAME": ANNA, "SENDER": "`touch`|$HOME&x@s.test",
    "RECIPIENT": "a.b+ext@x.test", "LOCAL": "a.b+ext", "DOMAIN": "x.test", "EXTENSION": "ext", "QUEUE_ID": "q1", "SIZE": "44"}, "its environment is what is promised and nothing else")
tm.is_(eval(lines["argv"]), ["`touch`|$HOME&x@s.test", "xexty"], "arguments are words, whatever is in them")
gid = pwd.getpwnam(ANNA).pw_gid
tm.is_(lines["ids"], f"({uid[ANNA]}, {uid[ANNA]}, {uid[ANNA]}) ({gid}, {gid}, {gid}) [{gid}] {home if os.path.isdir(home) else '/'} 0o77",
       "it is the user, with no group but his own, at home")
tm.is_(lines["fds"], "[0, 1, 2]", "no descriptor but three")
tm.is_(lines["session"], "True ['0000000000000000', '0000000001001000', '1']", "a session of its own, no signal blocked or ignored but Python's, no way to more privileges")
tm.ok(got.split("\n", 5)[5].startswith("From `touch`|$HOME&x@s.test ") and got.endswith(
    "\nReturn-Path: <`touch`|$HOME&x@s.test>\nDelivered-To: a.b+ext@x.test\nSubject: x\n\n>From here\n>>From there\n.dot\n\n"),
    "a From_ line, two fields, lines that end in LF") or tm.diag(got)
tm.is_(l.give("%taken", "list@x.test", sender=""), "250 2.0.0 taken by taken", "an alias's program, a report")
got = b"".join(took())
tm.ok(b"('SENDER', '')" in got and f"({uid[CARL]}, {uid[CARL]}, {uid[CARL]})".encode() in got and OUT.encode() in got, "as the user whom the configuration names, in its folder")
tm.ok(got.endswith(b"\nReturn-Path: <>\r\nDelivered-To: list@x.test\r\nSubject: x\r\n\r\nFrom here\r\n>From there\r\n.dot\r\n"), "the octets as they came, where it wants CR LF")
tm.is_(l.give(f"{ANNA}%deaf", text="Subject: x\r\n\r\n" + "y" * 70 * 1000 * 10 + "\r\n"), "250 2.0.0 taken by deaf", "one that does not read may say yes")

# ---- how programs end
for n, want in ((0, "250 2.0.0 taken by code"), (1, "451 4.3.0 exit code 1 of code: code 1"), (64, "451 4.3.0 exit code 64 of code: code 64"), (65, "554 5.6.0 code: code 65"),
                (67, "550 5.1.1 code: code 67"), (68, "550 5.1.2 code: code 68"), (69, "554 5.3.0 code: code 69"), (70, "451 4.3.0 exit code 70 of code: code 70"),
                (75, "451 4.3.0 code: code 75"), (76, "554 5.5.0 code: code 76"), (77, "550 5.7.1 code: code 77"), (78, "451 4.3.0 exit code 78 of code: code 78")):
    tm.is_(l.give(f"{ANNA}%code", f"x+{n}@x.test"), want, f"exit code {n}")
tm.is_(l.give(f"{ANNA}%none"), "451 4.3.5 none cannot be run: No such file or directory", "a program that is not there")
tm.is_(l.give(f"{ANNA}%secret"), "451 4.3.5 secret cannot be run: Permission denied", "that its user may not run")
tm.is_(l.give(f"{ANNA}%unlisted"), "451 4.3.5 no program unlisted is set up here", "that is not on the list")
for who in ("root", "nobody-here", ""):
    tm.is_(l.give(f"{who}%deaf"), "451 4.3.5 deaf has no user of this host to run as", f"nothing runs as {who or 'nobody in particular'}")
for run in ("deaf", f"../{ANNA}%deaf", f"{ANNA}%../deaf", f"-x%deaf", f"{ANNA}%deaf+00x", f"{ANNA}%"):
    tm.ok(l.give(run)[:3] in ("451", "501"), f"XRUN={run} is none")
tm.is_(l.give(f"{ANNA}%deaf", sender="-oQ/tmp@s.test"), "553 5.1.3 no program is given such an address", "no address becomes an option")
l.say("MAIL FROM:<x@s.test>")
tm.ok(l.say("RCPT TO:<x@x.test>").startswith("451 4.5.1"), "and without XRUN there is nothing to do")
l.say("RSET")

# ---- what they may not
tm.is_(l.give(f"{ANNA}%hang"), "451 4.4.5 hang took too long", "a program that hangs is ended")
tm.ok(tm.wait_for(lambda: not left()) and len([n for n in os.listdir(OUT) if n.startswith("stay.")]) == 3, "with all that it has started, in whatever session")
tm.is_(l.give(f"{ANNA}%leave"), "250 2.0.0 taken by leave", "one that ends well")
tm.ok(tm.wait_for(lambda: not left()), "leaves nothing behind either")
tm.is_(l.give("%bomb"), "451 4.3.0 bomb: try later", "one that forks as it can")
tm.ok(int(open(OUT + "/bomb").read()) < 20, "has no more processes than its limit")
tm.ok(tm.wait_for(lambda: not [p for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/exe")
                               and D.encode() in open(f"/proc/{p}/cmdline", "rb").read() and b"bomb" in open(f"/proc/{p}/cmdline", "rb").read()]), "and none afterwards")
tm.is_(l.give(f"{ANNA}%endless"), "451 4.3.0 endless wrote too much", "one that talks without end is ended")
tm.ok(l.give(f"{ANNA}%fill").startswith("451 4.3.0 ") and os.path.getsize(OUT + "/fill") <= 1 << 20, "one that fills the disk gets as far as its limit")
tm.is_(l.give(f"{ANNA}%eat"), "451 4.3.0 eat: no memory", "one that wants the memory does not get it")

# ---- who waits for whom
busy, other = Lmtp(), Lmtp()
busy.begin(*[(f"{ANNA}%wait", f"a{i}@x.test") for i in range(5)])
waiting = lambda: len(left("wait"))
tm.ok(tm.wait_for(lambda: waiting() == 2), "of one recipient's programs two run")
other.begin((f"{BERT}%wait", "b@x.test"))
tm.ok(tm.wait_for(lambda: waiting() == 3), "another's run beside those that he waits for")
tm.is_(l.give(f"{CARL}%code", "x+0@x.test"), "250 2.0.0 taken by code", "and other programs, too")
status = sb.tool("tmctl", "-d", "piped", "status").stdout
tm.ok("running=3 waiting=3" in status, "status tells") or tm.diag(status)
open(OUT + "/go", "w").close()
tm.is_((busy.end(), other.end()), (["250 2.0.0 taken by wait"] * 5, ["250 2.0.0 taken by wait"]), "each has its answer, in their order")

# ---- mailbox files
tm.is_(l.give(f"{ANNA}%native", "anna@x.test"), "250 2.0.0 taken by native", "a message into a file")
box = f"{BOX}/{ANNA}"
st = os.stat(box)
tm.is_((st.st_uid, st.st_mode & 0o7777, sorted(os.listdir(BOX))), (uid[ANNA], 0o600, [ANNA]), "which is the user's alone, with nothing beside it")
crowd = [Lmtp() for _ in range(8)]
for i, c in enumerate(crowd):
    c.begin((f"{ANNA}%native", "anna@x.test"), text=f"Subject: {i}\r\n\r\nFrom {i}\r\n" + "z\r\n" * 20000)
tm.is_([c.end() for c in crowd], [["250 2.0.0 taken by native"]] * 8, "eight at once")
text = open(box, "rb").read()
m = mailbox.mbox(box)
tm.ok(sorted(x["subject"] for x in m) == sorted("01234567x") and all(len(x.get_payload()) in (29, 40008) for x in m) and b"\n>From 3\nz\n" in text,
      "each whole, none in another") or tm.diag([(x["subject"], len(x.get_payload())) for x in m])
with open(box, "ab") as f:
    f.write(b"half a li")
l.give(f"{ANNA}%native")
tm.ok(b"half a li\nFrom out@sender.test " in open(box, "rb").read(), "behind half a message a new one is one")
with open(box + ".lock", "w"):
    pass
size = os.path.getsize(box)
tm.is_((l.give(f"{ANNA}%native"), os.path.getsize(box)), ("451 4.3.0 native: the mailbox cannot be locked: Resource temporarily unavailable", size), "who has the lock has the file")
tm.is_(sorted(os.listdir(BOX)), [ANNA, ANNA + ".lock"], "and nothing is left of the try")
os.unlink(box + ".lock")
with open(D + "/victim", "w") as f:
    f.write("mine")
os.chown(D + "/victim", uid[BERT], -1)
os.symlink(D + "/victim", f"{BOX}/{BERT}")
tm.ok(l.give(f"{BERT}%native").startswith("451 4.3.0 native: the mailbox cannot be opened") and open(D + "/victim").read() == "mine", "a link is no mailbox")
os.unlink(f"{BOX}/{BERT}")
os.link(D + "/victim", f"{BOX}/{BERT}")
tm.ok(l.give(f"{BERT}%native").startswith("451 4.3.0 native: the mailbox cannot be opened") and open(D + "/victim").read() == "mine", "nor a file with another name")
os.unlink(f"{BOX}/{BERT}")
with open(f"{BOX}/{BERT}", "w"):
    pass
os.chmod(f"{BOX}/{BERT}", 0o666)
tm.ok(l.give(f"{BERT}%native").startswith("451 4.3.0"), "nor one of another user")

# ---- the whole road
def modify(text):
    r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input=text, capture_output=True, text=True)
    tm.ok(r.returncode == 0, "the directory takes a change") or tm.diag(r.stdout + r.stderr)


def person(n, login, *lines):
    got = subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"],
                          "-b", sb.env["LDAP_BASE"], f"(uid={sb.user(n)})", "1.1"], capture_output=True, text=True).stdout
    dn = got.split("dn: ", 1)[1].split("\n")[0]
    modify(f"dn: {dn}\nchangetype: modify\nreplace: mailDeliveryOption\n" + "".join(f"mailDeliveryOption: {x}\n" for x in lines if "=" not in x) +
           "-\nreplace: mailProgramDeliveryInfo\n" + "".join(f"mailProgramDeliveryInfo: {x[2:]}\n" for x in lines if "=" in x) +
           f"\ndn: {dn}\nchangetype: modrdn\nnewrdn: uid={login}\ndeleteoldrdn: 1\n")


person(1, ANNA, "program", "mailbox", "p=take")
person(2, BERT, "native")
person(3, CARL, "program", "p=slowly")
os.unlink(f"{BOX}/{BERT}")
sb.send([1, 2], subject="road")
tm.ok(sb.queue_empty(), "nothing is left in the queue")
got = b"".join(took())
tm.ok(b"Subject: road" in got and f"('RECIPIENT', '{sb.user(1)}@{sb.domain}')".encode() in got and f"('USER', '{ANNA}')".encode() in got, "a person's program has it")
tm.ok(tm.wait_for(lambda: sb.count(ANNA) == 1), "and so has the mailbox beside it")
tm.is_([x["subject"] for x in mailbox.mbox(f"{BOX}/{BERT}")], ["road"], "another's file has it")
s = sb.smtp()
s.ehlo()
s.mail("x@s.test")
tm.ok(s.rcpt(f"{ANNA}%take@{sb.domain}")[0] >= 500, "nobody outside names programs")
s.quit()
with open(os.path.join(os.path.dirname(sb.conf("channels.conf")), "aliases"), "w") as f:
    f.write("archive: |taken\nbad: |/bin/sh\n")
tm.ok(sb.restart("smtp-relay"), "an alias file")
sb.send(f"archive@{sb.domain}", subject="kept")
tm.ok(sb.queue_empty() and b"Subject: kept" in b"".join(took()), "an alias's program has what is sent to it")
s = sb.smtp()
s.ehlo()
s.mail("x@s.test")
tm.is_(s.rcpt(f"bad@{sb.domain}")[0] // 100, 4, "a path behind | is no program")
s.quit()

# ---- whose names are names of this host: a person of another organisation who is called like somebody here is not
def pipe_users(*domains):
    with open(sb.conf("channels.conf")) as f:
        text = f.read()
    head, _, rest = text.partition("[channel pipe]\n")
    with open(sb.conf("channels.conf"), "w") as f:
        f.write(head + "[channel pipe]\n" + (f"users = {' '.join(domains)}\n" if domains else "") + "\n".join(l for l in rest.split("\n") if not l.startswith("users")))
    tm.ok(sb.restart("smtp-relay"), f"users of {domains or 'all domains'}")


def asked(n):
    s = sb.smtp()
    s.ehlo()
    s.mail("x@s.test")
    got = s.rcpt(f"{sb.user(n)}@{sb.domain}")
    s.quit()
    return got[0] // 100, b"4.3.5" in got[1] if isinstance(got[1], bytes) else "4.3.5" in got[1]


pipe_users("other.test", "more.test")
tm.is_(asked(2), (4, True), "who has a mailbox file alone, and is of another domain, gets no mail")
sb.send(1, subject="not run")
tm.ok(sb.queue_empty() and tm.wait_for(lambda: sb.count(ANNA) == 2) and b"not run" not in b"".join(took()), "who has a mailbox, too, has it there, and no program was run")
sb.send(f"archive@{sb.domain}", subject="kept too")
tm.ok(sb.queue_empty() and b"Subject: kept too" in b"".join(took()), "an alias's program is nobody's name")
pipe_users("other.test", sb.domain.upper())
tm.is_(asked(2)[0], 2, "users of the domain do")
sb.send(1, subject="run")
tm.ok(sb.queue_empty() and b"Subject: run" in b"".join(took()), "and their programs")
pipe_users()

# ---- nothing is lost
sb.send(3, subject="once")
tm.ok(tm.wait_for(lambda: os.path.exists(OUT + "/slowly")), "a program is at work")
tm.ok(f"{CARL}%slowly" in sb.tool("mailq").stdout, "mailq says whose and which") or tm.diag(sb.tool("mailq").stdout)
processes = lambda: [p for p in os.listdir("/proc") if p.isdigit() and tm.lives(int(p)) and (D + "/slowly").encode() in open(f"/proc/{p}/cmdline", "rb").read()]
sb.kill("piped")
tm.ok(tm.wait_for(lambda: not processes()), "piped is killed: so is the program")
open(OUT + "/quick", "w").close()
tm.ok(sb.restart("piped") and sb.queue_empty() and b"Subject: once" in open(OUT + "/done", "rb").read(), "and gets the message when piped is back")
os.unlink(OUT + "/quick")
sb.send(3, subject="twice")
tm.ok(tm.wait_for(lambda: open(OUT + "/slowly").read().count("begun") == 3), "another one")
os.kill(int(processes()[0]), signal.SIGKILL)
open(OUT + "/quick", "w").close()
tm.ok(sb.queue_empty() and b"Subject: twice" in open(OUT + "/done", "rb").read(), "a program that is killed gets it again")

# ---- a list that changes
with open(sb.conf("piped.conf"), "a") as f:
    f.write(f"\n[program fresh]\ncommand = {deaf}\n")
l = Lmtp()
os.kill(sb.pid("piped"), signal.SIGHUP)
tm.ok(tm.wait_for(lambda: l.give(f"{ANNA}%fresh") == "250 2.0.0 taken by fresh"), "a reload tells front and helper of a program")
tm.ok(tm.wait_for(lambda: not [p for p in os.listdir("/proc") if p.isdigit() and os.path.exists(f"/proc/{p}/comm") and open(f"/proc/{p}/comm").read() == "piped-run\n"
                               and not tm.lives(int(p)) and open(f"/proc/{p}/stat").read().rpartition(")")[2].split()[1] in sb.pids_of("piped")]), "no zombies")
tm.done()
