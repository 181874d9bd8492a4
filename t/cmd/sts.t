#!/usr/bin/env python3
"""MTA-STS (RFC 8461): channel-master alone, with domains whose policies are right, wrong, out of date, large, slow or away,
and hosts that are what they say or not.  jobctl, the servers and the DNS are t/cmd/mta.py's; the queue is real."""
import atexit, os, re, signal, socket, ssl, subprocess, sys, threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../flow")]
import tm
from mta import Dns, Jobctl, Mail

QPUT = os.path.join(os.path.dirname(tm.BINDIR), "t/tools/qput")
for p in (os.path.join(tm.BINDIR, "channel-master"), QPUT):
    if not os.path.exists(p):
        tm.skip_all(f"{p} is not built")
DIR = tm.tempdir()
QUEUE = f"{DIR}/q"
MSG = b"From: s@y.test\r\nMessage-ID: <m1@y.test>\r\nSubject: hello\r\n\r\nbody\r\n"


def run(*args):
    return subprocess.run(args, check=True, cwd=DIR, capture_output=True).stdout


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
run("openssl", "req", "-x509", *EC, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=A public CA")


def cert(name, subject, *names):
    """A certificate of the CA's for these names."""
    run("openssl", "req", "-new", *EC, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
    with open(f"{DIR}/names", "w") as f:
        f.write("subjectAltName=" + ",".join(f"DNS:{n}" for n in names) + "\n" if names else "basicConstraints=CA:FALSE\n")
    run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "names", "-out", f"{name}.pem")


def server(name):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(f"{DIR}/{name}.pem", f"{DIR}/{name}.key")
    return c


cert("good", "mx", "mx.hosts.test", "*.wild.test")
cert("subject", "mx.subject.test")
cert("other", "web", "elsewhere.test")
run("openssl", "req", "-x509", *EC, "-keyout", "own.key", "-out", "own.pem", "-days", "30", "-subj", "/CN=mx", "-addext",
    "subjectAltName=DNS:own.hosts.test")

STARTTLS = ("PIPELINING", "8BITMIME", "SIZE 0", "STARTTLS")
while True:
    good = Mail(("127.0.0.1", 0), offers=STARTTLS, tls=server("good"))
    try:
        own = Mail(("127.0.0.2", good.port), offers=STARTTLS, tls=server("own"))
        plain = Mail(("127.0.0.3", good.port))
        subject = Mail(("127.0.0.4", good.port), offers=STARTTLS, tls=server("subject"))
        break
    except OSError:
        good.close()


class Web(threading.Thread):
    """The policy hosts: what `say` has for a host is answered: (status, type, body), more fields, or a function."""

    def __init__(self):
        super().__init__(daemon=True)
        self.say, self.asked = {}, []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.tls, other = server("web"), server("other")

        def choose(s, name, ctx):
            if name and "badcert" in name:
                s.context = other
        self.tls.sni_callback = choose
        self.start()

    def run(self):
        while True:
            c, _ = self.sock.accept()
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            c = self.tls.wrap_socket(c, server_side=True)
            f = c.makefile("rwb")
            line = f.readline().decode()
            host = ""
            while (h := f.readline().decode().strip()):
                if h.lower().startswith("host:"):
                    host = h[5:].strip().partition(":")[0][len("mta-sts."):]
            self.asked.append((host, line.split()[:2]))
            status, kind, body, *more = self.say.get(host, ("404 Not Found", "text/plain", "no"))
            f.write(f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n".encode())
            for m in more:
                if callable(m):
                    f.write(b"\r\n")
                    f.flush()
                    m()
                    return
                f.write(m.encode() + b"\r\n")
            f.write(b"\r\n" + body.encode())
            f.flush()
            c.unwrap()
        except (OSError, ValueError):
            pass
        finally:
            c.close()


NAMES = "enforce lf wild deep unlisted misnamed untrusted subject notls testing testgood testplain none norecord tworecords badrecord spf large html gone redirect " \
    "invalid slow away kept renewed"
cert("web", "web", *(f"mta-sts.{n}.test" for n in NAMES.split()))
web = Web()
over = threading.Event()
atexit.register(over.set)


def policy(mode="enforce", mx=("mx.hosts.test",), age=86400, extra="", end="\r\n"):
    return end.join(["version: STSv1", f"mode: {mode}", *(f"mx: {m}" for m in mx), f"max_age: {age}", extra])


def plain_text(body, *more):
    return ("200 OK", "text/plain; charset=utf-8", body, *more)


HOSTS = {"mx.hosts.test": 1, "own.hosts.test": 2, "plain.hosts.test": 3, "a.wild.test": 1, "b.a.wild.test": 1, "mx.subject.test": 4, "misnamed.hosts.test": 1}
DOMAINS = {  # domain: (host, answer of its web, TXT)
    "enforce.test": ("mx.hosts.test", plain_text(policy(extra="x-new: field"))),
    "lf.test": ("mx.hosts.test", plain_text(policy(end="\n", mx=("other.test", "MX.hosts.test")))),
    "wild.test": ("a.wild.test", plain_text(policy(mx=("*.wild.test",)))),
    "deep.test": ("b.a.wild.test", plain_text(policy(mx=("*.wild.test",)))),
    "unlisted.test": ("mx.hosts.test", plain_text(policy(mx=("elsewhere.test",)))),
    "misnamed.test": ("misnamed.hosts.test", plain_text(policy(mx=("*.hosts.test",)))),
    "untrusted.test": ("own.hosts.test", plain_text(policy(mx=("*.hosts.test",)))),
    "subject.test": ("mx.subject.test", plain_text(policy(mx=("mx.subject.test",)))),
    "notls.test": ("plain.hosts.test", plain_text(policy(mx=("*.hosts.test",)))),
    "testing.test": ("misnamed.hosts.test", plain_text(policy("testing", mx=("*.hosts.test",)))),
    "testgood.test": ("mx.hosts.test", plain_text(policy("testing"))),
    "testplain.test": ("plain.hosts.test", plain_text(policy("testing", mx=("*.hosts.test",)))),
    "none.test": ("own.hosts.test", plain_text(policy("none", mx=()))),
    "norecord.test": ("own.hosts.test", plain_text(policy()), []),
    "tworecords.test": ("own.hosts.test", plain_text(policy()), ["v=STSv1; id=1;", "v=STSv1; id=2;"]),
    "badrecord.test": ("own.hosts.test", plain_text(policy()), ["v=STSv1; id=not-one!"]),
    "spf.test": ("mx.hosts.test", plain_text(policy()), ["v=spf1 -all", "v=STSv1;id=7"]),
    "badcert.test": ("own.hosts.test", plain_text(policy())),
    "large.test": ("own.hosts.test", plain_text(policy() + "x: " + "y" * 65536)),
    "html.test": ("own.hosts.test", ("200 OK", "text/html", policy())),
    "gone.test": ("own.hosts.test", ("404 Not Found", "text/plain", policy())),
    "redirect.test": ("own.hosts.test", ("301 Moved", "text/plain", policy(), f"Location: https://mta-sts.enforce.test:{web.port}/.well-known/mta-sts.txt")),
    "invalid.test": ("own.hosts.test", plain_text(policy().replace("mode", "mood"))),
    "slow.test": ("own.hosts.test", plain_text(policy(), over.wait)),
    "away.test": ("own.hosts.test", None),
    "kept.test": ("own.hosts.test", plain_text(policy())),
    "renewed.test": ("own.hosts.test", plain_text(policy(mx=("*.hosts.test",)))),
}
table = {h: {"A": [f"127.0.0.{a}"]} for h, a in HOSTS.items()}
table["test"] = {}
for name, (host, answer, *txt) in DOMAINS.items():
    table[name] = {"MX": [(10, host)]}
    table[f"_mta-sts.{name}"] = {"TXT": txt[0] if txt else ["v=STSv1; id=20260101;"]}
    table[f"mta-sts.{name}"] = {"A": ["127.0.0.1"] if answer else ["127.0.0.9"]}
    if answer:
        web.say[name] = answer
dns = Dns(table)
with open(f"{DIR}/tiermail.conf", "w") as f:
    f.write(f"hostname = relay.test\nrundir = {DIR}\nqueue = {QUEUE}\nstore = {DIR}/s\nuser =\ngroup =\n")
with open(f"{DIR}/channels.conf", "w") as f:
    f.write(f"[channel tcp_local]\nport = {good.port}\nbackoff = 1s\n")
with open(f"{DIR}/channel-master.conf", "w") as f:
    f.write(f"[dns]\nstubs = test=127.0.0.1@{dns.port}\ntimeout = 3s\nloopback = yes\n[session]\nidle = 0s\n"
            f"[tls]\nsts_port = {web.port}\npublic_ca = {DIR}/ca.pem\nsts_timeout = 2s\n")
jobctl = Jobctl(f"{DIR}/jobctl.sock")
submit = Mail(f"{DIR}/submit.sock")
masters = []


def start():
    log = open(f"{DIR}/log", "ab")
    tm.watch_log(f"{DIR}/log")
    p = subprocess.Popen([f"{tm.BINDIR}/channel-master", "-d", "-c", f"{DIR}/channel-master.conf", "tcp_local"], stdout=log, stderr=log)
    masters.append(p)
    jobctl.accept()
    return p


@atexit.register
def stop_all():
    for p in masters:
        if p.poll() is None:
            p.kill()


def restart():
    """A process that remembers nothing: what is known then is on the disk."""
    masters[-1].send_signal(signal.SIGHUP)
    masters[-1].wait(tm.LONG)
    start()


def events(ev, what):
    with open(f"{DIR}/log", errors="replace") as f:
        return [line for line in f if f" ev={ev} " in line and what in line]


def send(domain):
    out = subprocess.run([QPUT, "-c", "tcp_local", "-d", domain, "-f", "s@y.test", QUEUE, f"a@{domain}"], input=MSG, capture_output=True, check=True)
    jobctl.work(out.stdout.decode().split()[1], domain, backoff=1)
    return jobctl.result()[0]


def has(host, domain):
    return any(f"a@{domain}" in m[1] for m in host.mails)


def arrives(domain, host, word, what, result="none", tls=True):
    before = host.secured
    tm.is_((send(domain), has(host, domain), host.secured - before), ("done", True, int(tls)), f"{what}: arrives, {'with' if tls else 'without'} TLS")
    tm.ok(any(f" policy={word} tls={'TLSv1' if tls else 'no'}" in e and f" result={result}" in e for e in events("connect", f'dest="{domain}:')),
          f"{what}: policy {word}, {result}") or tm.diag("".join(events("connect", f'dest="{domain}:')))


def waits(domain, result, what):
    def had():
        return sum(f"a@{domain}" in m[1] for h in (good, own, plain, subject) for m in h.mails)
    before = had()
    tm.is_((send(domain), had()), ("retry", before), f"{what}: it waits, and nobody has it")
    tm.ok(any(f" result={result} " in e for e in events("connect", f'dest="{domain}:')), f"{what}: {result}") or tm.diag("".join(events("connect", f'dest="{domain}:')))


def fetched(domain, result, what):
    tm.ok(any(f" result={result} " in e for e in events("sts", f"domain={domain} ")), f"{what}: {result}") or tm.diag("".join(events("sts", domain)))


start()
arrives("enforce.test", good, "sts", "a policy that the host keeps")
tm.is_(web.asked, [("enforce.test", ["GET", "/.well-known/mta-sts.txt"])], "it was asked for where it is to be")
arrives("lf.test", good, "sts", "lines that end with LF, a name in other case")
arrives("wild.test", good, "sts", "a pattern")
counts = jobctl.counts
tm.is_({k: counts.get(k) for k in ("policy_sts", "policy_local", "sessions_tls13", "sessions_failed", "tls_failed")},
       {"policy_sts": 3, "policy_local": None, "sessions_tls13": 3, "sessions_failed": None, "tls_failed": None}, "which is counted")
tm.ok(counts["delivered"] >= 2 and counts["dns"] >= 12 and counts["dns_us"] > 0, "and so are recipients and questions to the DNS") or tm.diag(str(counts))
waits("deep.test", "validation-failure", "a pattern stands for one label")
waits("unlisted.test", "validation-failure", "a host that the policy does not list")
waits("misnamed.test", "certificate-host-mismatch", "a certificate of another name")
waits("untrusted.test", "certificate-not-trusted", "one of nobody's")
waits("subject.test", "certificate-host-mismatch", "one whose subject alone has the name")
waits("notls.test", "starttls-not-supported", "a host without STARTTLS")
tm.ok(not any(c.startswith(("MAIL", "RCPT")) for c in plain.commands), "and no address was said in plain text")
before = dict(counts)
tm.ok(before["tls_failed"] == before["sessions_failed"] == before["deferred"] == before["reason_policy"] == 6, "sessions that failed for TLS are counted, with who waits for it") or tm.diag(str(before))
arrives("testing.test", good, "sts-testing", "testing, a certificate of another name", "certificate-host-mismatch")
arrives("testgood.test", good, "sts-testing", "testing, all is well")
arrives("testplain.test", plain, "sts-testing", "testing, without STARTTLS", "starttls-not-supported", tls=False)
arrives("spf.test", good, "sts", "a record among others")
for domain, what in (("none.test", "mode none"), ("norecord.test", "no record"), ("tworecords.test", "two records"), ("badrecord.test", "a record without a good id")):
    arrives(domain, own, "may", what)
asked = {host for host, _ in web.asked}
tm.is_({"none.test", "norecord.test", "tworecords.test", "badrecord.test"} & asked, {"none.test"}, "without one good record nothing is fetched")
for domain, result, what in (("badcert.test", "sts-webpki-invalid", "a web server with a certificate of another name"),
                             ("large.test", "sts-policy-fetch-error", "a policy above 64 KiB"),
                             ("html.test", "sts-policy-fetch-error", "one that is no text/plain"),
                             ("gone.test", "sts-policy-fetch-error", "one that is not there"),
                             ("redirect.test", "sts-policy-fetch-error", "one that is elsewhere"),
                             ("invalid.test", "sts-policy-invalid", "one that is none"),
                             ("slow.test", "sts-policy-fetch-error", "a web server that does not go on"),
                             ("away.test", "sts-policy-fetch-error", "a web server that is not there")):
    arrives(domain, own, "may", what)
    fetched(domain, result, what)
n = len(web.asked)
arrives("gone.test", own, "may", "asked again within five minutes")
tm.is_(len(web.asked), n, "it is not fetched again")

# ---- what was known holds
waits("kept.test", "validation-failure", "a policy is kept")
restart()
n = len(web.asked)
waits("kept.test", "validation-failure", "by another process")
tm.is_(len(web.asked), n, "which does not fetch it again")
web.say["kept.test"] = ("404 Not Found", "text/plain", "")
table["_mta-sts.kept.test"]["TXT"] = ["v=STSv1; id=20260202;"]
restart()
waits("kept.test", "validation-failure", "when there is a newer one that cannot be fetched")
tm.is_(len(web.asked), n + 1, "which was tried")
table["_mta-sts.kept.test"]["TXT"] = []
restart()
waits("kept.test", "validation-failure", "when its record is gone")


def change(domain, pattern, to):
    path = f"{QUEUE}/.sts/{domain}"
    with open(path) as f:
        text = f.read()
    with open(path, "w") as f:
        f.write(re.sub(pattern, to, text, count=1))


change("kept.test", r"fetched=(\d+)", lambda m: f"fetched={int(m[1]) - 86401}")
arrives("kept.test", own, "may", "not when it is out of date")
web.say["renewed.test"] = plain_text(policy())
waits("renewed.test", "validation-failure", "a first policy")
web.say["renewed.test"] = plain_text(policy("none", mx=()))
restart()
waits("renewed.test", "validation-failure", "the same id: the same policy")
change("renewed.test", r"fetched=(\d+)", lambda m: f"fetched={int(m[1]) - 50000}")
n = len(web.asked)
waits("renewed.test", "validation-failure", "half its time is over: it still holds")
tm.ok(tm.wait_for(lambda: len(events("sts", "domain=renewed.test ")) == 2), "and is fetched meanwhile")
arrives("renewed.test", own, "may", "the new one holds from then on")
web.say["renewed.test"] = plain_text(policy())
table["_mta-sts.renewed.test"]["TXT"] = ["v=STSv1; id=20260303;"]
restart()
waits("renewed.test", "validation-failure", "another id: another policy at once")
with open(f"{QUEUE}/.sts/renewed.test", "w") as f:
    f.write("tiermail-sts 1 id=20260303 fetched=99 failed=\nversion: ST")
waits("renewed.test", "validation-failure", "a broken file is none, and it is fetched anew")
tm.done()
