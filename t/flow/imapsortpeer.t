#!/usr/bin/env python3
"""The same mail sorted and threaded by us and by Debian's Dovecot: every difference is one of DIFFERENT,
which quotes the sentence that decides."""
import atexit, email.utils, os, pwd, random, re, shutil, signal, socket, subprocess, tempfile, time
import tm
from imapraw import Raw

DOVECOT, IMAP = "/usr/sbin/dovecot", "/usr/lib/dovecot/imap"
if not (os.path.exists(DOVECOT) and os.path.exists(IMAP)):
    tm.skip_all("dovecot-imapd is not installed")
if os.getuid() != 0:
    tm.skip_all("Dovecot's parts want to be started by root")

# A regular expression of commands: reason.
DIFFERENT = {
    r".*THREAD REFS .*": "draft-ietf-morg-inthread 4: \"sorts threads by the most recent INTERNALDATE\"; Dovecot takes the sent date",
    r".*THREAD .* SUBJECT alpha": "RFC 5256 5: thread-data is \"THREAD\" [SP 1*thread-list]; Dovecot ends one without a list in SP",
    r"SORT \(SUBJECT REVERSE SUBJECT SIZE\).*": "RFC 5256 3: \"the result is sorted in the priority order that the criteria appear\"",
}

sb = tm.Sandbox("--users", "2", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay")
d = tempfile.mkdtemp(prefix="tm-peer-")
os.chmod(d, 0o755)
os.makedirs(f"{d}/home")
shutil.chown(f"{d}/home", "nobody", "nogroup")
port = tm.free_port()
with open(f"{d}/conf", "w") as f:
    f.write(f"""base_dir = {d}/run
state_dir = {d}/state
instance_name = tm-peer-{os.getpid()}
log_path = {d}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
first_valid_uid = 1
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
mail_location = mdbox:~/mail
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={d}/home
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")
child = subprocess.Popen([DOVECOT, "-F", "-c", f"{d}/conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def stop():
    child.send_signal(signal.SIGTERM)
    child.wait()
    shutil.rmtree(d, ignore_errors=True)


atexit.register(stop)


class Peer:
    host, password, domain = "127.0.0.1", "secret", "x.example"

    def port(self, _):
        return port

    def user(self, n):
        return f"user{n}"


def answers():
    try:
        socket.create_connection(("127.0.0.1", port), timeout=tm.LONG).close()
        return True
    except OSError:
        return False


tm.wait_for(answers)
ours, theirs = Raw(sb, login=1), Raw(Peer(), login=1)
rnd = random.Random(17)
SUBJECTS = ["alpha", "Re: alpha", "[list] alpha", "Re: [list] Re[2]: alpha", "Fwd: beta", "beta (fwd)", "[fwd: beta]", "[only]", "", "Re:",
            "=?utf-8?q?=C3=84rger?=", "=?iso-8859-1?q?Re=3A_=E4rger?=", "gamma\r\n delta", "gamma delta", "[a][b] gamma", "zeta  zeta", "WIN", "win"]
FROM = ["anna@x.example", "Anna <bert@x.example>", '"Carl, C" <carl@y.example>', "=?utf-8?q?=C3=89mile?= <emile@x.example>", "(c) dora@x.example (Dora)", None]
TO = ["b@x.example", "a@x.example, z@x.example", "B <c@x.example>", None]


def message(i, ids):
    fields = []
    if rnd.random() < 0.95:
        fields.append(f"Message-ID: <{i}@x.example>" if rnd.random() < 0.95 else f"Message-ID: <{rnd.randrange(i + 1)}@x.example>")
    subject, frm, to, cc = rnd.choice(SUBJECTS), rnd.choice(FROM), rnd.choice(TO), rnd.choice(TO)
    fields += [f"Subject: {subject}"] if subject or rnd.random() < 0.5 else []
    fields += [f"From: {frm}"] * bool(frm) + [f"To: {to}"] * bool(to) + [f"Cc: {cc}"] * bool(cc)
    refs = [f"<{rnd.randrange(ids)}@x.example>" for _ in range(rnd.choice([0, 0, 1, 1, 2, 3, 5]))]
    if refs and rnd.random() < 0.8:
        fields.append("References: " + "\r\n ".join(refs))
    elif refs:
        fields.append("In-Reply-To: " + refs[0])
    if rnd.random() < 0.95:
        fields.append("Date: " + email.utils.formatdate(1600000000 + rnd.randrange(300)))
    rnd.shuffle(fields)
    return "".join(f + "\r\n" for f in fields) + "\r\n" + "x" * rnd.randrange(50) + "\r\n"


def conversations(n):
    """Mail as it is: answers have the subject and the references of what they answer, and come behind it."""
    refs, subject = {}, {}
    for i in range(n):
        to = rnd.randrange(i) if i and rnd.random() < 0.8 else None
        refs[i] = [] if to is None else (refs[to] + [to])[-12:]
        subject[i] = f"talk {i}" if to is None else subject[to]
        yield (f"Message-ID: <{i}@talk.example>\r\nSubject: {'Re: ' * bool(refs[i])}{subject[i]}\r\n" +
               ("References: " + "\r\n ".join(f"<{r}@talk.example>" for r in refs[i]) + "\r\n" if refs[i] else "") +
               f"Date: {email.utils.formatdate(1600000000 + i)}\r\n\r\ntext\r\n")


def threads(line):
    """Of "* THREAD (2)(3 6)", each."""
    out, depth = [b""], 0
    for b in re.findall(rb"[()]|[^()]+", line.partition(b"THREAD")[2].strip()):
        depth += (b == b"(") - (b == b")")
        out[-1] += b
        if depth == 0:
            out.append(b"")
    return sorted(out)


def alike(k, a, b):
    """Apart from the order of threads, where that is another one."""
    if "THREAD REFS" in k:
        return threads(a[0]) == threads(b[0])
    return [l.rstrip() for l in a] == [l.rstrip() for l in b] or "SUBJECT REVERSE SUBJECT" in k


def both(command):
    return [c.ok(command) for c in (ours, theirs)]


for c in (ours, theirs):
    c.ok("CREATE Box0")
differ, seen = {}, set()
for n in range(6):
    both(f"CREATE Box{n}") if n else None
    size = [5, 10, 20, 40, 80, 160][n]
    for i in range(size):
        m, at = message(i, size * 2), time.strftime("%d-%b-%Y %H:%M:%S +0000", time.gmtime(1650000000 + rnd.randrange(100)))
        for c in (ours, theirs):
            c.append(f"Box{n}", m, f'"{at}"')
    both(f"SELECT Box{n}")
    commands = [f"{uid}THREAD {how} UTF-8 {keys}" for uid in ("", "UID ") for how in ("REFERENCES", "ORDEREDSUBJECT")
                for keys in ("ALL", f"2:{size // 2}", "SUBJECT alpha")]
    for key in ("ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"):
        commands += [f"SORT ({key}) UTF-8 ALL", f"UID SORT (REVERSE {key}) US-ASCII ALL", f"SORT ({key} REVERSE SUBJECT SIZE) UTF-8 NOT SUBJECT beta",
                     f"SORT RETURN (MIN MAX COUNT) ({key}) UTF-8 ALL", f"SORT RETURN (MIN) (SUBJECT {key}) UTF-8 SUBJECT nobody"]
    for k in commands:
        a, b = both(k)
        a, b = ([re.sub(rb'TAG "[^"]*"', b'TAG "t"', l) for l in x] for x in (a, b))
        why = next((p for p in DIFFERENT if re.fullmatch(p, k)), None)
        seen.add(why) if why and a != b else None
        if a != b and not (why and alike(k, a, b)):
            differ[k] = f"Box{n}: {k}\n ours   {a}\n theirs {b}"
both("CREATE Talk")
for m in conversations(150):
    for c in (ours, theirs):
        c.append("Talk", m, '"01-Jan-2024 10:00:00 +0000"')
both("SELECT Talk")
for k in [f"{uid}THREAD REFS UTF-8 {keys}" for uid in ("", "UID ") for keys in ("ALL", "2:70", "SUBJECT talk")]:
    a, b = both(k)
    seen.add(next(p for p in DIFFERENT if re.fullmatch(p, k))) if a != b else None
    if not alike(k, a, b):
        differ[k] = f"{k}\n ours   {a}\n theirs {b}"
for text in list(differ.values())[:8]:
    tm.diag(text)
tm.is_(len(differ), 0, "no other difference")
tm.is_(seen, set(DIFFERENT), "every difference that is known is one")
tm.done()
