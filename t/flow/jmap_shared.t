#!/usr/bin/env python3
"""Other people's mailboxes by JMAP (RFC 8620 1.6.2, RFC 4314): whose are told, what is seen in them, what may be done
there, and that nothing else of their owner is: no mailbox, no email, no number, no blob."""
import base64
import json
import random
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--set", "stored.share_anyone=yes", "--set", "stored.share_seen=yes")
D = sb.domain
one, two, three = (f"{sb.user(n)}@{D}" for n in (1, 2, 3))
owner, guest, stranger = Jmap(sb, 1), Jmap(sb, 2), Jmap(sb, 3)
c = sb.imap(1)
guest.own, guest.account = guest.account, owner.account  # what the guest asks for from now on
stranger.own, stranger.account = stranger.account, owner.account


def put(folder, subject, flags="", body="hello", thread=None):
    extra = f"In-Reply-To: <{thread}@x>\r\nReferences: <{thread}@x>\r\n" if thread else ""
    typ, data = c.append(folder, flags, None, f"From: {one}\r\nTo: {two}\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '.')}@x>\r\n{extra}"
                         f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body} {subject}\r\n".encode())
    assert typ == "OK", data


def accounts(j):
    return json.loads(j.http("GET", "/jmap/session")[2])["accounts"]


def acl(folder, who, rights):
    typ, data = c.setacl(folder, who, rights)
    assert typ == "OK", data


for f in "Open", "Open/Deep", "Look", "Write", "Secret", "Secret/Below":
    c.create(f)
put("INBOX", "private mail")
for n in range(3):
    put("Open", f"open {n}", r"(\Seen)" if n == 0 else "")
put("Open/Deep", "deep")
put("Look", "only looked at")
put("Secret", "secret words", body="the word is swordfish")
put("Secret", "Re: open 1", thread="open.1")
put("Write", "write 0")
put("Write", "write 1")
everything = {e["id"]: e for e in owner.one("Email/get", ids=owner.emails(), properties=["subject", "threadId", "blobId", "mailboxIds"])["list"]}
id_of = {e["subject"]: i for i, e in everything.items()}
box = {k: b["id"] for k, b in owner.boxes().items()}

# ---- nothing, before anything is shared ----------------------------------------------------------------------------
tm.is_(list(accounts(guest)), [guest.own], "nobody shares: one account")
tm.is_(guest.one("Mailbox/get", ids=None), ["error", "accountNotFound"], "another's account is not found")
tm.is_(guest.http("GET", f"/jmap/download/{owner.account}/{everything[id_of['open 1']]['blobId']}/x?type=text/plain")[0], 404, "nor a blob of it")

# ---- what is seen --------------------------------------------------------------------------------------------------
acl("Open", two, "lr")
acl("Look", two, "l")
acl("Write", two, "lrswite")
got = accounts(guest)
tm.is_((sorted(got), got[owner.account]["isPersonal"], got[owner.account]["name"]), (sorted([guest.own, owner.account]), False, one), "who shares is an account of the session")
tm.is_(sorted(got[owner.account]["accountCapabilities"]), ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"], "for mail")
tm.is_(accounts(stranger).keys(), {stranger.own}, "of the guest's alone")
tm.is_(stranger.one("Mailbox/get", ids=None), ["error", "accountNotFound"], "nobody else finds it")
seen = guest.boxes()
tm.is_(sorted(seen), ["Look", "Open", "Write"], "mailboxes that may be looked at")
tm.is_({k: sorted(r for r, v in b["myRights"].items() if v) for k, b in seen.items()},
       {"Look": [], "Open": ["mayReadItems"], "Write": ["mayAddItems", "mayReadItems", "mayRemoveItems", "maySetKeywords", "maySetSeen"]}, "each with the rights there")
tm.is_({k: (b["totalEmails"], b["unreadEmails"]) for k, b in seen.items()}, {"Look": (0, 0), "Open": (3, 2), "Write": (2, 2)}, "numbers of those that may be read")
tm.is_(guest.one("Mailbox/get", ids=[box["Secret"], box["INBOX"], box["Open"]])["notFound"], [box["Secret"], box["INBOX"]], "others are not there")
mine = {id_of[s] for s in ("open 0", "open 1", "open 2", "write 0", "write 1")}
tm.is_(set(guest.emails()), mine, "emails of those that may be read")
tm.is_((guest.emails(inMailbox=box["Secret"]), guest.emails(inMailbox=box["Look"]), guest.emails(text="swordfish"), guest.emails(inMailboxOtherThan=[box["Open"], box["Write"]])),
       ([], [], [], []), "no query finds others")
tm.is_(set(guest.emails(someInThreadHaveKeyword="$seen")), {id_of["open 0"]}, "nor by their threads")
got = guest.one("Email/get", ids=list(everything), properties=["subject", "preview", "mailboxIds", "bodyValues", "textBody"], fetchTextBodyValues=True)
tm.is_(({e["id"] for e in got["list"]}, set(got["notFound"])), (mine, set(everything) - mine), "Email/get gives what may be read")
tm.ok(all("hello" in json.dumps(e["bodyValues"]) for e in got["list"]), "with texts")
t = everything[id_of["open 1"]]["threadId"]
tm.is_((owner.one("Thread/get", ids=[t])["list"][0]["emailIds"].__len__(), guest.one("Thread/get", ids=[t])["list"]), (2, [{"id": t, "emailIds": [id_of["open 1"]]}]), "a thread without what is elsewhere")
tm.is_(guest.one("Thread/get", ids=[everything[id_of["secret words"]]["threadId"]])["notFound"], [everything[id_of["secret words"]]["threadId"]], "or not at all")
tm.is_(guest.one("SearchSnippet/get", filter={"text": "swordfish"}, emailIds=[id_of["secret words"], id_of["open 1"]])["notFound"], [id_of["secret words"]], "no snippet")
tm.is_([guest.http("GET", f"/jmap/download/{owner.account}/{everything[id_of[s]]['blobId']}{p}/x?type=text/plain")[0] for s in ("open 1", "secret words", "only looked at", "private mail") for p in ("", "-1")],
       [200, 200] + [404] * 6, "blobs of what may be read alone")
guest.account = guest.own
tm.is_(guest.http("GET", f"/jmap/download/{guest.own}/{everything[id_of['open 1']]['blobId']}/x?type=text/plain")[0], 404, "and not as one's own")
tm.is_((guest.emails(), guest.one("Email/get", ids=[id_of["open 1"]])["notFound"]), ([], [id_of["open 1"]]), "one's own account has none of it")
guest.account = owner.account

# ---- several accounts in one request -----------------------------------------------------------------------------------
calls = [[name, {"accountId": a, **args}, f"{i}"] for i, (name, a, args) in enumerate(
    (n, a, x) for n, x in (("Mailbox/get", {"ids": None, "properties": ["name"]}), ("Email/query", {})) for a in (owner.account, guest.own, owner.account, stranger.own))]
got = guest.post({"using": guest.using, "methodCalls": calls})[1]["methodResponses"]
tm.is_([(r[1].get("accountId", r[1].get("type")), len(r[1].get("list", r[1].get("ids", "")))) for r in got][4:],
       [(owner.account, 5), (guest.own, 0), (owner.account, 5), ("accountNotFound", 0)], "each call is about its account")
tm.is_([len(r[1].get("list", "")) == 3 for r in got[:4]], [True, False, True, False], "whichever was before")

# ---- states ---------------------------------------------------------------------------------------------------------------
state = guest.one("Email/get", ids=[])["state"]
tm.is_(guest.one("Email/changes", sinceState=state)["updated"], [], "nothing has changed")
tm.is_({k: v for k, v in guest.one("Mailbox/changes", sinceState=state).items() if k != "accountId"},
       {"oldState": state, "newState": state, "hasMoreChanges": False, "created": [], "updated": [], "destroyed": [], "updatedProperties": ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]}, "nor in mailboxes") or tm.diag(guest.one("Mailbox/changes", sinceState=state))
acl("Open/Deep", two, "lr")
tm.is_(guest.one("Email/changes", sinceState=state), ["error", "cannotCalculateChanges"], "another right is another state")
tm.ok(id_of["deep"] in guest.emails(), "and shows more")
acl("Open/Deep", f"-{two}", "r")
tm.ok(id_of["deep"] not in guest.emails(), "a right that is taken from him is none")
again = guest.one("Email/get", ids=[])["state"]
put("Secret", "new secret")
tm.is_(guest.one("Email/changes", sinceState=again), ["error", "cannotCalculateChanges"], "of what the owner does he sees no change, and looks anew")
tm.is_(guest.one("Mailbox/changes", sinceState=owner.one("Mailbox/get", ids=[])["state"]), ["error", "cannotCalculateChanges"], "an owner's state is none of a guest's")
tm.is_(guest.one("Email/queryChanges", sinceQueryState=again), ["error", "cannotCalculateChanges"], "nor are there changes of queries")

# ---- what is done ------------------------------------------------------------------------------------------------------------
keep = lambda: {s: (e["keywords"], e["mailboxIds"]) for s, e in ((e["subject"], e) for e in owner.one("Email/get", ids=owner.emails(), properties=["subject", "keywords", "mailboxIds"])["list"])}
was = keep()
w0, w1, o1 = id_of["write 0"], id_of["write 1"], id_of["open 1"]
got = guest.one("Email/set", update={w0: {"keywords/$flagged": True, "keywords/$seen": True}, o1: {"keywords/$seen": True}, id_of["secret words"]: {"keywords/$seen": True}})
tm.is_((list(got["updated"]), {k: v["type"] for k, v in got["notUpdated"].items()}), ([w0], {o1: "forbidden", id_of["secret words"]: "notFound"}), "keywords, where they may be set")
tm.is_(keep()["write 0"][0], {"$flagged": True, "$seen": True}, "the owner sees them")
for what, patch in (("into one that he cannot see", {f"mailboxIds/{box['Secret']}": True}), ("out of one that is not his", {f"mailboxIds/{box['Open']}": None, f"mailboxIds/{box['Write']}": True}),
                    ("a copy", {f"mailboxIds/{box['Open']}": True})):
    got = guest.one("Email/set", update={(o1 if "out" in what else w1): patch})
    tm.ok(got["updated"] is None and got["notUpdated"], f"no move {what}") or tm.diag(got)
tm.is_(guest.one("Email/set", destroy=[o1, id_of["private mail"]])["destroyed"], None, "nothing is destroyed elsewhere")
tm.is_(guest.one("Email/set", create={"x": {"mailboxIds": {box["Write"]: True}, "subject": "x"}})["notCreated"]["x"]["type"], "forbidden", "nothing is made")
now = keep()
tm.is_({k: v for k, v in now.items() if k != "write 0"}, {k: v for k, v in was.items() if k != "write 0"}, "all else is as it was") or tm.diag(now)
tm.is_(guest.one("Email/set", destroy=[w1])["destroyed"], [w1], "destroyed where he may")
tm.ok("write 1" not in keep(), "it is gone")
old = guest.one("Email/get", ids=[])["state"]
acl("Write", two, "lrs")
tm.is_(guest.one("Email/set", update={w0: {"keywords/$seen": None}}, ifInState=old), ["error", "stateMismatch"], "ifInState knows of rights")
tm.is_(guest.one("Email/set", update={w0: {"keywords/$flagged": None}})["notUpdated"][w0]["type"], "forbidden", "a right that has gone")
for name, args in (("Mailbox/set", {"create": {"a": {"name": "x"}}}), ("Email/import", {"emails": {}}), ("Identity/get", {"ids": None}), ("Quota/get", {"ids": None}), ("Settings/get", {"ids": None}),
                   ("Blob/get", {"ids": []}), ("Email/parse", {"blobIds": []})):
    guest.using = [*dict.fromkeys(guest.using + ["urn:ietf:params:jmap:submission", "urn:ietf:params:jmap:quota", "urn:ietf:params:jmap:blob", "urn:tiermail:params:jmap:settings"])]
    tm.is_(guest.one(name, **args), ["error", "accountNotSupportedByMethod"], f"{name} is about one's own")

# ---- taken back -----------------------------------------------------------------------------------------------------------------
for f in "Open", "Open/Deep", "Look", "Write":
    c.deleteacl(f, two)
    c.deleteacl(f, f"-{two}")
tm.is_((guest.one("Email/query"), list(accounts(guest))), (["error", "accountNotFound"], [guest.own]), "nothing is shared any more")
acl("Open", "anyone", "lr")
tm.is_((set(stranger.emails()), owner.account in accounts(stranger)), ({id_of[f"open {n}"] for n in range(3)}, True), "with everybody")
tm.is_(set(owner.emails()) > mine - {w1}, True, "the owner has all of it")

# ---- given by JMAP ------------------------------------------------------------------------------------------------------------------
SHARE = "urn:ietf:params:jmap:mail:share"
for f in "Open", "Open/Deep", "Look", "Write", "Secret", "Secret/Below":
    c.deleteacl(f, "anyone")
pid = lambda who: "u" + base64.urlsafe_b64encode(who.encode()).decode().rstrip("=")
tm.is_(("shareWith" in owner.one("Mailbox/get", ids=[box["Open"]])["list"][0], owner.one("Mailbox/get", ids=[], properties=["shareWith"]), owner.one("Mailbox/set", update={box["Open"]: {"shareWith": None}})["notUpdated"][box["Open"]]["type"]),
       (False, ["error", "invalidArguments"], "invalidProperties"), "without its capability nothing is said of it")
owner.using, guest.using = owner.using + [SHARE], guest.using + [SHARE]
ALL = ("mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords", "mayCreateChild", "mayRename", "mayDelete", "maySubmit", "mayShare")


def shared(folder):
    """{principal: rights}, or None."""
    b = owner.one("Mailbox/get", ids=[box[folder]])["list"][0]
    assert b["myRights"]["mayShare"] is True
    return b["shareWith"] and {p: {k for k, v in r.items() if v} for p, r in b["shareWith"].items()}


def share(folder, **patch):
    """None, or the SetError."""
    got = owner.one("Mailbox/set", update={box[folder]: patch})
    return (got["notUpdated"] or {}).get(box[folder])


def imap(folder, who):
    """The rights that IMAP tells."""
    words = c.getacl(folder)[1][0].decode().split()
    return dict(zip(words[1::2], words[2::2])).get(who, "")


tm.is_(shared("Open"), None, "shared with nobody")
tm.is_((share("Open", shareWith={pid(two): {"mayReadItems": True, "maySetSeen": True}}), shared("Open"), sorted(imap("Open", two))),
       (None, {pid(two): {"mayReadItems", "maySetSeen"}}, ["l", "r", "s"]), "given by JMAP, seen by IMAP")
tm.is_((owner.account in accounts(guest), list(guest.boxes())), (True, ["Open"]), "and by the guest")
tm.is_((share("Open", **{f"shareWith/{pid(two)}/mayAddItems": True, f"shareWith/{pid(two)}/maySetSeen": False, f"shareWith/{pid(three)}": {"mayReadItems": True}}), shared("Open")),
       (None, {pid(two): {"mayReadItems", "mayAddItems"}, pid(three): {"mayReadItems"}}), "one right, and another person")
c.setacl("Open", f"-{three}", "r")
c.setacl("Open", f"anyone@{D}", "l")
tm.is_(shared("Open"), {pid(two): {"mayReadItems", "mayAddItems"}, pid(three): {"mayReadItems"}, pid(f"anyone@{D}"): set()}, "what IMAP has given, but for what it takes away")
tm.is_((share("Open", **{f"shareWith/{pid(two)}": None}), shared("Open")), (None, {pid(three): {"mayReadItems"}, pid(f"anyone@{D}"): set()}), "taken from one")
tm.is_((share("Open", shareWith={pid(two): {k: True for k in ALL}}), shared("Open"), sorted(set(imap("Open", two)) - set("cd"))), (None, {pid(two): set(ALL)}, sorted("lrswipkxtea")), "all to one, and nobody else")
tm.is_(imap("Open", f"-{three}"), "r", "what is taken away stays taken")
wrong = [share("Open", **p) for p in ({"shareWith": {"x": {}}}, {"shareWith": {pid(two): {"mayFly": True}}}, {"shareWith": {pid(two): {"mayReadItems": 1}}}, {"shareWith": 5}, {f"shareWith/{pid(two)}/mayFly": True},
                                      {f"shareWith/{pid(two)}": 5}, {"shareWith/": {}}, {f"shareWith/{pid(two)}": None, "shareWith": {}}, {f"shareWith/{pid(one)}": {}}, {f"shareWith/{pid('-' + two)}": {}}, {"shareWith": {pid(two): None}})]
tm.is_([w and w["properties"] for w in wrong], [["shareWith"]] * len(wrong), "what is no such thing") or tm.diag(wrong)
tm.is_(shared("Open"), {pid(two): set(ALL)}, "changes nothing")
got = owner.one("Mailbox/set", create={"n": {"name": "New", "parentId": box["Open"], "shareWith": {pid(three): {"mayReadItems": True}}}, "w": {"name": "Bad", "shareWith": {"x": {}}}})
box["New"] = got["created"]["n"]["id"]
tm.is_((shared("New"), got["notCreated"]["w"]["properties"], [b["name"] for b in owner.one("Mailbox/get", ids=None)["list"] if b["name"] == "Bad"]), ({pid(three): {"mayReadItems"}}, ["shareWith"], []), "a new one is shared as it says, not as its parent")
tm.is_((share("Open", name="Opened", shareWith=None), shared("Open"), sorted(guest.boxes()) if owner.account in accounts(guest) else []), (None, None, []), "renamed, and shared with nobody any more")
c.rename("Opened", "Open")
tm.is_(guest.one("Mailbox/set", update={box["Open"]: {"shareWith": None}})[0], "error", "a guest gives nothing")
c.deleteacl("Open", f"-{three}")

# ---- as IMAP judges: random rights, each looked at by both ----------------------------------------------------------------------------
seed = random.randrange(1 << 32)
random.seed(seed)
g = sb.imap(2)
for f in "Open", "Look", "Write", "Secret", "Open/Deep", "Secret/Below":
    c.deleteacl(f, "anyone")
wrong, checked = [], 0
for round_ in range(12):
    for f in random.sample(["Open", "Open/Deep", "Look", "Write", "Secret", "Secret/Below"], 3):
        who = random.choice((two, two, "anyone", f"anyone@{D}", f"-{two}"))
        rights = "".join(x for x in "lrswite" if random.random() < 0.6)
        (c.setacl(f, who, rights) if rights and random.random() < 0.8 else c.deleteacl(f, who))
    shown, readable = {}, set()
    for f in box:
        typ, data = g.myrights(f'"Shared Folders/User/{sb.user(1)}/{f}"')
        rights = data[0].decode().split()[-1] if typ == "OK" and data[0] else ""
        if "l" in rights:
            shown[box[f]] = tuple(x in rights for x in "rsw")
            if "r" in rights:
                readable.add(box[f])
    got = guest.one("Mailbox/get", ids=None)
    have = {} if isinstance(got, list) else {b["id"]: tuple(b["myRights"][k] for k in ("mayReadItems", "maySetSeen", "maySetKeywords")) for b in got["list"]}
    mail = [] if isinstance(got, list) else guest.emails()
    want = {i for i, e in ((e["id"], e) for e in owner.one("Email/get", ids=owner.emails(), properties=["mailboxIds"])["list"]) if set(e["mailboxIds"]) & readable}
    checked += len(shown)
    if have != shown or set(mail) != want:
        wrong.append((round_, have, shown, set(mail) ^ want))
tm.ok(checked > 10, "something is shared now and then")
tm.is_(wrong, [], f"IMAP and JMAP agree on who sees what (seed {seed})")
tm.done()
