#!/usr/bin/env python3
"""The same POP3 session with us and with Debian's Dovecot: every difference is one of DIFFERENT, which quotes
the sentence that decides."""
import base64, os, pwd, re, shutil, signal, socket, subprocess, sys, tempfile
import tm
from pop3raw import Pop

DOVECOT, POP3 = "/usr/sbin/dovecot", "/usr/lib/dovecot/pop3"
if not (os.path.exists(DOVECOT) and os.path.exists(POP3)):
    tm.skip_all("dovecot-pop3d is not installed")
if os.getuid() != 0:
    tm.skip_all("Dovecot's parts want to be started by root")

# command: reason.
DIFFERENT = {
    "USER": "RFC 1939 7: \"a string identifying a mailbox (required)\"; Dovecot takes none",
    "AUTH x": "RFC 3206 5: [AUTH] is for \"a problem with the user's credentials\", which a mechanism that there is not is none of",
    "CAPA": "RFC 2449 5: what is offered is each server's own",
    "LANG": "RFC 6856 3: Dovecot does not have it", "LANG *": "the same",
    "UIDL": "RFC 1939 7: \"an arbitrary server-determined string\"",
    "NOOP x": "RFC 1939 5: \"Arguments: none\"; Dovecot takes it", "STAT x": "the same of STAT",
}
MESSAGES = [b"From: a@b.test\r\nSubject: one\r\n\r\nhello\r\n",
            b"Subject: dots\r\n\r\n.\r\n..\r\n.dot\r\nnot.\r\n\r\n.\r\n",
            b"Subject: no end of line\r\n\r\nlast.",
            b"Subject: no body\r\n\r\n",
            b"Subject: only a header\r\n",
            b"Subject: long\r\n\r\n" + b"".join(b".%05d " % n + b"x" * (n % 90) + b"\r\n" for n in range(3000))]
SCRIPT = """STAT|LIST|UIDL|LIST 2|UIDL 2|RETR 1|RETR 2|RETR 3|RETR 4|RETR 5|RETR 6|TOP 1 0|TOP 2 0|TOP 2 1|TOP 2 3|TOP 2 100|TOP 3 0|TOP 3 1|TOP 4 0
TOP 4 5|TOP 5 0|TOP 6 2999|TOP 6 4294967295|TOP 1|TOP 1 x|TOP 1 -1|TOP 1 2 3|RETR|RETR 0|RETR 7|RETR x|RETR 1 2|RETR -1|RETR 18446744073709551617
LIST 0|LIST 7|LIST x|LIST 1 2|UIDL 7|DELE|DELE 7|DELE 2|DELE 2|RETR 2|TOP 2 0|LIST 2|UIDL 2|STAT|LIST|UIDL|retr 1|Stat|RSET|STAT|LIST|DELE 1|DELE 3
STAT|NOOP|NOOP x|STAT x|LAST|XYZZY|USER x|PASS y|AUTH PLAIN|CAPA|LANG|LANG *|UTF8|LIST""".replace("\n", "|").split("|")
BEFORE = ["NOOP", "STAT", "XYZZY", "USER", "PASS x", "AUTH x", "CAPA"]
MULTI = {"LIST", "UIDL", "CAPA", "LANG", "AUTH"}

d = tempfile.mkdtemp(prefix="tm-peer-")
os.chmod(d, 0o755)
box = f"{d}/home/Maildir"
for sub in ("cur", "new", "tmp"):
    os.makedirs(f"{box}/{sub}")
for n, m in enumerate(MESSAGES, 1):
    with open(f"{box}/new/170000000{n}.M{n}P1.test", "wb") as f:
        f.write(m)
port = tm.free_port()
with open(f"{d}/conf", "w") as f:
    f.write(f"""base_dir = {d}/run
state_dir = {d}/state
instance_name = tm-peer-{os.getpid()}
log_path = {d}/log
protocols = pop3
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
mail_location = maildir:~/Maildir
mail_save_crlf = yes
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={d}/home
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
""")
subprocess.run(["chown", "-R", "nobody:nogroup", f"{d}/home"], check=True)
peer = subprocess.Popen([DOVECOT, "-F", "-c", f"{d}/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def answers():
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def ours():
    sb = tm.Sandbox("--users", "2", "--set", "pop3d.auth.delay=50ms", "--without", "smtp-relay", "--without", "jobctl", "--without", "lmtpd")
    c = sb.imap(1)
    for m in MESSAGES:
        assert c.append("INBOX", None, None, m)[0] == "OK"
    c.logout()
    return sb


def shape(line):
    """What clients look at: the status, a response code, and the numbers of STAT and LIST."""
    m = re.match(r"(\+OK|-ERR)(?: (\[[A-Z/-]+\]))?", line)
    return m[0] if m else line


def session(connect, user, password):
    """[(command, what it was answered)]; before the login each on a connection of its own."""
    out = []
    for c in BEFORE:
        p = connect()
        out.append((c, answer(p, c)))
        p.close()
    p = connect()
    p.say(f"USER {user}")
    assert p.say(f"PASS {password}").startswith("+OK")
    for c in SCRIPT:
        out.append((c, answer(p, c)))
    out.append(("QUIT", shape(p.say("QUIT"))))
    return out


def answer(p, command):
    line = p.say(command)
    words = command.upper().split(" ")
    if line.startswith("+ "):                                  # a challenge
        p.say("*")
        return "+"
    if line.startswith("+OK") and (words[0] in ("RETR", "TOP") or (words[0] in MULTI and len(words) == 1)):
        return "+OK", p.body()
    if words[0] in ("STAT", "LIST") and line.startswith("+OK"):
        return " ".join(line.split()[:3])
    return shape(line)


try:
    if not tm.wait_for(answers, what="Dovecot"):
        with open(f"{d}/log") as f:
            tm.diag(f.read())
        tm.skip_all("Dovecot does not start here")
    sb = ours()
    fake = object.__new__(tm.Sandbox)
    fake.host, fake.env = "127.0.0.1", {}
    theirs = session(lambda: Pop(fake, port=port), "u", "secret")
    we = session(lambda: Pop(sb), sb.user(1), sb.password)
    used = set()
    for (command, a), (_, b) in zip(we, theirs):
        if a == b or command in DIFFERENT:
            used |= {command} if a != b else set()
            tm.ok(True, f"{command}: " + ("as Dovecot" if a == b else DIFFERENT[command]))
        else:
            tm.is_(a, b, f"{command}: as Dovecot")
    tm.is_(sorted(set(DIFFERENT) - used), [], "every difference is one")
finally:
    peer.send_signal(signal.SIGTERM)
    peer.wait()
    shutil.rmtree(d, ignore_errors=True)
tm.done()
