#!/usr/bin/env python3
"""Sending later by JMAP, and taking it back (RFC 8621 7, RFC 4865): what is kept and told of it, that it goes when it is
due and not at all when it was taken back, and what two clients, a crash and a relay that keeps nothing make of it."""
import json
import os
import signal
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
import tm
from jmapraw import Jmap

SUBMISSION = "urn:ietf:params:jmap:submission"
sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--set", "jmapd.submit.hold_max=2d", "--set", "smtp-relay.submission.hold_max=1d",
                "--set", "jmapd.limit.recipients=5")
j = Jmap(sb)
j.using.append(SUBMISSION)
D = sb.domain
me, you = (f"{sb.user(n)}@{D}" for n in (1, 2))
c = sb.imap(1)
mine = j.one("Identity/get", ids=None)["list"][0]["id"]
box = {b["name"]: b["id"] for b in j.one("Mailbox/get", ids=None)["list"]}


def draft(subject, to=you):
    typ, data = c.append("Drafts", r"(\Draft)", None, f"From: {me}\r\nTo: {to}\r\nSubject: {subject}\r\nBcc: {me}\r\nMessage-ID: <{subject.replace(' ', '.')}@x>\r\n\r\nhello\r\n".encode())
    assert typ == "OK", data
    return j.emails(subject=f'"{subject}"')[0]


def envelope(to=you, **parameters):
    return {"mailFrom": {"email": me, "parameters": parameters or None}, "rcptTo": [{"email": t} for t in (to if isinstance(to, list) else [to])]}


def submit(email, to=you, more=None, **parameters):
    """(created, SetError)"""
    got = j.one("EmailSubmission/set", create={"s": {"identityId": mine, "emailId": email, "envelope": envelope(to, **parameters)}}, **(more or {}))
    return (got["created"] or {}).get("s"), (got["notCreated"] or {}).get("s")


def cancel(id_, by=j, value="canceled"):
    """None, or the type of the SetError."""
    got = by.one("EmailSubmission/set", update={id_: {"undoStatus": value}})
    return (got["notUpdated"] or {}).get(id_, {"type": None if id_ in (got["updated"] or {}) else "?"})["type"]


def get(id_, *properties):
    got = j.one("EmailSubmission/get", ids=[id_], **({"properties": list(properties)} if properties else {}))["list"]
    return got[0] if got else None


def waiting():
    return [json.loads(x)["qid"] for x in sb.tool("jobctl-ctl", "--json", "list", "state=waiting").stdout.splitlines()]


def state():
    return j.one("EmailSubmission/get", ids=[])["state"]


def changes(since, **more):
    got = j.one("EmailSubmission/changes", sinceState=since, **more)
    return got if isinstance(got, list) else (got["created"], got["updated"], got["destroyed"])


def stamp(seconds):
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- kept, and told -------------------------------------------------------------------------------------------------
begin = state()
one = draft("One")
made, why = submit(one, HOLDFOR="3600")
tm.is_((why, made["undoStatus"]), (None, "pending"), "a message for later: it can be taken back")
at = datetime.strptime(made["sendAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp() - time.time()
tm.ok(3590 < at <= 3601, "sendAt is when it goes") or tm.diag(made)
tm.ok(tm.wait_for(lambda: len(waiting()) == 1), "it waits in the relay's queue")
item = json.loads(sb.tool("mailq", "--json", waiting()[0]).stdout)
tm.is_(item["auth"], me, "as the user's own")
got = get(made["id"])
thread = j.one("Email/get", ids=[one], properties=["threadId"])["list"][0]["threadId"]
tm.is_({k: v for k, v in got.items() if k != "deliveryStatus"},
       {"id": made["id"], "identityId": mine, "emailId": one, "threadId": thread, "envelope": envelope(HOLDFOR="3600"), "sendAt": made["sendAt"], "undoStatus": "pending",
        "dsnBlobIds": [], "mdnBlobIds": []}, "all of it can be had again")
tm.is_((list(got["deliveryStatus"]), got["deliveryStatus"][you]["delivered"]), ([you], "queued"), "and the relay's answer")
tm.is_(get(made["id"], "sendAt"), {"id": made["id"], "sendAt": made["sendAt"]}, "or what is asked for")
tm.is_(changes(begin), ([made["id"]], [], []), "/changes tells of it")
other = Jmap(sb, 2)
other.using.append(SUBMISSION)
tm.is_((other.one("EmailSubmission/get", ids=None)["list"], cancel(made["id"], other)), ([], "notFound"), "another has none, and cannot take it back")
tm.is_(c.xatom("GETMETADATA", '(DEPTH infinity)', '""', '("/private/tiermail")')[0], "OK", "IMAP is asked of it")
tm.ok(not any(b"Ssubm" in bytes(d) or b"submission" in bytes(d) for d in c.response("METADATA")[1] if isinstance(d, bytes)), "and shows nothing")
until = submit(draft("Two"), HOLDUNTIL=stamp(7200))[0]
tm.is_(until["undoStatus"], "pending", "until a moment")
tm.is_(get(until["id"])["sendAt"][:16], stamp(7200)[:16], "which is kept") if time.time() % 60 < 58 else None

# ---- found -------------------------------------------------------------------------------------------------------------
query = lambda **k: j.one("EmailSubmission/query", **k)
ids = [made["id"], until["id"]]
tm.is_(query(sort=[{"property": "sentAt"}])["ids"], ids, "a query, by time")
tm.is_(query(sort=[{"property": "sentAt", "isAscending": False}], limit=1, calculateTotal=True).get("total"), 2, "and how many")
tm.is_(query(sort=[{"property": "sentAt"}], anchor=ids[0], anchorOffset=1)["ids"], ids[1:], "from an anchor")
for filter_, want in (({"emailIds": [one]}, ids[:1]), ({"threadIds": [thread]}, ids[:1]), ({"identityIds": [mine]}, ids), ({"identityIds": ["Inone"]}, []), ({"undoStatus": "final"}, []),
                      ({"undoStatus": "pending", "before": stamp(5000)}, ids[:1]), ({"after": stamp(5000)}, ids[1:]),
                      ({"operator": "NOT", "conditions": [{"emailIds": [one]}]}, ids[1:]), ({"operator": "OR", "conditions": [{"emailIds": [one]}, {"after": stamp(5000)}]}, ids)):
    tm.is_(query(filter=filter_, sort=[{"property": "sentAt"}]).get("ids"), want, f"filter {json.dumps(filter_)[:60]}")
for bad in {"emailIds": one}, {"before": "x"}, {"nosuch": 1}, {"operator": "XOR", "conditions": []}, {"undoStatus": 1}:
    tm.is_(query(filter=bad), ["error", "invalidArguments"], f"no filter: {json.dumps(bad)[:40]}")
tm.is_(query(sort=[{"property": "size"}]), ["error", "unsupportedSort"], "no sort")

# ---- taken back ----------------------------------------------------------------------------------------------------------
since = state()
r = j.call(("EmailSubmission/set", {"update": {made["id"]: {"undoStatus": "canceled"}}, "onSuccessUpdateEmail": {made["id"]: {"keywords/$seen": True}}}))
tm.is_((r[0][1]["updated"], [x[0] for x in r]), ({made["id"]: None}, ["EmailSubmission/set", "Email/set"]), "taken back, and its email is changed with it")
tm.is_(list(r[1][1]["updated"]), [one], "that one")
tm.is_((len(waiting()), get(made["id"])["undoStatus"]), (1, "canceled"), "it waits no longer")
tm.is_(changes(since), ([], [made["id"]], []), "/changes tells that")
tm.is_(cancel(made["id"]), None, "once more is once")
tm.is_(cancel(made["id"], value="pending"), "invalidProperties", "it does not come back")
tm.is_(cancel("Snone"), "notFound", "one that there is not")
got = j.one("EmailSubmission/set", update={until["id"]: {"sendAt": stamp(1)}})
tm.is_(got["notUpdated"][until["id"]]["properties"], ["sendAt"], "nothing else can be changed")
tm.is_(j.one("EmailSubmission/set", ifInState=since, update={}), ["error", "stateMismatch"], "ifInState is kept")
now = state()
got = j.one("EmailSubmission/set", destroy=[made["id"], "Snone"], ifInState=now)
tm.is_((got["destroyed"], got["notDestroyed"]["Snone"]["type"], got["oldState"]), ([made["id"]], "notFound", now), "forgotten")
tm.is_((get(made["id"]), changes(now), changes(begin)[1:]), (None, ([], [], [made["id"]]), ([], [])), "which /changes tells to those who knew of it")
tm.is_(got["newState"], state(), "the new state is the state")

# ---- due --------------------------------------------------------------------------------------------------------------------
since = state()
soon, why = submit(draft("Soon"), HOLDFOR="2")
known = state()
tm.is_(soon["undoStatus"], "pending", "for two seconds")
tm.ok(tm.wait_for(lambda: any(b"Subject: Soon\r\n" in m for m in sb.messages(2))), "it goes by itself")
text = next(m for m in sb.messages(2) if b"Subject: Soon\r\n" in m)
tm.ok(b"\r\nBcc:" not in text, "without Bcc")
tm.is_((get(soon["id"])["undoStatus"], cancel(soon["id"])), ("final", "cannotUnsend"), "then it is final")
tm.is_((changes(known), changes(since)), (([], [soon["id"]], []), ([soon["id"]], [], [])), "which /changes tells although nobody wrote it")
tm.is_(query(filter={"undoStatus": "final"})["ids"], [soon["id"]], "and a query finds")
late, why = submit(draft("Late"), HOLDUNTIL=stamp(-60))
tm.is_((why, late["undoStatus"]), (None, "final"), "a time that is over is now")
tm.ok(tm.wait_for(lambda: any(b"Subject: Late\r\n" in m for m in sb.messages(2))), "and it goes")
tm.is_(get(late["id"]), None, "what goes at once is not kept")

# Six seconds behind its start jobctl has been told of all that there is, and says of what it does not know that it is none.
tm.wait_for(lambda: time.time() - os.stat(os.path.join(sb.env["RUNDIR"], "jobctl.pid")).st_mtime > 7, what="jobctl to know all")

# ---- an operator was faster ------------------------------------------------------------------------------------------------------
early, _ = submit(draft("Early"), HOLDFOR="3600")
tm.ok(tm.wait_for(lambda: len(waiting()) == 2), "one more waits")
for qid in waiting():
    if json.loads(sb.tool("mailq", "--json", qid).stdout)["kept_until"] - time.time() < 5000:
        sb.tool("jobctl-ctl", "release", qid)
tm.ok(tm.wait_for(lambda: any(b"Subject: Early\r\n" in m for m in sb.messages(2))), "an operator sends it")
tm.is_((cancel(early["id"]), get(early["id"])["undoStatus"]), ("cannotUnsend", "final"), "it cannot be taken back, and says so from then on")

# ---- at once, half-way --------------------------------------------------------------------------------------------------------------
both, _ = submit(draft("Both"), HOLDFOR="3600")
second = Jmap(sb)
second.using.append(SUBMISSION)
pair = [subprocess.Popen(["curl", "-sS", "--cacert", sb.env["CAFILE"], "-u", f"{sb.user(1)}:{sb.password}", f"https://{sb.host}:{sb.port('JMAP')}/jmap/api", "-H", "Content-Type: application/json",
                          "-d", json.dumps({"using": j.using, "methodCalls": [["EmailSubmission/set", {"accountId": j.account, "update": {both["id"]: {"undoStatus": "canceled"}}}, "a"]]})],
                         stdout=subprocess.PIPE, text=True) for _ in range(4)]
got = [json.loads(p.communicate()[0])["methodResponses"][0][1]["updated"] for p in pair]
tm.is_((got, get(both["id"])["undoStatus"]), ([{both["id"]: None}] * 4, "canceled"), "four clients at once take it back: all are told so")
away, _ = submit(draft("Away"), HOLDFOR="3600")
sb.kill("smtp-relay")
tm.is_(cancel(away["id"]), "serverFail", "the relay is away: it can be tried again")
tm.is_(get(away["id"])["undoStatus"], "pending", "until then nothing has come of it")
sb.restart("smtp-relay")
tm.is_(cancel(away["id"]), None, "and is taken back")
lost, _ = submit(draft("Lost"), HOLDFOR="3600")
sb.kill("smtp-relay")
tm.is_(cancel(lost["id"]), "serverFail", "one whose cancellation is lost")
sb.restart("smtp-relay")
for qid in waiting():  # what the relay had done when its answer was lost
    if json.loads(sb.tool("mailq", "--json", qid).stdout)["kept_until"] - time.time() < 5000:
        sb.tool("jobctl-ctl", "delete", qid)
tm.is_((cancel(lost["id"]), get(lost["id"])["undoStatus"]), (None, "canceled"), "is known to be taken back when it is tried again")

# ---- not -----------------------------------------------------------------------------------------------------------------------------------
why = lambda *a, **k: {x: v for x, v in submit(*a, **k)[1].items() if x != "description"}
no = draft("No")
tm.is_(why(no, HOLDFOR=str(3 * 86400)), {"type": "invalidProperties", "properties": ["envelope/mailFrom"]}, "later than maxDelayedSend")
tm.is_(why(no, HOLDFOR=str(86400 + 100)), {"type": "invalidProperties", "properties": ["envelope/mailFrom"]}, "later than the relay keeps messages")
tm.is_(why(no, HOLDFOR="1h"), {"type": "invalidProperties", "properties": ["envelope/mailFrom"]}, "no time")
tm.is_(why(no, to=f"nobody.here@{D}", HOLDFOR="60")["type"], "invalidRecipients", "to whom there is not")
some, _ = submit(no, to=[f"nobody.here@{D}", you], HOLDFOR="3600")
tm.is_(({k: v["delivered"] for k, v in get(some["id"])["deliveryStatus"].items()}, cancel(some["id"])), ({you: "queued", f"nobody.here@{D}": "no"}, None), "to some of them: who not is kept")
conf = sb.conf("smtp-relay.conf")
old = open(conf).read()
with open(conf, "w") as f:
    f.write("submission.hold_max = 0\n" + "".join(x for x in old.splitlines(True) if "hold_max" not in x))
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
tm.ok(tm.wait_for(lambda: (submit(no, HOLDFOR="3600")[1] or {}).get("type") == "invalidProperties"), "a relay that keeps nothing: refused")
with open(conf, "w") as f:
    f.write(f"submission.hold_users = {you}\n" + old)
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
tm.ok(tm.wait_for(lambda: (submit(no, HOLDFOR="3600")[1] or {}).get("type") == "forbiddenToSend"), "one who may not: forbidden")
with open(conf, "w") as f:
    f.write(old)
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
tm.is_(sum(b"Subject: No\r\n" in m for m in sb.messages(2)), 0, "none of them was sent at once")

# ---- room ------------------------------------------------------------------------------------------------------------------------------------
since = state()
tm.ok(tm.wait_for(lambda: submit(no, HOLDFOR="3600")[0]), "it is kept again")
n = 1 + sum(x["undoStatus"] == "pending" for x in j.one("EmailSubmission/get", ids=None)["list"])
all_ = []
while n <= 40:
    got, bad = submit(no, HOLDFOR="3600")
    assert got, bad
    all_.append(got["id"])
    n += 1
tm.is_(why(no, HOLDFOR="3600")["type"], "overQuota", "forty wait: no more")
kept = j.one("EmailSubmission/get", ids=None)["list"]
tm.is_((len(kept), {x["undoStatus"] for x in kept}), (40, {"pending"}), "those that were over have gone for them")
created, updated, destroyed = changes(since)
tm.is_((set(all_) <= set(created), updated, soon["id"] in destroyed), (True, [], True), "which /changes tells")
part, seen, at = since, [], j.one("EmailSubmission/changes", sinceState=since, maxChanges=7)
while True:
    seen += at["created"] + at["destroyed"]
    if len(at["created"] + at["destroyed"]) > 7 or not at["hasMoreChanges"]:
        break
    at = j.one("EmailSubmission/changes", sinceState=at["newState"], maxChanges=7)
tm.is_((sorted(seen), at["hasMoreChanges"]), (sorted(created + destroyed), False), "also in parts of seven")
for round_ in range(3):
    got = j.one("EmailSubmission/set", destroy=[x["id"] for x in j.one("EmailSubmission/get", ids=None)["list"]][:25])
    tm.is_(len(got["destroyed"]), 25, "twenty-five are forgotten")
    for _ in range(25):
        assert submit(no, HOLDFOR="3600")[0]
tm.is_(changes(since), ["error", "cannotCalculateChanges"], "of what is too long ago nothing is known")
tm.is_(len(j.one("EmailSubmission/get", ids=None)["list"]), 40, "and forty are there")
tm.is_(j.one("EmailSubmission/set", update={x: {"undoStatus": "canceled"} for x in [y["id"] for y in j.one("EmailSubmission/get", ids=None)["list"]]})["notUpdated"], None, "all are taken back")

# ---- two at once -----------------------------------------------------------------------------------------------------------------------------
def at_once(id_):
    told, clients = [], [Jmap(sb), Jmap(sb)]
    for one_ in clients:
        one_.using.append(SUBMISSION)
        one_.one("Mailbox/get", ids=[])  # connected
    threads = [threading.Thread(target=lambda by=by: told.append(cancel(id_, by))) for by in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return told, get(id_)["undoStatus"]


twice = draft("Twice")
got = [at_once(submit(twice, HOLDFOR="3600")[0]["id"]) for _ in range(12)]
tm.is_([x for x in got if "cannotUnsend" in x[0] or None not in x[0] or x[1] != "canceled"], [], "who takes one back when another does is not told that it was sent")

# ---- stored, killed -----------------------------------------------------------------------------------------------------------------------------
before = set(waiting())
sb.kill("stored")
got = submit(no, HOLDFOR="3600")
sb.restart("stored")
tm.is_((got[1]["description"], set(waiting()) - before), ("the store does not take it now", set()), "what cannot be written down is taken back from the relay") or tm.diag(got)
text = sb.tool("tmctl", "-d", "jmapd", "metrics").stdout
tm.ok("jmap_submissions_kept_total" in text and "jmap_submissions_canceled_total" in text, "it is counted")
tm.done()
