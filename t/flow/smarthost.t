#!/usr/bin/env python3
"""A login at the smart host (RFC 4954): the right password, a wrong one, hosts that want another way or none, and that nobody
is told the password whose name was not proven.  The smart host is a real Postfix that asks Dovecot's SASL, beside servers
that do as they are told."""
import base64, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import nexthop, tm, zones
from mta import Mail

if not zones.here() or not nexthop.here() or not os.path.exists("/usr/sbin/dovecot"):
    tm.skip_all("nsd, ldnsutils, openssl, Dovecot or a Postfix that can be run are not here")
USER, PASSWORD, LONG = "tier", "pass word", "l" * 400
certs = zones.Certificates()
certs.own("own")
certs.make("good", "good.plain.test", "smart.plain.test")


def b64(text):
    return base64.b64encode(text.encode()).decode()


def secret(name, text):
    with open(f"{certs.dir}/{name}.secret", "w") as f:
        f.write(text + "\n")
    os.chmod(f.name, 0o644)
    return f"file:{f.name}"


# ---- Dovecot for Postfix
dove = tm.tempdir()
os.chmod(dove, 0o755)
sink = nexthop.Sink()
postfix = nexthop.Postfix("good.plain.test", sink, "", f"smtpd_tls_cert_file = {certs.dir}/good.pem\nsmtpd_tls_key_file = {certs.dir}/good.key\nsmtpd_tls_security_level = may\n"
                          f"smtpd_tls_auth_only = yes\nsmtp_tls_security_level = none\nmynetworks =\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject\n"
                          f"smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = unix:{dove}/auth\n")
tm.is_(postfix.started.returncode, 0, "Postfix runs") or tm.diag(postfix.started.stderr)
with open(f"{dove}/users", "w") as f:
    f.write(f"{USER}:{{PLAIN}}{PASSWORD}\n")
os.chmod(f"{dove}/users", 0o644)
with open(f"{dove}/dovecot.conf", "w") as f:
    f.write(f"base_dir = {dove}/run\nstate_dir = {dove}/state\nlog_path = {dove}/log\nprotocols =\nssl = no\nauth_mechanisms = plain login\nauth_failure_delay = 0\n"
            f"passdb {{\n driver = passwd-file\n args = {dove}/users\n}}\n"
            f"service auth {{\n unix_listener {dove}/auth {{\n  mode = 0666\n }}\n}}\nservice stats {{\n}}\n")
dovecot = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", f"{dove}/dovecot.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

# ---- and servers that do as they are told
good = certs.server("good")
TLS = ("PIPELINING", "8BITMIME", "STARTTLS")


def server(host, auth, say=None, tls=good):
    return Mail((host, 0), offers=(*TLS, auth) if auth else TLS, say=say or {}, tls=tls)


hosts = {
    "login": server("127.0.0.4", "AUTH LOGIN CRAM-MD5", {"AUTH": "334 VXNlcm5hbWU6", b64(USER): "334 UGFzc3dvcmQ6", b64(PASSWORD): "235 2.7.0 in"}),
    "long": server("127.0.0.4", "AUTH LOGIN PLAIN", {"AUTH": "334 ", b64(f"\0{USER}\0{LONG}"): "235 2.7.0 in"}),
    "weak": server("127.0.0.4", "AUTH PLAIN", {"AUTH": "534 5.7.9 too weak"}),
    "away": server("127.0.0.4", "AUTH PLAIN", {"AUTH": "454 4.7.0 no database"}),
    "more": server("127.0.0.4", "AUTH PLAIN", {"AUTH": "334 more", "*": "501 5.7.0 given up"}),
    "none": server("127.0.0.4", None),
    "stranger": server("127.0.0.4", "AUTH PLAIN LOGIN", tls=certs.server("own")),
    "wants": server("127.0.0.4", None, {"MAIL": "530 5.7.0 Authentication required"}),
}
z = zones.Zones({"plain.test": "good A 127.0.0.1\nsmart A 127.0.0.4\n"}, signed=[])


def channel(name, relay, *keys):
    args = []
    for key in ("protocol=smtp", f"relay={relay}", "tls=must", *keys):
        args += ["--set", f"channels.channel tcp_{name}.{key}"]
    return [*args, "--set", f"channels.route {name}.test.channel=tcp_{name}"]


def login(name, relay, password=PASSWORD):
    return channel(name, relay, f"auth_user={USER}", f"auth_password={secret(name, password)}")


def sandbox(*more):
    return tm.Sandbox("--users", "1", "--set", f"channel-master.dns.stubs={z.stubs}", "--set", "channel-master.dns.timeout=5s",
                      "--set", f"tiermail.tls.ca={certs.ca}", "--set", "tiermail.log_trace=smtp", "--set", "smtp-relay.relay.networks=127.0.0.0/8", *more)


def send(sb, to):
    s = sb.smtp()
    s.sendmail("s@x.test", [to], f"From: s@x.test\r\nTo: {to}\r\nSubject: s\r\n\r\nx\r\n")
    s.quit()


def log(sb):
    with open(f"{sb.env['RUNDIR']}/jobctl.log", errors="replace") as f:
        return f.read()


def waits(sb, name, words):
    to = f"a@{name}.test"
    send(sb, to)
    tm.ok(tm.wait_for(lambda: any(" ev=deliver " in line and to in line and " state=deferred " in line and words in line for line in log(sb).splitlines())), f"{name}: it waits: {words}") or \
        tm.diag([line for line in log(sb).splitlines() if to in line])


try:
    tm.wait_for(lambda: os.path.exists(f"{dove}/auth"), what="dovecot")
    real = f"good.plain.test:{postfix.port}"
    args = login("right", real) + login("wrong", real, "other-password")
    for name, host in hosts.items():
        args += (channel if name == "wants" else login)(name, f"smart.plain.test:{host.port}", *([LONG] if name == "long" else []))
    args += channel("unread", real, f"auth_user={USER}", f"auth_password={secret('unread', PASSWORD)}")
    sb = sandbox(*args)
    os.unlink(f"{certs.dir}/unread.secret")

    # ---- what works
    for n in range(2):
        send(sb, f"a{n}@right.test")
        tm.ok(tm.wait_for(lambda: any(f"<a{n}@right.test>".encode() in e for got, _ in sink.got for e in got)), f"Postfix takes mail {n} of who has logged in") or tm.diag(log(sb)[-3000:])
    with open(f"{postfix.dir}/log") as f:
        said = f.read()
    tm.ok(f"sasl_username={USER}" in said, "and knows who that is")
    for name, want in (("login", ["AUTH LOGIN", b64(USER), b64(PASSWORD)]), ("long", ["AUTH PLAIN", b64(f"\0{USER}\0{LONG}")])):
        for n in range(2):
            send(sb, f"a{n}@{name}.test")
            tm.ok(tm.wait_for(lambda: len(hosts[name].mails) == n + 1), f"{name}: mail {n} arrives")
        got = hosts[name].commands
        at = next(i for i, c in enumerate(got) if c.startswith("AUTH"))
        tm.is_(got[at:at + len(want)], want, f"{name}: a challenge at a time")
        tm.is_((hosts[name].connections, sum(c.startswith("AUTH") for c in got)), (1, 1), f"{name}: one connection, one login for both")

    # ---- what waits
    waits(sb, "wrong", "the login is refused")
    waits(sb, "weak", "another way to log in is wanted: too weak")
    waits(sb, "away", "no database")
    waits(sb, "more", "another way to log in is wanted")
    tm.ok("*" in hosts["more"].commands, "more: given up in the words of RFC 4954")
    waits(sb, "none", "neither AUTH PLAIN nor AUTH LOGIN is offered")
    waits(sb, "stranger", "TLS handshake")
    tm.ok(not any(c.startswith("AUTH") for c in hosts["stranger"].commands), "stranger: and has heard nothing of a login")
    waits(sb, "wants", "Authentication required")
    waits(sb, "unread", "cannot be read")
    # ---- the log
    text = log(sb)
    errors = [line for line in text.splitlines() if " ev=relay_login " in line]
    tm.ok(any("channel=tcp_wrong " in line for line in errors), "a refused login is an error") or tm.diag(errors)
    tm.ok(not any("channel=tcp_away " in line for line in errors), "one that is put off is none of ours")
    send(sb, "b@wrong.test")
    tm.ok(tm.wait_for(lambda: any(" ev=deliver " in line and "b@wrong.test" in line for line in log(sb).splitlines())), "another message")
    tm.is_(sum(" ev=relay_login " in line and "channel=tcp_wrong " in line for line in log(sb).splitlines()), 1, "is said once a minute")
    tm.ok("AUTH (hidden)" in log(sb), "the trace shows a login")
    for s in (PASSWORD, LONG, b64(PASSWORD), b64(f"\0{USER}\0{PASSWORD}"), b64(f"\0{USER}\0{LONG}")[:100], b64(f"\0{USER}\0other-password")):
        tm.ok(s not in log(sb), "and not what is secret")
    # ---- -n
    r = sb.tool("channel-master", "-n", "tcp_right")
    tm.ok("auth_user = \"tier\"" in r.stdout and "auth_password = (secret)" in r.stdout and PASSWORD not in r.stdout, "-n hides the password") or tm.diag(r.stdout[-500:], r.stderr)
    r = sb.tool("channel-master", "-n")
    tm.ok(r.returncode and "[channel tcp_unread] auth_password: cannot read" in r.stderr, "-n tells what cannot be read") or tm.diag(r.stderr)
    sb.close()

    # ---- nobody is verified
    before = len(hosts["login"].commands)
    sb = sandbox("--set", "channel-master.tls.verify=no", *login("login", f"smart.plain.test:{hosts['login'].port}"))
    waits(sb, "login", "TLS to smart.plain.test is not verified, and a login needs that")
    tm.is_(hosts["login"].commands[before:], [], "and nobody was asked")
finally:
    z.stop()
    postfix.stop()
    tm.end([dovecot])
tm.done()
