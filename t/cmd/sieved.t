#!/usr/bin/env python3
"""sieved before a real directory: every command, answers to the byte however the bytes come, limits, two sessions at
once, and a directory that goes away or says no."""
import base64, os, re, subprocess, sys, threading

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "../flow")]
import tm, wire
from sieveraw import Sieve, plain

tm.need("ldapmodify", "ldapsearch")
sb = tm.Sandbox("--users", "12", *(w for d in ("smtp-relay", "jobctl", "lmtpd", "imapd", "pop3d", "stored", "mmpd") for w in ("--without", d)),
                *(w for k in ("workers=2", "auth.delay=20ms", "sieve.scripts=4", "sieve.size=2K", "sieve.total=5K", "limit.bad_commands=5", "limit.per_user=20", "limit.per_client=1000", "timeout.login=60s")
                  for w in ("--set", "sieved." + k)))
ok, is_, D, BASE = tm.ok, tm.is_, sb.domain, sb.env["LDAP_BASE"]


def entry(n, *attrs):
    """{attribute: values} of a user's entry, as the administrator sees it."""
    r = subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"], "-b", f"uid={sb.user(n)},ou=People,o={D},{BASE}", "-s", "base", *attrs],
                       capture_output=True, text=True)
    found = {}
    for line in r.stdout.splitlines():
        if m := re.match(r"(\w+)(::?) (.*)", line):
            found.setdefault(m[1], []).append(base64.b64decode(m[3]).decode() if m[2] == "::" else m[3])
    return found


def foreign(n, *values):
    """What another program puts there."""
    return wire.modify(sb, n, "replace: mailSieveRuleSource\n" + "".join(
        f"mailSieveRuleSource:: {base64.b64encode(v.encode()).decode()}\n" for v in values))


def settings(**keys):
    with open(sb.conf("sieved.conf")) as f:
        conf = f.read()
    for key, value in keys.items():
        conf = re.sub(rf"(?m)^{key} *=.*$", f"{key} = {value}", conf)
    with open(sb.conf("sieved.conf"), "w") as f:
        f.write(conf)
    is_(sb.tool("tmctl", "-d", "sieved", "reload").stdout, "ok\n", f"reload with {keys}")


# ---- a whole session, to the byte ------------------------------------------------------------------------------------
SIEVE = Sieve(sb).told[3]
ok(SIEVE.startswith('"SIEVE" "') and "vacation-seconds" in SIEVE and " include " in SIEVE, "what scripts may require")
BEFORE = ['"IMPLEMENTATION" "tiermail"', '"VERSION" "1.0"', '"SASL" "PLAIN LOGIN"', SIEVE, '"NOTIFY" "mailto"', '"MAXREDIRECTS" "4"',
          '"EXTLISTS" "mailto urn"', '"LANGUAGE" "en"', '"STARTTLS"', '"UNAUTHENTICATE"']
AFTER = ['"IMPLEMENTATION" "tiermail 0.1"'] + BEFORE[1:] + [f'"OWNER" "{sb.user(1)}@{D}"']
SCRIPT = 'require "fileinto";\r\nfileinto "größe";\r\n'
BYTES = SCRIPT.encode()
SAID = [
    ('NOOP', ['OK "Done"']),
    ('LISTSCRIPTS', ['NO "Log in first"']),
    (f'AUTHENTICATE "PLAIN" "{plain(sb.user(1), sb.password)}"', ['OK "Logged in"']),
    ('CAPABILITY', AFTER + ['OK "Capabilities"']),
    ('LISTSCRIPTS', ['OK "Scripts"']),
    ('HAVESPACE "a" 2048', ['OK "Done"']),
    ('HAVESPACE "a" 2049', ['NO (QUOTA/MAXSIZE) "This script is too large"']),
    (b'PUTSCRIPT "a" {%d+}\r\n%s' % (len(BYTES), BYTES), ['OK "Stored"']),
    (b'PUTSCRIPT "b \\"2\\"" {%d}\r\n%s' % (len(BYTES), BYTES), ['OK "Stored"']),
    ('PUTSCRIPT "bad" "foo;"', ['NO "script:1:1: there is no command foo"']),
    ('PUTSCRIPT "bad" {20+}\r\nrequire "x";\r\nfoo;\r\n', ["NO 'script:1:9: there is no extension \"x\" here\\r\\nscript:2:1: there is no command foo'"]),
    ('CHECKSCRIPT "keep;"', ['OK "It is right"']),
    ('CHECKSCRIPT "kep;"', ['NO "script:1:1: there is no command kep"']),
    ('LISTSCRIPTS', ['"a"', '"b \\"2\\""', 'OK "Scripts"']),
    ('SETACTIVE "a"', ['OK "Done"']),
    ('LISTSCRIPTS', ['"a" ACTIVE', '"b \\"2\\""', 'OK "Scripts"']),
    ('GETSCRIPT "a"', [repr(SCRIPT), 'OK "There it is"']),
    ('GETSCRIPT "x"', ['NO (NONEXISTENT) "There is no such script"']),
    ('SETACTIVE "x"', ['NO (NONEXISTENT) "There is no such script"']),
    ('DELETESCRIPT "x"', ['NO (NONEXISTENT) "There is no such script"']),
    ('DELETESCRIPT "a"', ['NO (ACTIVE) "This script is active"']),
    ('RENAMESCRIPT "a" "b \\"2\\""', ['NO (ALREADYEXISTS) "A script has that name"']),
    ('RENAMESCRIPT "x" "y"', ['NO (NONEXISTENT) "There is no such script"']),
    ('RENAMESCRIPT "a" "c"', ['OK "Done"']),
    ('LISTSCRIPTS', ['"b \\"2\\""', '"c" ACTIVE', 'OK "Scripts"']),
    ('SETACTIVE ""', ['OK "Done"']),
    ('DELETESCRIPT "c"', ['OK "Done"']),
    ('DELETESCRIPT "b \\"2\\""', ['OK "Done"']),
    ('LISTSCRIPTS', ['OK "Scripts"']),
    ('NOOP "x\\"y"', ['OK (TAG "x\\"y") "Done"']),
    ('AUTHENTICATE "PLAIN"', ['NO "Logged in already"']),
    ('UNAUTHENTICATE', ['OK "Nobody now"']),
    ('GETSCRIPT "a"', ['NO "Log in first"']),
    ('LOGOUT', ['OK "Good bye"']),
]
WIRE = b"".join((s.encode() if isinstance(s, str) else s) + b"\r\n" for s, _ in SAID)
for step in (0, 1, 7):
    s = Sieve(sb, step=step)
    is_(s.told, BEFORE + ['OK "Ready"'], f"pieces of {step or 'any size'}: the greeting")
    s.send(WIRE)
    bad = [(said, got, want) for said, want in SAID if (got := s.answer()) != want]
    is_(bad, [], f"pieces of {step or 'any size'}: all in one write, each answer in its turn")
    is_(s.rest(), [], "and nothing more")
is_(entry(1).get("mailSieveRuleSource"), None, "nothing is left of it in the entry")

# ---- where it is kept ---------------------------------------------------------------------------------------------------
s = Sieve(sb, login=2)
s.put("one", "keep;")
s.put("two", "# the second\r\nstop;")
s.ask('SETACTIVE "two"')
e = entry(2, "*")
ok(re.fullmatch(r"[0-9a-z]{13} one\nkeep;", e["tiermailSieveScript"][0]) and len(e["tiermailSieveScript"]) == 1, "a script is a value, with its name") or tm.diag(e)
m = re.fullmatch(r"# tiermail-script: ([0-9a-z]{13}) two\n# the second\r\nstop;", e["mailSieveRuleSource"][0])
ok(m, "the active one is where lmtpd reads") or tm.diag(e)
s.put("two", "stop;")
s.ask('RENAMESCRIPT "two" "zwei"')
s.ask('SETACTIVE ""')
ok(f"{m[1]} zwei\nstop;" in entry(2, "*")["tiermailSieveScript"], "its id stays, whatever becomes of it")
ok("mailSieveRuleSource" not in entry(2, "*"), "and none runs")
modifier = entry(2, "+")["modifiersName"][0]
is_(modifier.lower(), f"uid={sb.user(2)},ou=people,o={D},{BASE}".lower(), "changed by the person")

# ---- what other programs have put there -----------------------------------------------------------------------------------
ok(foreign(3, "{2}discard;", "{1}keep;", "# tiermail-script: nonsense\nstop;"), "three scripts of others")
s = Sieve(sb, login=3)
names = s.scripts()
is_((len(names), [n.endswith(" ACTIVE") for n in names].count(True), all(n.startswith('"filter-') for n in names)), (3, 1, True), "are shown, one as active")
active = next(n for n in names if n.endswith(" ACTIVE")).split()[0]
is_(s.ask(f"GETSCRIPT {active}")[0], "'keep;'", "the one that runs first")
is_(s.last(f"DELETESCRIPT {active}")[:11], "NO (ACTIVE)", "none that runs is deleted")
is_(s.put(active.strip('"'), "stop;"), 'OK (WARNINGS) "Scripts that run besides this one, until one is made active: 2"', "storing one warns of the others")
ok(any(v.startswith("{1}# tiermail-script: f") for v in entry(3)["mailSieveRuleSource"]), "and keeps its place")
is_(s.put("mine", "keep;"), 'OK "Stored"', "one of one's own")
is_(s.last('SETACTIVE "mine"'), 'OK "Done"', "is made active")
e = entry(3)
is_((len(e["mailSieveRuleSource"]), len(e["tiermailSieveScript"])), (1, 3), "alone, and no other is lost")
is_(sorted(s.ask(f"GETSCRIPT {n.split()[0]}")[0] for n in s.scripts()), sorted(["'stop;'", "'discard;'", "'stop;'", "'keep;'"]), "each can be had")

# ---- limits -----------------------------------------------------------------------------------------------------------------
s = Sieve(sb, login=4)
big = lambda n: "#" + "x" * (n - 1)
is_(s.put("a", big(2048)), 'OK "Stored"', "as large as may be")
is_(s.put("a", big(2049)), 'NO (QUOTA/MAXSIZE) "This script is too large"', "larger")
is_(s.put("a", big(300000)), 'NO (QUOTA/MAXSIZE) "This script is too large"', "much larger, and the session goes on")
is_(s.put(None, big(300000), "CHECKSCRIPT"), 'NO (QUOTA/MAXSIZE) "This script is too large"', "CHECKSCRIPT too")
s.put("b", big(2048))
is_(s.put("c", big(1025)), 'NO (QUOTA) "All scripts together would be too large"', "all together")
is_(s.last('HAVESPACE "c" 1025'), 'NO (QUOTA) "All scripts together would be too large"', "as HAVESPACE says")
s.put("c", "")
s.put("d", "stop;")
is_(s.put("e", ""), 'NO (QUOTA/MAXSCRIPTS) "There are too many scripts"', "too many")
is_(s.last('HAVESPACE "e" 1'), 'NO (QUOTA/MAXSCRIPTS) "There are too many scripts"', "as HAVESPACE says")
is_(s.put("d", "keep;"), 'OK "Stored"', "but another text of one that is there")
is_((s.last('SETACTIVE "c"'), s.ask('GETSCRIPT "c"')[0], s.scripts()[2]), ('OK "Done"', "''", '"c" ACTIVE'), "an empty script is one")
for name in ("", "a\\\\b", "x" * 512, "größe/../..", "filter-00000000"):
    want = "NO" if not name else "OK"
    is_(s.last(f'HAVESPACE "{name}" 1').replace("NO (QUOTA/MAXSCRIPTS)", "OK")[:2], want, f"a name of {len(name)} octets: {name[:12]}")
for name in (b"x" * 513, b"a\x01b", b"\xff", "\u2028".encode(), b"\xc2\x80"):
    is_(s.ask(b'HAVESPACE "' + name + b'" 1\r\n')[-1], 'NO "No script can have this name"', f"no name: {name[:5]}")
is_(s.put("d", b"# \xff\r\nkeep;"), 'NO "script:1:1: it is not UTF-8"', "no UTF-8")
is_(s.put("d", "if true { " * 40)[:10], "NO \"script", "too deep")

# ---- what is no command ---------------------------------------------------------------------------------------------------------
s = Sieve(sb, login=5)
for said in ("FOO", "PUTSCRIPT", 'PUTSCRIPT "a"', 'PUTSCRIPT "a" "keep;" "x"'):
    ok(s.last(said).startswith("NO "), f"{said}: no")
is_(s.last("NOOP"), 'OK "Done"', "and it goes on")
for said in ("PUTSCRIPT a {5+}\r\nkeep;", "HAVESPACE \"a\" \"7\"", "HAVESPACE \"a\" 99999999999", "NOOP {4+}\r\nFOO\n x"):
    ok(s.last(said).startswith("NO "), f"{said}: no")
is_(s.last("NOOP"), 'OK "Done"', "what stood in literals was no command")
s.send("FOO\r\n" * 5)
is_([s.line() for _ in range(5)][-1], 'BYE "Too many errors"', "five in a row end it")
is_(s.rest(), [], "for good")
s = Sieve(sb)
s.send("NOOP {99999999+}\r\n")
is_((s.line(), s.rest()), ('BYE "Too long"', []), "a literal that nobody reads")
s = Sieve(sb)
s.send("NOOP {8193+}\r\nx")
is_((s.line(), s.rest()), ('BYE "Too long"', []), "nor a stranger's that is no name and no password")
s = Sieve(sb)
s.send("NOOP\r\n" * 101)
is_(s.rest(), ['OK "Done"'] * 100 + ['BYE "Too many commands before the login"'], "a hundred commands before the login, and no more")

# ---- the door --------------------------------------------------------------------------------------------------------------------
s = Sieve(sb)
is_(s.last('AUTHENTICATE "SCRAM-SHA-1"'), 'NO "There is no such mechanism"', "an unknown mechanism")
s.send('AUTHENTICATE "PLAIN"\r\n')
is_(s.line(), '""', "PLAIN without a response: a challenge")
is_(s.last('"*"'), 'NO "Authentication was given up"', "given up")
s.send('AUTHENTICATE "PLAIN"\r\n')
s.line()
is_(s.last('"%s"' % plain(sb.user(5), sb.password)), 'OK "Logged in"', "and in by two steps")
s = Sieve(sb)
b64 = lambda t: base64.b64encode(t.encode()).decode()
s.send('AUTHENTICATE "LOGIN"\r\n')
s.line(), s.send('"%s"\r\n' % b64(sb.user(5))), s.line()
is_(s.last('{%d+}\r\n%s' % (len(b64(sb.password)), b64(sb.password))), 'OK "Logged in"', "LOGIN, its last answer a literal")
is_(Sieve(sb, login="disabled").said, 'NO "this account is not active"', "disabled")
s = Sieve(sb)
is_([s.login(6, "wrong") for _ in range(3)], ['NO "authentication failed"'] * 2 + ['BYE "Too many failed logins"'], "wrong passwords, three of them")
ok(wire.modify(sb, 7, "replace: mailHost\nmailHost: elsewhere.test"), "a mailbox elsewhere")
is_(Sieve(sb, login=7).said, 'NO "this mailbox is on another host"', "is not here")
ok(wire.modify(sb, 8, "replace: mailAllowedServiceAccess\nmailAllowedServiceAccess: +imap:*"), "who may do nothing but IMAP")
is_(Sieve(sb, login=8).said, 'NO "this service is not for you from here"', "may not come in")
s = Sieve(sb).starttls()
ok(s.told == [l for l in BEFORE if l != '"STARTTLS"'] + ['OK "Ready"'], "STARTTLS: the capabilities are told again") or tm.diag(s.told)
is_((s.last("STARTTLS"), s.login(9)), ('NO "TLS is on already"', 'OK "Logged in"'), "once")
s = Sieve(sb)
s.send("STARTTLS\r\nNOOP\r\n")
is_(s.line(), 'BYE "Input behind STARTTLS before its answer"', "what comes with STARTTLS is not listened to")

# ---- a proxy ------------------------------------------------------------------------------------------------------------------------
mmp = wire.certificate(sb, "mail.example.test", "proxy")
s = Sieve(sb).starttls(mmp)
ok('"SASL" "PLAIN LOGIN EXTERNAL"' in s.told and '"XCLIENT" "ADDR PORT SESSION APP"' in s.told, "a proxy is told what it may")
is_(s.last("XCLIENT ADDR=192.0.2.7 PORT=99 SESSION=abcdefghijklm"), 'OK "Noted"', "tells for whom it speaks")
is_(s.last('AUTHENTICATE "EXTERNAL" "%s"' % b64(f"{sb.user(9)}@{D}")), 'OK "Logged in"', "and acts for a person")
ok(wire.logged(sb, "sieved", "ev=login ", "sid=abcdefghijklm", "peer=192.0.2.7"), "who is in the log under the proxy's id")
is_(s.put("p", "keep;"), 'OK "Stored"', "whose scripts these are")
is_(s.last("UNAUTHENTICATE")[:2], "NO", "and nobody else behind it")
ok('"UNAUTHENTICATE"' not in s.ask("CAPABILITY"), "as the capabilities say")
is_(Sieve(sb).last('AUTHENTICATE "EXTERNAL" "%s"' % b64(sb.user(9))), 'NO "There is no such mechanism"', "EXTERNAL is for proxies alone")
s = Sieve(sb).starttls(mmp)
is_(s.last('AUTHENTICATE "EXTERNAL" "%s"' % b64(f"{sb.user(7)}@{D}")), 'NO (REFERRAL "sieve://elsewhere.test") "this mailbox is on another host"', "a proxy is told where else")

# ---- who is too many, or too slow
settings(per_user=2)
held = [Sieve(sb, login=12) for _ in range(3)]
is_([h.said for h in held], ['OK "Logged in"'] * 2 + ['NO (TRYLATER) "Too many connections of this user"'], "limit.per_user")
held[0].ask("UNAUTHENTICATE")
is_(held[2].login(12), 'OK "Logged in"', "who is nobody any more leaves room")
settings(per_client=2)
is_(Sieve(sb).told, ['BYE (TRYLATER) "Too many connections from there"'], "limit.per_client")
[h.close() for h in held]
settings(per_user=20, per_client=1000, login=f"{int(2000 * tm.SHORT)}ms")
s = Sieve(sb)
over = threading.Event()


def sip():
    try:
        while not over.wait(0.05):
            s.send(b"N")
    except OSError:
        pass


sipping = threading.Thread(target=sip)
sipping.start()
is_(s.line(), 'BYE "No login in time"', "one that drips bytes is not listened to for ever")
over.set()
sipping.join()
settings(login="60s")

# ---- two at once ----------------------------------------------------------------------------------------------------------------------
settings(scripts=64, size="64K", total="1M")


def writer(k):
    c = Sieve(sb, login=10)
    said[k] = [c.put(f"{k}-{i}", f"# {k} {i}\r\nkeep;") for i in range(12)]


said = {}
threads = [threading.Thread(target=writer, args=(k,)) for k in range(4)]
[t.start() for t in threads], [t.join() for t in threads]
stored = {f'"{k}-{i}"' for k in range(4) for i, a in enumerate(said[k]) if a == 'OK "Stored"'}
is_(set(Sieve(sb, login=10).scripts()), stored, "four sessions at once: what was said to be stored is there, and nothing else")
ok(len(stored) >= 36, f"and little had to be said to be tried again ({48 - len(stored)})")

# ---- the directory says no, and goes away -----------------------------------------------------------------------------------------------
s = Sieve(sb, login=11)
s.put("x", "keep;")
sb.kill("slapd")
is_(s.last("LISTSCRIPTS")[:13], "NO (TRYLATER)", "without the directory: later")
is_(s.put("x", "stop;")[:13], "NO (TRYLATER)", "nothing is stored")
is_(s.put(None, "stop;", "CHECKSCRIPT"), 'OK "It is right"', "but scripts are looked at")
ok(sb.restart("slapd"), "it comes back")
ok(tm.wait_for(lambda: s.scripts() == ['"x"']), "and so do the scripts")
is_(s.ask('GETSCRIPT "x"')[0], "'keep;'", "as they were")
subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], capture_output=True,
               text=True, input=f"dn: uid=sieve,ou=services,{BASE}\nchangetype: modify\ndelete: authzTo\n")
is_(s.last("LISTSCRIPTS"), 'NO "The directory does not allow this"', "a service that may act for nobody")
ok(wire.logged(sb, "sieved", "ev=scripts_denied", f"user={sb.user(11)}@{D}"), "is told of in the log")
is_(sb.tool("tmctl", "-d", "sieved", "forget", f"{sb.user(11)}@{D}").returncode, 0, "forget")
is_(s.line(), 'BYE (TRYLATER) "Log in again"', "ends the session")
held = Sieve(sb)
metrics = sb.tool("tmctl", "-d", "sieved", "metrics").stdout
for name in "connections_total sessions tls_handshakes_total logins_total logins_failed_total commands_total commands_bad_total scripts_stored_total " \
        "scripts_refused_total scripts_changed_total directory_away_total".split():
    ok(re.search(rf"^tiermail_sieve_{name}(\{{.*\}})? [1-9]", metrics, re.M), f"the metric sieve_{name} counts")
tm.done()
