#!/usr/bin/env python3
"""SCRAM-SHA-256: whoever has logged in with the password can log in without saying it, at every door and behind the
multiplexor, with clients of Debian; nobody else can, whatever is replayed, cut or bent; who exists is not told; and
a verifier is good for the password that it was made of alone."""
import base64, os, re, shutil, smtplib, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm, wire
from scramraw import Imap, ManageSieve, Pop3, Scram, Smtp, b64

tm.need("ldapsearch", "ldapmodify")
MMP, RELAY = tm.free_port(), tm.free_port()
DOMAIN, HOST = "scram.test", "mail.scram.test"
sb = tm.Sandbox("--users", "8", "--admin", "--domain", DOMAIN, *(w for p in (
    "tiermail.login.scram=offer", "tiermail.login.scram_rounds=4096", "tiermail.ldap.cache_age=1h",
    *(f"{d}.auth.delay=20ms" for d in ("imapd", "pop3d", "sieved", "mmpd", "smtp-relay")), "imapd.auth.failures=0",
    f"smtp-relay.listen proxied.address=127.0.0.1:{RELAY}", "smtp-relay.listen proxied.role=submission", "smtp-relay.listen proxied.tls=starttls",
    "smtp-relay.listen proxied.peer_certificate=ask", f"smtp-relay.auth.proxies={HOST}",
    f"mmpd.listen submission.address=127.0.0.1:{MMP}", "mmpd.listen submission.role=submission", "mmpd.listen submission.tls=starttls",
    f"mmpd.submission.relays={HOST}", f"mmpd.host {HOST}.address=127.0.0.1", f"mmpd.host {HOST}.submission_port={RELAY}") for w in ("--set", p)),
    "--without", "jmapd")
ok, is_, PW = tm.ok, tm.is_, sb.password
ROOT = ["-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]]
dn = lambda n: f"uid={sb.user(n)},ou=People,o={DOMAIN},{sb.env['LDAP_BASE']}"
name = lambda n: f"{sb.user(n)}@{DOMAIN}"


def modify(n, *changes):
    subprocess.run(["ldapmodify", *ROOT, "-e", "relax"], input=f"dn: {dn(n)}\nchangetype: modify\n" + "-\n".join(c + "\n" for c in changes), text=True, check=True,
                   stdout=subprocess.DEVNULL)


def verifier(n):
    r = subprocess.run(["ldapsearch", *ROOT, "-LLL", "-o", "ldif-wrap=no", "-b", dn(n), "-s", "base", "tiermailScram"], capture_output=True, text=True, check=True)
    return "".join(re.findall(r"(?m)^tiermailScram: (.*)", r.stdout))


def plain(n, password=None, port="IMAPS"):
    return Imap(sb, port).begin("PLAIN", f"\0{name(n)}\0{password or PW}".encode())


def scram(n, password=None, port="IMAPS", **kw):
    s = Scram(n if isinstance(n, str) else name(n), password or PW, **kw)
    how, text = s.run(Imap(sb, port))
    return how, s.trusted, text


def taught(n):
    how, text = plain(n)
    return how == "ok" and tm.wait_for(lambda: verifier(n))


# Entries that slapadd has made have no pwdChangedTime.
ok(plain(7)[0] == "ok" and scram(7)[0] == "no", "who has no pwdChangedTime comes in by the password, and in no other way")
for n in range(1, 7):
    modify(n, "replace: pwdChangedTime\npwdChangedTime: 20200101000000Z")
time.sleep(5.1)     # what is known of user 7 may be so old
unknown = Scram(name(1), PW)
is_(unknown.run(Imap(sb, "IMAPS"))[0], "no", "nobody has learned what user 1's password is")
ok(taught(1) and taught(2) and taught(3) and taught(5), "the password teaches it")
is_(re.sub(r":.*", "", verifier(1)), "20200101000000Z SCRAM-SHA-256$4096", "with the time of the password, and as RFC 5803 has it")
ok(not verifier(7), "not of who has no such time")
time.sleep(5.1)

# ---- every door
doors = {"imapd": lambda: Imap(sb, "IMAPS"), "pop3d": lambda: Pop3(sb, "POP3S"), "submission": lambda: Smtp(sb, "SUBMISSIONS"),
         "sieved": lambda: ManageSieve(sb, "SIEVE"), "imap by mmpd": lambda: Imap(sb, "MMP_IMAPS"), "pop by mmpd": lambda: Pop3(sb, "MMP_POP3S"),
         "sieve by mmpd": lambda: ManageSieve(sb, "MMP_SIEVE"), "submission by mmpd": lambda: Smtp(sb, MMP, tls=False)}
for what, door in doors.items():
    if what == "submission by mmpd":
        c = smtplib.SMTP("127.0.0.1", MMP, timeout=tm.LONG)
        c.starttls(context=wire.context(sb))
        c.ehlo()
        ok(c.esmtp_features["auth"].split()[0] == "SCRAM-SHA-256", f"{what}: it is offered first")

        class Say:
            begin = staticmethod(lambda m, t: Say.take(c.docmd("AUTH", f"{m} {b64(t)}")))
            answer = staticmethod(lambda t: Say.take(c.docmd(b64(t))))
            take = staticmethod(lambda r: ("+", base64.b64decode(r[1])) if r[0] == 334 else ("ok" if r[0] == 235 else "no", r[1].decode()))
        door = lambda: Say
    s = Scram(name(1), PW)
    how, text = s.run(door())
    ok(how == "ok" and s.trusted, f"{what}: {text}")
    if what != "submission by mmpd":
        s = Scram(name(1), "wrong")
        how, text = s.run(door())
        ok(how == "no" and not s.trusted and not re.search("(?i)syntax|malformed", text), f"{what}: not with another password: {text}")
i = wire.Line((sb.host, sb.port("IMAPS")), tls=sb)
ok("AUTH=SCRAM-SHA-256 AUTH=PLAIN" in i.line(), "imapd offers it in front of PLAIN")
p = Pop3(sb, "POP3S")
p.send("CAPA\r\n")
ok("SASL SCRAM-SHA-256 PLAIN LOGIN" in [p.line() for _ in range(4)], "so does pop3d")
ok(any("AUTH SCRAM-SHA-256 PLAIN" in l for l in Smtp(sb, "SUBMISSIONS").told), "and submission")
ok(any('"SASL" "SCRAM-SHA-256 PLAIN LOGIN"' in l for l in ManageSieve(sb, "SIEVE").s.told), "and sieved")
for kw, want, what in (({"header": "y,,"}, "ok", "who would bind channels and sees that we do not"), ({"header": f"n,a={name(1)},"}, "ok", "who says twice who he is"),
                       ({"header": f"n,a={name(2)},"}, "no", "nobody acts for another"), ({"header": "p=tls-exporter,,"}, "no", "who wants to bind a channel"),
                       ({"header": "p=tls-server-end-point,,"}, "no", "in either way"), ({"header": "n,,m=x,"}, "no", "who insists on an extension")):
    is_(scram(1, **kw)[0], want, what)
is_(scram(name(1).upper())[0], "ok", "the name in capitals")
is_(scram(f"alias0001@{DOMAIN}")[0], "ok", "an alias")

# ---- who exists is not told
def told(who, port="IMAPS"):
    s = Scram(who, "x")
    how, got = Imap(sb, port).begin("SCRAM-SHA-256", s.first())
    s.final(got)
    return s.salt, s.rounds


is_((unknown.salt, unknown.rounds), told(name(1)), "the salt is the same before there is a verifier, and after")
is_(len({told(name(1)), told(name(2)), told(name(8)), told("nobody@" + DOMAIN), told("x@elsewhere.test"), told("nobody2@" + DOMAIN)}), 6, "each name has its own")
ok(told("Nobody@" + DOMAIN.upper()) == told("nobody@" + DOMAIN) == told("nobody@" + DOMAIN, "MMP_IMAPS") and len(told("nobody@" + DOMAIN)[0]) == 16,
   "nobody's is always the same, by each daemon and in capitals")
is_(told("nobody@alias." + DOMAIN), told("nobody@" + DOMAIN), "a domain's other name tells nothing of who is there")
is_(told(name(8).replace("@", "@alias.")), told(name(8)), "nor that somebody is")


def took(f):
    began = time.monotonic()
    f()
    return time.monotonic() - began


def asked(who):
    """Seconds until the salt of a name comes that was not asked for lately."""
    say, s = Imap(sb, "IMAPS"), Scram(who, "x")
    return took(lambda: say.begin("SCRAM-SHA-256", s.first()))


ok(min(asked(w) for w in (name(4), name(8), "a@" + DOMAIN, "b@" + DOMAIN, "a@elsewhere.test", name(4))) > 0.018, "and in a time that says nothing of how it was looked for")
no = [re.sub("^a ", "", scram(who, "wrong")[2]) for who in (name(1), name(7), "nobody@" + DOMAIN, "nobody@elsewhere.test")]
is_(len(set(no)), 1, f"they hear the same: {no[0]}")
ok("AUTHENTICATIONFAILED" in no[0], "that the password is wrong")

# ---- what is replayed, cut and bent
def bent(change, what, first=None, last=b"", who=1, want="no"):
    say, s = Imap(sb, "IMAPS"), Scram(name(who), PW)
    how, got = say.begin("SCRAM-SHA-256", first if first is not None else s.first())
    if how == "+" and change:
        how, got = say.answer(change(s, got))
    if how == "+":
        how, got = say.answer(last)
    is_(how, want, f"{what}: {got}")


old = Scram(name(1), PW)
replayed = []
say = Imap(sb, "IMAPS")
how, got = say.begin("SCRAM-SHA-256", old.first())
replayed.append(old.final(got))
say.answer(replayed[0])
ok(say.answer(b"")[0] == "ok", "an exchange that somebody has recorded")
bent(lambda s, got: replayed[0], "its proof is good once", first=old.first())
bent(lambda s, got: replayed[0].replace(old.theirs.encode(), dict(p.split("=", 1) for p in got.decode().split(","))["r"].encode()), "with the new nonce neither", first=old.first())
bent(lambda s, got: s.final(got)[:-2], "a proof that is cut")
bent(lambda s, got: s.final(got).partition(b",p=")[0], "none")
bent(lambda s, got: s.final(got) + b",x=y", "something behind it")
bent(lambda s, got: s.final(got).replace(s.nonce.encode(), b"other"), "another nonce")
bent(lambda s, got: s.final(got, f"c={b64(b'y,,')},r={dict(p.split('=', 1) for p in got.decode().split(','))['r']}"), "another header than it began with: a downgrade")
bent(lambda s, got: got, "what we have said ourselves")
bent(lambda s, got: b"", "nothing")
bent(lambda s, got: b"\0" * 5000, "five thousand NULs")
bent(lambda s, got: b"c=biws,r=" + dict(p.split("=", 1) for p in got.decode().split(","))["r"].encode() + b",p=" + b64(b"\0" * 32).encode(), "a proof of zeros")
bent(lambda s, got: s.final(got), "words where nothing is to come", last=b"x")
for first in (b"", b"n", b"n,,", b"n,,n=,r=x", b"n,,n=x", b"n,,n=x,r=", b"n,,n=a=b,r=x", b"n,,n=\xff,r=x", b"n,,n=x\0y,r=x", b"n,,r=x,n=x", b"x,,n=x,r=y", b"n,,n=x,r=" + b"y" * 300, b"n,,n=" + b"x" * 300 + b",r=y", b"n,,n=x,r=\xc3\xa4"):
    bent(None, f"it begins with {first[:20]!r}", first=first)
say = Imap(sb, "IMAPS")
for _ in range(3):
    say.begin("SCRAM-SHA-256", Scram(name(1), PW).first())
    say.send("*\r\n")
    say._take()
is_(say.begin("PLAIN", f"\0{name(1)}\0{PW}".encode())[0], "ok", "exchanges that are given up leave the session as it was")
say = Imap(sb, "IMAPS")
say.begin("SCRAM-SHA-256", Scram(name(1), PW).first())
ok(scram(1)[0] == "ok", "who is silent in the middle holds up nobody")
del say

# ---- guesses are slow, whichever way they come
for _ in range(6):
    scram(6, "wrong")
ok(took(lambda: scram(6, "wrong")) > 0.3, "the seventh wrong one is answered later, with PLAIN's")

# ---- what takes its time
web = subprocess.run(["curl", "-s", "--cacert", sb.env["CAFILE"], "-u", f"admin:{PW}", "-H", "Content-Type: application/json", "-d", '{"password": "another-4"}', "-w", "%{http_code}",
                      "-o", "/dev/null", f"https://{sb.env.get('HOST', '127.0.0.1')}:{sb.env['ADMIN_PORT']}/api/v1/users/{name(4)}/password"], capture_output=True, text=True)
is_(web.stdout, "200", "an administrator changes a password")
s, say5 = Scram(name(5), PW), Imap(sb, "IMAPS")
how, got = say5.begin("SCRAM-SHA-256", s.first())
is_(say5.answer(s.final(got))[0], "+", "somebody else has proved his")
subprocess.run(["ldappasswd", *ROOT, "-s", "another-5", dn(5)], check=True)
overtaken = time.monotonic()

# ---- the rules behind the password
modify(3, "add: tiermailSecondFactor\ntiermailSecondFactor: totp")
modify(2, "replace: mailUserStatus\nmailUserStatus: inactive")
subprocess.run(["ldappasswd", *ROOT, "-s", "another-1", dn(1)], check=True)
changed = time.monotonic()
tm.wait_for(lambda: scram(3)[0] == "no")
ok("pplication password" in scram(3)[2], f"with a second factor it is not enough: {scram(3)[2]}")
tm.wait_for(lambda: scram(2)[0] == "no")
ok("AUTHENTICATIONFAILED" not in scram(2)[2], f"who is closed out is told: {scram(2)[2]}")
tm.wait_for(lambda: scram(1)[0] == "no")
ok(time.monotonic() - changed < 6 * tm.SLOW, "an old password is good no more, though its verifier stands there")
is_((scram(1, "another-1")[0], plain(1, "another-1")[0]), ("no", "ok"), "nor is the new one before it was learned")

# ---- an exchange that a change has overtaken
time.sleep(max(0, overtaken + 5.1 - time.monotonic()))
is_(say5.answer(b"")[0], "no", "which is changed before he is let in: he is not")

# ---- changed through the administration, it is written without a login
ok(tm.wait_for(lambda: verifier(4), tm.LONG), "what SCRAM needs of it is written when it is settled")
tm.wait_for(lambda: scram(4, "another-4")[0] == "ok")
ok(scram(4, "another-4")[:2] == ("ok", True) and scram(4)[0] == "no", "and lets in, not the old one")
plain(1, "another-1")
ok(tm.wait_for(lambda: not verifier(1).startswith("2020")), "a login writes the other")
tm.wait_for(lambda: scram(1, "another-1")[0] == "ok")
ok(scram(1, "another-1")[0] == "ok" and scram(1)[0] == "no", "which lets in")
stale = verifier(1)
modify(1, "replace: pwdChangedTime\npwdChangedTime: 20210101000000Z", "replace: tiermailScram\ntiermailScram: " + stale)
tm.wait_for(lambda: scram(1, "another-1")[0] == "no")
is_(scram(1, "another-1")[0], "no", "of another time than the entry's it lets nobody in")
ok(wire.logged(sb, "imapd", "ev=verifier_written", f"user={name(1)}"), "what is learned is logged, without it")

# ---- clients
taught(4)
tm.wait_for(lambda: scram(4, "another-4")[0] == "ok")
if shutil.which("gsasl"):
    r = subprocess.run(["gsasl", "-c", "--imap", "-m", "SCRAM-SHA-256", "--no-cb", "-a", name(4), "-z", "", "-p", "another-4", f"--x509-ca-file={sb.env['CAFILE']}", "--connect",
                        f"{sb.host}:{sb.env['IMAP_PORT']}"], input="", capture_output=True, text=True, timeout=tm.LONG)
    ok("OK" in r.stdout and "AUTHENTICATE" in r.stdout and "[CAPABILITY" in r.stdout, "gsasl") or tm.diag(r.stdout[-900:] + r.stderr[-900:])
else:
    tm.skip("gsasl", "it is not installed")
if shutil.which("msmtp"):
    r = subprocess.run(["msmtp", f"--host={sb.host}", f"--port={sb.env['SUBMISSIONS_PORT']}", "--tls=on", "--tls-starttls=off", "--tls-trust-file=", "--tls-certcheck=off", "--auth=scram-sha-256",
                        f"--user={name(4)}", "--passwordeval=echo another-4", f"--from={name(4)}", name(5)], input="Subject: x\n\nx\n", capture_output=True, text=True)
    ok(r.returncode == 0, "msmtp") or tm.diag(r.stderr)
else:
    tm.skip("msmtp", "it is not installed")
if shutil.which("mbsync") and any("libscram" in f for d in ("/usr/lib/x86_64-linux-gnu/sasl2", "/usr/lib/aarch64-linux-gnu/sasl2") if os.path.isdir(d) for f in os.listdir(d)):
    here = tm.tempdir()
    with open(here + "/rc", "w") as f:
        f.write(f"IMAPAccount a\nHost {sb.host}\nPort {sb.env['IMAP_PORT']}\nUser {name(4)}\nPass another-4\nAuthMechs SCRAM-SHA-256\nSSLType None\n\n"
                f"IMAPStore r\nAccount a\n\nMaildirStore l\nPath {here}/m/\nInbox {here}/m/INBOX\n\nChannel c\nFar :r:\nNear :l:\nPatterns INBOX\nCreate Near\nSyncState *\n")
    os.mkdir(here + "/m")
    r = subprocess.run(["mbsync", "-c", here + "/rc", "-a"], capture_output=True, text=True)
    ok(r.returncode == 0, "mbsync by Cyrus SASL") or tm.diag(r.stdout[-900:] + r.stderr[-900:])
else:
    tm.skip("mbsync", "it is not installed")
tm.done()
