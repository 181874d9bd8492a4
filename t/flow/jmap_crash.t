#!/usr/bin/env python3
"""Three people work by JMAP while one daemon after the other is killed: what was answered is so, and holds.  Emails that were
created, changed, moved and destroyed are as the last answer said, or as the request whose answer was lost did; what was to
be sent later and was taken back arrives nowhere, what was sent arrives once, and what is kept of it says which.

TM_KILLS: how many times (default 6; make soak has more)."""
import http.client
import json
import os
import random
import signal
import threading
import time
import tm
from jmapraw import Jmap

seed = int(os.environ.get("TM_SEED", random.randrange(1 << 32)))
random.seed(seed)
tm.diag(f"TM_SEED={seed}")
kills = int(os.environ.get("TM_KILLS", "6"))
PEOPLE = 3
sb = tm.Sandbox("--users", "4", "--without", "pop3d", "--without", "mmpd", "--without", "memd", "--without", "sieved")
target = f"{sb.user(4)}@{sb.domain}"
AWAY = (OSError, http.client.HTTPException, AssertionError, ValueError)


class Person(threading.Thread):
    """Its own account, and what that must look like: {id: (subject, folder, flagged)}; where an answer was lost, what else
    it may be."""

    def __init__(self, n):
        super().__init__()
        self.j = Jmap(sb, n)
        self.j.using.append("urn:ietf:params:jmap:submission")
        self.me = f"{sb.user(n)}@{sb.domain}"
        self.r = random.Random(seed * 10 + n)
        self.box = {b["name"]: b["id"] for b in self.j.one("Mailbox/get", ids=None)["list"] if b["name"] in ("INBOX", "Drafts", "Archive")}
        self.identity = self.j.one("Identity/get", ids=None)["list"][0]["id"]
        self.sure, self.unsure, self.gone, self.n = {}, {}, set(), n
        self.sends, self.count, self.answers, self.over = {}, 0, 0, False
        self.lost_made = set()

    def ask(self, name, **args):
        """The answer, or None: it was lost, or there was no yes or no."""
        try:
            got = self.j.one(name, **args)
        except AWAY:
            self.j.conn = None
            time.sleep(0.05)
            return None
        if isinstance(got, list):
            return None
        self.answers += 1
        return got

    def create(self):
        self.count += 1
        subject, folder = f"mail {self.n} {self.count}", self.r.choice(list(self.box))
        self.lost_made.add(subject)
        got = self.ask("Email/set", create={"x": {"mailboxIds": {self.box[folder]: True}, "from": [{"email": self.me}], "to": [{"email": target}], "subject": subject,
                                                  "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": "x" * self.r.randrange(3000)}}}})
        if got and got["created"]:
            self.lost_made.discard(subject)
            self.sure[got["created"]["x"]["id"]] = (subject, folder, False)
        elif got and got["notCreated"]["x"]["type"] != "serverFail":
            tm.diag(f"create: {got}")

    def change(self):
        id_ = self.r.choice(list(self.sure))
        subject, folder, flagged = was = self.sure.pop(id_)
        to, flag = self.r.choice(list(self.box)), self.r.random() < 0.5
        got = self.ask("Email/set", update={id_: {"mailboxIds": {self.box[to]: True}, "keywords/$flagged": flag or None}})
        if got and got["updated"]:
            self.sure[id_] = (subject, to, flag)
        else:   # keywords come first, then the move: it may have done one
            self.unsure[id_] = {was, (subject, folder, flag), (subject, to, flag)}

    def destroy(self):
        id_ = self.r.choice(list(self.sure))
        was = self.sure.pop(id_)
        got = self.ask("Email/set", destroy=[id_])
        if got and got["destroyed"]:
            self.gone.add(id_)
        else:
            self.unsure[id_] = {was, None}

    def send(self):
        id_ = self.r.choice(list(self.sure))
        subject = self.sure[id_][0]
        if subject in self.sends:
            return
        hold = self.r.choice((None, "2", "3600"))
        self.sends[subject] = "lost"
        envelope = {"mailFrom": {"email": self.me, "parameters": hold and {"HOLDFOR": hold}}, "rcptTo": [{"email": target}]}
        got = self.ask("EmailSubmission/set", create={"s": {"identityId": self.identity, "emailId": id_, "envelope": envelope}})
        if not got or not got["created"]:
            if got and got["notCreated"]["s"]["type"] in ("overQuota", "invalidProperties"):
                self.sends[subject] = "no"
            return
        self.sends[subject] = "yes"
        if hold != "3600":
            return
        sid = got["created"]["s"]["id"]
        self.sends[subject] = "waits " + sid
        if self.r.random() < 0.8:
            got = self.ask("EmailSubmission/set", update={sid: {"undoStatus": "canceled"}})
            if got and got["updated"]:
                self.sends[subject] = "canceled " + sid

    def take_back(self, sid):
        """The answer, or None where it is to be asked again."""
        got = self.ask("EmailSubmission/set", update={sid: {"undoStatus": "canceled"}})
        return got if got and (got["updated"] or got["notUpdated"][sid]["type"] != "serverFail") else None

    def run(self):
        while not self.over:
            what = self.r.choice((self.create, self.create, self.change, self.change, self.destroy, self.send))
            if self.sure or what == self.create:
                what()


people = [Person(n) for n in range(1, PEOPLE + 1)]
for p in people:
    p.start()
victims = []
for k in range(kills):
    victim = ("stored", "jmapd", "smtp-relay", "jobctl", "slapd", "lmtpd")[k % 6]
    before = sum(p.answers for p in people)
    tm.wait_for(lambda: sum(p.answers for p in people) > before + 15 or victim == "slapd", what=f"work before {victim} is killed")
    time.sleep(random.random() / 10)
    pid = sb.pid(victim)
    os.kill(max(sb.pids_of("jmapd")) if victim == "jmapd" and k % 2 else pid, signal.SIGKILL)
    time.sleep(random.random() / 5)
    tm.wait_for(lambda: victim == "jmapd" and k % 2 or pid not in sb.pids_of(victim))
    if sb.pids_of(victim) and not (victim == "jmapd" and k % 2):
        tm.wait_for(lambda: not sb.pids_of(victim), what=f"the end of {victim}")
    sb.restart(victim)
    victims.append(victim)
before = sum(p.answers for p in people)
tm.ok(tm.wait_for(lambda: sum(p.answers for p in people) > before + 30), f"work goes on when {', '.join(victims)} have been killed")
for p in people:
    p.over = True
for p in people:
    p.join()
tm.diag(f"{sum(p.answers for p in people)} answers, {sum(len(p.unsure) for p in people)} lost")

# ---- what it is ------------------------------------------------------------------------------------------------------
wrong = []
for p in people:
    names = {v: k for k, v in p.box.items()}
    shown = {}
    ids = tm.wait_for(lambda: p.ask("Email/query"))["ids"]
    for at in range(0, len(ids), 500):
        for e in p.j.one("Email/get", ids=ids[at:at + 500], properties=["subject", "keywords", "mailboxIds"])["list"]:
            shown[e["id"]] = (e["subject"], "/".join(sorted(names.get(b, b) for b in e["mailboxIds"])), "$flagged" in e["keywords"])
    for id_, want in p.sure.items():
        if shown.get(id_) != want:
            wrong.append(("answered", id_, want, shown.get(id_)))
    for id_, may in p.unsure.items():
        if shown.get(id_) not in may:
            wrong.append(("lost", id_, may, shown.get(id_)))
    wrong += [("destroyed", id_, shown[id_]) for id_ in p.gone if id_ in shown]
    subjects = [s for s, _, _ in shown.values()]
    wrong += [("twice", s) for s in subjects if subjects.count(s) > 1]
    known = set(p.sure) | set(p.unsure)
    wrong += [("nobody's", x) for i, x in shown.items() if i not in known and x[0] not in p.lost_made]
tm.is_(wrong, [], f"emails are as they were answered (TM_SEED={seed})")

kept = {}
for p in people:
    for s in p.j.one("EmailSubmission/get", ids=None)["list"]:
        kept[s["id"]] = s["undoStatus"]
states = [s for p in people for s in p.sends.values()]
# Those that wait still go now; what an answer said is canceled must not be among them.
for p in people:
    for subject, state in p.sends.items():
        if state.startswith("waits"):
            got = tm.wait_for(lambda: p.take_back(state.split()[1]))
            p.sends[subject] = "canceled " + state.split()[1] if got and got["updated"] else "yes"
tm.wait_for(lambda: sum(f" {s}\r\n".encode() in m for m in sb.messages(4) for p in people for s, st in p.sends.items() if st == "yes") >= sum(st == "yes" for p in people for st in p.sends.values()), what="what was sent")
time.sleep(1)
got = [m.split(b"Subject: ", 1)[1].split(b"\r\n", 1)[0].decode() for m in sb.messages(4)]
wrong = []
for p in people:
    for subject, state in p.sends.items():
        n = got.count(subject)
        if (state == "yes" and n != 1) or (state == "no" and n) or n > 1 or (state.startswith("canceled") and n):
            wrong.append((subject, state, n))
tm.is_(wrong, [], f"what was sent has arrived once, what was taken back nowhere ({len(states)} messages, {sum(s.startswith('canceled') for s in states)} taken back; TM_SEED={seed})")
told = {s["id"]: s["undoStatus"] for p in people for s in p.j.one("EmailSubmission/get", ids=None)["list"]}
tm.is_([(s, told.get(s.split()[1])) for p in people for s in p.sends.values() if s.startswith("canceled") and told.get(s.split()[1], "canceled") != "canceled"], [], "and is told so")
tm.done()
