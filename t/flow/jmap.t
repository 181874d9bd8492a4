#!/usr/bin/env python3
"""JMAP (RFC 8620, RFC 8621) over a real store: who gets in, what a request may be, mailboxes, threads, emails,
queries, downloads, each as IMAP has made them."""
import http.client, json, re, socket, ssl, time
import tm
from jmapraw import CORE, MAIL, Jmap

sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--set", "jmapd.auth.delay=50ms", "--set", "jmapd.limit.calls=8",
                "--set", "jmapd.limit.get=20", "--set", "jmapd.limit.request=65536")
j = Jmap(sb)


def mail(subject, body=b"Hello\r\n", sender="Ann <ann@a.test>", extra="", at=0, to="bob@b.test"):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@a.test>\r\n"
            f"Date: Mon, 30 Nov 2026 10:{at:02d}:00 +0000\r\n{extra}\r\n").encode() + body


def append(c, folder, message, flags="", day=1):
    typ, data = c.append(folder, flags, f'"{day:02d}-Nov-2026 12:00:00 +0000"', message)
    assert typ == "OK", data


# ---- who gets in -------------------------------------------------------------------------------------------------------
status, fields, got = j.http("GET", "/.well-known/jmap", keep=False)
tm.is_((status, fields.get("www-authenticate")), (401, 'Basic realm="tiermail", charset="UTF-8"'), "nobody is asked who he is")
bad = Jmap(sb, password="wrong")
began = time.monotonic()
tm.is_(bad.http("GET", "/.well-known/jmap")[0], 401, "a wrong password")
tm.ok(time.monotonic() - began >= 0.04, "is answered late")
tm.is_([bad.http("GET", "/.well-known/jmap")[0] for _ in range(2)], [401, 401], "again")
tm.is_(bad.conn, None, "three of them end the connection")
tm.is_(Jmap(sb, login="disabled").http("GET", "/jmap/session")[0], 403, "an account that is closed")
tm.is_(j.http("GET", "/jmap/session", headers={"Authorization": "Bearer x"})[0], 401, "another scheme")
tm.is_(j.http("GET", "/jmap/session", headers={"Authorization": "Basic ==="})[0], 400, "no base64")
tm.is_(j.http("GET", "/jmap/session", headers={"Tiermail-Account": sb.user(2) + "@" + sb.domain})[0], 200, "who is no proxy names no account")
tm.ok(sb.user(1).encode() in j.http("GET", "/jmap/session", headers={"Tiermail-Account": sb.user(2) + "@" + sb.domain})[2], "and stays who he is")

# ---- the session object ------------------------------------------------------------------------------------------------
status, fields, got = j.http("GET", "/.well-known/jmap")
session = json.loads(got)
tm.is_((status, fields["content-type"]), (200, "application/json"), "the session object")
tm.is_((session["username"], session["primaryAccounts"][MAIL]), (f"{sb.user(1)}@{sb.domain}", j.account), "has the user")
tm.is_(session["capabilities"][CORE]["maxCallsInRequest"], 8, "and the limits")
tm.ok(session["apiUrl"].endswith(f":{sb.port('JMAP')}/jmap/api") and "{blobId}" in session["downloadUrl"], "and addresses")
tm.is_(j.post({"using": [CORE], "methodCalls": []}), (200, {"methodResponses": [], "sessionState": session["state"]}), "its state is told with each answer")
tm.is_([j.http(m, p)[0] for m, p in (("POST", "/jmap/session"), ("GET", "/jmap/api"), ("GET", "/x"), ("GET", "/jmap/session/x"))], [405, 405, 404, 404],
       "other verbs and paths")

# ---- requests ----------------------------------------------------------------------------------------------------------
ERROR = "urn:ietf:params:jmap:error:"
for body, want in ((b"{", "notJSON"), (b'{"using":[],"using":[],"methodCalls":[]}', "notJSON"), (b"[" * 100, "limit"), (b"[]", "notRequest"),
                   ({"using": [CORE]}, "notRequest"), ({"using": CORE, "methodCalls": []}, "notRequest"), ({"using": ["urn:x"], "methodCalls": []}, "unknownCapability"),
                   ({"using": [CORE], "methodCalls": [["Core/echo", {}]]}, "notRequest"), ({"using": [CORE], "methodCalls": [["Core/echo", [], "a"]]}, "notRequest"),
                   ({"using": [CORE], "methodCalls": [], "createdIds": {"a": 1}}, "notRequest")):
    status, got = j.post(body)
    tm.is_((status, got["type"], got["status"]), (400, ERROR + want, 400), f"{str(body)[:60]}: {want}")
status, got = j.post({"using": [CORE], "methodCalls": [["Core/echo", {}, "a"]] * 9})
tm.is_((status, got["type"], got["limit"]), (400, ERROR + "limit", "maxCallsInRequest"), "too many calls")
big = Jmap(sb)
big.http("GET", "/jmap/session")
big.conn.putrequest("POST", "/jmap/api")
for name, value in {**big.headers, "Content-Type": "application/json", "Content-Length": "70000", "Expect": "100-continue"}.items():
    big.conn.putheader(name, value)
big.conn.endheaders()
r = big.conn.getresponse()
status, got = r.status, json.loads(r.read())
tm.is_((status, got["limit"]), (400, "maxSizeRequest"), "a request that is too large")
tm.is_(j.post(b"{}", {"Content-Type": "text/plain"})[1]["type"], ERROR + "notJSON", "another Content-Type")
echo = {"a": [1, 2.5, -0.0, "\u00fc\U0001f600\0", None, {"": True}], "b": 9007199254740993}
tm.is_(j.call(("Core/echo", echo))[0], ["Core/echo", echo, "a"], "what is said comes back")
tm.is_([r[:2] for r in j.call(("Foo/get", {}), ("Core/echo", {"x": 1}), ("Email/get", {"ids": 5}))],
       [["error", {"type": "unknownMethod"}], ["Core/echo", {"x": 1}], ["error", {"type": "invalidArguments", "description": "ids: an array of strings, or null"}]],
       "an error of one call is its own")
tm.is_(j.post({"using": [CORE], "methodCalls": [["Mailbox/get", {"accountId": j.account, "ids": None}, "a"]]})[1]["methodResponses"][0][1]["type"], "unknownMethod",
       "a capability that is not used has no methods")
tm.is_(j.one("Mailbox/get", accountId="uYQ"), ["error", "accountNotFound"], "somebody else's account")
r = j.call(("Core/echo", {"l": [{"i": ["a"]}, {"i": ["b", "c"]}], "n": {"a/b": 1}}),
           ("Core/echo", {"#x": {"resultOf": "a", "name": "Core/echo", "path": "/l/*/i"}, "#y": {"resultOf": "a", "name": "Core/echo", "path": "/n/a~1b"},
                          "#z": {"resultOf": "a", "name": "Core/echo", "path": "/l/1/i/0"}}),
           ("Core/echo", {"#x": {"resultOf": "a", "name": "Core/echo", "path": "/l/5"}}), ("Core/echo", {"#x": {"resultOf": "a", "name": "Foo/get", "path": "/l"}}),
           ("Core/echo", {"#x": {"resultOf": "e", "name": "Core/echo", "path": ""}}), ("Core/echo", {"x": 1, "#x": {"resultOf": "a", "name": "Core/echo", "path": "/l"}}))
tm.is_(r[1][1], {"x": ["a", "b", "c"], "y": 1, "z": "b"}, "references to results, flat where they have a star")
tm.is_([x[1]["type"] for x in r[2:]], ["invalidResultReference"] * 3 + ["invalidArguments"], "references that lead nowhere")

# ---- mailboxes ---------------------------------------------------------------------------------------------------------
c = sb.imap(1)
for name in ("Work", "Work/a", "Work/a/deep", "Work-b"):
    c.create(name)
c.subscribe("Work")
c.subscribe("Work/a")
c.subscribe("Work/a/deep")
box = j.boxes()
tm.is_(sorted(box), sorted(["INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive", "Work", "Work/a", "Work/a/deep", "Work-b"]), "mailboxes and what is below them")
tm.is_([box[n]["role"] for n in ("INBOX", "Sent", "Drafts", "Junk", "Trash", "Archive", "Work")], ["inbox", "sent", "drafts", "junk", "trash", "archive", None], "roles")
typ, data = c.status("Work/a", "(MAILBOXID)")
tm.ok(box["Work/a"]["id"] in data[0].decode(), "ids are IMAP's")
tm.is_((box["INBOX"]["myRights"]["mayDelete"], box["Work"]["myRights"]["mayDelete"]), (False, True), "the inbox stays")
got = j.one("Mailbox/get", ids=[box["Work"]["id"], "F0000000000000001", "nonsense", box["Work"]["id"]], properties=["name"])
tm.is_((got["list"], got["notFound"]), ([{"id": box["Work"]["id"], "name": "Work"}], ["F0000000000000001", "nonsense"]), "some of them, each once, and those that are not")
tm.is_(j.one("Mailbox/get", ids=[], properties=["nme"]), ["error", "invalidArguments"], "a property that is none")
tm.is_(j.one("Mailbox/get", ids=["F0000000000000001"] * 21), ["error", "requestTooLarge"], "too many ids")
names = lambda ids: [next(n for n in box if box[n]["id"] == i) for i in ids]
tm.is_(names(j.one("Mailbox/query", filter={"parentId": box["Work"]["id"]})["ids"]), ["Work/a"], "children")
tm.is_(names(j.one("Mailbox/query", filter={"operator": "OR", "conditions": [{"role": "sent"}, {"name": "DEE"}]}, sort=[{"property": "name"}])["ids"]), ["Work/a/deep", "Sent"],
       "by role or a part of the name")
tm.is_(names(j.one("Mailbox/query", filter={"isSubscribed": False})["ids"]), ["Work-b"], "not subscribed")
tm.is_(names(j.one("Mailbox/query", filter={"hasAnyRole": False}, sort=[{"property": "name", "isAscending": False}], sortAsTree=True)["ids"]),
       ["Work-b", "Work", "Work/a", "Work/a/deep"], "as a tree")
got = j.one("Mailbox/query", sort=[{"property": "sortOrder"}], limit=2, position=1, calculateTotal=True)
tm.is_((names(got["ids"]), got["position"], got["total"]), (["Drafts", "Sent"], 1, 10), "a part of them")
tm.is_(j.one("Mailbox/query", filter={"operator": "OR", "conditions": [{"name": "x"}] * 501}), ["error", "invalidArguments"], "a filter without end")
tm.is_([j.one("Mailbox/query", **a) for a in ({"filter": {"x": 1}}, {"sort": [{"property": "x"}]}, {"sort": [{"property": "sortOrder"}] * 9}, {"limit": -1}, {"anchor": "F1"})],
       [["error", t] for t in ("invalidArguments", "unsupportedSort", "unsupportedSort", "invalidArguments", "anchorNotFound")], "queries that are wrong")

# ---- emails ------------------------------------------------------------------------------------------------------------
append(c, "INBOX", mail("First", at=1), r"(\Seen)", 1)
append(c, "INBOX", mail("Second", b"needle in the hay\r\n", sender="Zoe <zoe@z.test>", at=2), r"(\Flagged $Work)", 2)
append(c, "INBOX", mail("Re: First", extra="In-Reply-To: <First@a.test>\r\nReferences: <First@a.test>\r\n", at=3), "", 3)
append(c, "Work", mail("=?utf-8?q?=C3=9Cber?= alles", ("\u00fcber needle\r\n" * 3).encode(), at=4,
                       extra="MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"), "", 4)
parts = ("--b\r\nContent-Type: text/html\r\n\r\n<p>Hi</p>\r\n--b\r\nContent-Type: application/pdf; name=x.pdf\r\nContent-Disposition: attachment\r\n"
         "Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--\r\n").encode()
append(c, "Work", mail("With a file", parts, at=5, extra="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"), r"(\Draft)", 5)
ids = j.emails()
got = j.one("Email/get", ids=ids, properties=["subject", "keywords", "mailboxIds", "receivedAt", "size", "hasAttachment", "threadId", "from", "preview"])
mails = {m["subject"]: m for m in got["list"]}
tm.is_([m["subject"] for m in got["list"]], ["With a file", "\u00dcber alles", "Re: First", "Second", "First"], "the newest first")
tm.is_((mails["First"]["keywords"], mails["Second"]["keywords"], mails["With a file"]["keywords"]), ({"$seen": True}, {"$flagged": True, "$work": True}, {"$draft": True}),
       "keywords")
tm.is_(mails["Second"]["from"], [{"name": "Zoe", "email": "zoe@z.test"}], "senders")
tm.is_([m["hasAttachment"] for m in got["list"]], [True, False, False, False, False], "attachments")
tm.is_((mails["Second"]["preview"], mails["First"]["receivedAt"], mails["First"]["mailboxIds"]), ("needle in the hay", "2026-11-01T12:00:00Z", {box["INBOX"]["id"]: True}),
       "previews, dates, mailboxes")
tm.is_(mails["First"]["threadId"], mails["Re: First"]["threadId"], "an answer is of its thread")
c.select("INBOX")
typ, data = c.fetch("1", "(EMAILID THREADID)")
tm.ok(mails["First"]["id"] in str(data[0]) and mails["First"]["threadId"] in str(data[0]), "ids are IMAP's")
thread = j.one("Thread/get", ids=[mails["First"]["threadId"], "T0000000000000001"])
tm.is_((thread["list"], thread["notFound"]), ([{"id": mails["First"]["threadId"], "emailIds": [mails["First"]["id"], mails["Re: First"]["id"]]}], ["T0000000000000001"]), "threads")
boxes = j.boxes()
count = lambda b: tuple(b[k] for k in ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads"))
tm.is_((count(boxes["INBOX"]), count(boxes["Work"]), count(boxes["Sent"])), ((3, 2, 2, 2), (2, 1, 2, 1), (0, 0, 0, 0)), "counts of emails and threads")
got = j.one("Email/get", ids=[mails["\u00dcber alles"]["id"], "Mx"], fetchTextBodyValues=True, maxBodyValueBytes=8, properties=["bodyValues", "header:subject:asText", "header:X-No"])
tm.is_((got["list"][0]["bodyValues"]["1"], got["notFound"]), ({"value": "\u00fcber ne", "isEncodingProblem": False, "isTruncated": True}, ["Mx"]), "a body, as long as it is wanted")
tm.is_((got["list"][0]["header:subject:asText"], got["list"][0]["header:X-No"]), ("\u00dcber alles", None), "fields in their forms")
tm.is_(j.one("Email/get", ids=None), ["error", "requestTooLarge"], "all emails at once")

# ---- one email in several places -----------------------------------------------------------------------------------------
c.copy("2", "Work")
c.copy("2", "INBOX")
c.select("Work")
c.store("3", "+FLAGS", r"(\Seen Extra)")
got = j.one("Email/get", ids=[mails["Second"]["id"]], properties=["keywords", "mailboxIds"])["list"][0]
tm.is_(got["keywords"], {"$flagged": True, "$work": True, "extra": True}, "seen where all are, other keywords where one is")
tm.is_(set(got["mailboxIds"]), {box["INBOX"]["id"], box["Work"]["id"]}, "in both mailboxes, one of them twice")
tm.is_((count(j.boxes()["INBOX"]), j.emails(inMailbox=box["INBOX"]["id"]).count(mails["Second"]["id"])), ((3, 2, 2, 2), 1), "twice is once")
c.select("INBOX")
c.store("2,4", "+FLAGS", r"(\Seen)")
tm.is_(j.one("Email/get", ids=[mails["Second"]["id"]], properties=["keywords"])["list"][0]["keywords"].get("$seen"), True, "seen everywhere")
c.store("1", "+FLAGS", r"(\Deleted)")
tm.is_(j.one("Email/get", ids=[mails["First"]["id"]])["notFound"], [mails["First"]["id"]], "one that is marked as deleted is not there")
tm.is_(count(j.boxes()["INBOX"]), (2, 1, 2, 1), "nor counted")
tm.ok(mails["First"]["id"] not in j.emails(), "nor found")
c.store("1", "-FLAGS", r"(\Deleted)")

# ---- queries -----------------------------------------------------------------------------------------------------------
subject = {m["id"]: s for s, m in mails.items()}


def found(sort=None, **filter_):
    got = j.one("Email/query", filter=filter_, sort=sort or [{"property": "receivedAt"}])
    return got if isinstance(got, list) else [subject[i] for i in got["ids"]]


ALL = ["First", "Second", "Re: First", "\u00dcber alles", "With a file"]
INBOX, WORK = box["INBOX"]["id"], box["Work"]["id"]
for filter_, want in (({"inMailbox": INBOX}, ALL[:3]), ({"inMailbox": WORK}, ["Second", ALL[3], ALL[4]]), ({"inMailboxOtherThan": [INBOX]}, ["Second", ALL[3], ALL[4]]),
                      ({"inMailboxOtherThan": [INBOX, WORK]}, []), ({"before": "2026-11-03T12:00:00Z"}, ALL[:2]), ({"after": "2026-11-03T12:00:00Z"}, ALL[2:]),
                      ({"minSize": mails[ALL[4]]["size"]}, [ALL[4]]), ({"maxSize": mails[ALL[4]]["size"]}, ALL[:4]), ({"hasKeyword": "$flagged"}, ["Second"]),
                      ({"hasKeyword": "$seen"}, ALL[:2]), ({"notKeyword": "$seen"}, ALL[2:]), ({"hasKeyword": "extra", "inMailbox": INBOX}, ["Second"]), ({"hasAttachment": True}, [ALL[4]]), ({"hasAttachment": False}, ALL[:4]),
                      ({"text": "NEEDLE"}, ["Second", ALL[3]]), ({"text": "needle hay"}, ["Second"]), ({"text": '"hay needle"'}, []), ({"body": "\u00dcBER"}, [ALL[3]]),
                      ({"subject": "\u00fcber"}, [ALL[3]]), ({"from": "zoe"}, ["Second"]), ({"to": "bob"}, ALL), ({"cc": "bob"}, []), ({"header": ["In-Reply-To"]}, ["Re: First"]),
                      ({"header": ["in-reply-to", "First@"]}, ["Re: First"]), ({"header": ["X-None"]}, []), ({"someInThreadHaveKeyword": "$seen"}, ALL[:3]), ({"allInThreadHaveKeyword": "$seen"}, ["Second"]),
                      ({"noneInThreadHaveKeyword": "$seen"}, ALL[3:]), ({"operator": "NOT", "conditions": [{"text": "needle"}, {"hasAttachment": True}]}, ["First", "Re: First"]),
                      ({"operator": "OR", "conditions": [{"text": "needle"}, {"from": "ann", "hasKeyword": "$draft"}]}, ["Second", ALL[3], ALL[4]]),
                      ({"operator": "AND", "conditions": [{"inMailbox": INBOX}, {"inMailbox": WORK}]}, ["Second"]), ({"inMailbox": "F0000000000000001"}, []), ({}, ALL)):
    tm.is_(found(**filter_), want, f"filter {json.dumps(filter_)[:90]}")
for sort, want in ((["size"], None), (["subject"], ["First", "Re: First", "Second", "\u00dcber alles", "With a file"]), (["from"], None), (["sentAt"], ALL), (["hasKeyword"], None)):
    s = [{"property": p, "keyword": "$flagged", "isAscending": p != "hasKeyword"} for p in sort]
    got = found(sort=s)
    if sort == ["size"]:
        want = sorted(ALL, key=lambda x: mails[x]["size"])
        tm.is_([mails[x]["size"] for x in got], [mails[x]["size"] for x in want], "sort by size")
    elif sort == ["from"]:
        tm.is_(got[-1], "Second", "sort by the sender's name")
    elif sort == ["hasKeyword"]:
        tm.is_(got[0], "Second", "sort by a keyword")
    elif sort == ["subject"]:
        tm.is_([re.sub("^Re: ", "", x) for x in got], [re.sub("^Re: ", "", x) for x in want], "sort by the base subject")
    else:
        tm.is_(got, want, f"sort by {sort}")
tm.is_([subject[i] for i in j.one("Email/query", collapseThreads=True)["ids"]], ["With a file", "\u00dcber alles", "Re: First", "Second"], "one of each thread")
got = j.one("Email/query", sort=[{"property": "receivedAt"}], anchor=mails["Re: First"]["id"], anchorOffset=-1, limit=2, calculateTotal=True)
tm.is_(([subject[i] for i in got["ids"]], got["position"], got["total"]), (["Second", "Re: First"], 1, 5), "from an anchor on")
got = j.one("Email/query", sort=[{"property": "receivedAt"}], position=-2)
tm.is_([subject[i] for i in got["ids"]], ALL[3:], "from the end")
tm.is_([found(**f) for f in ({"x": 1}, {"before": "yesterday"}, {"operator": "XOR", "conditions": []}, {"hasKeyword": "a b"}, {"minSize": "1"})],
       [["error", t] for t in ("unsupportedFilter",) + ("invalidArguments",) * 4], "filters that are wrong")
tm.is_([j.one("Email/query", **a) for a in ({"sort": [{"property": "x"}]}, {"anchor": "Mx"}, {"sort": 1}, {"collapseThreads": 1})],
       [["error", t] for t in ("unsupportedSort", "anchorNotFound", "invalidArguments", "invalidArguments")], "queries that are wrong")
tm.is_(j.one("Email/query", filter={"operator": "AND", "conditions": [{"someInThreadHaveKeyword": "x"}] * 5}), ["error", "unsupportedFilter"], "too many looks at threads")
tm.is_(j.one("Email/query", filter={"operator": "AND", "conditions": [{"text": "x"}] * 600}), ["error", "unsupportedFilter"], "a filter without end")

# ---- a file that must be read, and is large: beside the loop ---------------------------------------------------------------
append(c, "Archive", mail("Large", b"x" * 70 + b"\r\n" + (b"lorem ipsum dolor sit amet\r\n" * 20000) + b"haystack\r\n"), "", 6)
large, = j.emails(body="haystack")
got = j.one("Email/get", ids=[large], fetchTextBodyValues=True, properties=["bodyValues", "size"])["list"][0]
tm.is_(got["bodyValues"]["1"]["value"].count("\n"), 20002, "all of a large body")

# ---- downloads ---------------------------------------------------------------------------------------------------------
m = j.one("Email/get", ids=[mails["Second"]["id"]], properties=["blobId"])["list"][0]
path = f"/jmap/download/{j.account}/{m['blobId']}/a%20%22b.eml?type=message/rfc822"
status, fields, got = j.http("GET", path)
c.select("INBOX")
tm.is_((status, got), (200, c.fetch("2", "BODY.PEEK[]")[1][0][1]), "a message as it is")
tm.is_((fields["content-type"], fields["content-disposition"], fields["x-content-type-options"]), ("message/rfc822", "attachment; filename*=UTF-8''a%20%22b.eml", "nosniff"),
       "to be kept, not looked into")
tm.is_(j.http("GET", path, headers={"Range": "bytes=10-19"})[::2], (206, got[10:20]), "a range")
tm.is_(j.http("GET", path, headers={"Range": "bytes=99999-"})[0], 416, "one that is not there")
tm.is_(j.http("HEAD", path)[::2], (200, b""), "its head")
tm.is_(j.http("GET", path, headers={"If-None-Match": fields["etag"]})[0], 304, "known already")
tm.is_([j.http("GET", p)[0] for p in (path.replace(m["blobId"], "B0000000000000001"), path.replace(j.account, "uYQ"), f"/jmap/download/{j.account}")], [404] * 3, "none, or not one's own")
other = Jmap(sb, 2)
tm.is_(other.http("GET", path.replace(j.account, other.account))[0], 404, "somebody else's message")
tm.is_(other.one("Email/get", ids=[mails["Second"]["id"]])["notFound"], [mails["Second"]["id"]], "is not to be had")
tm.ok(other.one("Mailbox/get", ids=[box["Work"]["id"]])["notFound"], "nor his mailboxes")

# ---- hasAttachment: the filter says what the property says -----------------------------------------------------------------
d, k4 = sb.imap(4), Jmap(sb, 4)


def multipart(kind, *parts, n=[0]):
    n[0] += 1
    return (f"Content-Type: multipart/{kind}; boundary=b{n[0]}\r\n\r\n" + "".join(f"--b{n[0]}\r\n{p}\r\n" for p in parts) + f"--b{n[0]}--")


text, html, image = ("Content-Type: text/plain\r\n\r\nx", "Content-Type: text/html\r\n\r\nx", "Content-Type: image/png\r\n\r\nx")
for name, body in (("picture behind HTML", multipart("alternative", text, multipart("mixed", html, image))), ("picture behind text", multipart("mixed", text, image)),
                   ("odd name", multipart("mixed", text, "Content-Type: text/plain; name=\"\xe4)\\\"(.txt\"\r\nContent-Disposition: attachment; filename=\"\xe4)(\\\".txt\"\r\n\r\nx")),
                   ("message in base64", multipart("mixed", text, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: inline\r\n\r\nU3ViamVjdDogeA0KDQp4DQo=")),
                   ("signed", multipart("signed", text, "Content-Type: application/pgp-signature\r\n\r\nx")), ("plain", text)):
    d.append("INBOX", None, None, f"Subject: {name}\r\nMIME-Version: 1.0\r\n{body}\r\n".encode("latin-1"))
said = {e["subject"]: e["hasAttachment"] for e in k4.one("Email/get", ids=k4.emails(), properties=["subject", "hasAttachment"])["list"]}
found = {e["subject"]: True for e in k4.one("Email/get", ids=k4.emails(hasAttachment=True), properties=["subject"])["list"]}
tm.is_((said, len(said)), ({n: n in found for n in said}, 6), "the filter finds what is said to have one")
tm.is_(found, {"picture behind HTML": True, "odd name": True}, "a picture behind HTML alone, and a file of an odd name")

# ---- a proxy -----------------------------------------------------------------------------------------------------------
cert = (sb.dir + "/tls/server.pem", sb.dir + "/tls/server.key")
p = Jmap(sb, certificate=cert)
for user in (1, 2, 1):
    p.headers = {"Tiermail-Account": f"{sb.user(user)}@{sb.domain}", "Tiermail-Client": "192.0.2.7", "Tiermail-Session": "0123456789abc"}
    tm.is_(json.loads(p.http("GET", "/jmap/session")[2])["username"], f"{sb.user(user)}@{sb.domain}", f"a proxy asks for user {user}")
p.headers = {"Tiermail-Account": f"nobody@{sb.domain}"}
tm.is_(p.http("GET", "/jmap/session")[:1] + (p.conn is None or "www-authenticate" in p.http("GET", "/jmap/session")[1],), (401, False), "and for nobody: no browser asks for a password")
log = open(sb.env["RUNDIR"] + "/jmapd.log").read()
tm.ok("peer=192.0.2.7" in log and "sid=0123456789abc" in log, "the log has the client and his session")

# ---- restarts ----------------------------------------------------------------------------------------------------------
sb.kill("stored")
tm.is_(len(j.emails()), 6, "without stored mail is read")
sb.restart("stored")
tm.ok(tm.wait_for(lambda: Jmap(sb).http("GET", "/jmap/session")[0] == 200), "and when it is back")
tm.done()
