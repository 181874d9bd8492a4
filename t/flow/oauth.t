#!/usr/bin/env python3
"""OAUTHBEARER, XOAUTH2 and Bearer: who brings an access token of the site's authorization server comes in at every
door, by its signature or by what the server says of it; nobody else does, whatever is forged, expired or for others; a server
that is away is nobody's fault; and each of a client's mistakes is told as RFC 7628 wants it."""
import base64, email.message, http.client, imaplib, json, os, poplib, re, shutil, smtplib, subprocess, sys, threading, time, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import oidc, tm, wire
from scramraw import Imap, ManageSieve, Pop3 as ShortPop3, Smtp

tm.need("curl", "ldapmodify")
op = oidc.Provider()
MMP, RELAY = tm.free_port(), tm.free_port()
DOMAIN, HOST = "oauth.test", "mail.oauth.test"
sb = tm.Sandbox("--users", "6", "--domain", DOMAIN, *(w for p in (
    "tiermail.login.oauth=jwt", f"tiermail.login.oauth_issuer={op.issuer}", f"tiermail.login.oauth_ca={op.ca}",
    "tiermail.login.oauth_audience=mail other", "tiermail.login.oauth_scope=mail smtp=send", f"tiermail.login.oauth_domains={DOMAIN}",
    "tiermail.login.oauth_skew=2s", "tiermail.login.oauth_end=yes", "tiermail.login.oauth_client=web",
    "tiermail.login.oauth_secret=a secret: of %the client",
    *(f"{d}.auth.delay=20ms" for d in ("imapd", "pop3d", "sieved", "mmpd", "smtp-relay", "jmapd", "memd")), "imapd.auth.failures=0", "mmpd.auth.failures=0",
    f"smtp-relay.listen proxied.address=127.0.0.1:{RELAY}", "smtp-relay.listen proxied.role=submission", "smtp-relay.listen proxied.tls=starttls",
    "smtp-relay.listen proxied.peer_certificate=ask", f"smtp-relay.auth.proxies={HOST}",
    f"mmpd.listen submission.address=127.0.0.1:{MMP}", "mmpd.listen submission.role=submission", "mmpd.listen submission.tls=starttls",
    f"mmpd.submission.relays={HOST}", f"mmpd.host {HOST}.address=127.0.0.1", f"mmpd.host {HOST}.submission_port={RELAY}") for w in ("--set", p)))
ok, is_ = tm.ok, tm.is_


class Pop3(ShortPop3):
    """A token is longer than a line of POP3: it is no initial response (RFC 5034 4)."""
    def begin(self, mechanism, initial):
        self.send(f"AUTH {mechanism}\r\n")
        how, text = self._take()
        return self.answer(initial) if how == "+" else (how, text)


name = lambda n: f"{sb.user(n)}@{DOMAIN}"
token = lambda n=1, **kw: op.token(**{"email": name(n), "scope": "mail send", **kw})
b64 = lambda b: base64.b64encode(b).decode()


def bearer(t, user="", more="host=x\1port=1\1"):
    return f"n,{'a=' + user if user else ''},\1{more}auth=Bearer {t}\1\1".encode()


def xoauth2(t, user):
    return f"user={user}\1auth=Bearer {t}\1\1".encode()


def imap(t, user="", port="IMAPS", mechanism="OAUTHBEARER", raw=None, say=None):
    """("ok" or "no", the answer's text, the error that was told)"""
    say = say or Imap(sb, port)
    how, got = say.begin(mechanism, raw if raw is not None else bearer(t, user) if mechanism == "OAUTHBEARER" else xoauth2(t, user))
    error = None
    if how == "+":
        error = json.loads(got)
        how, got = say.answer(b"\1")
    return how, got, error


# ---- every door
t1 = token()
doors = {"imapd": lambda: Imap(sb, "IMAPS"), "pop3d": lambda: Pop3(sb, "POP3S"), "submission": lambda: Smtp(sb, "SUBMISSIONS"),
         "sieved": lambda: ManageSieve(sb, "SIEVE"), "imap by mmpd": lambda: Imap(sb, "MMP_IMAPS"), "pop by mmpd": lambda: Pop3(sb, "MMP_POP3S"),
         "sieve by mmpd": lambda: ManageSieve(sb, "MMP_SIEVE")}
for what, door in doors.items():
    how, text, error = imap(t1, name(1), say=door())
    is_(how, "ok", f"{what}: {text} {error}")
    how, text, error = imap(t1, name(1), mechanism="XOAUTH2", say=door())
    is_(how, "ok", f"{what}: and by XOAUTH2: {text}")
    say = door()
    how, text, error = imap(token(key="never"), name(1), say=say)
    ok(how == "no" and error == {"status": "invalid_token", "scope": "mail send" if "subm" in what else "mail"}, f"{what}: a token of nobody's is refused: {error} {text}")
    is_(imap(t1, name(1), say=say)[0], "ok", f"{what}: and the next one is taken")
i = wire.Line((sb.host, sb.port("IMAPS")), tls=sb)
ok("AUTH=OAUTHBEARER AUTH=XOAUTH2" in i.line(), "imapd offers both")
ok(any("AUTH PLAIN LOGIN OAUTHBEARER XOAUTH2" in l for l in Smtp(sb, "SUBMISSIONS").told), "submission does")
is_(imap(t1)[0], "ok", "who says no name is who the token says")
is_(imap(t1, name(1).upper())[0], "ok", "the name in capitals")
how, text, error = imap(t1, name(2))
ok(how == "no" and "AUTHORIZATIONFAILED" in text and not error, f"nobody acts for another: {text}")
is_(imap(t1, name(2), mechanism="XOAUTH2")[0], "no", "in neither way")
is_(imap(token(email="alias0001@" + DOMAIN))[0], "ok", "a token may name an alias")
for key in ("ec", "ed"):
    is_(imap(token(key=key))[0], "ok", f"a token that {key} has signed")
is_(imap(token(header={}))[0], "ok", "one of no type")
is_(imap(token(aud=["x", "other"]))[0], "ok", "one of several audiences")
is_(imap(token(scope=["mail", "x"]))[0], "ok", "scopes as an array")
is_(imap(token(absent=("scope",), scp="mail"))[0], "ok", "scopes by another name")
is_(imap(token(pad="x" * 3000))[0], "ok", "a long one")

# ---- what is none
now = int(time.time())
for what, t in (("expired", token(exp=now - 5)), ("of no end", token(absent=("exp",))), ("not yet", token(nbf=now + 60)), ("of the future", token(iat=now + 60)),
                ("of another issuer", token(iss="https://127.0.0.1:1")), ("for another", token(aud="x")), ("for nobody", token(absent=("aud",))),
                ("an ID token", token(nonce="x")), ("an ID token by its hash", token(at_hash="x")), ("of another type", token(header={"typ": "dpop+jwt"})),
                ("with an extension", token(header={"crit": ["x"], "x": 1})), ("of nobody", token(absent=("email",))), ("of an address nobody has verified", token(email_verified=False)),
                ("of an address of which that is not said", token(absent=("email_verified",))), ("of another domain", token(email="u1@elsewhere.test")),
                ("forged", t1[:-8] + ("AAAAAAAA" if t1[-8:] != "AAAAAAAA" else "BBBBBBBB")), ("no token", "x"), ("two dots", "..")):
    how, text, error = imap(t)
    ok(how == "no" and "AUTHENTICATIONFAILED" in text and error == {"status": "invalid_token", "scope": "mail"}, f"{what}: {text}")
how, text, error = imap(token(scope="openid"))
ok(how == "no" and error["status"] == "insufficient_scope" and "NOPERM" in text, f"without its scope: {error}")
how, text, error = imap(token(scope="mail"), say=Smtp(sb, "SUBMISSIONS"))
ok(how == "no" and error == {"status": "insufficient_scope", "scope": "mail send"}, f"submission wants one of its own: {error}")
is_(imap(token(email="nobody@" + DOMAIN))[0], "no", "a person whom the directory does not know")
for what, raw in (("nothing", b""), ("a binding", b"p=tls-exporter,,\1auth=Bearer x\1\1"), ("no end", f"n,,\1auth=Bearer {t1}\1".encode()), ("Basic", b"n,,\1auth=Basic eDp5\1\1"),
                  ("two tokens", f"n,,\1auth=Bearer {t1}\1auth=Bearer {t1}\1\1".encode()), ("a line in it", f"n,,\1auth=Bearer {t1}\r\nX: y\1\1".encode()),
                  ("more behind it", bearer(t1) + b"x")):
    how, text, _ = imap(None, raw=raw)
    ok(how == "no" and " BAD" in text, f"malformed: {what}: {text}")
say = Imap(sb, "IMAPS")
say.begin("OAUTHBEARER", bearer(token(exp=1)))
say.send("*\r\n")
ok("BAD" in say.line(), "the error need not be heard")
is_(imap(t1, say=say)[0], "ok", "and the session goes on")

# ---- guesses
c = [imap("x.y.z", name(5)) for _ in range(2)]
began = time.monotonic()
imap("x.y.z", name(5))
imap("x.y.z", name(5))
ok(time.monotonic() - began > 0.05, "who guesses is slowed down")
ok(imap(token(5), name(5))[0] == "ok" and imap(t1, name(1))[0] == "ok", "who does not is not")

# ---- keys that come and go
is_(op.set(user=None).get("/jwks", 0) > 0, True, "the keys were fetched")
is_(imap(token(key="new"))[0], "no", "a key that is not published")
asked = op.asked("/jwks")
for _ in range(5):
    imap(token(key="new", header={"kid": f"k{_}"}))
ok(op.asked("/jwks") <= asked + 1 and asked <= 1, f"strangers' key names make nobody ask: {asked} {op.asked('/jwks')}")
op.publish("rsa", "new")
ok(tm.wait_for(lambda: imap(token(key="new"))[0] == "ok", 40), "a new key is found")
is_(imap(token(key="ec"))[0], "no", "one that was taken away is not believed")
op.set(mode="500")
is_(imap(t1)[0], "ok", "while the server is away what is known goes on")
sb.restart("pop3d")
how, text, error = imap(t1, say=Pop3(sb, "POP3S"))
ok(how == "no" and "[SYS/TEMP]" in text and not error, f"who knows nothing says so, and not that a token is wrong: {text}")
for mode in ("garbage", "large", "redirect"):
    op.set(mode=mode)
    sb.restart("pop3d")
    how, text, error = imap(t1, say=Pop3(sb, "POP3S"))
    ok("[SYS/TEMP]" in text, f"a server that says {mode}: {text}")
op.set(mode="drip")
sb.restart("pop3d")
began = time.monotonic()
how, text, error = imap(t1, say=Pop3(sb, "POP3S"))
ok("[SYS/TEMP]" in text and time.monotonic() - began < 25, f"and one that hangs is not asked for ever: {text}")
op.set(mode="", lie={"issuer": "https://elsewhere.test"})
sb.restart("pop3d")
ok("[SYS/TEMP]" in imap(t1, say=Pop3(sb, "POP3S"))[1], "metadata of another issuer are nobody's")
op.set(lie={"jwks_uri": "http://127.0.0.1:1/jwks"})
sb.restart("pop3d")
ok("[SYS/TEMP]" in imap(t1, say=Pop3(sb, "POP3S"))[1], "nor are keys without TLS")
op.set(lie={})

# ---- clients of others
def curl(*args, t=t1, user=None):
    r = subprocess.run(["curl", "-sS", "--max-time", str(tm.LONG), "--cacert", sb.env["CAFILE"], "--oauth2-bearer", t, "-u", (user or name(1)) + ":", *args], capture_output=True, text=True)
    return r.returncode, r.stdout + r.stderr


host = "localhost"
rc, text = curl(f"imaps://{host}:{sb.port('IMAPS')}/", "-X", 'STATUS INBOX (MESSAGES)')
ok(rc == 0 and "MESSAGES" in text, f"curl reads mail by IMAP: {text.strip()}")
ok(curl(f"imaps://{host}:{sb.port('IMAPS')}/", t=token(exp=1))[0] == 67, "and is told when it may not")
sb.restart("pop3d")
rc, text = curl(f"pop3s://{host}:{sb.port('POP3S')}/")
is_(rc, 0, f"by POP3: {text.strip()}")
rc, text = curl("--login-options", "AUTH=XOAUTH2", f"pop3s://{host}:{sb.port('POP3S')}/")
is_(rc, 0, f"by XOAUTH2: {text.strip()}")
mail = tm.tempdir() + "/mail"
open(mail, "w").write(f"From: {name(1)}\r\nTo: {name(2)}\r\nSubject: curl\r\n\r\nhello\r\n")
rc, text = curl(f"smtps://{host}:{sb.port('SUBMISSIONS')}/", "--mail-from", name(1), "--mail-rcpt", name(2), "-T", mail)
is_(rc, 0, f"and sends: {text.strip()}")
rc, text = curl(f"https://{host}:{sb.port('JMAP')}/.well-known/jmap" if "JMAP_PORT" in sb.env else sb.env["JMAPURL"], "-L")
ok(rc == 0 and '"username"' in text and name(1) in text, f"and asks jmapd: {text[:80]}")
rc, text = curl(sb.env["WEBJMAPURL"], "-L")
ok(rc == 0 and name(1) in text, f"and memd: {text[:80]}")
rc, text = curl(sb.env["WEBJMAPURL"], "-D", "-", t=token(exp=1))
ok('error="invalid_token"' in text and " 401" in text, "which says what is wrong with a token")
rc, text = curl(sb.env["JMAPURL"], "-D", "-", t=token(exp=1))
ok('error="invalid_token"' in text and " 401" in text, "as jmapd does")
rc, text = curl(sb.env["JMAPURL"], "-D", "-", t=token(scope="x"))
ok('error="insufficient_scope"' in text and " 403" in text, "and that it lacks a scope")
u, head = urllib.parse.urlsplit(sb.env["JMAPURL"]), {"Authorization": "Bearer " + token(exp=int(time.time()) + 2)}
c = http.client.HTTPSConnection(u.hostname, u.port, context=wire.context(sb), timeout=tm.LONG) if u.scheme == "https" else http.client.HTTPConnection(u.hostname, u.port, timeout=tm.LONG)


def again():
    c.request("GET", u.path, headers=head)
    r = c.getresponse()
    r.read()
    return r.status


is_(again(), 200, "jmapd takes a short one")
ok(tm.wait_for(lambda: again() == 401, 15), "and asks again on its connection when that has expired")
c = imaplib.IMAP4_SSL(host, sb.port("IMAPS"), ssl_context=wire.context(sb))
c.authenticate("XOAUTH2", lambda _: xoauth2(t1, name(1)))
is_(c.select()[0], "OK", "Python's imaplib")
s = smtplib.SMTP(host, MMP, timeout=tm.LONG)
s.starttls(context=wire.context(sb))
s.ehlo()
s.auth("OAUTHBEARER", lambda challenge=None: bearer(t1, name(1)).decode())
is_(s.mail(name(1))[0], 250, "Python's smtplib, by the multiplexor")
if shutil.which("msmtp"):
    r = subprocess.run(["msmtp", "--host=localhost", f"--port={sb.port('SUBMISSIONS')}", "--tls=on", "--tls-starttls=off", f"--tls-trust-file={sb.env['CAFILE']}", "--auth=oauthbearer",
                        f"--user={name(1)}", f"--passwordeval=echo {t1}", f"--from={name(1)}", name(2)], input=f"From: {name(1)}\nSubject: msmtp\n\nx\n", text=True, capture_output=True)
    is_(r.returncode, 0, f"msmtp: {r.stderr.strip()}")
else:
    tm.skip("msmtp", "it is not installed")
ok(tm.wait_for(lambda: sb.count(2) >= 1), "and the mail arrives")

# ---- the end of a token is the end of its session
say = Imap(sb, "IMAPS")
how, text, _ = imap(token(3, exp=int(time.time()) + 5), say=say)
keep = Imap(sb, "IMAPS")
imap(token(3), say=keep)
say.send("b IDLE\r\n")
ok(how == "ok" and "+" in say.line() and "BYE" in tm.wait_for(say.line, 20), "a session ends when its token does")
keep.send("c NOOP\r\n")
ok("c OK" in keep.line(), "another one of the same person goes on")
log = open(f"{sb.env['RUNDIR']}/imapd.log").read() if os.path.exists(f"{sb.env['RUNDIR']}/imapd.log") else ""
ok("ev=sessions_ended" in log and "why=token" in log, "the log says why")
ok(t1 not in log and t1[:40] not in log, "and has no token in it")

# ---- the server is asked
conf = sb.conf("imapd.conf")
before = open(conf).read()
open(conf, "w").write("login.oauth = introspect\nlogin.insecure_loopback = no\n" + before)
sb.restart("imapd")
i = wire.Line((sb.host, sb.port("IMAP")))
ok("OAUTH" not in i.line(), "nothing is offered without TLS")
live = lambda **kw: {"active": True, "email": name(4), "email_verified": True, "scope": "mail", "client_id": "x", "exp": int(time.time()) + 300, **kw}
op.set(active={"good": live(), "gone": {"active": False}, "narrow": live(scope="x"), "late": live(exp=int(time.time()) - 10), "other": live(aud="x"), "soon": live(exp=int(time.time()) + 8),
               "iss": live(iss="https://x"), "user": live(email=None), "unsure": live(email_verified=None)})
is_(imap("good", name(4))[0], "ok", "a token that is no JWT, by what the server says of it")
ok(all(imap("good", mechanism=m, user=name(4))[0] == "ok" for m in ("XOAUTH2", "OAUTHBEARER")) and op.asked("/introspect") == 1, "which is asked once")
for t in ("gone", "late", "other", "iss", "user", "unsure", "unknown", t1):
    how, text, error = imap(t)
    ok(how == "no" and error["status"] == "invalid_token", f"not {t[:8]}: {text}")
is_(imap("narrow")[2]["status"], "insufficient_scope", "nor for what it is not for")
op.set(mode="garbage")
ok("UNAVAILABLE" in imap("nonsense")[1], "an answer that is none is none")
op.set(mode="")
n = op.asked("/introspect")
imap("gone")
is_(op.asked("/introspect"), n, "what is not good is remembered a while")
op.set(slow=4, active={"many": live()})
got = []
threads = [threading.Thread(target=lambda: got.append(imap("many")[0])) for _ in range(20)]
for x in threads:
    x.start()
began = time.monotonic()
ok(imap("good")[0] == "ok" and time.monotonic() - began < 0.9 * tm.SLOW, "others do not wait meanwhile")
for x in threads:
    x.join()
ok(got == ["ok"] * 20 and op.asked("/introspect") == 1, f"twenty at once are one question: {got} {op.asked('/introspect')}")
op.set(slow=0, mode="drip")
began = time.monotonic()
text = imap("another")[1]
ok("UNAVAILABLE" in text and time.monotonic() - began < 14 * tm.SLOW, f"a server that drips is away: {text}")
op.stop()
text = imap("third")
ok("UNAVAILABLE" in text[1] and not text[2], f"so is one that is not there, which is no wrong token: {text[1]}")
is_(imap("good")[0], "ok", "while what it has said goes on")
op.start()
op.set(active={"good": live()})
is_(imap("fourth")[0], "no", "and when it is back, it is asked again")
open(conf, "w").write("login.oauth = introspect\nlogin.oauth_secret = wrong\n" + before)
sb.restart("imapd")
ok("UNAVAILABLE" in imap("good")[1], "who may not ask knows nothing")
open(conf, "w").write("login.oauth = introspect\nlogin.oauth_issuer =\n" + before)
r = sb.tool("imapd", "-n", "-c", conf)
ok(r.returncode and "login.oauth_issuer: is needed" in r.stdout + r.stderr, "-n says what is missing")

tm.done()
