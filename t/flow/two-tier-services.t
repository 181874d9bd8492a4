#!/usr/bin/env python3
"""The reference deployment, and all that people and administrators do there besides mail itself: scripts by ManageSieve,
the web client's sending, vacation, scripts, address books and password, programs, administration.  What they change is
changed at the directory's master, by daemons that ask its replicas."""
import base64, http.client, imaplib, json, os, smtplib, sys, threading

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from sieveraw import Sieve
from twotier import Deployment

tt = Deployment("--users", "6")
D, OUT, PW = tt.env["DOMAIN"], tt.env["OUTSIDE"], tt.env["PASSWORD"]
CORE, MAIL, SUBMIT, VACATION, SIEVE, CONTACTS = ("urn:ietf:params:jmap:" + w for w in ("core", "mail", "submission", "vacationresponse", "sieve", "contacts"))


class Balancer:
    """Where the client of sieveraw.py connects to, and who logs in there."""
    host, password, user, env = tt.env["LB"], PW, staticmethod(tt.user), tt.env

    @staticmethod
    def port(name):
        return int(tt.env[name + "_PORT"])


class Web:
    """A browser's session, and JMAP in it."""

    def __init__(self, n, password=None):
        self.cookie = tt.browser(n, password)
        session = json.loads(tt.web("GET", "/.well-known/jmap", None, self.cookie)[1])
        self.account, self.can = list(session["accounts"])[0], session["capabilities"]

    def ask(self, *calls):
        """The answers' arguments."""
        r = json.loads(tt.web("POST", "/jmap/api", {"using": [CORE, MAIL, SUBMIT, VACATION, SIEVE, CONTACTS], "methodCalls": [
            [name, {"accountId": self.account, **args}, str(i)] for i, (name, args) in enumerate(calls)]}, self.cookie)[1])
        return [a for _, a, _ in r["methodResponses"]]


def at_replicas(n, attribute, value):
    def there(host):
        words = tt.ldap(host, n, attribute).replace("\n ", "").splitlines()
        return any(value in (base64.b64decode(w.split(":: ")[1]).decode() if ":: " in w else w) for w in words)
    return all(tm.wait_for(lambda: there(h)) for h in ("ldap1", "ldap2"))


def folder(n, name):
    """Subjects of what lies there."""
    with tt.imap(n) as c:
        if c.select(name, readonly=True)[0] != "OK":
            return []
        return [part[1].decode().strip() for part in c.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1] if isinstance(part, tuple)]


# ---- ManageSieve: the balancer, a proxy, sieved at the person's store, the master
for n, store in ((1, "store1"), (2, "store2")):
    s = Sieve(Balancer).starttls()
    tm.ok(s.login(n).startswith("OK"), f"user {n}: ManageSieve under the one name")
    tm.ok(s.put("mine", f'require ["fileinto", "mailbox"]; if header :contains "subject" "sorted" {{ fileinto :create "Sorted"; }}').startswith("OK"), "a script is stored")
    tm.ok(s.last('SETACTIVE "mine"').startswith("OK"), "and active")
    s.last("LOGOUT")
    tm.ok(tm.wait_for(lambda: tt.log(store, "sieved", "ev=login ", f"user={tt.address(n)}", "mech=EXTERNAL", "peer=192.0.2.9")), f"at {store}, by the proxy's certificate, from the client's address")
    tm.ok(at_replicas(n, "mailSieveRuleSource", "Sorted"), "the replicas have it")
    tt.internet([tt.address(n)], f"sorted {n}")
    tm.ok(tm.wait_for(lambda: folder(n, "Sorted") == [f"Subject: sorted {n}"]), "and mail goes by it")
try:
    said = Sieve(type("There", (Balancer,), {"host": tt.env["STORE1"]})).starttls().told
except OSError:
    said = ["refused"]
tm.ok(not said[-1].startswith("OK"), "a store's sieved has no session for one without a proxy's certificate") or tm.diag(said)

# ---- the web client: sending, scripts, vacation, address books, password
w = Web(3)
tm.is_([c for c in (SUBMIT, VACATION, SIEVE, CONTACTS) if c not in w.can], [], "the web has sending, vacations, scripts and address books")
boxes, identities = w.ask(("Mailbox/get", {"ids": None}), ("Identity/get", {"ids": None}))
drafts = [b["id"] for b in boxes["list"] if b["role"] == "drafts"]
if not drafts:
    made = w.ask(("Mailbox/set", {"create": {"d": {"name": "Drafts", "role": "drafts"}}}))[0]
    drafts = [made["created"]["d"]["id"]]
sent = w.ask(("Email/set", {"create": {"m": {"mailboxIds": {drafts[0]: True}, "from": [{"email": tt.address(3)}], "to": [{"email": tt.address(2)}, {"email": f"friend@{OUT}"}],
                                             "subject": "by the web", "textBody": [{"partId": "1", "type": "text/plain"}], "bodyValues": {"1": {"value": "hello"}}}}}),
             ("EmailSubmission/set", {"create": {"s": {"identityId": identities["list"][0]["id"], "emailId": "#m"}}}))
tm.ok(sent[1].get("created"), "a message is sent by the web") or tm.diag(sent)
tm.ok(tt.arrived(2, "by the web"), "to a user of the other store")
tm.ok(tm.wait_for(lambda: tt.outside("by the web")), "and to the Internet")
tm.is_(list(w.ask(("VacationResponse/set", {"update": {"singleton": {"isEnabled": True, "subject": "gone", "textBody": "back soon"}}}))[0].get("updated") or []), ["singleton"], "a vacation begins")
tm.ok(at_replicas(3, "mailDeliveryOption", "autoreply"), "the replicas have it")
tt.internet([tt.address(3)], "are you there")
tm.ok(tm.wait_for(lambda: tt.outside("gone")), "and who writes is answered")


def by_relay(host, together, said):
    """Somebody else out there, whose message ends at the same moment at both relays."""
    with smtplib.SMTP(tt.env[host], 25, local_hostname="client.test", timeout=tm.LONG) as c:
        c.ehlo()
        c.mail(f"both@{OUT}")
        c.rcpt(tt.address(3))
        c.docmd("DATA")
        c.send(f"From: both@{OUT}\r\nTo: {tt.address(3)}\r\nMessage-ID: <{host}@{OUT}>\r\nSubject: by {host}\r\n\r\nhello\r\n")
        together.wait()
        c.send(".\r\n")
        said.append(c.getreply()[0])


def answers():
    return [m for m in tt.outside("gone") if f"both@{OUT}".encode() in m]


together, said = threading.Barrier(2), []
senders = [threading.Thread(target=by_relay, args=(host, together, said)) for host in ("IN1", "IN2")]
for t in senders:
    t.start()
for t in senders:
    t.join()
tm.ok(said == [250, 250] and tt.arrived(3, "by IN1") and tt.arrived(3, "by IN2"), "two messages of one sender come by both relays at once") or tm.diag(said)
tm.ok(tm.wait_for(answers), "which is answered")
contacts = w.ask(("AddressBook/get", {"ids": None}))[0]["list"]
made = w.ask(("ContactCard/set", {"create": {"c": {"@type": "Card", "version": "1.0", "addressBookIds": {contacts[0]["id"]: True}, "name": {"full": "A Friend"}, "emails": {"e": {"address": f"friend@{OUT}"}}}}}))[0]
tm.ok(made.get("created"), "a contact is kept") or tm.diag(made)
ours, others = Web(3).ask(("ContactCard/get", {"ids": None}))[0]["list"], Web(2).ask(("ContactCard/get", {"ids": None}))[0]["list"]
tm.is_(([c["name"]["full"] for c in ours], others), (["A Friend"], []), "and is there in another session, and nobody else's")
s = Sieve(Balancer).starttls()
s.login(3)
tm.ok(s.put("known", 'require ["extlists", "fileinto", "mailbox"]; if header :list "from" ":addrbook:default" { fileinto :create "Friends"; }').startswith("OK") and s.last('SETACTIVE "known"').startswith("OK"), "a script that asks whether the sender is a contact")
s.last("LOGOUT")
tm.ok(at_replicas(3, "mailSieveRuleSource", "Friends"), "the replicas have it")
with smtplib.SMTP(tt.env["INET"], 25, local_hostname="client.test", timeout=tm.LONG) as c:
    c.sendmail(f"friend@{OUT}", [tt.address(3)], f"From: friend@{OUT}\r\nSubject: of a friend\r\n\r\nhello\r\n")
tm.ok(tm.wait_for(lambda: folder(3, "Friends") == ["Subject: of a friend"]), "finds it there, at delivery")
r = tt.web("POST", "/password", {"old": PW, "new": "another-1"}, Web(4).cookie)
tm.is_(r[0].status, 200, "a person changes the password") or tm.diag(r[1])
tm.ok(tm.wait_for(lambda: tt.browser(4, "another-1")), "which is good then")

# ---- programs: for whom the directory says so
tm.ok(tt.modify(5, "replace: mailDeliveryOption\nmailDeliveryOption: mailbox\nmailDeliveryOption: program\n-\nreplace: mailProgramDeliveryInfo\nmailProgramDeliveryInfo: archive"), "user 5 has a program")
tm.ok(at_replicas(5, "mailProgramDeliveryInfo", "archive"), "the replicas know")


def archived(subject):
    files = (f"{tt.dir}/{h}/var/mail/archive/all" for h in ("in1", "in2", "out1"))
    return sum(open(f).read().count(f"\nSubject: {subject}\n") for f in files if os.path.exists(f))


tt.internet([tt.address(5)], "for the program")
tm.ok(tt.arrived(5, "for the program") and tm.wait_for(lambda: archived("for the program")), "mail is in the mailbox and went through the program")
tm.is_(archived("for the program"), 1, "once")


# ---- administration
def console(method, path, body=None, who="admin"):
    c = http.client.HTTPSConnection(tt.env["ADMIN"], int(tt.env["ADMIN_PORT"]), context=tt.tls, timeout=tm.LONG)
    c.request(method, path, body and json.dumps(body), {"Content-Type": "application/json", "Authorization": "Basic " + base64.b64encode(f"{who}:{PW}".encode()).decode()})
    r = c.getresponse()
    return r.status, r.read().decode()


tm.is_(console("GET", "/")[0], 200, "the console is there")
tm.is_(console("POST", "/api/v1/users", {"name": f"fresh@{D}", "password": PW})[0], 201, "an administrator makes a user")
tm.is_(console("POST", "/api/v1/users", {"name": f"other@{D}", "password": PW}, tt.user(1))[0], 404, "nobody else does, or sees where")
host = tm.wait_for(lambda: [l.split(": ")[1].strip() for l in tt.call("exec", "ldap2", "ldapsearch", "-x", "-LLL", "-H", "ldapi://%2Frun%2Fslapd%2Fldapi", "-D", tt.env["LDAP_ADMIN_DN"], "-w", tt.env["LDAP_ADMIN_PASSWORD"],
                                                             "-b", tt.env["LDAP_BASE"], "(uid=fresh)", "mailHost").stdout.splitlines() if l.startswith("mailHost")])
tm.ok(host and host[0] in (f"store1.{D}", f"store2.{D}"), "on one of the stores, and a replica knows it")
tt.user_of = tt.user
tt.user = lambda n: "fresh" if n == "fresh" else tt.user_of(n)
tt.internet([f"fresh@{D}"], "welcome")
tm.ok(tt.arrived("fresh", "welcome"), "mail for the new user arrives")
tm.ok("Subject: welcome" in folder("fresh", "INBOX"), "who logs in by the one name and reads it")
tm.is_(console("POST", f"/api/v1/users/{tt.address(6)}/suspend")[0], 200, "an administrator suspends another")


def refused():
    try:
        tt.imap(6).logout()
    except imaplib.IMAP4.error as e:
        return "UNAVAILABLE" not in str(e)
    return False


tm.ok(tm.wait_for(refused), "who cannot log in any more")
tm.is_(tt.call("exec", "admin", "grep", "-c", "fresh@", "/var/log/tiermail/admin.audit").stdout.strip() != "0", True, "and the log of changes has it")
status, said = tt.web("GET", f"/mail/config-v1.1.xml?emailaddress={tt.address(1)}")[:2]
tm.ok(f"<hostname>{tt.env['MAIL_HOST']}</hostname>" in (said.decode() if isinstance(said, bytes) else said), "mail programs are told of the one name") or tm.diag((status, said))
tm.is_(tt.call("status").returncode, 0, "every host is up")
tm.is_(len(answers()), 1, "once: the store is the relays' one memory")
tt.done()
