#!/usr/bin/env python3
"""imapd: URLAUTH (RFC 4467): who may have what a URL names, and who may not; keys that are reset, mailboxes that go and
come, names that others know, answers larger than a client reads.  The exchanges are in t/fixtures/transcripts/imap-urlauth."""
import re, subprocess, time
import tm
from imapraw import Raw

tm.need("ldapadd")

ok, is_ = tm.ok, tm.is_
sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay", "--set", "imapd.workers=1",
                "--set", "imapd.urlauth.hosts=imap.other.test", "--set", "imapd.urlauth.submit=user0003@example.test")
one, two, three, D = sb.user(1), sb.user(2), sb.user(3), sb.domain
is_(f"{three}@{D}", "user0003@example.test", "the submission server's account")
HOST = re.search(rb"\] (\S+) ready", Raw(sb).greeting)[1].decode()
a, b, c = Raw(sb, login=1), Raw(sb, login=2), Raw(sb, login=3)
PARTS = (b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nfirst\r\n--x\r\nContent-Type: text/plain\r\n\r\n"
         b"Si vis pacem, para bellum.\r\n--x--\r\n")
a.append("INBOX", PARTS)
BIG = b"Subject: big\r\n\r\n" + b"".join(b"%069d\r\n" % n for n in range(100000))
a.append("INBOX", BIG)
ok(b"URLAUTH" in a.ok("CAPABILITY")[0].split(), "it is offered")


def rump(what="INBOX/;UID=1/;SECTION=2", access="anonymous", user=None, host=HOST, expire=""):
    return f"imap://{user or one}@{host}/{what}{expire};URLAUTH={access}"


def make(client, *rumps):
    lines = client.ok("GENURLAUTH " + " ".join(f'"{r}" INTERNAL' for r in rumps))
    return [u.decode() for u in re.findall(rb'"([^"]*)"', lines[0])]


def fetch(client, url):
    """The bytes, or None for NIL."""
    line = client.ok(f'URLFETCH "{url}"')[0]
    head = f'* URLFETCH "{url}" '.encode()
    if not line.startswith(head):
        return ok(False, f"URLFETCH {url}") or tm.diag(line)
    rest = line[len(head):]
    if rest == b"NIL":
        return None
    n = int(re.match(rb"\{(\d+)\}\r\n", rest)[1])
    data = rest[len(b"{%d}\r\n" % n):]
    return data if len(data) == n else ok(False, f"{len(data)} of {n} octets")


# ---- what and who --------------------------------------------------------------------------------------------------
url = make(a, rump())[0]
ok(re.fullmatch(re.escape(rump()) + ":internal:01[0-9a-f]{64}", url), "a URL with a token") or tm.diag(url)
is_(make(a, rump())[0], url, "the same again, as the key is the same")
is_(fetch(b, url), b"Si vis pacem, para bellum.", "whoever has it has the part, and nobody need select anything")
c.ok("SELECT INBOX")
is_(fetch(c, url), b"Si vis pacem, para bellum.", "also with another mailbox selected")
for what, want in (("INBOX/;UID=1", PARTS), ("INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(subject)", b"Subject: parts\r\n\r\n"), ("INBOX/;UID=1/;SECTION=2/;PARTIAL=3.3", b"vis"),
                   ("INBOX/;UID=1/;SECTION=2/;PARTIAL=500", b""), ("INBOX/;UID=1/;SECTION=1", b"first"), ("inbox;UIDVALIDITY=%s/;UID=1/;SECTION=2.MIME", b"Content-Type: text/plain\r\n\r\n"),
                   ("INBOX/;UID=1/;SECTION=7", None), ("INBOX/;UID=77", None)):
    if "%s" in what:
        what %= re.search(rb"UIDVALIDITY (\d+)", a.ok("STATUS INBOX (UIDVALIDITY)")[0])[1].decode()
    is_(fetch(b, make(a, rump(what))[0]), want, what)
for access, allowed in (("anonymous", "abc"), ("authuser", "abc"), (f"user+{two}", "b"), (f"user+{two.upper()}", "b"), (f"user+{two}%40{D}", "b"), (f"user+{two}%40elsewhere.test", ""),
                        (f"submit+{two}", "c")):
    u = make(a, rump(access=access))[0]
    is_("".join(n for n, who in zip("abc", (a, b, c)) if fetch(who, u)), allowed, f"{access}: {allowed or 'nobody'}")
u = make(a, rump(host="imap.other.test"), rump(host=HOST + ":143"), rump(user=f"{one}%40{D}"))
is_([fetch(b, x) is not None for x in u], [True] * 3, "other names of the server, ports, users with their domain")
BASE = sb.env["LDAP_BASE"]
classes = {"o": ("organization", "sunManagedOrganization", "inetDomain", "mailDomain"), "ou": ("organizationalUnit",),
           "uid": ("inetOrgPerson", "inetUser", "inetMailUser", "inetLocalMailRecipient")}
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                   input="\n".join("\n".join([f"dn: {dn},{BASE}", *(f"objectClass: {c}" for c in classes[dn.split("=")[0]]), more, ""]) for dn, more in (
                       ("o=second.test", "o: second.test\nsunPreferredDomain: second.test"), ("ou=People,o=second.test", "ou: People"),
                       (f"uid={two},ou=People,o=second.test", f"uid: {two}\ncn: x\nsn: x\nmail: {two}@second.test\nuserPassword: {sb.password}"))))
is_(r.returncode, 0, "another domain " + r.stderr)
namesake = Raw(sb, login=f"{two}@second.test")
u = make(a, rump(user=f"{one}%40{D}", access=f"user+{two}"), rump(user=f"{one}%40{D}", access=f"user+{two}%40second.test"))
is_([[fetch(who, x) is not None for x in u] for who in (b, namesake)], [[True, False], [False, True]], "a name without a domain is one of the owner's")
soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
is_([fetch(b, x) is not None for x in make(a, rump(expire=f";EXPIRE={soon}"), rump(expire=";EXPIRE=2020-01-01T00:00:00Z"))], [True, False], "URLs that expire")

# ---- nothing else ---------------------------------------------------------------------------------------------------
other = make(a, rump("INBOX/;UID=1/;SECTION=1"))[0]
token = other.rsplit(":", 1)[1]
said = {fetch(b, u) for u in (rump() + ":internal:" + token, url[:-1] + ("0" if url[-1] != "0" else "1"), url.replace("UID=1", "UID=2"), url.replace("anonymous", "authuser"), url[:-2],
                              url + "00", url.replace(":internal:", ":external:"), rump(), "x", url.replace(one + "@", two + "@"), url.replace(one + "@", "nobody@"),
                              url.replace(HOST, "elsewhere.test"), url.replace("INBOX", "Nowhere"), url.replace("imap:", "http:"), url.replace("internal:01", "internal:02"))}
is_(said, {None}, "whatever is changed of a URL: NIL")
lines = b.ok(f'URLFETCH "{url}" "x" "{other}"')
is_([l.rsplit(b" ", 1)[1][:3] for l in lines][1], b"NIL", "one that is no good does not spoil the others") if len(lines) == 3 else ok(False, "three answers")
for bad in (rump("Nowhere/;UID=1"), rump(user=two), rump(host="elsewhere.test"), rump("INBOX"), rump(access="x"), url, f"/INBOX/;UID=1;URLAUTH=anonymous"):
    ok(a.tagged(f'GENURLAUTH "{bad}" INTERNAL').startswith(b"BAD"), f"none is made: {bad[:60]}")
for bad in ("GENURLAUTH", f'GENURLAUTH "{rump()}"', f'GENURLAUTH "{rump()}" XSAMPLE', "URLFETCH", "URLFETCH " + " ".join(["x"] * 101), "RESETKEY INBOX (x)"):
    ok(a.tagged(bad).startswith(b"BAD"), f"BAD: {bad[:40]}")

# ---- keys -----------------------------------------------------------------------------------------------------------
a.ok("CREATE Work")
a.append("Work", PARTS)
work = make(a, rump("Work/;UID=1/;SECTION=2"))[0]
is_(a.tagged("RESETKEY INBOX"), b"OK [URLMECH INTERNAL] RESETKEY completed", "a key is set anew")
is_([fetch(b, u) for u in (url, work)], [None, b"Si vis pacem, para bellum."], "which revokes the URLs of its mailbox alone")
again = make(a, rump())[0]
ok(again != url and fetch(b, again), "new ones are good")
is_(a.tagged("RESETKEY"), b"OK RESETKEY completed, all keys removed", "all keys are removed")
is_([fetch(b, u) for u in (again, work)], [None, None], "which revokes all")
is_(a.tagged("RESETKEY INBOX INTERNAL"), b"OK [URLMECH INTERNAL] RESETKEY completed", "by the name of the mechanism")
for command, code in (("RESETKEY Nowhere", b"NO [NONEXISTENT]"), ("RESETKEY INBOX XSAMPLE", b"NO [CANNOT]"), (f'RESETKEY "Shared Folders/User/{two}/INBOX"', b"NO [NOPERM]")):
    ok(a.tagged(command).startswith(code), f"{code.decode()}: {command}")
work = make(a, rump("Work/;UID=1/;SECTION=2"))[0]
a.ok("RENAME Work Old")
is_(fetch(b, work), None, "a mailbox that is renamed is not what the URL names")
a.ok("CREATE Work")
a.append("Work", PARTS)
is_(fetch(b, work), None, "nor is another of its name")
is_(a.ok("GETMETADATA (DEPTH infinity) INBOX /private"), [], "nobody sees a key")
is_(a.ok("GETMETADATA INBOX /private/tiermail/urlauth"), [b"* METADATA INBOX (/private/tiermail/urlauth NIL)"], "by its name neither")
ok(a.tagged('SETMETADATA INBOX (/private/tiermail/urlauth "x")').startswith(b"NO [NOPERM]"), "nor sets one")
news = Raw(sb, login=1)
news.ok("ENABLE METADATA")
a.ok("RESETKEY INBOX")
a.ok('SETMETADATA INBOX (/private/comment "x")')
is_(tm.wait_for(lambda: news.ok("NOOP")), [b"* METADATA INBOX /private/comment"], "nor is told of one")
before = make(a, rump())[0]
sb.restart("stored")
is_(tm.wait_for(lambda: b.tagged("NOOP").startswith(b"OK") and fetch(b, before)), b"Si vis pacem, para bellum.", "keys are kept")

# ---- large ones ------------------------------------------------------------------------------------------------------
big = make(a, rump("INBOX/;UID=2"))[0]
b.start(f'URLFETCH "{big}" "{before}"')                  # which nobody reads for now
is_(c.ok("NOOP"), [], "others are answered")
lines, tagged = b.finish()
is_((tagged[:2], [BIG in l for l in lines]), (b"OK", [True, False]), "7 MB, when they are read")
for _ in range(10):
    d = Raw(sb, login=2)
    d.start(f'URLFETCH "{big}" "{big}"')
    d.close()
is_(fetch(b, before), b"Si vis pacem, para bellum.", "sessions that end in the middle leave nothing")
tm.done()
