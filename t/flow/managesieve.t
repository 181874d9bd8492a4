#!/usr/bin/env python3
"""People's scripts from a client to the next delivery: made active by sieved, behind the multiplexor too, and run by
lmtpd on the very next message, whatever it remembers of the entry; with the clients of Debian."""
import os, smtplib, subprocess, sys
import tm, wire
from sieveraw import Sieve

sb = tm.Sandbox("--users", "5", "--set", "tiermail.ldap.cache_age=1h", "--set", "lmtpd.workers=2", "--set", "sieved.auth.delay=20ms")
ok, is_, D = tm.ok, tm.is_, sb.domain
FILE = 'require ["fileinto", "mailbox"];\r\nfileinto :create "%s";\r\n'


def deliver(n, address=None):
    """By LMTP, where nothing stands between."""
    with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
        c.sendmail("a@sender.test", address or f"{sb.user(n)}@{D}", "Subject: x\r\n\r\nx\r\n")


# ---- the next delivery
for _ in range(4):      # both workers know the entry now
    deliver(1)
is_(sb.count(1), 4, "four messages, and lmtpd remembers the entry")
s = Sieve(sb, login=1)
is_((s.put("one", FILE % "One"), s.put("two", FILE % "Two")), ('OK "Stored"',) * 2, "two scripts")
deliver(1)
is_(sb.count(1), 5, "which are not active")
for turn in range(3):
    s.ask('SETACTIVE "one"')
    for _ in range(3):
        deliver(1, f"alias0001@{D}")
    s.ask('SETACTIVE "two"')
    for _ in range(3):
        deliver(1)
is_((sb.count(1), sb.count(1, "One"), sb.count(1, "Two")), (5, 9, 9), "each acts from the next delivery on, under every address, in every worker")
s.put("two", FILE % "Three")
deliver(1)
is_(sb.count(1, "Three"), 1, "another text of the active one too")
s.ask('SETACTIVE ""')
deliver(1)
is_(sb.count(1), 6, "and none")
s.put("bad", 'require "reject";\r\nreject text:\r\nno\r\n.\r\n;')
s.ask('SETACTIVE "bad"')
try:
    deliver(1)
    said = "taken"
except smtplib.SMTPDataError as e:
    said = e.smtp_error.decode()
except smtplib.SMTPRecipientsRefused as e:
    said = list(e.recipients.values())[0][1].decode()
ok("no" in said and said != "taken", f"reject: {said}")

# ---- behind the multiplexor
m = Sieve(sb, port="MMP_SIEVE").starttls()
ok(any('"SIEVE"' in l for l in m.told) and m.login(2).startswith("OK"), "through mmpd, with TLS")
is_((m.put("far", FILE % "Far"), m.last('SETACTIVE "far"'), m.scripts()), ('OK "Stored"', 'OK "Done"', ['"far" ACTIVE']), "a script")
deliver(2)
is_(sb.count(2, "Far"), 1, "which acts")
ok(f'"OWNER" "{sb.user(2)}@{D}"' in m.ask("CAPABILITY"), "the capabilities are sieved's own")
m.send("LOGOUT\r\n")
is_(m.line()[:2], "OK", "good bye")
first = Sieve(sb, port="MMP_SIEVE").told
ok([l for l in first if "SIEVE" in l] == [l for l in Sieve(sb).told if '"SIEVE"' in l], "who comes next is told what sieved has") or tm.diag(first)

# ---- clients
DIR = tm.tempdir()
path = os.path.join(DIR, "script")
with open(path, "w") as f:
    f.write(FILE.replace("\r\n", "\n") % "Client")


def client(*argv, text=None):
    r = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=tm.LONG, cwd=DIR,
                       env={**os.environ, "HOME": DIR, "SSL_CERT_FILE": sb.env["CAFILE"]})
    return r if r.returncode == 0 else tm.diag(f"{argv}: {r.returncode}\n{r.stdout}{r.stderr}") or r


def present(program):
    return subprocess.run(program, capture_output=True).returncode == 0


if not present(["which", "sieve-connect"]):
    tm.skip("sieve-connect", "it is not here")
else:
    with open(path + ".password", "w") as f:
        f.write(sb.password + "\n")
    base = ("sieve-connect", "--server", "127.0.0.1", "--port", str(sb.port("SIEVE")), "--user", sb.user(3), "--passwordfd", "0",
            "--notlsverify")
    talk = lambda *a: client(*base, *a, text=sb.password + "\n")
    is_([talk("--localsieve", path, "--remotesieve", "mine", "--upload").returncode, talk("--remotesieve", "mine", "--activate").returncode], [0, 0],
        "sieve-connect stores and activates a script")
    ok('"mine" ACTIVE' in talk("--list").stdout, "lists it")
    r = talk("--remotesieve", "mine", "--download", "--localsieve", path + ".back")
    ok(r.returncode == 0 and open(path + ".back").read().replace("\r", "") == open(path).read(), "and has it back")
    deliver(3)
    is_(sb.count(3, "Client"), 1, "it acts")
    is_([talk("--deactivate").returncode, talk("--remotesieve", "mine", "--delete").returncode], [0, 0], "and is gone")
    is_(Sieve(sb, login=3).scripts(), [], "from the server")
PY = f"""
from sievelib.managesieve import Client
c = Client("127.0.0.1", {sb.port("SIEVE")})
assert c.connect({sb.user(4)!r}, {sb.password!r}, starttls=False, authmech="PLAIN"), c.errmsg
assert c.havespace("p", 100), c.errmsg
assert c.putscript("p", {FILE % "Py"!r}), c.errmsg
assert not c.putscript("q", "nonsense;") and b"nonsense" in c.errmsg, c.errmsg
assert c.checkscript("keep;"), c.errmsg
assert c.setactive("p"), c.errmsg
assert c.listscripts() == ("p", []), c.listscripts()
assert "fileinto" in c.getscript("p")
assert c.renamescript("p", "r"), c.errmsg
assert not c.deletescript("r")
c.logout()
"""
if not present(["/usr/bin/python3", "-c", "import sievelib"]):
    tm.skip("sievelib", "it is not here")
else:
    r = client("/usr/bin/python3", "-c", PY)
    ok(r.returncode == 0, "Python's sievelib")
    deliver(4)
    is_(sb.count(4, "Py"), 1, "its script acts")
PL = f"""
use Net::ManageSieve;
my $c = Net::ManageSieve->new("127.0.0.1", Port => {sb.port("SIEVE")}, tls => "no") or die "connect: $@";
$c->auth({sb.user(5)!r}, '{sb.password}') or die "auth: " . $c->error;
$c->havespace("p", 100) or die $c->error;
$c->putscript("p", "keep;\\r\\n") or die $c->error;
$c->setactive("p") or die $c->error;
my $l = $c->listscripts() or die $c->error;
die "@$l" unless "@$l" =~ /p/;
my $t = $c->getscript("p");
die $t unless $t =~ /^keep;/;
$c->setactive("") or die $c->error;
$c->deletescript("p") or die $c->error;
$c->logout;
"""
if not present(["perl", "-MNet::ManageSieve", "-e", "1"]):
    tm.skip("Net::ManageSieve", "it is not here")
else:
    ok(client("perl", "-e", PL).returncode == 0, "Perl's Net::ManageSieve")
# KMail's (libksieve), in its order: it asks for TLS, then for all that it knows already; strings are quoted, a script is a literal+.
if sb.env.get("CAFILE"):
    s = Sieve(sb)
    s.starttls()
    for said in ("CAPABILITY", None, "LISTSCRIPTS", 'GETSCRIPT "kmail"', 'PUTSCRIPT', 'SETACTIVE "kmail"', "LISTSCRIPTS", 'SETACTIVE ""', 'DELETESCRIPT "kmail"', "LOGOUT"):
        got = s.login(5) if said is None else s.put("kmail", "# KMail Vacation\r\nrequire \"vacation\";\r\nvacation :days 7 text:\r\nAway.\r\n.\r\n;\r\n") if said == "PUTSCRIPT" else s.last(said)
        ok(got.startswith("NO" if said and said.startswith("GETSCRIPT") else "OK"), f"as KMail says it: {said or 'AUTHENTICATE'}") or tm.diag(got)
# What Roundcube's plug-in says, in its order: literals for scripts, quoted names, one command after the other.
s = Sieve(sb, login=5)
for said in ('CAPABILITY', 'LISTSCRIPTS', 'HAVESPACE "roundcube" 60', None, 'SETACTIVE "roundcube"', 'LISTSCRIPTS', 'GETSCRIPT "roundcube"', 'LOGOUT'):
    got = s.last(said) if said else s.put("roundcube", 'require ["fileinto"];\r\n# rule:[x]\r\nif header :contains "subject" "y"\r\n{\r\n\tfileinto "z";\r\n}\r\n')
    ok(got.startswith("OK"), f"as Roundcube says it: {said or 'PUTSCRIPT'}") or tm.diag(got)
tm.done()
