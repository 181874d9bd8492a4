#!/usr/bin/env python3
"""VacationResponse (RFC 8621 8): the attributes of the entry that lmtpd answers by, changed in the person's name."""
import json, smtplib, subprocess, threading
import tm
from jmapraw import CORE, Jmap

VACATION = "urn:ietf:params:jmap:vacationresponse"
sb = tm.Sandbox("--users", "5", *(w for d in ("imapd", "pop3d", "mmpd", "memd", "sieved") for w in ("--without", d)), "--set", "lmtpd.workers=1")
e = sb.env
NOBODY = {"id": "singleton", "isEnabled": False, "fromDate": None, "toDate": None, "subject": None, "textBody": None, "htmlBody": None}


def dn(n):
    return f"uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}"


def ldap(n, *lines):
    r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]],
                       input=f"dn: {dn(n)}\nchangetype: modify\n" + "\n-\n".join(lines) + "\n", text=True, capture_output=True)
    assert r.returncode == 0, r.stderr


def entry(n, attribute):
    r = subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"],
                        "-b", dn(n), "-s", "base", attribute], text=True, capture_output=True)
    return sorted(line.partition(": ")[2] for line in r.stdout.splitlines() if line.lower().startswith(attribute.lower() + ":"))


def get(j):
    return j.one("VacationResponse/get", ids=None)


def change(j, patch, **more):
    return j.one("VacationResponse/set", update={"singleton": patch}, **more)


def refused(j, patch):
    r = change(j, patch)["notUpdated"]["singleton"]
    return r["type"], *r.get("properties", [])


def deliver(subject, to):
    with smtplib.LMTP(sb.host, sb.port("LMTP")) as c:
        c.sendmail(f"{sb.user(2)}@{sb.domain}", [f"{sb.user(to)}@{sb.domain}"],
                   f"From: {sb.user(2)}@{sb.domain}\r\nTo: {sb.user(to)}@{sb.domain}\r\nMessage-ID: <{subject}@{sb.domain}>\r\nSubject: {subject}\r\n\r\nx\r\n")


def subjects():
    mail = two.call(("Email/query", {"sort": [{"property": "receivedAt"}]}), ("Email/get", {"#ids": {"resultOf": "a", "name": "Email/query", "path": "/ids"},
                    "properties": ["subject", "bodyValues", "textBody"], "fetchTextBodyValues": True}))[1][1]["list"]
    return {m["subject"]: "".join(v["value"] for v in m["bodyValues"].values()) for m in mail}


j, two, three, four = (Jmap(sb, n) for n in (1, 2, 3, 4))
for one in (j, two, three, four):
    one.using = one.using + [VACATION]
session = json.loads(j.http("GET", "/jmap/session")[2])
tm.is_((session["capabilities"][VACATION], session["accounts"][j.account]["accountCapabilities"][VACATION], session["primaryAccounts"][VACATION]), ({}, {}, j.account),
       "the capability")

# ---- what there is ---------------------------------------------------------------------------------------------------
got = get(j)
tm.is_((got["list"], got["notFound"]), ([NOBODY], []), "nobody is away")
tm.is_(j.one("VacationResponse/get", ids=["x", "singleton"], properties=["isEnabled"])["list"], [{"id": "singleton", "isEnabled": False}], "one object, and a property")
tm.is_(j.one("VacationResponse/get", ids=["x"])["notFound"], ["x"], "and no other")
deliver("early", 1)

# ---- a change, and what comes of it ----------------------------------------------------------------------------------
first = got["state"]
want = {"isEnabled": True, "fromDate": "2020-01-01T00:00:00Z", "toDate": "2099-12-31T23:59:59Z", "subject": "Weg: $SUBJECT", "textBody": "Ich bin weg.\nGr\u00fc\u00dfe \"x\"; discard;"}
got = change(j, want, ifInState=first)
tm.is_((got["updated"], got["oldState"], got["newState"] != first), ({"singleton": None}, first, True), "one goes away")
tm.is_(get(j), {"accountId": j.account, "state": got["newState"], "list": [{**NOBODY, **want}], "notFound": []}, "it is kept, and this is its state")
tm.is_((entry(1, "mailDeliveryOption"), entry(1, "vacationStartDate"), entry(1, "vacationEndDate"), entry(1, "mailAutoReplySubject")),
       (["autoreply", "mailbox"], ["20200101000000Z"], ["20991231235959Z"], ["Weg: $SUBJECT"]), "in the entry")
deliver("late", 1)
tm.ok(tm.wait_for(lambda: "Weg: late" in subjects()), "the next message is answered") or tm.diag(subjects())
tm.is_(subjects().get("Weg: late", "").replace("\r\n", "\n").strip(), want["textBody"], "with that text")
tm.ok("Weg: early" not in subjects(), "the one before is not")
tm.is_(change(j, {"textBody": "x"}, ifInState=first), ["error", "stateMismatch"], "of two clients one is told")
same = change(j, {"isEnabled": True})
tm.is_((same["updated"], same["newState"]), ({"singleton": None}, got["newState"]), "what is so already changes nothing")

# ---- what cannot be --------------------------------------------------------------------------------------------------
bad = [refused(j, p) for p in ({"fromDate": "2020-13-01T00:00:00Z"}, {"toDate": "tomorrow"}, {"toDate": 5}, {"toDate": "2019-01-01T00:00:00Z"}, {"toDate": want["fromDate"]},
                               {"fromDate": "1969-12-31T23:59:59Z"}, {"fromDate": "2020-01-01T00:00:00+01:00"}, {"subject": "a\nb"}, {"subject": "x" * 901}, {"subject": 1},
                               {"textBody": "x" * 32769}, {"textBody": "\u0000"}, {"textBody": None}, {"isEnabled": "yes"}, {"id": "x"}, {"color": "red"},
                               {"textBody": None, "isEnabled": False, "htmlBody": "<p>x"})]
tm.is_(bad, [("invalidProperties", p) for p in ("fromDate toDate toDate toDate toDate fromDate fromDate subject subject subject textBody textBody textBody isEnabled id color htmlBody".split())],
       "what cannot be is told by its property")
tm.is_([refused(j, p) for p in (7, {"subject/x": 1})], [("invalidPatch",)] * 2, "nor patches that are none")
got = j.one("VacationResponse/set", create={"a": {}}, destroy=["singleton"], update={"x": {}})
tm.is_((got["notCreated"]["a"]["type"], got["notDestroyed"]["singleton"]["type"], got["notUpdated"]["x"]["type"]), ("singleton", "singleton", "notFound"),
       "it is neither made nor destroyed")
tm.is_(get(j)["list"], [{**NOBODY, **want}], "and all is as it was")
tm.is_(change(j, {"htmlBody": "<p>x", "subject": ""})["updated"], {"singleton": {"subject": None, "htmlBody": None}}, "HTML beside a text is dropped, which is said")
tm.is_(entry(1, "mailAutoReplySubject"), [], "no subject is none")
tm.is_(refused(three, {"isEnabled": True}), ("invalidProperties", "textBody"), "nobody is away without a word")

# ---- others at the same entry ----------------------------------------------------------------------------------------
state = get(j)["state"]
ldap(1, "replace: mailAutoReplyText\nmailAutoReplyText: Of another.", "add: mailAutoReplyTextInternal\nmailAutoReplyTextInternal: House.")
tm.is_((change(j, {"textBody": "mine"}, ifInState=state), get(j)["list"][0]["textBody"]), (["error", "stateMismatch"], "Of another."), "another client was faster, and its change stays")
tm.is_(change(j, {"subject": "S"})["updated"], {"singleton": None}, "who asks for no state changes what there is")
tm.is_((get(j)["list"][0]["textBody"], entry(1, "mailAutoReplyTextInternal")), ("Of another.", ["House."]), "and nothing else")
ldap(1, "replace: vacationStartDate\nvacationStartDate: 2021", "replace: vacationEndDate\nvacationEndDate: never")
tm.is_([get(j)["list"][0][p] for p in ("fromDate", "toDate")], ["2021-01-01T00:00:00Z", None], "dates as lmtpd takes them")
change(j, {"isEnabled": False})
tm.is_((entry(1, "mailDeliveryOption"), entry(1, "vacationEndDate"), get(j)["list"][0]["isEnabled"]), (["mailbox"], ["never"], False), "back again; what was not touched stays")
deliver("home", 1)

# Each has read the same state before any of them has written: one wins, and the rest know.
rivals = [Jmap(sb, 4) for _ in range(8)]
for one in rivals:
    one.using = one.using + [VACATION]
    state = get(one)["state"]
for round_ in range(3):
    went, start = {}, threading.Barrier(len(rivals))

    def run(n):
        start.wait()
        went[n] = change(rivals[n], {"textBody": f"{round_} {n}"}, ifInState=state)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(rivals))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    won = [n for n, r in went.items() if r != ["error", "stateMismatch"]]
    now = get(rivals[0])
    tm.is_((len(went), len(won), now["list"][0]["textBody"]), (8, 1, f"{round_} {won[0]}"), "of eight at once one wins, and it is his that stands there") or tm.diag(went)
    state = now["state"]
change(rivals[0], {"textBody": None})

ldap(3, "replace: mailDeliveryOption\nmailDeliveryOption: forward", "replace: mailForwardingAddress\nmailForwardingAddress: x@elsewhere.test")
tm.is_(refused(three, {"isEnabled": True, "textBody": "x"}), ("forbidden",), "whose mail does not come here is not answered for")
tm.is_(entry(3, "mailDeliveryOption"), ["forward"], "and it goes on as before")
ldap(4, "replace: mailDeliveryOption")
change(four, {"isEnabled": True, "textBody": "x"})
tm.is_(entry(4, "mailDeliveryOption"), ["autoreply", "mailbox"], "where there was nothing mail comes into the mailbox still")
tm.is_([two.one("VacationResponse/get", ids=None)["list"], j.one("VacationResponse/get", ids=None, accountId=two.account)], [[NOBODY], ["error", "accountNotFound"]],
       "nobody sees another's")
tm.ok("Weg: home" not in subjects() and "S" not in subjects(), "nobody is answered any more")

# ---- where the directory says no, or nothing -------------------------------------------------------------------------
service = f"uid=jmap,ou=services,{e['LDAP_BASE']}"
r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                   input=f"dn: {service}\nchangetype: modify\ndelete: authzTo\n")
tm.is_((r.returncode, get(j), change(j, {"textBody": "x"})), (0, ["error", "serverFail"], ["error", "serverFail"]), "a service that may not act for people")
tm.is_(entry(1, "mailAutoReplyText"), ["Of another."], "changes nothing")
with open(sb.conf("jmapd.conf")) as f:
    text = f.read()
with open(sb.conf("jmapd.conf"), "w") as f:
    f.write(text.replace("[directory]\npassword = ", "[directory]\n#password = "))
sb.restart("jmapd")
j.conn = None
session = json.loads(j.http("GET", "/jmap/session")[2])
tm.ok(VACATION not in session["capabilities"] and VACATION not in session["accounts"][j.account]["accountCapabilities"], "without a service there is no capability")
tm.is_(get(j), ["error", "unknownMethod"], "and no method")
tm.done()
