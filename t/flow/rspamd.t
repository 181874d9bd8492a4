#!/usr/bin/env python3
"""A real rspamd as tiermail-setup configures it, asked by the relay: refusals, verdicts in the message, the log and the
folder for spam, SPF, DKIM and DMARC against DNS, signatures of our own (DKIM, ARC) with the record that is printed, what
it learns, viruses that clamd knows by a signature of this test's own, and greylisting."""
import base64, imaplib, os, pwd, shutil, smtplib, ssl, subprocess, sys, time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../../scripts/setup")]
import records
import tm
import wire
from imapraw import Raw
import spam

if not shutil.which("rspamd") or not shutil.which("redis-server"):
    tm.skip_all("rspamd or redis-server is not installed")
tm.need("ldapadd", "nsd", "openssl")
VIRUS = "tiermail-test-virus-51c0de" if shutil.which("clamd") or os.path.exists("/usr/sbin/clamd") else None
GTUBE = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
TERMINATED = []
top = tm.tempdir()
os.chmod(top, 0o755)
etc = f"{top}/rspamd"
clamd = f"{top}/clamd.sock" if VIRUS else None
milter, controller, dns, mx = (tm.free_port() for _ in range(4))
spam.host.say = lambda words="": None


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def start(name, *argv):
    p = subprocess.Popen(argv, stdout=open(f"{top}/{name}.out", "w"), stderr=subprocess.STDOUT)
    TERMINATED.append(p)
    return p


def as_setup_does(domain):
    """Its files, the key, and on top what makes this one ours alone: ports, DNS, nothing that asks the Internet."""
    os.mkdir(etc)
    tm.is_(spam.changes(etc, clamd=clamd)[1], [], "nothing of an administrator's is in the way")
    spam.write(etc, spam.changes(etc, clamd=clamd)[0])
    file, victim = spam.key_file(etc, domain)[0], f"{top}/victim"
    put(victim, "root's\n")
    os.makedirs(os.path.dirname(file))
    os.symlink(victim, file + ".new")
    tm.is_(spam.make_key(etc, domain), True, "a key for DKIM")
    st = os.lstat(file)
    tm.is_((st.st_mode & 0o177777, st.st_uid), (0o100600, pwd.getpwnam("_rspamd").pw_uid if os.getuid() == 0 else os.getuid()), "is the filter's alone")
    tm.is_((open(victim).read(), os.stat(victim).st_uid), ("root's\n", os.getuid()), "and a link that lay in its way led nowhere")
    tm.is_((spam.make_key(etc, domain), spam.changes(etc, clamd=clamd)), (False, ({}, [])), "is made once, as all of it")
    over = {"worker-proxy.inc": f'bind_socket = "127.0.0.1:{milter}";\n', "worker-controller.inc": f'bind_socket = "127.0.0.1:{controller}";\n',
            "worker-normal.inc": "enabled = false;\n", "redis.conf": f'servers = "{top}/redis.sock";\n',
            "options.inc": f'disable_hyperscan = true;\ndns {{ nameserver = ["127.0.0.1:{dns}"]; timeout = 2s; retransmits = 2; }}\n',
            "classifier-bayes.conf": "min_learns = 3;\n", "actions.conf": "greylist = null;\nreject = 30;\n",
            "statistics_group.conf": 'symbols {\n "BAYES_SPAM" {\n weight = 9;\n }\n}\n',
            **{f"{m}.conf": "enabled = false;\n" for m in ("rbl", "surbl", "fuzzy_check", "asn", "phishing", "greylist", "ratelimit", "replies",
                                                           "neural", "history_redis", "mx_check", "hfilter", "reputation")}}
    for name, text in over.items():
        put(f"{etc}/override.d/{name}", text)
    for d in ("db", "run", "log"):
        os.mkdir(f"{top}/{d}")
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", "_rspamd", top], check=True)


def name_server(domain, zone):
    put(f"{top}/zone.{domain}", f"$TTL 60\n{domain}. IN SOA ns.{domain}. x.{domain}. 1 60 60 60 60\n{domain}. IN NS ns.{domain}.\nns.{domain}. IN A 127.0.0.1\n" + zone)
    put(f"{top}/zone.sender.test", "$TTL 60\nsender.test. IN SOA ns.sender.test. x.sender.test. 1 60 60 60 60\nsender.test. IN NS ns.sender.test.\n"
        'ns.sender.test. IN A 127.0.0.1\nsender.test. IN MX 10 ns.sender.test.\nsender.test. IN TXT "v=spf1 ip4:192.0.2.0/24 -all"\n'
        '_dmarc.sender.test. IN TXT "v=DMARC1; p=none"\n')
    put(f"{top}/nsd.conf", f'server:\n ip-address: 127.0.0.1@{dns}\n username: ""\n zonesdir: {top}\n database: ""\n pidfile: ""\n logfile: {top}/nsd.log\n'
        f" xfrdfile: {top}/xfrd\n zonelistfile: {top}/zonelist\n xfrdir: {top}\nremote-control:\n control-enable: no\n"
        + "".join(f"zone:\n name: {d}\n zonefile: zone.{d}\n" for d in (domain, "sender.test")))
    start("nsd", "nsd", "-d", "-c", f"{top}/nsd.conf")


def from_outside(body, head="Subject: s\r\n", to=1, sender="a@sender.test", address="192.0.2.7", author=None):
    """(code, text) of the end of a message of a stranger at this address."""
    c = wire.Line((sb.host, mx), wire.v1(address))
    c.line()
    for say in ("EHLO mail.sender.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{sb.user(to)}@{sb.domain}>", "DATA"):
        c.send(say + "\r\n")
        said = c.line()
        while said[3:4] == "-":
            said = c.line()
        if said[:1] not in "23":
            return said[:3], said
    c.send(f"From: <{author or sender}>\r\nTo: <{sb.user(to)}@{sb.domain}>\r\nDate: Tue, 1 Dec 2026 01:00:00 +0000\r\nMessage-ID: <{time.monotonic_ns()}@sender.test>\r\n"
           if head is not None else "")
    c.send((head or "") + ("\r\n" if head is not None else "") + body + ".\r\n")
    said = c.line()
    c.close()
    return said[:3], said


def from_us(body):
    """(code, text) of the end of a message that the first user sends to the second."""
    with sb.smtp("SUBMISSION") as s:
        s.starttls(context=ssl._create_unverified_context())
        s.login(f"{sb.user(1)}@{sb.domain}", sb.password)
        s.mail(f"{sb.user(1)}@{sb.domain}")
        s.rcpt(f"{sb.user(2)}@{sb.domain}")
        try:
            return s.data(f"From: <{sb.user(1)}@{sb.domain}>\r\nTo: <{sb.user(2)}@{sb.domain}>\r\nSubject: signed\r\n\r\n{body}")
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error


def run_rspamd():
    return start("rspamd", "rspamd", "-f", "-c", "/etc/rspamd/rspamd.conf", *(f"--var={k}={v}" for k, v in (
        ("LOCAL_CONFDIR", etc), ("DBDIR", f"{top}/db"), ("RUNDIR", f"{top}/run"), ("LOGDIR", f"{top}/log"))),
        *(("-u", "_rspamd", "-g", "_rspamd") if os.getuid() == 0 else ()))


had = {}


def arrived(n=1, folder="INBOX"):
    """The next message, which must be in this folder: (header, unfolded, and the message as it is)."""
    def look():
        for f in ("INBOX", "Junk"):
            try:
                got = sb.messages(n, f)[had.get((n, f), 0):]
            except (imaplib.IMAP4.error, AssertionError, TypeError):
                continue            # (no such folder yet)
            if got:
                had[n, f] = had.get((n, f), 0) + 1
                return f, got[0]
        return None
    where, message = tm.wait_for(look, what="mail") or ("", b"\r\n\r\n")
    head = message.partition(b"\r\n\r\n")[0].decode("latin1").replace("\r\n\t", " ").replace("\r\n ", " ").split("\r\n")
    if folder:
        tm.is_(where, folder, "(it is in the right folder)") or tm.diag(head)
    return head, message


def field(head, name):
    return [l.partition(":")[2].strip() for l in head if l.lower().startswith(name.lower() + ":")]


try:
    sb = tm.Sandbox("--users", "3", *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved") for w in ("--without", d)),
                    "--set", "smtp-relay.proxy.networks=127.0.0.1", "--set", f"smtp-relay.listen outside.address=127.0.0.1:{mx}",
                    "--set", "smtp-relay.listen outside.role=mx", "--set", "smtp-relay.listen outside.proxy=yes",
                    "--set", "stored.events=junk", "--set", f"imapd.learn.address=127.0.0.1:{controller}")
    host = f"mail.{sb.domain}"
    as_setup_does(sb.domain)
    name_server(sb.domain, records.zone(sb.domain, host, [host], {}, ["127.0.0.1"], key=spam.record(etc, sb.domain)))
    start("redis", "redis-server", "--port", "0", "--unixsocket", f"{top}/redis.sock", "--unixsocketperm", "777", "--save", "", "--dir", top)
    if VIRUS:
        os.mkdir(f"{top}/signatures")
        put(f"{top}/signatures/own.ndb", f"Tiermail.Own:0:*:{VIRUS.encode().hex()}\n")
        put(f"{top}/clamd.conf", f"DatabaseDirectory {top}/signatures\nLocalSocket {clamd}\nLocalSocketMode 666\nForeground yes\nTemporaryDirectory {top}\nLogFile {top}/clamd.txt\n")
        scanner = start("clamd", shutil.which("clamd") or "/usr/sbin/clamd", "-F", "-c", f"{top}/clamd.conf")
        tm.ok(tm.wait_for(lambda: spam.scans(clamd), what="clamd"), "clamd answers what `tiermail-setup check` asks")
    rspamd = run_rspamd()
    relay, store, *_ = spam.settings()
    with open(sb.conf("smtp-relay.conf"), "a") as f:
        f.write(f"\n[milter rspamd]\naddress = 127.0.0.1:{milter}\nlisteners = {relay['milter rspamd', 'listeners']}\n")
    with open(sb.conf("lmtpd.conf"), "a") as f:
        f.write("".join(f'\n[{s}]\n{k} = "{v}"\n'.replace("\\", "\\\\") for (s, k), v in store.items()))
    tm.ok(tm.wait_for(lambda: spam.answers(f"127.0.0.1:{milter}"), what="rspamd"), "rspamd runs, and answers what `tiermail-setup check` asks")
    tm.ok(not spam.answers(f"127.0.0.1:{dns}"), "which nobody else does")
    sb.restart("smtp-relay")
    sb.restart("lmtpd")

    # ---- what comes from outside
    r = from_outside("X" + GTUBE)
    tm.ok(r[0] in ("550", "554") and "5.7.1" in r[1], "what is certain is refused") or tm.diag(r)
    tm.ok(wire.logged(sb, "smtp-relay", "ev=filter ", "filter=rspamd", "stage=end"), "which is in the log")
    forged = f"Authentication-Results: {host}; dkim=pass header.d=bank.test\r\nX-Spamd-Result: default: False [-99 / 15];\r\nSubject: plain\r\n"
    tm.is_(from_outside("Dear Anna, shall we meet at ten?\r\n", head=forged)[0], "250", "a good one is not")
    head, _ = arrived()
    results = field(head, "Authentication-Results")
    tm.ok(len(results) == 1 and results[0].startswith(host) and "spf=pass" in results[0] and "dmarc=pass" in results[0] and "bank" not in results[0],
          "SPF and DMARC by DNS, under our name, and no forged ones") or tm.diag(head)
    tm.ok(len(field(head, "X-Spamd-Result")) == 1 and "-99" not in field(head, "X-Spamd-Result")[0] and not field(head, "X-Spam"), "rspamd's own verdict") or tm.diag(head)
    tm.ok(f"d={sb.domain}" in "".join(field(head, "ARC-Seal")), "sealed (ARC) for those to whom it is forwarded") or tm.diag(head)
    tm.ok(wire.logged(sb, "smtp-relay", "ev=filter_said", "filter=rspamd", "field=X-Spamd-Result") and wire.logged(sb, "smtp-relay", "ev=filter_said", "spf=pass"), "and the log has it")
    tm.is_(from_outside("hello\r\n", address="198.51.100.9")[0], "250", "from an address that may not send for the domain")
    head, _ = arrived()
    tm.ok("spf=fail" in field(head, "Authentication-Results")[0], "the message says so") or tm.diag(head)

    # ---- viruses
    tm.is_(spam.asks_scanner(etc), clamd, "rspamd is told where clamd is, if there is one")
    if not VIRUS:
        tm.skip("viruses", "needs clamav-daemon")
    else:
        attached = 'Content-Type: multipart/mixed; boundary="b"\r\nMIME-Version: 1.0\r\nSubject: v\r\n'
        parts = "--b\r\nContent-Type: text/plain\r\n\r\nsee there\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n"
        encoded = lambda words: base64.b64encode(words.encode()).decode()
        r = from_outside(parts % encoded(f"x {VIRUS} y"), head=attached)
        tm.ok(r[0] == "554" and "virus found: Tiermail.Own" in r[1], "a virus, encoded, is refused by its name") or tm.diag(r)
        r = from_outside(f"x {VIRUS} y\r\n")
        tm.ok(r[0] == "554" and "Tiermail.Own" in r[1], "in a text, too") or tm.diag(r)
        r = from_us(f"x {VIRUS} y\r\n")
        tm.ok(r[0] == 554 and b"Tiermail.Own" in r[1], "and of our own users") or tm.diag(r)
        tm.is_(from_outside(parts % encoded("no such thing"), head=attached)[0], "250", "its like without is not")
        arrived()
        scanner.terminate()
        scanner.wait(tm.LONG)
        r = from_outside(parts % encoded("and another thing"), head=attached)
        tm.ok(r[0] == "451" and "virus scanner" in r[1], "while clamd is away mail waits at its senders") or tm.diag(r)
        tm.is_(spam.scans(clamd), False, "and check says so")
        TERMINATED.remove(scanner)
        scanner = start("clamd", shutil.which("clamd") or "/usr/sbin/clamd", "-F", "-c", f"{top}/clamd.conf")
        tm.wait_for(lambda: spam.scans(clamd), what="clamd")
        tm.ok(tm.wait_for(lambda: from_outside(parts % encoded("and another thing"), head=attached)[0] == "250", what="clamd's upstream"), "and comes in when it is back")
        arrived()

    # ---- what our users send
    tm.is_(from_us(".from us\r\n")[0], 250, "what a user sends")
    head, signed = arrived(2)
    tm.ok("".join(field(head, "DKIM-Signature")).count(f"d={sb.domain};") == 1 and f"s={spam.SELECTOR};" in "".join(field(head, "DKIM-Signature")), "is signed") or tm.diag(head)
    own = b"".join(l + b"\r\n" for l in signed.replace(b"\r\n.", b"\r\n..").split(b"\r\n")[:-1]).decode("latin1")
    tm.is_(from_outside(own, head=None, to=3, sender=f"{sb.user(1)}@{sb.domain}")[0], "250", "and comes back from outside")
    head, _ = arrived(3, "INBOX")
    tm.ok("dkim=pass" in field(head, "Authentication-Results")[0], "where the signature holds, by the record that is printed") or tm.diag(head)
    tm.is_(from_outside(own.replace("from us", "from her"), head=None, to=3, sender=f"{sb.user(1)}@{sb.domain}")[0], "250", "changed on the way")
    head, _ = arrived(3, None)
    tm.ok("dkim=pass" not in "".join(field(head, "Authentication-Results")) and "dkim=" in "".join(field(head, "Authentication-Results")), "it does not") or tm.diag(head)

    # ---- what it learns
    words = ["refinance", "mortgage", "pharmacy", "jackpot", "unclaimed", "inheritance", "casino", "roulette", "viagra", "lottery", "prince", "transfer", "beneficiary", "urgent"]
    talk = ["minutes", "meeting", "agenda", "budget", "committee", "invoice", "thanks", "regards", "schedule", "project", "draft", "review", "comments", "tuesday"]

    def text(of, n):
        return " ".join(of[(i * (n % 3 + 1) + n) % len(of)] for i in range(40)) + "\r\n"
    like = " ".join(words * 3) + "\r\n"
    tm.is_(from_outside(like, head="Subject: casino\r\n")[0], "250", "one that nobody has complained of")
    head, before = arrived()
    tm.ok(not any("BAYES_SPAM" in l for l in head), "is no spam")
    c = Raw(sb, login=3)
    for n in range(5):
        c.ok(b"APPEND INBOX {%d+}\r\n" % len(m := f"From: <a{n}@sender.test>\r\nSubject: s{n}\r\nMessage-ID: <spam-{n}@sender.test>\r\n\r\n{text(words, n)}".encode()) + m)
        c.ok(b"APPEND Junk {%d+}\r\n" % len(m := f"From: <b{n}@sender.test>\r\nSubject: h{n}\r\nMessage-ID: <ham-{n}@sender.test>\r\n\r\n{text(talk, n)}".encode()) + m)
    c.ok("SELECT INBOX")
    spams = [w.decode() for l in c.ok("UID SEARCH HEADER Message-ID <spam-") if l.startswith(b"* SEARCH") for w in l.split()[2:]]
    c.ok(f"UID MOVE {','.join(spams)} Junk")
    c.ok("SELECT Junk")
    hams = [w.decode() for l in c.ok("UID SEARCH HEADER Message-ID <ham-") if l.startswith(b"* SEARCH") for w in l.split()[2:]]
    c.ok(f"UID MOVE {','.join(hams)} INBOX")
    tm.is_((len(spams), len(hams)), (5, 5), "people move some to Junk, and some away from it")
    tm.ok(tm.wait_for(lambda: len(wire.log(sb, "imapd", "ev=event", "text=learned")) >= 10, seconds=40, what="lessons"), "rspamd hears of it") or tm.diag("\n".join(wire.log(sb, "imapd", "ev=event")))
    tm.is_(from_outside(like, head="Subject: casino\r\n")[0], "250", "the like of what they have moved")
    head, _ = arrived(1, "Junk")
    tm.ok(any("BAYES_SPAM" in l for l in field(head, "X-Spamd-Result")) and field(head, "X-Spam") == ["Yes"], "is spam now, and in Junk") or tm.diag(head)

    # ---- greylisting, of what is neither good nor bad enough
    def again(**more):
        for name, text in more.items():
            put(f"{etc}/override.d/{name}.conf", text)
        TERMINATED.remove(rspamd)
        rspamd.terminate()
        rspamd.wait(tm.LONG)
        started = run_rspamd()
        tm.wait_for(lambda: spam.answers(f"127.0.0.1:{milter}"), what="rspamd")
        return started

    grey = "I have a question about the third item.\r\n"
    tm.is_(from_outside(grey, head="Subject: grey\r\n", sender="first@sender.test")[0], "250", "without greylisting it comes in at once")
    arrived(1, None)
    rspamd = again(greylist="timeout = 3s;\n", actions="greylist = -50;\nreject = 30;\n")
    r = from_outside(grey, head="Subject: grey\r\n", sender="grey@sender.test", address="203.0.113.77")
    tm.ok(r[0] == "451" and "ry again later" in r[1], "rspamd puts a stranger off") or tm.diag(r)
    tm.is_(from_us("from us, never grey\r\n")[0], 250, "our users are none")
    time.sleep(4)
    tm.is_(from_outside(grey, head="Subject: grey\r\n", sender="grey@sender.test", address="203.0.113.77")[0], "250", "and lets him in when he comes again")
    arrived(1, None)

    # ---- away
    TERMINATED.remove(rspamd)
    rspamd.terminate()
    rspamd.wait(tm.LONG)
    c = from_outside("hello\r\n")
    tm.ok(c[0] == "451", "while it is away mail waits at its senders") or tm.diag(c)
    tm.ok(not spam.answers(f"127.0.0.1:{milter}"), "and check says so")
finally:
    for p in TERMINATED:
        p.terminate()
        p.wait()
    if tm._failed:
        for name in ("nsd.out", "redis.out", "rspamd.out", "log/rspamd.log"):
            if os.path.exists(f"{top}/{name}"):
                with open(f"{top}/{name}", errors="replace") as f:
                    tm.diag(f"=== {name}\n" + "".join(l for l in f.readlines()[-60:] if "hs_helper" not in l))
tm.done()
