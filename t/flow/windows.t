#!/usr/bin/env python3
"""Times of the day at which a channel delivers messages of a priority: what waits, what goes meanwhile, that it goes by
itself when its time has come, and that nothing goes past the queue in the meantime."""
import json, os, subprocess, sys, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

there = Mail(("127.0.0.1", 0))
sb = tm.Sandbox("--users", "2", "--set", "smtp-relay.priority.offer=yes", "--set", "smtp-relay.priority.users=user0001@example.test",
                "--route", f"there.test=smtp:127.0.0.1:{there.port}")
me = f"{sb.user(1)}@{sb.domain}"
with open(sb.conf("channels.conf")) as f:
    channels = f.read()


def clock(seconds):
    """A time of the local day, so many seconds from now."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))


def windows(channel, **keys):
    """Gives a channel these keys, and jobctl reads them."""
    section = f"[channel {channel}]\n"
    head, _, rest = channels.partition(section)
    with open(sb.conf("channels.conf"), "w") as f:
        f.write(head + section + "".join(f"{k} = {v}\n" for k, v in keys.items()) + rest)
    return sb.tool("tmctl", "-d", "jobctl", "reload")


def send(to, priority=0):
    with sb.smtp("SUBMISSION") as s:
        s.ehlo()
        s.login(sb.user(1), sb.password)
        s.ehlo()
        s.docmd(f"MAIL FROM:<{me}> MT-PRIORITY={priority}")
        s.rcpt(to)
        return s.data(f"From: <{me}>\r\nTo: <{to}>\r\nSubject: p{priority}\r\n\r\nx\r\n")[0]


def told(channel, key):
    """What jobctl says of a channel."""
    for line in sb.tool("tmctl", "-d", "jobctl", "status").stdout.splitlines():
        words = dict(w.split("=", 1) for w in line.split() if "=" in w)
        if line.startswith("channel") and words.get("name") == channel:
            return words.get(key)


def log():
    with open(os.path.join(sb.env["RUNDIR"], "jobctl.log"), errors="replace") as f:
        return f.read()


states = lambda: [json.loads(x)["state"] for x in sb.tool("jobctl-ctl", "--json", "list").stdout.splitlines()]
jobs = lambda: [json.loads(x) for x in sb.tool("jobctl-ctl", "--json", "jobs").stdout.splitlines()]
count = lambda s: len(s.mails)

# ---- one priority waits, the others go ------------------------------------------------------------------------
tm.is_(told("tcp_local", "shut"), None, "without windows nothing is shut")
tm.is_(windows("tcp_local", normalwindow=f"{clock(7200)}-{clock(7500)}").returncode, 0, "a window for later")
tm.ok(tm.wait_for(lambda: told("tcp_local", "shut") == "normal"), "it is told") or tm.diag(told("tcp_local", "shut"))
tm.ok("ev=channel_window channel=tcp_local priority=normal is=shut" in log(), "and logged")
tm.ok("tiermail_queue_shut_channels 1" in sb.tool("tmctl", "-d", "jobctl", "metrics").stdout, "and counted")
tm.is_(send("n@there.test"), 250, "a normal message")
tm.is_((send("u@there.test", 9), send("l@there.test", -9)), (250, 250), "an urgent one, and one that has time")
tm.ok(tm.wait_for(lambda: count(there) == 2), "those two go") or tm.diag(count(there))
tm.is_(states(), ["ready"], "the normal one is ready, and stays")
tm.ok(sb.restart("jobctl"), "also when jobctl begins anew")
tm.ok(tm.wait_for(lambda: states() == ["ready"]) and told("tcp_local", "shut") == "normal", "it knows its windows from the start")
tm.is_(send("v@there.test", 9), 250, "another urgent one")
tm.ok(tm.wait_for(lambda: count(there) == 3), "goes")

# ---- it opens by itself --------------------------------------------------------------------------------------
opens = time.time() + 3
tm.is_(windows("tcp_local", normalwindow=f"{clock(3)}-{clock(7200)}").returncode, 0, "a window that opens in a moment")
tm.ok(tm.wait_for(lambda: count(there) == 4), "the message goes by itself")
tm.ok(time.time() >= int(opens), "and not before")
tm.ok(sb.queue_empty() and told("tcp_local", "shut") is None, "nothing is left")
shuts = windows("tcp_local", normalwindow=f"{clock(-60)}-{clock(2)}")
tm.ok(shuts.returncode == 0 and tm.wait_for(lambda: told("tcp_local", "shut") == "normal"), "and it shuts by itself")

# ---- LMTP: not past the queue, either ----------------------------------------------------------------------------
you = f"{sb.user(2)}@{sb.domain}"
tm.ok(send(you) == 250 and tm.wait_for(lambda: len(sb.messages(2)) == 1), "to a neighbour")
tm.is_(windows("tcp_lmtp", normalwindow=f"{clock(7200)}-{clock(7500)}", minjobs=1).returncode, 0, "a window of the stores' channel")
tm.ok(tm.wait_for(lambda: [j["state"] for j in jobs() if j["channel"] == "tcp_lmtp"] == ["idle"]), "with a master that waits") or tm.diag(jobs())
tm.is_(send(you), 250, "a message for a neighbour")
tm.is_((states(), len(sb.messages(2))), (["ready"], 1), "it is in the queue")
windows("tcp_lmtp")
tm.ok(tm.wait_for(lambda: len(sb.messages(2)) == 2) and sb.queue_empty(), "and goes when there are no windows any more")

# ---- what is no window -------------------------------------------------------------------------------------------
for bad in ("18:00", "25:00-26:00", "08:00-08:00", "8-18", " ".join(["08:00-09:00"] * 9)):
    windows("tcp_local", urgentwindow=bad)
    r = subprocess.run([sb.bin("jobctl"), "-n", "-c", sb.conf("jobctl.conf")], capture_output=True, text=True)
    tm.ok(r.returncode == 78 and "channels.conf:" in r.stderr + r.stdout and "urgentwindow" in r.stderr + r.stdout, f"{bad[:24]}: refused with its line") or tm.diag(r)
tm.is_(send(you), 250, "and the old channels stay")
tm.ok(tm.wait_for(lambda: len(sb.messages(2)) == 3), "and work")
tm.done()
