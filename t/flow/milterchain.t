#!/usr/bin/env python3
"""opendkim, opendmarc and clamav-milter of Debian in a chain, asked by smtp-relay and by Postfix: the same messages come
out with the same octets, each filter reads what the one before has written, and a virus (by a signature of this test's own)
is refused by both in the same words."""
import os, re, shutil, smtplib, socket, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import nexthop
import tm

if not nexthop.here():
    tm.skip_all("needs root and Postfix")
lacking = [p for p in ("opendkim", "opendmarc", "clamd", "clamav-milter", "openssl") if not shutil.which(p) and not os.path.exists(f"/usr/sbin/{p}")]
if lacking:
    tm.skip_all("there is no " + " ".join(lacking))
VIRUS = "tiermail-test-virus-7f3a9c"
top = tm.tempdir()
os.chmod(top, 0o755)
running = []


def put(name, text, mode=0o644):
    with open(f"{top}/{name}", "w") as f:
        f.write(text)
    os.chmod(f"{top}/{name}", mode)
    return f"{top}/{name}"


def start(name, *argv, **env):
    log = open(f"{top}/{name}.log", "w")
    running.append(subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **env}))
    return running[-1]


def listens(where):
    try:
        if isinstance(where, int):
            socket.create_connection(("127.0.0.1", where)).close()
        else:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(where)
        return True
    except OSError:
        return False


def fields(message, name):
    head = message[1].decode("latin1").replace("\r\n\t", " ").replace("\r\n ", " ").split("\r\n")
    return [re.sub(r"\s+", " ", l.partition(":")[2]).strip() for l in head if l.lower().startswith(name.lower() + ":")]


sign, check, dmarc, clam = (tm.free_port() for _ in range(4))
try:
    # ---- the filters: one more opendkim makes what comes signed
    subprocess.run(["openssl", "genrsa", "-out", f"{top}/key", "2048"], capture_output=True, check=True)
    os.chmod(f"{top}/key", 0o600)
    public = "".join(subprocess.run(["openssl", "rsa", "-in", f"{top}/key", "-pubout"], capture_output=True, text=True, check=True).stdout.split("\n")[1:-2])
    put("keys", f"s._domainkey.else.test v=DKIM1; k=rsa; p={public}\n")
    dkim = f"Syslog no\nBackground no\nTemporaryDirectory {top}\nRequireSafeKeys no\nAuthservID relay.test\n"
    start("sign", "opendkim", "-f", "-x", put("sign.conf", dkim + f"Mode s\nDomain else.test\nSelector s\nKeyFile {top}/key\nSocket inet:{sign}@127.0.0.1\nInternalHosts 127.0.0.1\n"))
    start("check", "opendkim", "-f", "-x", put("check.conf", dkim + f"Mode v\nSocket inet:{check}@127.0.0.1\nTestPublicKeys {top}/keys\nAlwaysAddARHeader yes\nInternalHosts {put('nobody', '192.0.2.1')}\n"))
    start("dmarc", "opendmarc", "-f", "-c", put("dmarc.conf", f"Socket inet:{dmarc}@127.0.0.1\nAuthservID relay.test\nTrustedAuthservIDs relay.test\nSyslog no\nIgnoreHosts {top}/nobody\n"
                                                f"RejectFailures no\nPidFile {top}/dmarc.pid\nFailureReports no\nPublicSuffixList {put('psl', 'test' + chr(10))}\n"), RES_OPTIONS="timeout:1 attempts:1")
    os.mkdir(f"{top}/db")
    put("db/own.ndb", f"Tiermail.Own:0:*:{VIRUS.encode().hex()}\n")
    start("clamd", "clamd", "-F", "-c", put("clamd.conf", f"DatabaseDirectory {top}/db\nLocalSocket {top}/clamd.sock\nForeground yes\nTemporaryDirectory {top}\nExitOnOOM yes\nLogFile {top}/clamd.txt\n"))
    tm.ok(tm.wait_for(lambda: listens(f"{top}/clamd.sock"), what="clamd"), "clamd has a signature of ours")
    start("clam", "clamav-milter", "-c", put("clam.conf", f"MilterSocket inet:{clam}@127.0.0.1\nClamdSocket unix:{top}/clamd.sock\nForeground yes\nOnInfected Reject\nRejectMsg found %v\n"
                                             f"AddHeader Replace\nTemporaryDirectory {top}\nReportHostname relay.test\n"))
    tm.ok(tm.wait_for(lambda: all(map(listens, (sign, check, dmarc, clam))), what="filters"), "and all filters listen")

    # ---- who asks them
    sink = nexthop.Sink()
    sb = tm.Sandbox("--users", "1", "--without", "imapd", "--route", f"sink.test=smtp:127.0.0.1:{sink.port}", "--set", "smtp-relay.relay.domains=sink.test")
    conf = open(sb.conf("smtp-relay.conf")).read()
    host = re.search(r"(?m)^hostname *= *(\S+)", open(sb.conf("tiermail.conf")).read())[1]
    chain = (("check", check), ("dmarc", dmarc), ("clam", clam))

    def ask(*filters):
        with open(sb.conf("smtp-relay.conf"), "w") as f:
            f.write(conf + "".join(f"\n[milter {name}]\naddress = 127.0.0.1:{port}\n" for name, port in filters))
        sb.restart("smtp-relay")

    postfix = nexthop.Postfix(host, sink, ", ".join(f"inet:127.0.0.1:{port}" for _, port in chain))
    tm.is_(postfix.started.returncode, 0, "Postfix starts")

    def send(port, message, sender="a@else.test"):
        """What comes out; or (code, text) of the refusal."""
        n = len(sink.got)
        with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=tm.LONG) as s:
            s.ehlo()
            s.mail(sender)
            s.rcpt("b@sink.test")
            r = s.data(message)
        if r[0] != 250:
            return r[0], r[1].decode()
        tm.wait_for(lambda: len(sink.got) > n, what="the message at the next host")
        return sink.last()

    HEAD = "From: <a@else.test>\r\nTo: <b@sink.test>\r\nSubject: one\r\n two\r\nX-A:  1\r\nDate: Sat, 1 Jan 2000 00:00:00 +0000\r\nMessage-ID: <1@else.test>\r\n"
    ask(("sign", sign))
    signed = send(sb.port("SMTP"), HEAD + "\r\nhello\r\n")
    message = signed[1].decode("latin1").replace("Received\r\n", "") + "\r\n" + signed[2].decode()
    tm.ok("DKIM-Signature" in message, "opendkim signs") or tm.diag(message)
    ask(*chain)

    def same(what, message, **kw):
        ours, theirs = send(sb.port("SMTP"), message, **kw), send(postfix.port, message, **kw)
        tm.is_(ours, theirs, f"{what}: the same comes out of both")
        return ours

    got = same("signed", message)
    results = " ".join(fields(got, "Authentication-Results"))
    tm.ok("dkim=pass" in results and "dmarc=" in results, "opendkim finds the signature good, opendmarc has read that") or tm.diag(got[1].decode("latin1"))
    tm.ok(any("clamav-milter" in f for f in fields(got, "X-Virus-Scanned")) and fields(got, "X-Virus-Status") == ["Clean"], "clamav-milter has looked") or tm.diag(got[1].decode("latin1"))
    got = same("changed on the way", message.replace("hello", "hullo"))
    tm.ok("dkim=fail" in " ".join(fields(got, "Authentication-Results")), "a signature that does not hold")
    same("unsigned", HEAD + "\r\nhello\r\n")
    same("a field that the filters write, brought along", "X-Virus-Scanned: by me\r\n" + HEAD + "\r\nhello\r\n")
    same("another domain's", HEAD.replace("<a@else.test>", "<c@other.test>") + "\r\n.x\r\n..y\r\n", sender="c@other.test")
    same("much of it", HEAD + "\r\n" + "0123456789abcdef\r\n" * 20000)
    same("8 bits", HEAD + "\r\n" + "caf\u00c3\u00a9\r\n".encode("latin1").decode("latin1").encode("ascii", "replace").decode() + "\r\n")
    got = same("a virus", HEAD + f"\r\nx {VIRUS} y\r\n")
    tm.ok(got[0] == 550 and "found Tiermail.Own" in got[1], "is refused, by its name") or tm.diag(got)
    got = same("a virus behind a good signature", message.replace("hello\r\n", f"hello\r\n{VIRUS}\r\n"))
    tm.is_(got[0], 550, "is one, too")
finally:
    if "postfix" in globals():
        postfix.stop()
    tm.end(running)
    if tm._failed:
        for name in ("sign", "check", "dmarc", "clamd", "clam"):
            if os.path.exists(f"{top}/{name}.log"):
                tm.diag(f"=== {name}\n" + open(f"{top}/{name}.log", errors="replace").read()[-1500:])
tm.done()
