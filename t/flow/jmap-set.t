#!/usr/bin/env python3
"""What JMAP changes and tells of changes: Email/set, Mailbox/set, /changes, EventSource, each beside IMAP; and
random changes by both, replayed by /changes, give what a fresh look gives."""
import json, os, random, signal, threading, time
import tm
from jmapraw import Jmap

sb = tm.Sandbox("--users", "6", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved", "--without", "smtp-relay", "--without", "jobctl",
                "--set", "jmapd.workers=2")
j = Jmap(sb)
c = sb.imap(1)


def append(n, folder="INBOX", flags="", conn=None):
    (conn or c).append(folder, flags, None, f"From: a@b.test\r\nTo: c@d.test\r\nSubject: m{n}\r\nMessage-ID: <m{n}@b.test>\r\n\r\nbody {n}\r\n".encode())


def by_subject(conn=None):
    got = (conn or j).call(("Email/query", {"sort": [{"property": "receivedAt"}]}),
                           ("Email/get", {"#ids": {"resultOf": "a", "name": "Email/query", "path": "/ids"}, "properties": ["subject", "keywords", "mailboxIds", "threadId"]}))
    return {m["subject"]: m for m in got[1][1]["list"]}


for n in range(8):
    append(n)
m, box = by_subject(), {k: v["id"] for k, v in j.boxes().items()}
ids = [m[f"m{n}"]["id"] for n in range(8)]


def flags(folder="INBOX"):
    c.select(folder)
    typ, data = c.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    return {d[1].decode().split()[1]: set(d[0].decode().split("FLAGS (")[1].split(")")[0].split()) - {"\\Recent"} for d in data if isinstance(d, tuple)}


def seen(kind):
    return {"created": set(kind["created"]), "updated": set(kind["updated"]), "destroyed": set(kind["destroyed"])}


# ---- keywords ----------------------------------------------------------------------------------------------------------
before = j.one("Email/get", ids=[])["state"]
got = j.one("Email/set", ifInState=before, update={ids[0]: {"keywords/$seen": True, "keywords/work": True}, ids[1]: {"keywords/$seen": True, "keywords/work": True},
                                                   ids[2]: {"keywords": {"$flagged": True, "$answered": True}}, "Mnone": {"keywords/$seen": True}})
tm.is_((got["oldState"], got["updated"], got["notUpdated"]["Mnone"]["type"]), (before, {i: None for i in ids[:3]}, "notFound"), "keywords are set")
tm.is_([flags()[f"m{n}"] for n in range(4)], [{"\\Seen", "work"}, {"\\Seen", "work"}, {"\\Flagged", "\\Answered"}, set()], "and IMAP has the flags")
changes = j.one("Email/changes", sinceState=before)
tm.is_((seen(changes), changes["newState"], changes["hasMoreChanges"]), ({"created": set(), "updated": set(ids[:3]), "destroyed": set()}, got["newState"], False), "they are told as changes")
tm.is_(j.one("Email/set", ifInState=before, update={ids[0]: {"keywords/$seen": None}}), ["error", "stateMismatch"], "not in another state")
j.one("Email/set", update={ids[0]: {"keywords/$seen": None, "keywords/work": None}, ids[1]: {"keywords": {}}})
tm.is_([flags()[f"m{n}"] for n in range(2)], [set(), set()], "taken away")
bad = j.one("Email/set", update={ids[0]: {"subject": "x"}, ids[1]: {"keywords/$seen": 1}, ids[2]: {"keywords": {"a b": True}}, ids[3]: {"keywords": {}, "keywords/x": True}, ids[4]: 5,
                                 ids[5]: {"mailboxIds": {}}, ids[6]: {"mailboxIds/Fnone": True}, ids[7]: {f"mailboxIds/{box['INBOX']}": None}})
tm.is_({k: (v["type"], v.get("properties")) for k, v in bad["notUpdated"].items()},
       {**{ids[n]: ("invalidProperties", [p]) for n, p in ((0, "subject"), (1, "keywords"), (2, "keywords"), (3, "keywords"), (5, "mailboxIds"), (6, "mailboxIds"), (7, "mailboxIds"))},
        ids[4]: ("invalidPatch", None)}, "patches that are wrong")
tm.is_(bad["updated"], None, "change nothing")
much = j.one("Email/set", update={ids[0]: {"keywords": {f"k{n}": True for n in range(300)}}, ids[1]: {f"keywords/k{n}": True for n in range(600)},
                                  ids[2]: {"keywords": {f"k{n}": True for n in range(200)}}})
tm.is_([much["notUpdated"][i]["type"] for i in ids[:3]], ["invalidProperties", "invalidPatch", "tooManyKeywords"], "more keywords than one email, or a mailbox, can have")

# ---- mailboxes of an email -----------------------------------------------------------------------------------------------
before = j.one("Email/get", ids=[])["state"]
c.select("INBOX")
c.store("1:2", "+FLAGS", r"(\Flagged)")
got = j.one("Email/set", update={i: {"mailboxIds": {box["Archive"]: True}, "keywords/$seen": True} for i in ids[:2]} | {ids[2]: {f"mailboxIds/{box['Trash']}": True}})
tm.is_(set(got["updated"]), set(ids[:3]), "moved, and into one more")
tm.is_((sorted(flags("Archive").items()), set(flags("Trash"))), ([("m0", {"\\Seen", "\\Flagged"}), ("m1", {"\\Seen", "\\Flagged"})], {"m2"}), "with their flags")
tm.is_(by_subject()["m2"]["mailboxIds"], {box["INBOX"]: True, box["Trash"]: True}, "one email in two mailboxes")
mailboxes = j.one("Mailbox/changes", sinceState=before)
tm.is_((set(mailboxes["updated"]), mailboxes["updatedProperties"]), ({box[b] for b in ("INBOX", "Archive", "Trash")}, ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]),
       "the mailboxes' numbers have changed")
tm.is_(seen(j.one("Email/changes", sinceState=before)), {"created": set(), "updated": set(ids[:3]), "destroyed": set()}, "a move is no new email")
tm.is_(j.one("Thread/changes", sinceState=before)["created"], [], "nor a thread")

# ---- destroy -----------------------------------------------------------------------------------------------------------
before = j.one("Email/get", ids=[])["state"]
got = j.one("Email/set", destroy=[ids[2], ids[3], ids[3], "Mnone"], update={ids[3]: {"keywords/$seen": True}})
tm.is_((set(got["destroyed"]), got["notDestroyed"]["Mnone"]["type"], got["notUpdated"][ids[3]]["type"]), ({ids[2], ids[3]}, "notFound", "willDestroy"), "destroyed, wherever they are")
tm.is_((set(flags("Trash")), set(flags())), (set(), {"m4", "m5", "m6", "m7"}), "and IMAP has them no more")
tm.is_(seen(j.one("Email/changes", sinceState=before)), {"created": set(), "updated": set(), "destroyed": set(ids[2:4])}, "told as destroyed")
tm.is_(set(j.one("Thread/changes", sinceState=before)["destroyed"]), {m[f"m{n}"]["threadId"] for n in (2, 3)}, "and their threads")
append(8)
part = j.one("Email/changes", sinceState=before, maxChanges=2)
rest = j.one("Email/changes", sinceState=part["newState"], maxChanges=2)
tm.is_((part["hasMoreChanges"], rest["hasMoreChanges"], len(rest["created"])), (True, False, 1), "in parts")
tm.is_([j.one("Email/changes", sinceState=s) for s in ("x", "99999999")], [["error", "cannotCalculateChanges"]] * 2, "states that never were")
tm.is_([j.one("Email/queryChanges", **a) for a in ({}, {"sinceQueryState": "x"}, {"sinceQueryState": before, "maxChanges": 1}, {"sinceQueryState": before, "filter": {"x": 1}})],
       [["error", t] for t in ("invalidArguments", "cannotCalculateChanges", "tooManyChanges", "unsupportedFilter")], "changes of queries that cannot be told")
tm.is_(j.one("Mailbox/queryChanges", sinceQueryState=before), ["error", "cannotCalculateChanges"], "nor those of mailboxes")
tm.is_(j.one("Email/changes", sinceState=before, maxChanges=0), ["error", "invalidArguments"], "no part at all")

# ---- Mailbox/set -------------------------------------------------------------------------------------------------------
before = j.one("Mailbox/get", ids=[])["state"]
got = j.one("Mailbox/set", create={"c": {"name": "child", "parentId": "#p"}, "p": {"name": "Projects", "isSubscribed": True}, "bad": {"name": "a/b"}, "no": {}, "dup": {"name": "Sent"},
                                   "x": {"name": "x", "parentId": "#y"}, "y": {"name": "y", "parentId": "#x"}, "who": {"name": "w", "totalEmails": 4}})
made = got["created"]
tm.is_(set(made), {"c", "p"}, "made, also below one that comes later")
tm.is_({k: (v["type"], v["properties"]) for k, v in got["notCreated"].items()},
       {k: ("invalidProperties", [p]) for k, p in (("bad", "name"), ("no", "name"), ("dup", "name"), ("x", "parentId"), ("y", "parentId"), ("who", "totalEmails"))}, "and those that cannot be")
boxes = j.boxes()
tm.is_((boxes["Projects/child"]["id"], boxes["Projects"]["isSubscribed"]), (made["c"]["id"], True), "there they are")
tm.is_(set(j.one("Mailbox/changes", sinceState=before)["created"]), {made[k]["id"] for k in "cp"}, "told as created")
before = j.one("Mailbox/get", ids=[])["state"]
P, C = made["p"]["id"], made["c"]["id"]
got = j.one("Mailbox/set", update={C: {"name": "renamed", "parentId": None, "isSubscribed": True, "sortOrder": 3}, P: {"parentId": P}, box["INBOX"]: {"name": "x"}, "Fnone": {"name": "x"},
                                   box["Sent"]: {"role": "junk"}})
tm.is_((got["updated"], {k: v["type"] for k, v in got["notUpdated"].items()}),
       ({C: {"sortOrder": 10}}, {P: "invalidProperties", box["INBOX"]: "forbidden", "Fnone": "notFound", box["Sent"]: "invalidProperties"}), "renamed and moved, or not")
tm.ok(j.boxes()["renamed"]["id"] == C and j.boxes()["renamed"]["isSubscribed"], "it keeps its id")
tm.ok(C in j.one("Mailbox/changes", sinceState=before)["updated"], "told as updated")
append(9, "renamed")
j.one("Mailbox/set", create={"k": {"name": "below", "parentId": C}})
got = j.one("Mailbox/set", destroy=[C, box["INBOX"], "Fnone"])
tm.is_({k: v["type"] for k, v in got["notDestroyed"].items()}, {C: "mailboxHasChild", box["INBOX"]: "forbidden", "Fnone": "notFound"}, "not with children")
before = j.one("Mailbox/get", ids=[])["state"]
got = j.one("Mailbox/set", destroy=[j.boxes()["renamed/below"]["id"], C])
tm.is_(({k: v["type"] for k, v in got["notDestroyed"].items()}, len(got["destroyed"])), ({C: "mailboxHasEmail"}, 1), "not with emails")
gone = by_subject()["m9"]["id"]
tm.is_(j.one("Mailbox/set", destroy=[C], onDestroyRemoveEmails=True)["destroyed"], [C], "but when they may go")
tm.is_((C in j.one("Mailbox/changes", sinceState=before)["destroyed"], tm.wait_for(lambda: gone in j.one("Email/changes", sinceState=before)["destroyed"])), (True, True), "both are told")
tm.is_([j.one("Mailbox/set", **a) for a in ({"create": []}, {"destroy": {}}, {"destroy": [1]}, {"destroy": ["F"] * 1001})],
       [["error", t] for t in ("invalidArguments",) * 3 + ("requestTooLarge",)], "arguments that are wrong")

# ---- EventSource -------------------------------------------------------------------------------------------------------
def listen(query, user=1, headers=None):
    """A connection whose answer goes on, and its lines."""
    e = Jmap(sb, user)
    e.http("GET", "/jmap/session")
    e.conn.request("GET", "/jmap/events?" + query, headers={**e.headers, **(headers or {})})
    r = e.conn.getresponse()
    return r, e


def event(r):
    lines = []
    while True:
        line = r.readline().decode().rstrip("\n")
        if not line:
            return dict(l.split(": ", 1) for l in lines)
        lines.append(line)


r, conn = listen("types=*&closeafter=no&ping=0")
tm.is_((r.status, r.getheader("Content-Type")), (200, "text/event-stream"), "an EventSource")
stranger, conn2 = listen("types=*&closeafter=state&ping=0", user=2)
append(10)
e = event(r)
data = json.loads(e["data"])
state = j.one("Email/get", ids=[])["state"]
tm.is_((e["event"], data["@type"], set(data["changed"][j.account])), ("state", "StateChange", {"Email", "Mailbox", "Thread", "EmailDelivery", "EmailSubmission"}), "tells of new mail")
tm.is_((e["id"], data["changed"][j.account]["Email"]), (state, state), "its state")
j.one("Email/set", update={by_subject()["m10"]["id"]: {"keywords/$seen": True}})
tm.is_(json.loads(event(r)["data"])["changed"][j.account]["Email"], j.one("Email/get", ids=[])["state"], "and of JMAP's own changes")
r2, conn3 = listen("types=Email,Mailbox&closeafter=state&ping=0", headers={"Last-Event-ID": state})
data = json.loads(event(r2)["data"])
tm.is_((set(data["changed"][j.account]), r2.read()), ({"Email", "Mailbox"}, b""), "who was away is told what he has missed, and that ends it")
sb.imap(2).append("INBOX", None, None, b"Subject: x\r\n\r\nx\r\n")
tm.is_(list(json.loads(event(stranger)["data"])["changed"]), [Jmap(sb, 2).account], "others are told of their own mail alone")
r3, conn4 = listen("types=Email&closeafter=no&ping=1")
tm.is_((event(r3)), {"event": "ping", "data": '{"interval":5}'}, "a ping now and then")
tm.is_([j.http("GET", "/jmap/events?" + q)[0] for q in ("", "types=*", "types=*&closeafter=x&ping=0", "types=*&closeafter=no&ping=x")], [400] * 4, "queries that are wrong")
for x in (conn, conn2, conn3, conn4):
    x.conn.close()

# ---- interleaved by chance, a client that follows ----------------------------------------------------------------------
random.seed(11)
USER = 3
j3, i3 = Jmap(sb, USER), sb.imap(USER)
for n in range(10):
    append(n, conn=i3)


def fresh(ids=None):
    """{id: (mailboxes, keywords)}, {mailbox: (name, parent, counts)}, {thread: emails}, state"""
    got = j3.call(("Email/query", {}), ("Email/get", {"#ids": {"resultOf": "a", "name": "Email/query", "path": "/ids"}, "properties": ["mailboxIds", "keywords", "threadId"]}),
                  ("Thread/get", {"#ids": {"resultOf": "b", "name": "Email/get", "path": "/list/*/threadId"}}), ("Mailbox/get", {"ids": None}))
    return got


INBOX3 = next(b["id"] for b in j3.boxes().values() if b["role"] == "inbox")
QUERIES = [{}, {"collapseThreads": True}, {"filter": {"inMailbox": INBOX3}, "sort": [{"property": "receivedAt"}]}, {"filter": {"notKeyword": "$seen"}, "sort": [{"property": "size"}]},
           {"filter": {"inMailbox": INBOX3, "someInThreadHaveKeyword": "$flagged"}, "collapseThreads": True},
           {"sort": [{"property": "hasKeyword", "keyword": "x"}, {"property": "subject"}]}]


class Client:
    """Keeps its picture by /changes alone."""

    def __init__(self):
        got = fresh()
        self.state = got[1][1]["state"]
        self.emails = {m["id"]: m for m in got[1][1]["list"]}
        self.threads = {t["id"]: t for t in got[2][1]["list"]}
        self.boxes = {b["id"]: b for b in got[3][1]["list"]}
        self.lists = [(r["queryState"], r["ids"]) for r in (j3.one("Email/query", **q) for q in QUERIES)]

    def follow(self):
        new = None
        for n, (q, (state, ids)) in enumerate(zip(QUERIES, self.lists)):
            ch = j3.one("Email/queryChanges", sinceQueryState=state, calculateTotal=True, **q)
            ids = [i for i in ids if i not in set(ch["removed"])]
            for a in ch["added"]:
                ids.insert(a["index"], a["id"])
            assert len(ids) == ch["total"], (q, ids, ch)
            self.lists[n] = ch["newQueryState"], ids
        for kind, have, args in (("Email", self.emails, {"properties": ["mailboxIds", "keywords", "threadId"]}), ("Thread", self.threads, {}), ("Mailbox", self.boxes, {})):
            since = self.state
            while True:
                ch = j3.one(f"{kind}/changes", sinceState=since, maxChanges=50)
                for i in ch["destroyed"]:
                    have.pop(i, None)
                for o in j3.one(f"{kind}/get", ids=ch["created"] + ch["updated"], **args)["list"]:
                    have[o["id"]] = o
                since = ch["newState"]
                if not ch["hasMoreChanges"]:
                    break
            new = since
        self.state = new

    def same(self):
        got = fresh()
        return ([ids for state, ids in self.lists] == [j3.one("Email/query", **q)["ids"] for q in QUERIES] and self.emails == {m["id"]: m for m in got[1][1]["list"]} and self.threads == {t["id"]: t for t in got[2][1]["list"]} and
                self.boxes == {b["id"]: b for b in got[3][1]["list"]})


def step(n):
    names = [b["id"] for b in j3.boxes().values() if b["role"] != "inbox"]
    mails = j3.emails()
    pick = random.choice(mails) if mails else None
    what = random.choice(("append", "flags", "imap flags", "move", "copy", "imap copy", "destroy", "expunge", "make", "rename", "drop"))
    if what == "append":
        i3.append("INBOX", None, None, f"Subject: m{n % 5}\r\nMessage-ID: <r{n}@b.test>\r\nReferences: <r{n - 3}@b.test>\r\n\r\nx\r\n".encode())
    elif what == "flags" and pick:
        j3.one("Email/set", update={i: {f"keywords/{random.choice(('$seen', '$flagged', 'x'))}": random.choice((True, None))} for i in random.sample(mails, min(3, len(mails)))})
    elif what in ("move", "copy") and pick:
        to = random.choice(names)
        j3.one("Email/set", update={pick: {"mailboxIds": {to: True}} if what == "move" else {f"mailboxIds/{to}": True}})
    elif what == "destroy" and pick and random.random() < 0.4:
        j3.one("Email/set", destroy=[pick])
    elif what in ("imap flags", "imap copy", "expunge"):
        folder = random.choice(list(j3.boxes()))
        if i3.select(f'"{folder}"')[1] == [b"0"]:
            return what
        if what == "imap flags":
            i3.store("1:2", random.choice("+-") + "FLAGS", random.choice((r"(\Seen)", r"(\Flagged X)")))
        elif what == "imap copy":
            i3.copy("1", random.choice(("INBOX", "Archive", f'"{folder}"')))
        else:
            i3.store("1", "+FLAGS", r"(\Deleted)")
            i3.expunge()
    elif what == "make":
        j3.one("Mailbox/set", create={"k": {"name": f"f{n}", "parentId": random.choice(names + [None] * 3)}})
    elif what == "rename":
        own = [b for b in j3.boxes().values() if not b["role"]]
        if own:
            j3.one("Mailbox/set", update={random.choice(own)["id"]: {"name": f"r{n}"}})
    elif what == "drop":
        own = [b for b in j3.boxes().values() if not b["role"]]
        if own:
            j3.one("Mailbox/set", destroy=[random.choice(own)["id"]], onDestroyRemoveEmails=True)
    return what


clients = [Client(), Client()]
bad = None
for n in range(120):
    what = step(n)
    for k, client in enumerate(clients):
        if n % (1, 7)[k] == 0 and not bad:
            client.follow()
            if not client.same():
                bad = (n, what, k)
                got = fresh()
                for q, (state, ids) in zip(QUERIES, client.lists):
                    tm.diag(f"{q}: kept {ids} fresh {j3.one('Email/query', **q)['ids']}")
                for name, have, now in (("emails", client.emails, got[1]), ("threads", client.threads, got[2]), ("boxes", client.boxes, got[3])):
                    now = {o["id"]: o for o in now[1]["list"]}
                    for i in set(have) | set(now):
                        if have.get(i) != now.get(i):
                            tm.diag(f"{name} {i}: kept {have.get(i)} fresh {now.get(i)}")
    if bad:
        break
tm.is_(bad, None, "a client that follows the changes has what a fresh look shows, after each step")

# ---- mail that comes into a mailbox, and a name that changes, between jmapd's look and stored's
j5, i5 = Jmap(sb, 5), sb.imap(5)
append(1, conn=i5)


def meanwhile(first, then):
    """stored finds both requests, in this order, when it goes on."""
    got, at, mine = [], [threading.Thread(target=lambda: got.append(("first", first()))), threading.Thread(target=lambda: got.append(("then", then())))], sb.pids_of("stored")
    for pid in mine:
        os.kill(pid, signal.SIGSTOP)
    try:
        for t in at:
            t.start()
            t.join(0.4)
    finally:
        for pid in mine:
            os.kill(pid, signal.SIGCONT)
    for t in at:
        t.join(tm.LONG)
    return dict(got)


def made(name):
    return j5.one("Mailbox/set", create={"k": {"name": name}})["created"]["k"]["id"]


i5.select("INBOX")
tried = {"came": [], "renamed": [], "child": []}
for n in range(3):
    box5 = made(f"came{n}")
    got = meanwhile(lambda: i5.copy("1", f"came{n}")[0], lambda: j5.one("Mailbox/set", destroy=[box5]))
    tried["came"].append((got["first"], (got["then"]["notDestroyed"] or {}).get(box5, {}).get("type"), j5.one("Mailbox/get", ids=[box5])["notFound"] == []))
    box5 = made(f"old{n}")
    got = meanwhile(lambda: (i5.rename(f"old{n}", f"new{n}")[0], i5.create(f"old{n}")[0])[0], lambda: j5.one("Mailbox/set", destroy=[box5]))
    tried["renamed"].append((got["first"], got["then"]["destroyed"] == [box5], f"new{n}" not in j5.boxes()))
    box5 = made(f"up{n}")
    got = meanwhile(lambda: i5.create(f"up{n}/below")[0], lambda: j5.one("Mailbox/set", destroy=[box5], onDestroyRemoveEmails=True))
    tried["child"].append((got["first"], (got["then"]["notDestroyed"] or {}).get(box5, {}).get("type"), f"up{n}/below" in j5.boxes()))
tm.is_([t for t in tried["came"] if t[0] == "OK" and not t[2]], [], "no mail has gone with its mailbox")
tm.ok(("OK", "mailboxHasEmail", True) in tried["came"], f"it is told: {tried['came']}")
tm.is_(tried["renamed"], [("OK", True, True)] * 3, "one that was renamed is found under its name")
tm.ok(("OK", "mailboxHasChild", True) in tried["child"], f"one that has got a child stays: {tried['child']}")

# ---- an account that is erased and made again: same id, and a counter that begins anew
j6, i6 = Jmap(sb, 6), sb.imap(6)
append(1, conn=i6)
STATES = (("Email/changes", "sinceState", lambda: j6.one("Email/get", ids=[])["state"]), ("Thread/changes", "sinceState", lambda: j6.one("Thread/get", ids=[])["state"]),
          ("Mailbox/changes", "sinceState", lambda: j6.one("Mailbox/get", ids=[])["state"]), ("Email/queryChanges", "sinceQueryState", lambda: j6.one("Email/query")["queryState"]))
old = {name: state() for name, _, state in STATES}
counter = lambda state: int(state.split("-")[-1])
tm.ok(all("created" in (got := j6.one(name, **{arg: old[name]})) or "added" in got for name, arg, _ in STATES), "changes since a state")
tm.is_(sb.tool("storectl", "account", "delete", f"{sb.user(6)}@{sb.domain}").returncode, 0, "it is erased")
j6, i6 = Jmap(sb, 6), sb.imap(6)  # sessions have ended
while counter(j6.one("Email/get", ids=[])["state"]) <= max(map(counter, old.values())):
    append(2, conn=i6)
tm.is_([j6.one(name, **{arg: old[name]}) for name, arg, _ in STATES], [["error", "cannotCalculateChanges"]] * len(STATES), "a state of its former life is none")
now = {name: state() for name, _, state in STATES}
same = now["Email/changes"].rpartition("-")[2]
tm.is_([j6.one(m, ifInState=old["Email/changes"].rpartition("-")[0] + "-" + same, update={}) for m in ("Email/set", "Mailbox/set")], [["error", "stateMismatch"]] * 2, "nor the same one, though it has the same counter")
tm.ok(all("created" in (got := j6.one(name, **{arg: now[name]})) or "added" in got for name, arg, _ in STATES), "those of this one are")
tm.is_(j6.one("Email/set", ifInState=now["Email/changes"], update={})["oldState"], now["Email/changes"], "also for ifInState")
tm.done()
