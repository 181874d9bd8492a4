#!/usr/bin/env python3
"""Logins of the web at the site's OpenID provider: authorization code with PKCE, state, nonce, ID token and UserInfo by the
book; each thing that is forged, old, somebody else's or of a provider that is away lets nobody in and says why; the session is
one like others, and its end is one at the provider too."""
import http.client, json, os, re, socket, subprocess, sys, threading, time, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import oidc, tm, wire

tm.need("ldapmodify")
op = oidc.Provider()
DOMAIN = "signon.test"
KEYS = {"issuer": op.issuer, "ca": op.ca, "client": "web", "secret": "a secret: of %the client", "domains": DOMAIN, "skew": "2s", "name": "The University"}
sb = tm.Sandbox("--users", "6", "--domain", DOMAIN, *(w for d in ("smtp-relay", "jobctl", "pop3d", "lmtpd", "mmpd", "sieved", "imapd") for w in ("--without", d)),
                "--set", "memd.auth.delay=0", *(w for k, v in KEYS.items() for w in ("--set", f"memd.signon.{k}={v}")))
PORT, ok, is_ = sb.port("HTTPS"), tm.ok, tm.is_
HERE = f"https://{sb.host}:{PORT}"
name = lambda n: f"{sb.user(n)}@{DOMAIN}"
op.set(redirect=HERE + "/signon/back", end=HERE + "/signon/out", user={"email": name(1), "email_verified": True})


class Browser:
    """Cookies and who leads where, as browsers say it."""
    def __init__(self, source=None):
        self.jar, self.source, self.to = {}, source, None

    def ask(self, url, method="GET", body=None, site=None, **fields):
        url = urllib.parse.urljoin(HERE + "/", url)
        u = urllib.parse.urlsplit(url)
        ours = url.startswith(HERE + "/")
        c = http.client.HTTPSConnection(u.hostname, ours and self.to or u.port, context=wire.context(sb) if ours else op.context, timeout=tm.LONG, source_address=self.source and (self.source, 0))
        h = {"Sec-Fetch-Site": site or "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Host": u.netloc, **fields}
        if method == "POST":
            h.update({"Content-Type": "application/json", "Origin": HERE})
        if ours and self.jar:
            strict = site != "cross-site"
            h["Cookie"] = "; ".join(f"{k}={v[0]}" for k, v in self.jar.items() if (strict or v[1] == "Lax") and u.path.startswith(v[2]))
        c.request(method, u.path + ("?" + u.query if u.query else ""), None if body is None else json.dumps(body), h)
        r = c.getresponse()
        r.text = r.read().decode()
        for line in r.headers.get_all("Set-Cookie") or [] if ours else []:
            k, v = line.split(";")[0].split("=", 1)
            a = dict((p.strip().split("=") + [""])[:2] for p in line.split(";")[1:])
            assert "Secure" in a and "HttpOnly" in a and (k.startswith("__Host-") and a["Path"] == "/" or k.startswith("__Secure-")), line
            self.jar[k] = (v, a["SameSite"], a["Path"])
            if a["Max-Age"] == "0":
                del self.jar[k]
        return r

    def at_provider(self, to=None):
        """Where the provider leads back to."""
        r = self.ask("/signon" + (f"?to={urllib.parse.quote(to, safe='')}" if to is not None else ""))
        assert r.status == 303, (r.status, r.text)
        self.went = r.headers["Location"]
        r = self.ask(self.went)
        assert r.status == 302, (r.status, r.text)
        return r.headers["Location"]

    def signon(self, to=None):
        return self.ask(self.at_provider(to), site="cross-site")

    def who(self):
        r = self.ask("/session")
        return json.loads(r.text).get("user") if r.status == 200 else r.status


def why(r):
    """What the page of a login that came to nothing says."""
    to = r.headers.get("Location") or ""
    page = Browser().ask(to) if to.startswith("/signon/failed") else None
    return (to.partition("why=")[2], page and page.status)


# ---- the way
b = Browser()
is_(json.loads(b.ask("/signon/about").text), {"name": "The University", "form": True, "redirect": False}, "the client is told")
r = b.signon("/mail/inbox/7?x=%C3%A4")
is_((r.status, r.headers["Location"]), (303, "/mail/inbox/7?x=%C3%A4"), "somebody logs in, and is where he wanted to be")
is_(b.who(), name(1), "he is who the provider says")
q = urllib.parse.parse_qs(urllib.parse.urlsplit(b.went).query)
ok(q["code_challenge_method"] == ["S256"] and len(q["code_challenge"][0]) == 43 and q["scope"] == ["openid email"] and q["nonce"] != q["state"], f"by PKCE, state and nonce: {sorted(q)}")
is_(b.ask("/jmap/session", **{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}).status, 200, "and his mail is there, without a password")
is_(len(json.loads(b.ask("/sessions").text)["sessions"]), 1, "the session has a record")
ok("__Host-tiermail-signon" not in b.jar, "the cookie of the way is gone")
ok(not any(v[1] == "Lax" for v in b.jar.values()), "none that other sites would send is left")

said = lambda r: json.loads(r.text).get("language")
wire.modify(sb, 2, "replace: preferredLanguage\npreferredLanguage: de-AT, en;q=0.5")
f = Browser()
is_([said(f.ask("/login", "POST", {"user": name(2), "password": sb.password})), said(f.ask("/session")), said(b.ask("/session"))], ["de-AT, en;q=0.5"] * 2 + [None], "whose language the directory has is told it")

# ---- the end
r = b.ask("/logout", "POST", {})
next_ = json.loads(r.text).get("next") or ""
ok(next_.startswith(op.issuer + "/end?") and b.who() == 401, f"a logout says where it goes on: {next_[:60]}")
is_(b.jar, {}, "and leaves no cookie")
r = b.ask(next_)
is_((r.status, r.headers["Location"]), (302, HERE + "/signon/out"), "the provider believes its token, and leads back")
is_(op.asked("end of " + name(1)), 1, "and it is over there")
is_(b.ask("/signon/out").status, 200, "to the page")
b = Browser()
b.signon()
new = sb.password + "2"
is_(b.ask("/password", "POST", {"old": sb.password, "new": new}).status, 200, "another password of the directory")
is_(json.loads(b.ask("/password", "POST", {"old": new, "new": sb.password}).text), {"ended": True}, "begins the session anew")
ok("id_token_hint=" in json.loads(b.ask("/logout", "POST", {}).text)["next"], "which still ends there")
f = Browser()
f.ask("/login", "POST", {"user": name(2), "password": sb.password})
is_(f.who(), name(2), "the form goes on beside it")
is_(json.loads(f.ask("/logout", "POST", {}).text), {}, "a session of the form ends here alone")

# ---- who is at whose browser
b, thief = Browser(), Browser()
back = b.at_provider()
is_(why(thief.ask(back, site="cross-site")), ("stale", 403), "who is given another's address is nobody")
is_(thief.who(), 401, "and stays nobody")
thief.ask("/signon")
is_(why(thief.ask(back, site="cross-site")), ("stale", 403), "nor one who is on a way of his own")
r = b.ask(back, site="cross-site")
is_((r.status, r.headers["Location"], b.who()), (303, "/", name(1)), "it is good for the browser that began")
is_(why(b.ask(back, site="cross-site")), ("stale", 403), "once")
is_(b.who(), name(1), "a second time ends no session")
tabs = Browser()
ways = [tabs.at_provider(f"/mail/{i}") for i in range(6)]
is_([tabs.ask(w, site="cross-site").headers["Location"] for w in reversed(ways)], ["/mail/5", "/mail/4", "/mail/3", "/mail/2"] + ["/signon/failed?why=stale"] * 2, "four tabs may be on the way")
r = Browser().ask("/signon", site="cross-site")
is_((r.status, json.loads(r.text)["code"]), (403, "foreign"), "another site sends nobody there")
for to in ("//evil.test/", "/\\evil.test", "https://evil.test/", "evil", "/a\r\nSet-Cookie: x=1", "/" + "a" * 500, "/signon", "", "/ä", "/\t/evil.test"):
    b = Browser()
    is_(b.signon(to).headers["Location"], "/", f"nobody is led to {to[:20]!r}")

# ---- what comes back
b = Browser()
back = b.at_provider()
for what, change in (("no state", lambda u: re.sub(r"state=[^&]*", "x=y", u)), ("another state", lambda u: re.sub(r"state=[^&]{4}", "state=AAAA", u)), ("two states", lambda u: u + "&state=x")):
    is_(why(b.ask(change(back), site="cross-site")), ("stale", 403), what)
for what, code, change in (("no code", "wrong", lambda u: re.sub(r"code=[^&]*", "x=y", u)), ("another code", "stale", lambda u: re.sub(r"code=[^&]{4}", "code=AAAA", u)),
                           ("no issuer", "wrong", lambda u: re.sub(r"iss=[^&]*", "x=y", u)), ("another issuer", "wrong", lambda u: re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fx", u)),
                           ("a code with NUL", "wrong", lambda u: re.sub(r"code=[^&]*", "code=%00", u))):
    b = Browser()
    is_(why(b.ask(change(b.at_provider()), site="cross-site"))[0], code, what)
    is_(b.who(), 401, "lets nobody in")
for error, code in (("access_denied", ("denied", 403)), ("temporarily_unavailable", ("away", 503)), ("invalid_scope", ("wrong", 502))):
    op.set(refuse=error)
    is_(why(Browser().signon()), code, f"the provider refuses: {error}")
op.set(refuse=None)
b = Browser()
b.at_provider()
cookie = b.jar["__Host-tiermail-signon"][0]
b.jar["__Host-tiermail"] = (cookie, "Strict", "/")
is_(b.who(), 401, "the cookie of the way is no session's")

# ---- the ID token
now = int(time.time())
for what, id_ in (("of another issuer", {"iss": "https://x"}), ("for another client", {"aud": "x"}), ("for two", {"aud": ["web", "x"]}), ("of another's making", {"azp": "x"}),
                  ("expired", {"exp": now - 60}), ("of no end", {"exp": None}), ("of the future", {"iat": now + 600}), ("of no time", {"iat": None}), ("another's nonce", {"nonce": "x"}),
                  ("without nonce", {"nonce": None}), ("without subject", {"sub": None})):
    op.set(id=id_)
    b = Browser()
    is_((why(b.signon()), b.who()), (("wrong", 502), 401), f"an ID token {what}")
op.set(id={"aud": ["web", "x"], "azp": "web"})
b = Browser()
is_((b.signon().headers["Location"], b.who()), ("/", name(1)), "for two, made for us")
op.set(id={}, id_key="never")
is_(why(Browser().signon())[0], "wrong", "one that nobody has signed")
op.set(id_key="new")
op.publish("rsa", "ec", "ed", "new")
ok(tm.wait_for(lambda: Browser().signon().headers["Location"] == "/", 40), "a new key is found")
op.set(id_key="rsa")

# ---- who that is
for what, user in (("nobody has verified", {"email": name(1), "email_verified": False}), ("nobody speaks of", {"email": name(1)}), ("of another domain", {"email": "u@elsewhere.test", "email_verified": True}),
                   ("not here", {"email": "nobody@" + DOMAIN, "email_verified": True}), ("with a NUL", {"email": "a\0@" + DOMAIN, "email_verified": True})):
    op.set(user=user)
    b = Browser()
    is_((why(b.signon()), b.who()), (("nobody", 403), 401), f"an address {what}")
op.set(user={"email": sb.user(3), "email_verified": True})
b = Browser()
is_((b.signon().headers["Location"], b.who()), ("/", name(3)), "a name without a domain is of the first")
op.set(user={"email": name(4), "email_verified": True}, id={"email": None, "email_verified": None})
b = Browser()
is_((b.signon().headers["Location"], b.who(), op.asked("/userinfo")), ("/", name(4), 1), "what the ID token does not say UserInfo does")
op.set(info={"sub": "x"})
is_(why(Browser().signon()), ("wrong", 502), "but of nobody else")
op.set(info={}, id={}, user={"email": name(5), "email_verified": True})
wire.modify(sb, 5, "replace: inetUserStatus\ninetUserStatus: inactive")
is_(why(Browser().signon()), ("inactive", 403), "the directory's rules hold")
wire.modify(sb, 6, "replace: mailAllowedServiceAccess\nmailAllowedServiceAccess: -http:*")
op.set(user={"email": name(6), "email_verified": True})
is_(why(Browser().signon()), ("forbidden", 403), "all of them")
op.set(user={"email": name(3), "email_verified": True})
b = Browser()
is_((b.signon().headers["Location"], b.who()), ("/", name(3)), "a session")
wire.modify(sb, 3, "replace: inetUserStatus\ninetUserStatus: inactive")
ok(tm.wait_for(lambda: b.who() == 403), "ends with its account")

# ---- other ways of a client, and another host
op.set(how="post", lie={"token_endpoint_auth_methods_supported": ["client_secret_post"]}, user={"email": name(1), "email_verified": True})
sb.restart("memd")
b = Browser()
is_((b.signon().headers["Location"], b.who()), ("/", name(1)), "a secret in the form, where that alone is taken")
op.set(how="", lie={})
etc, run, other = tm.tempdir(), tm.tempdir(), tm.free_port()
for conf in ("memd.conf", "tiermail.conf"):
    text = open(sb.conf(conf)).read().replace(f":{PORT}\n", f":{other}\n").replace(f"rundir = {sb.env['RUNDIR']}", f"rundir = {run}")
    open(f"{etc}/{conf}", "w").write(text)
second = subprocess.Popen([sb.bin("memd"), "-c", f"{etc}/memd.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
ok(tm.wait_for(lambda: not socket.socket().connect_ex((sb.host, other))), "a second host")
b = Browser()
back = b.at_provider("/mail/other")
b.to = other
is_((b.ask(back, site="cross-site").headers["Location"], b.who()), ("/mail/other", name(1)), "knows who is on the way from the first, and lets him in")
b.to = None
is_(b.who(), name(1), "at both")
second.kill()
second.wait()
sb.restart("memd")

# ---- the provider is away, or slow
b = Browser()
is_(b.signon().headers["Location"], "/", "while it is there")
for mode in ("500", "garbage", "large", "redirect"):
    op.set(mode=mode)
    x = Browser()
    op.set(mode="")
    back = x.at_provider()
    op.set(mode=mode)
    code = why(x.ask(back, site="cross-site"))
    ok(code in ((("away", 503),) if mode == "500" else (("wrong", 502), ("away", 503))), f"a provider that says {mode}: {code}")
    is_((x.who(), b.who()), (401, name(1)), "lets nobody in, and sends nobody out")
op.set(mode="")
op.stop()
is_(why(b.ask(back, site="cross-site"))[0], "stale", "a way that ended")
r = b.ask("/logout", "POST", {})
is_((r.status, b.who()), (200, 401), "who leaves while it is away is out here")
sb.restart("memd")
is_(why(Browser().ask("/signon")), ("away", 503), "who comes hears that it is away")
began = time.monotonic()
is_(why(Browser().ask("/signon")), ("away", 503), "at once the next time")
ok(time.monotonic() - began < 2, "without asking")
f = Browser()
is_(f.ask("/login", "POST", {"user": name(2), "password": sb.password}).status, 200, "the form does not need it")
op.start()
op.set(redirect=HERE + "/signon/back", end=HERE + "/signon/out", user={"email": name(1), "email_verified": True})
ok(tm.wait_for(lambda: Browser().ask("/signon").headers["Location"].startswith(op.issuer), 40), "it is back")
ok(tm.wait_for(lambda: Browser().signon().headers["Location"] == "/", 40), "with its new keys")

# ---- many at once
op.set(slow=3)
got = []
def come(source):
    x = Browser(source)
    got.append((source, why(x.ask(x.at_provider(), site="cross-site"))[0]))
threads = [threading.Thread(target=come, args=("127.0.0.7",)) for _ in range(12)] + [threading.Thread(target=come, args=("127.0.0.8",))]
for x in threads:
    x.start()
for x in threads:
    x.join()
is_(sorted(got), sorted([("127.0.0.7", "")] * 8 + [("127.0.0.7", "busy")] * 4 + [("127.0.0.8", "")]), "of one address eight are asked about, and others are not kept waiting")
op.set(slow=0)

# ---- settings
conf = sb.conf("memd.conf")
text = open(conf).read()
lines = [l for l in text.split("\n") if not l.startswith(tuple(k + " =" for k in KEYS)) and l != "[signon]"]
def put(**keys):
    open(conf, "w").write("".join(f"signon.{k} = {v}\n" for k, v in {**KEYS, **keys}.items()) + "\n".join(lines) + "\n")
for key, value, words in (("issuer", "http://x", "is no https"), ("client", "", "is needed"), ("scope", "email", "has no openid")):
    put(**{key: value})
    r = subprocess.run([sb.bin("memd"), "-n", "-c", conf], capture_output=True, text=True)
    ok(r.returncode and words in r.stdout + r.stderr, f"signon.{key} = {value}: {words}: {(r.stdout + r.stderr)[-200:]}")
put(form="no", redirect="yes")
sb.restart("memd")
f = Browser()
r = f.ask("/login", "POST", {"user": name(2), "password": sb.password})
is_((r.status, json.loads(r.text)["code"]), (403, "signon"), "where the form is off no password is taken by it")
is_(json.loads(f.ask("/signon/about").text), {"name": "The University", "form": False, "redirect": True}, "and the client is told")
b = Browser()
is_(b.signon().headers["Location"], "/", "the provider goes on")
ok(json.loads(b.ask("/logout", "POST", {}).text)["next"].startswith(op.issuer + "/end?"), "to its end there")
is_(json.loads(b.ask("/logout", "POST", {}).text), {"next": "/signon/out"}, "and to a page that leads nobody there again")
log = open(f"{sb.env['RUNDIR']}/memd.log").read()
ok("ev=signon " in log and "ev=signon_failed" in log, "the log has both")
ok("a secret: of" not in log and back.split("code=")[1][:20] not in log, "and neither secret nor code")
put(issuer="")
sb.restart("memd")
r = Browser().ask("/signon")
is_((r.status, json.loads(Browser().ask("/signon/about").text)), (404, {}), "without a provider there is no such thing")
tm.done()
