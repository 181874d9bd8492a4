#!/usr/bin/env python3
"""Sending by JMAP (RFC 8621 6 and 7): who somebody is, what is sent and to whom, and what is not."""
import json
import subprocess
import tm
from jmapraw import CORE, MAIL, Jmap

SUBMISSION = "urn:ietf:params:jmap:submission"
tm.need("ldapmodify")
sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--set", "jmapd.limit.recipients=5")
j = Jmap(sb)
j.using.append(SUBMISSION)
me, you, other = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2, 3))
c = sb.imap(1)


def draft(subject, sender=me, fields="", body="hello\r\n"):
    """The id of an email in Drafts."""
    typ, data = c.append("Drafts", r"(\Draft)", None,
                         f"From: {sender}\r\nSubject: {subject}\r\n{fields}Message-ID: <{subject.replace(' ', '.')}@x>\r\n\r\n{body}".encode())
    assert typ == "OK", data
    return j.emails(subject=f'"{subject}"')[0]


def submit(email, identity=None, name="EmailSubmission/set", more=None, **props):
    """What came of it: (created, SetError)."""
    got = j.one(name, create={"s": {"identityId": identity or mine, "emailId": email, **props}}, **(more or {}))
    return (got["created"] or {}).get("s"), (got["notCreated"] or {}).get("s")


def arrived(user, subject):
    """The messages of that subject in the user's INBOX."""
    return [m for m in sb.messages(user) if f"Subject: {subject}\r\n".encode() in m]


# ---- whose addresses those of an entry are --------------------------------------------------------------------------
wrote = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]], text=True, capture_output=True,
                       input="".join(f"dn: uid={sb.user(n)},ou=People,o={sb.domain},{sb.env['LDAP_BASE']}\nchangetype: modify\nadd: mailAlternateAddress\n"
                                     + "".join(f"mailAlternateAddress: {a}\n" for a in addresses) + "\n" for n, addresses in
                                     ((4, (f"also@{sb.domain}", f"ceo@second.{sb.domain}", "ceo@elsewhere.test", f"both@{sb.domain}")), (3, (f"both@{sb.domain}",)))))
tm.is_(wrote.returncode, 0, "somebody writes addresses into an entry: " + wrote.stderr)
j4 = Jmap(sb, 4)
j4.using.append(SUBMISSION)
tm.is_([i["email"] for i in j4.one("Identity/get", ids=None)["list"] if not i["email"].startswith("alias")], [f"{sb.user(4)}@{sb.domain}", f"also@{sb.domain}"], "those whose mail comes to him are his identities, others', and what two have, are not")

# ---- who somebody is -------------------------------------------------------------------------------------------
session = json.loads(j.http("GET", "/jmap/session")[2])
tm.is_((session["primaryAccounts"][SUBMISSION], session["accounts"][j.account]["accountCapabilities"][SUBMISSION]),
       (j.account, {"maxDelayedSend": 30 * 86400, "submissionExtensions": {"FUTURERELEASE": [str(30 * 86400)]}}), "the capability")
got = j.one("Identity/get", ids=None)
tm.is_([(i["email"], i["mayDelete"]) for i in got["list"]][0], (me, False), "the primary address is the first identity")
mine, state = got["list"][0]["id"], got["state"]
again = Jmap(sb)
again.using.append(SUBMISSION)
tm.is_(again.one("Identity/get", ids=[mine, "Inone"], properties=["email"])["list"], [{"id": mine, "email": me}], "its id stays")
tm.is_(j.one("Identity/get", ids=["Inone"])["notFound"], ["Inone"], "another id")
tm.is_(j.one("Identity/changes", sinceState=state)["updated"], [], "nothing has changed")
tm.is_(j.one("Identity/changes", sinceState="0"), ["error", "cannotCalculateChanges"], "since a state that was not")
got = j.one("Identity/set", create={"x": {"email": "boss@x.example"}}, update={mine: {"email": "boss@x.example"}, "Inone": {}}, destroy=[mine])
tm.is_((got["notCreated"]["x"]["type"], got["notUpdated"][mine], got["notUpdated"]["Inone"]["type"], got["notDestroyed"][mine]["type"]),
       ("forbidden", {"type": "invalidProperties", "properties": ["email"]}, "notFound", "forbidden"), "the administrator says who somebody is")
said = {"name": "Ann \u00c4", "replyTo": [{"name": None, "email": "r@x.example"}], "textSignature": "-- \nAnn", "htmlSignature": "<b>Ann</b>"}
got = j.one("Identity/set", update={mine: said}, ifInState=state)
tm.is_((got["updated"], got["oldState"]), ({mine: None}, state), "who somebody is to others, he says himself")
now = again.one("Identity/get", ids=[mine])
tm.is_(now["list"], [{"id": mine, "email": me, "bcc": None, "mayDelete": False, **said}], "which stays")
tm.is_((now["state"], got["newState"] != state), (got["newState"], True), "in another state")
tm.is_(j.one("Identity/set", update={mine: {"name": "x"}}, ifInState=state), ["error", "stateMismatch"], "not over another's change")
tm.is_([j.one("Identity/set", update={mine: p})["notUpdated"][mine].get("properties", ["patch"])[0] for p in
        ({"name": 1}, {"bcc": ["x"]}, {"textSignature": "x" * 200000}, {"mayDelete": True}, {"nickname": "x"}, {"replyTo/0": {}}, 5)],
       ["name", "bcc", "textSignature", "mayDelete", "nickname", "patch", "patch"], "what is wrong")
j.one("Identity/set", update={mine: {"name": None, "replyTo": None}})
got = j.one("Identity/get", ids=[mine], properties=["name", "replyTo", "textSignature"])
tm.is_(got["list"], [{"id": mine, "name": "", "replyTo": None, "textSignature": "-- \nAnn"}], "and takes back")
state = got["state"]
tm.is_(c.xatom("GETMETADATA", '(DEPTH infinity)', '""', '("/private/tiermail")')[0], "OK", "IMAP is asked of it")
tm.ok(not any(b"Ann" in (d if isinstance(d, bytes) else b"".join(d)) for d in c.response("METADATA")[1] if d), "and shows nothing")
tm.is_(j.post({"using": [CORE, MAIL], "methodCalls": [["Identity/get", {"accountId": j.account, "ids": None}, "a"]]})[1]["methodResponses"][0][1]["type"],
       "unknownMethod", "not without its capability")

# ---- sending ---------------------------------------------------------------------------------------------------
first = draft("One", fields=f"To: {you}\r\nCc: X <{other}>\r\nBcc: {me}\r\n")
made, why = submit(first)
tm.is_((why, made["undoStatus"], sorted(made["deliveryStatus"])), (None, "final", sorted([me, you, other])), "sent to all of them")
tm.ok(all(d["delivered"] == "queued" and d["smtpReply"].startswith("250 2.") for d in made["deliveryStatus"].values()), "as the relay says")
for n in 1, 2, 3:
    tm.wait_for(lambda: arrived(n, "One"), what=f"it arrives at {n}")
text = arrived(2, "One")[0]
tm.ok(b"\r\nBcc:" not in text and b"\r\nhello\r\n" in text and f"Return-Path: <{me}>".encode() in text, "without Bcc, from its sender")
tm.is_(len(arrived(1, "One")), 1, "and to Bcc")
tm.ok(b"\r\nBcc:" in sb.messages(1, "Drafts")[0], "the draft keeps it")
second = draft("Two", fields=f"To: {other}\r\n", body="x" * 60 + "\r\n" + ("y" * 70 + "\r\n") * 9000)
made, why = submit(second, envelope={"mailFrom": {"email": me}, "rcptTo": [{"email": you}]})
tm.is_((why, list(made["deliveryStatus"])), (None, [you]), "an envelope of the client's, and a long message")
tm.wait_for(lambda: arrived(2, "Two"), what="it arrives")
tm.is_((len(arrived(3, "Two")), arrived(2, "Two")[0].count(b"y" * 70)), (0, 9000), "for whom it says alone, and whole")
utf8 = draft("Drei", fields=f"To: {you}\r\nX-Note: gr\u00fcn\r\n")
tm.is_(submit(utf8)[1], None, "a header beyond ASCII")
tm.wait_for(lambda: arrived(2, "Drei"), what="it arrives")
plus = draft("Four", sender=f"Me <{sb.user(1)}+list@{sb.domain}>", fields=f"To: {you}\r\n")
tm.is_(submit(plus)[1], None, "from a subaddress")
tm.wait_for(lambda: arrived(2, "Four"), what="it arrives")

# ---- not sending -------------------------------------------------------------------------------------------------
why = lambda *a, **k: submit(*a, **k)[1]
forged = draft("Forged", sender=other, fields=f"To: {you}\r\n")
tm.is_(why(forged)["type"], "forbiddenFrom", "as somebody else")
half = draft("Half", sender=f"{me}, {other}", fields=f"To: {you}\r\n")
tm.is_(why(half)["type"], "forbiddenFrom", "also as somebody else")
tm.is_(why(first, envelope={"mailFrom": {"email": other}, "rcptTo": [{"email": you}]})["type"], "forbiddenMailFrom", "with another's MAIL FROM")
tm.is_(why(draft("Nobody"))["type"], "noRecipients", "to nobody")
got = why(draft("Bad", fields="To: half, a b@x\r\n"))
tm.is_((got["type"], got["invalidRecipients"][0]), ("invalidRecipients", "half"), "to what is no address")
got = why(draft("Many", fields="To: " + ", ".join(f"u{n}@{sb.domain}" for n in range(6)) + "\r\n"))
tm.is_((got["type"], got["maxRecipients"]), ("tooManyRecipients", 5), "to too many")
got = why(draft("Unknown", fields=f"To: nobody.here@{sb.domain}\r\n"))
tm.is_((got["type"], got["invalidRecipients"]), ("invalidRecipients", [f"nobody.here@{sb.domain}"]), "to whom the relay does not know")
made, _ = submit(draft("Some", fields=f"To: nobody.here@{sb.domain}, {you}\r\n"))
tm.is_({k: v["delivered"] for k, v in made["deliveryStatus"].items()}, {you: "queued", f"nobody.here@{sb.domain}": "no"}, "to some of them")
tm.is_([why(e, **k)["properties"] for e, k in (("M0000000000000001", {}), ("x", {}), (first, {"identity": "Inone"}), (first, {"sendAt": "x"}), (first, {"envelope": {}}))],
       [["emailId"], ["emailId"], ["identityId"], ["sendAt"], ["envelope/mailFrom"]], "what is no property, or no value of one")
c.append("Drafts", "", None, b"Subject: Fromless\r\nTo: x@y.example\r\n\r\nx\r\n")
tm.is_(why(j.emails(subject="Fromless")[0])["type"], "invalidEmail", "without From")
got = j.one("EmailSubmission/set", update={"S1": {"undoStatus": "canceled"}}, destroy=["S2"])
tm.is_((got["notUpdated"]["S1"]["type"], got["notDestroyed"]["S2"]["type"]), ("notFound", "notFound"), "what is sent is over")
got = j.one("EmailSubmission/get", ids=[made["id"]])
tm.is_((got["list"], got["notFound"]), ([], [made["id"]]), "none is kept")
tm.is_((j.one("EmailSubmission/query")["ids"], j.one("EmailSubmission/changes", sinceState="0"),
        j.one("EmailSubmission/queryChanges", sinceQueryState="0")), ([], ["error", "cannotCalculateChanges"], ["error", "cannotCalculateChanges"]), "nor found")
tm.is_(sb.count(3), 1, "nobody got what was not sent")

# ---- and then ------------------------------------------------------------------------------------------------------
box = {b["name"]: b["id"] for b in j.one("Mailbox/get", ids=None)["list"]}
last = draft("Last", fields=f"To: {you}\r\n")
r = j.call(("EmailSubmission/set", {"create": {"a": {"identityId": mine, "emailId": last}, "b": {"identityId": mine, "emailId": forged}},
                                    "onSuccessUpdateEmail": {"#a": {"keywords/$draft": None, f"mailboxIds/{box['Drafts']}": None, f"mailboxIds/{box['Sent']}": True},
                                                             "#b": {"keywords/$seen": True}}}))
tm.is_([x[::2] for x in r], [["EmailSubmission/set", "a"], ["Email/set", "a"]], "what was sent is changed, as an Email/set")
tm.is_(list(r[1][1]["updated"]), [last], "that alone")
got = j.one("Email/get", ids=[last, forged], properties=["keywords", "mailboxIds"])["list"]
tm.is_([(m["keywords"], m["mailboxIds"]) for m in got], [({}, {box["Sent"]: True}), ({"$draft": True}, {box["Drafts"]: True})], "it is in Sent")
r = j.call(("EmailSubmission/set", {"create": {"a": {"identityId": mine, "emailId": last}}, "onSuccessDestroyEmail": ["#a"]}),
           ("Email/get", {"ids": [last], "properties": ["id"]}))
tm.is_(([x[0] for x in r], r[1][1]["destroyed"], r[2][1]["notFound"]), (["EmailSubmission/set", "Email/set", "Email/get"], [last], [last]), "or goes")

# ---- the relay, or the directory, is away ------------------------------------------------------------------------------
sb.kill("smtp-relay")
tm.is_(why(first)["type"], "serverFail", "the relay is away: it can be tried again")
sb.restart("smtp-relay")
tm.is_(why(first), None, "and is")
tm.done()
