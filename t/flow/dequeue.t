#!/usr/bin/env python3
"""DEQUEUE_ACCESS: a table says before each delivery whether a message is tried now: what it is asked, that who waits has
no attempt counted, when it is asked again, and that nothing goes past it."""
import json, os, re, sys, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

there = Mail(("127.0.0.1", 0))
busy = Mail(("127.0.0.1", 0), say={"RCPT": "450 4.2.1 later"})
sb = tm.Sandbox("--users", "2", *(a for n, s in (("there", there), ("busy", busy)) for a in ("--route", f"{n}.test=smtp:127.0.0.1:{s.port}")))
me, you = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2))


def table(*lines):
    with open(sb.conf("mappings"), "w") as f:
        f.write("DEQUEUE_ACCESS\n\n" + "".join(f"  {l}\n" for l in lines) if lines else "")
    return sb.restart("smtp-relay") and sb.tool("tmctl", "-d", "jobctl", "reload").returncode == 0


def send(to):
    with sb.smtp("SUBMISSION") as s:
        s.ehlo()
        s.login(sb.user(1), sb.password)
        s.mail(me)
        s.rcpt(to)
        code, text = s.data(f"From: <{me}>\r\nTo: <{to}>\r\nSubject: s\r\n\r\nx\r\n")
        return text.decode().split()[-1] if code == 250 else (code, text)


def queued():
    return [json.loads(x) for x in sb.tool("jobctl-ctl", "--json", "list").stdout.splitlines()]



def events(qid):
    with open(os.path.join(sb.env["RUNDIR"], "jobctl.log"), errors="replace") as f:
        return [l for l in f if "ev=dequeue " in l and f"qid={qid}" in l]


# ---- one destination waits, others go -------------------------------------------------------------------------
tm.ok(table("tcp_local|*|*|*|*|*|*|there.test  2|not$ now$S$N", "tcp_local|*|*|*|*|*|*|busy.test  7777$S", "tcp_lmtp|*  $N"), "a table")
qid = send("a@there.test")
tm.ok(tm.wait_for(lambda: events(qid)), "it is asked")
tm.ok(events(qid) and all(w in events(qid)[0] for w in ("channel=tcp_local", "to=a@there.test", "seconds=2", 'text="not now"')), "the log says so") or tm.diag(events(qid))
row = [m for m in queued() if m["qid"] == qid]
tm.ok(len(row) == 1 and row[0]["attempts"] == 0 and not there.connections, "no attempt is counted, and nobody was called") or tm.diag(row, there.connections)
tm.ok(tm.wait_for(lambda: len(events(qid)) > 1), "after its seconds it is asked again")

# ---- only how long until the next attempt ------------------------------------------------------------------------
later = send("a@busy.test")
tm.ok(tm.wait_for(lambda: any(m["qid"] == later and m["attempts"] == 1 for m in queued())), "another one is tried")
wait = [m["next"] - time.time() for m in queued() if m["qid"] == later]
tm.ok(wait and 7600 < wait[0] <= 7777, "and when it fails waits as long as the table says") or tm.diag(wait)

# ---- what would go past the queue --------------------------------------------------------------------------------
local = send(you)
tm.ok(tm.wait_for(lambda: any(m["qid"] == local for m in queued())) and sb.messages(2) == [], "a message for a store is asked about, too")

# ---- what it is asked --------------------------------------------------------------------------------------------
want = f"tcp_local|{sb.env['QUEUE']}/tcp_local/ZZ*.00|*|{me}||{me}|normal|there.test"
tm.ok(table(f"{want}  $Y", "*  600$S$N"), "a table of one probe")
tm.ok(tm.wait_for(lambda: there.mails), "whose file, sender, user, priority and destination are those") or tm.diag(events(qid)[-1:])
tm.ok(table(), "no table")
sb.tool("jobctl-ctl", "retry", local)
tm.ok(tm.wait_for(lambda: len(sb.messages(2)) == 1), "all goes")
tm.done()
