#!/usr/bin/env python3
"""Reports of TLS (RFC 8460): what becomes of sessions by DANE, by MTA-STS and without a policy is written down, whoever is
killed meanwhile; when the day is over each domain that asks for it is told once, by mail or by HTTPS.  What it is
told is read by Python's email, gzip and json."""
import contextlib, datetime, email, email.policy, glob, gzip, hashlib, json, os, re, shutil, signal, subprocess, sys, threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm, zones
from mta import Mail

if not zones.here():
    tm.skip_all("nsd, ldnsutils or openssl are not installed")
certs = zones.Certificates()
certs.own("own")
certs.make("good", "good.plain.test", "good.signed.test")
certs.make("web", "mta-sts.sts.plain.test", "mta-sts.testing.plain.test", "mta-sts.badsts.plain.test", "web.plain.test")
STARTTLS = ("PIPELINING", "8BITMIME", "SIZE 0", "STARTTLS")
while True:     # one port, three addresses
    own = Mail(("127.0.0.1", 0), offers=STARTTLS, tls=certs.server("own"))
    try:
        good = Mail(("127.0.0.2", own.port), offers=STARTTLS, tls=certs.server("good"))
        plain = Mail(("127.0.0.3", own.port))
        break
    except OSError:
        own.close()
web = zones.Web(certs.server("web"))
POLICY = "version: STSv1\r\nmode: {}\r\nmx: *.plain.test\r\nmax_age: 86400\r\n"
for domain, mode in (("sts", "enforce"), ("testing", "testing")):
    web.say[f"mta-sts.{domain}.plain.test", "/.well-known/mta-sts.txt"] = ("200 OK", "text/plain", POLICY.format(mode))
web.say["mta-sts.badsts.plain.test", "/.well-known/mta-sts.txt"] = ("200 OK", "text/plain", "version: none")
KEY = hashlib.sha256(certs.spki("own")).hexdigest()
HOSTS = "own A 127.0.0.1\ngood A 127.0.0.2\nplain A 127.0.0.3\n"
RUA = "mailto:user0001@example.test"


def asks(name, rua):
    return f'_smtp._tls.{name} TXT "v=TLSRPTv1; rua={rua}"\n'


z = zones.Zones({
    "signed.test": HOSTS + f"wrong A 127.0.0.2\n_{own.port}._tcp.own TLSA 3 1 1 {KEY}\n_{own.port}._tcp.wrong TLSA 3 1 1 {'ab' * 32}\n"
                           f"dane MX 10 wrong\ndane MX 20 own\n" + asks("dane", RUA),
    "plain.test": HOSTS + "web A 127.0.0.1\nmta-sts.sts A 127.0.0.1\nmta-sts.testing A 127.0.0.1\nmta-sts.badsts A 127.0.0.1\n"
                          "sts MX 10 own\nsts MX 20 good\ntesting MX 10 own\nbadsts MX 10 own\nopen MX 10 own\nbare MX 10 plain\nnobody MX 10 own\ntwice MX 10 own\n"
                          '_mta-sts.sts TXT "v=STSv1; id=1"\n_mta-sts.testing TXT "v=STSv1; id=1"\n_mta-sts.badsts TXT "v=STSv1; id=1"\n'
                          + asks("sts", f"https://web.plain.test:{web.port}/sts") + asks("testing", RUA) + asks("badsts", RUA)
                          + asks("open", f"https://web.plain.test:{web.port}/gone,ftp://x/,{RUA}") + asks("bare", RUA) + asks("twice", RUA) + asks("twice", "mailto:x@plain.test")},
    signed=["signed.test"])

try:
    sb = tm.Sandbox("--users", "2",
                    "--set", f"channel-master.dns.stubs={z.stubs}", "--set", f"channel-master.dns.trust_anchor={z.anchor}", "--set", "channel-master.dns.timeout=5s",
                    "--set", "channel-master.dns.loopback=yes", "--set", f"channels.channel tcp_local.port={own.port}", "--set", "channels.channel tcp_local.backoff=1h",
                    "--set", f"channel-master.tls.public_ca={certs.ca}", "--set", f"channel-master.tls.sts_port={web.port}", "--set", "channel-master.session.idle=0s",
                    "--set", "tiermail.tlsrpt.organisation=An Organisation", "--set", "tiermail.tlsrpt.contact=tls@example.test", "--set", "tiermail.tlsrpt.delay=0s",
                    "--set", "smtp-relay.relay.networks=127.0.0.0/8")
    folder = f"{sb.env['QUEUE']}/.tlsrpt"
    tm.is_(sb.domain, "example.test", "the domain that reports go to")

    def show(*args):
        return sb.tool("jobctl-ctl", "tlsrpt", "show", *args)

    def counts():
        return {m[1]: (int(m[2]), int(m[3])) for m in re.finditer(r"(?m)^domain=(\S+) good=(\d+) failed=(\d+)$", show().stdout)}

    def log(event):
        text = ""
        for path in glob.glob(f"{sb.env['RUNDIR']}/*.log"):
            with open(path, errors="replace") as f:
                text += f.read()
        return [line for line in text.splitlines() if f" ev={event} " in line]

    def mail(domain, host):
        to, before = f"a@{domain}", len(host.mails)
        sb.send([to], sender=f"{sb.user(2)}@{sb.domain}")
        tm.ok(tm.wait_for(lambda: any(to in m[1] for m in host.mails[before:])), f"mail to {domain}")

    tm.is_((show().returncode, "nothing was written down" in show().stderr), (66, True), "nothing yet")
    mail("dane.signed.test", own)               # its first host is not what its record says
    mail("sts.plain.test", good)                # its first host is not who it says
    mail("testing.plain.test", own)
    mail("badsts.plain.test", own)
    mail("open.plain.test", own)
    mail("bare.plain.test", plain)
    mail("nobody.plain.test", own)
    mail("twice.plain.test", own)
    want = {"dane.signed.test": (1, 1), "sts.plain.test": (1, 1), "testing.plain.test": (0, 1), "badsts.plain.test": (1, 1), "open.plain.test": (1, 0), "bare.plain.test": (0, 1),
            "nobody.plain.test": (1, 0), "twice.plain.test": (1, 0)}
    tm.is_(counts(), want, "each session is counted")
    # ---- killed, torn
    for pid in sb.pids_of("channel-master"):
        os.kill(pid, signal.SIGKILL)
    tm.ok(tm.wait_for(lambda: not sb.pids_of("channel-master")), "all masters are killed")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    with open(f"{folder}/{today}", "a") as f:
        f.write("try domain=open.plain.test type=no-policy-fo")
    mail("open.plain.test", own)
    mail("dane.signed.test", own)
    want |= {"open.plain.test": (2, 0), "dane.signed.test": (2, 2)}
    tm.is_(counts(), want, "others go on, behind a line that is torn")
    one = json.loads(show(str(today), "open.plain.test").stdout)
    tm.is_((one["organization-name"], one["policies"][0]["summary"]), ("An Organisation", {"total-successful-session-count": 2, "total-failure-session-count": 0}), "one domain's is shown")
    r = sb.tool("jobctl-ctl", "tlsrpt", "send", str(today))
    tm.is_((r.returncode, "is not over" in r.stderr), (64, True), "a day that is not over is not sent") or tm.diag(r.stderr)
    tm.is_(sb.tool("jobctl-ctl", "tlsrpt", "send", "2026-02-30").returncode, 64, "nor one that is none")

    # ---- the day is over
    day = today - datetime.timedelta(days=1)
    os.rename(f"{folder}/{today}", f"{folder}/{day}")
    with open(f"{folder}/{day - datetime.timedelta(days=9)}", "w") as f:
        f.write("old\n")
    hangs, goes_on = threading.Event(), threading.Event()

    def slow(body):
        hangs.set()
        goes_on.wait(tm.LONG)
        return ("201 Created", "text/plain", "thanks")
    web.say["web.plain.test", "/sts"] = slow
    tm.ok(sb.restart("jobctl"), "jobctl is started again")
    tm.ok(hangs.wait(tm.LONG), "and starts who sends them: a server of the web has it and does not answer")
    tm.ok(tm.wait_for(lambda: sb.count(1) == 5), "meanwhile the others have theirs by mail")
    sent = f"{folder}/{day}.sent"
    tm.ok(tm.wait_for(lambda: open(sent).read().count("told ") == 7), "which is written down")
    reporter = [int(m) for m in re.findall(r" ev=reporter_start pid=(\d+)", "\n".join(log("reporter_start")))][-1]
    asked = len(web.asked)
    r = sb.tool("jobctl-ctl", "tlsrpt", "send")
    tm.is_((r.returncode, len(web.asked)), (0, asked), "another one leaves the day to who is at it")
    os.kill(reporter, signal.SIGKILL)
    tm.ok(tm.wait_for(lambda: not tm.lives(reporter)), "it is killed")
    goes_on.set()
    r = sb.tool("jobctl-ctl", "tlsrpt", "send")
    tm.is_(r.returncode, 0, "sent by hand") or tm.diag(r.stderr)
    with open(sent) as f:
        lines = f.read().split("\n")
    tm.ok("done" in lines, "all is done") or tm.diag(lines)
    posts = [a for a in web.asked if a[0] == "POST" and a[2] == "/sts"]
    tm.is_((len(posts), len({a[4] for a in posts}), posts[0][3]), (2, 1, "application/tlsrpt+gzip"), "whom it was killed at has it twice, to the byte")
    tm.is_([a[2] for a in web.asked if a[0] == "POST" and a[2] != "/sts"], ["/gone"], "a place that refuses is followed by the next one")
    asked = len(web.asked)
    sb.tool("jobctl-ctl", "tlsrpt", "send")
    tm.ok(sb.queue_empty(), "the queue is empty")
    tm.is_((sb.count(1), len(web.asked)), (5, asked), "nobody is told again")
    tm.ok(not os.path.exists(f"{folder}/{day - datetime.timedelta(days=9)}"), "what is old is gone")
    tm.ok(not os.path.exists(f"{folder}/{today}") or "example.test" not in open(f"{folder}/{today}").read(), "reports are not counted")

    # ---- where it cannot be written down
    shutil.copy(f"{folder}/{day}", f"{sb.dir}/day")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", folder], stderr=subprocess.DEVNULL).returncode == 0:
        try:
            os.chmod(folder, 0o777)
            shutil.copy(f"{sb.dir}/day", f"{folder}/{day}")
            with open(sent, "w"):
                os.chmod(sent, 0o666)
            with open(f"{folder}/full", "wb", buffering=0) as f, contextlib.suppress(OSError):
                while True:
                    f.write(bytes(4096))
            tm.is_((sb.tool("jobctl-ctl", "tlsrpt", "send").returncode, len(open(sent).read())), (0, 0), "a disk that is full")
            tm.ok(sb.queue_empty(), "the queue is empty")
            tm.is_((sb.count(1), len(web.asked)), (5, asked), "nobody is told, again and again, what cannot be written down")
        finally:
            subprocess.run(["umount", "-l", folder])
    else:
        tm.skip("a disk that is full", "cannot mount")

    # ---- what they say
    def read(raw):
        m = email.message_from_bytes(raw, policy=email.policy.default)
        text, report = m.get_payload()
        return m, text, report, json.loads(gzip.decompress(report.get_payload(decode=True)))
    got = {}
    for raw in sb.messages(1):
        m, text, report, j = read(raw)
        about = m["TLS-Report-Domain"]
        got[about] = j
        tm.is_((m.get_content_type(), m.get_param("report-type"), text.get_content_type(), report.get_content_type(), m["TLS-Report-Submitter"], m["TLS-Required"]),
               ("multipart/report", "tlsrpt", "text/plain", "application/tlsrpt+gzip", "example.test", "No"), f"{about}: the message")
        tm.is_(" ".join(m["Subject"].split()), f"Report Domain: {about} Submitter: example.test Report-ID: <{j['report-id']}>", f"{about}: its subject")
        tm.ok(j["report-id"].startswith(f"{day}.{about}."), f"{about}: an id that no other domain has") or tm.diag(j["report-id"])
        begins = int(datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc).timestamp())
        tm.is_((report.get_filename(), m["From"].addresses[0].addr_spec, m["Return-Path"]), (f"example.test!{about}!{begins}!{begins + 86399}.json.gz", "tls@example.test", "<tls@example.test>"), f"{about}: its file, and whose it is")
    got["sts.plain.test"] = json.loads(gzip.decompress(posts[0][4]))
    tm.is_(sorted(got), [f"{n}.test" for n in ("badsts.plain", "bare.plain", "dane.signed", "open.plain", "sts.plain", "testing.plain")], "who asks is told, but not who asks twice")
    for about, j in got.items():
        tm.is_((j["organization-name"], j["contact-info"], j["date-range"]), ("An Organisation", "tls@example.test", {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}), f"{about}: the head")

    def policy(about, kind):
        found = [p for p in got[about]["policies"] if p["policy"]["policy-type"] == kind]
        return found[0] if found else {}

    def summary(good, bad):
        return {"total-successful-session-count": good, "total-failure-session-count": bad}
    tm.is_(policy("open.plain.test", "no-policy-found"), {"policy": {"policy-type": "no-policy-found", "policy-domain": "open.plain.test"}, "summary": summary(2, 0)}, "no policy, and TLS")
    tm.is_(policy("bare.plain.test", "no-policy-found"), {"policy": {"policy-type": "no-policy-found", "policy-domain": "bare.plain.test"}, "summary": summary(0, 1), "failure-details": [
        {"result-type": "starttls-not-supported", "sending-mta-ip": "127.0.0.1", "receiving-mx-hostname": "plain.plain.test", "receiving-ip": "127.0.0.3", "failed-session-count": 1}]}, "no TLS")
    enforced = {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: enforce", "mx: *.plain.test", "max_age: 86400"], "policy-domain": "sts.plain.test", "mx-host": ["*.plain.test"]}
    p = policy("sts.plain.test", "sts")
    tm.is_((p["policy"], p["summary"]), (enforced, summary(1, 1)), "MTA-STS")
    f = p["failure-details"][0]
    tm.is_((f["result-type"], f["receiving-mx-hostname"], f["receiving-ip"], f["failed-session-count"], bool(f["failure-reason-code"])), ("certificate-not-trusted", "own.plain.test", "127.0.0.1", 1, True), "the host that is not trusted")
    p = policy("testing.plain.test", "sts")
    tm.is_((p["summary"], p["policy"]["policy-string"][1], [f["result-type"] for f in p["failure-details"]]), (summary(0, 1), "mode: testing", ["certificate-not-trusted"]), "a policy that is tested")
    p = policy("badsts.plain.test", "sts")
    tm.is_((p["policy"], p["summary"], [f["result-type"] for f in p["failure-details"]]), ({"policy-type": "sts", "policy-string": [], "policy-domain": "badsts.plain.test"}, summary(0, 1), ["sts-policy-invalid"]), "a policy that is none")
    tm.is_(policy("badsts.plain.test", "no-policy-found")["summary"], summary(1, 0), "beside it the session without one")
    tlsa = {p["policy"]["policy-domain"]: p for p in got["dane.signed.test"]["policies"]}
    tm.is_((tlsa["own.signed.test"]["policy"], tlsa["own.signed.test"]["summary"]), ({"policy-type": "tlsa", "policy-string": [f"3 1 1 {KEY}"], "policy-domain": "own.signed.test"}, summary(2, 0)), "DANE, by host")
    tm.is_((tlsa["wrong.signed.test"]["summary"], [(f["result-type"], f["receiving-ip"], f["failed-session-count"]) for f in tlsa["wrong.signed.test"]["failure-details"]]), (summary(0, 2), [("validation-failure", "127.0.0.2", 2)]), "a host that is not what its record says")
finally:
    z.stop()
tm.done()
