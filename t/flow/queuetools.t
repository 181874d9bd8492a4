#!/usr/bin/env python3
"""What operators do with a queue that does not move: who waits and why, return to the sender, send where it
would go today, stop a channel for longer than jobctl lives; masters that are kept; and a queue without room."""
import json, os, signal, socket, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

grey = Mail(("127.0.0.1", 0), say={"RCPT TO:<": "450 4.7.1 greylisted, come back"})
good = Mail(("127.0.0.1", 0))
sb = tm.Sandbox("--users", "2", "--without", "imapd", "--route", f"grey.test=smtp:127.0.0.1:{grey.port}",
                "--set", "channels.channel tcp_local.minjobs=1", "--set", "channels.channel tcp_local.idle_exit=200ms",
                "--set", "channels.channel tcp_lmtp.idle_exit=200ms", "--set", "channels.channel tcp_local.backoff=1h")
D = sb.domain


def ctl(*args):
    r = sb.tool("jobctl-ctl", *args)
    return r.returncode, r.stdout, r.stderr


def rows(*args):
    return [json.loads(x) for x in ctl("--json", *args)[1].splitlines()]


def jobs(channel):
    return [j for j in rows("jobs") if j["channel"] == channel]


def boxes():
    """All that lies in mailboxes."""
    return [open(os.path.join(d, n)).read() for d, _, names in os.walk(sb.env["STORE"]) for n in names if n.endswith(".msg")]


# ---- masters that stay -----------------------------------------------------------------------------
tm.ok(tm.wait_for(lambda: jobs("tcp_local")), "minjobs = 1: there is a master without any work")
first = jobs("tcp_local")[0]
tm.is_((first["state"], first["leases"], first["messages"]), ("idle", 0, 0), "which is idle")
sb.send(to=1, subject="one")
tm.ok(tm.wait_for(lambda: "ev=master_end channel=tcp_lmtp" in open(f"{sb.env['RUNDIR']}/jobctl.log").read()), "without minjobs it leaves")
tm.is_(jobs("tcp_lmtp"), [], "by its own idle_exit")
time.sleep(0.5 * tm.SLOW)
tm.is_([j["pid"] for j in jobs("tcp_local")], [first["pid"]], "the other stays")
t = tm.Stopwatch()
os.kill(first["pid"], signal.SIGKILL)
tm.ok(tm.wait_for(lambda: [j for j in jobs("tcp_local") if j["pid"] != first["pid"]]), f"killed: there is another one ({t.took():.1f} s)")

# ---- who waits, and for what ---------------------------------------------------------------------------
for i in range(3):
    sb.send(to=f"u{i}@grey.test", subject=f"grey {i}", sender=f"{sb.user(1)}@{D}")
tm.ok(tm.wait_for(lambda: len(rows("list", "state=waiting")) == 3), "three messages wait")
tm.is_(jobs("tcp_local")[0]["messages"], 3, "the master has had them")
tm.is_([(x["name"], x["messages"], x["waiting"]) for x in rows("top")], [(f"127.0.0.1:{grey.port}", 3, 3)], "top: their destination")
tm.is_(rows("top", "tcp_lmtp"), [], "of one channel")
errors = rows("top", "errors")
tm.ok(len(errors) == 1 and errors[0]["messages"] == 3 and "greylisted" in errors[0]["text"], "top errors: why") or tm.diag(errors)
tm.is_(sorted((x["sender"], x["to"]) for x in rows("list")), [(f"{sb.user(1)}@{D}", f"u{i}@grey.test") for i in range(3)], "list: from whom, and to whom")
r = subprocess.run([sb.bin("sendmail"), "-C", sb.conf("tiermail.conf"), "-f", "", "u7@grey.test", "u8@grey.test", "u9@grey.test"], input="Subject: of three\n\n", text=True)
tm.ok(tm.wait_for(lambda: rows("list", "to=u8@", "state=waiting")), "one to three waits")
tm.is_([(x["sender"], x["to"], x["others"]) for x in rows("list", "sender=")], [("", "u7@grey.test", 2)], "list: nobody's, to one and two others")
tm.is_(ctl("delete", "to=u8@")[:2], (0, "1 message\n"), "it goes")
tm.is_([(x["sender"], x["to"], "others" in x) for x in rows("list", "to=u1@")], [(f"{sb.user(1)}@{D}", "u1@grey.test", False)], "with a filter, too")
tm.is_([len(rows("list", f)) for f in ("older=1h", "newer=1h", "text=GREYLIST", "text=full", "to=u1@")], [0, 3, 3, 0, 1], "by age and words")
for args, code, words in ((("list", "channel=nowhere"), 65, "no such channel"), (("top", "nowhere"), 65, "no such channel"),
                          (("list", "older=soon"), 64, "no time"), (("list", "age=1h"), 64, "no filter"),
                          (("list", "0123456789abc"), 66, "no such message"), (("return", "0123456789abc"), 66, "no such message"),
                          (("return",), 64, ""), (("frob",), 64, "no command")):
    r = ctl(*args)
    tm.ok(r[0] == code and words in r[2], f"{' '.join(args)}: {code}") or tm.diag(r)

tm.is_([ctl(*a.split())[0] for a in ("delete to=", "delete text=", "delete to=u1@ to=u2@", "delete 0123456789abc 1123456789abc",
                                     "delete 0123456789abc qid=1123456789abc", "delete all all", "list state=held state=ready")],
       [64] * 7, "nothing to look for, or two of one key: nothing is done")
tm.is_((ctl("delete", "sender=")[:2], len(rows("list"))), ((0, "0 messages\n"), 3), "sender= is the empty sender alone")


def told(name, text, most=10**6):
    """The lines of jobctl's answer, up to the last one."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20 * tm.SLOW)
    s.connect(f"{sb.env['RUNDIR']}/{name}")
    s.sendall(text.encode())
    got = b""
    while got.count(b"\nok") + got.count(b"error") + got.startswith(b"ok") < most and (x := s.recv(65536)):
        got += x
    s.close()
    return got.decode().splitlines()


tm.is_(told("mailq.sock", "top\n", 1), ["error why=not%20permitted"], "top is not for everybody")
tm.is_(len([x for x in told("jobctl.sock", "top n=1000\n" * 3000, 3000) if x == "ok"]), 3000, "operators get as many answers as they ask for")

# ---- return ------------------------------------------------------------------------------------------------
tm.is_(ctl("return", "to=u0@")[:2], (0, "1 message\n"), "one is returned")
tm.ok(tm.wait_for(lambda: any("Action: failed" in m for m in boxes())), "its sender hears of it")
report = next(m for m in boxes() if "Action: failed" in m)
tm.ok("u0@grey.test" in report and "greylisted" in report and "Status: 5.4.7" in report, "by name, and with the words of the last attempt")
tm.ok(tm.wait_for(lambda: len(rows("list", "channel=tcp_local")) == 2), "and it has left the queue")

# ---- reroute -------------------------------------------------------------------------------------------------
conf = sb.conf("channels.conf")
with open(conf) as f:
    text = f.read()
with open(conf, "w") as f:
    f.write(text.replace(str(grey.port), str(good.port)))
for d in ("smtp-relay", "jobctl"):
    sb.restart(d)
tm.ok(tm.wait_for(lambda: len(rows("list", "channel=tcp_local")) == 2), "jobctl knows the queue again")
tm.is_(ctl("hold", "to=u2@")[:2], (0, "1 message\n"), "one is held")
tm.is_(ctl("reroute", "all")[:2], (0, "2 messages\n"), "the route has changed: both are sent there")
tm.ok(tm.wait_for(lambda: sorted(r for m in good.mails for r in m[1]) == ["u1@grey.test", "u2@grey.test"]), "and arrive")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- stopped -------------------------------------------------------------------------------------------------
ctl("stop", "tcp_local")
sb.restart("jobctl")
sb.send(to="u3@grey.test", subject="stopped")
tm.ok(tm.wait_for(lambda: rows("list", "channel=tcp_local")), "a stopped channel gets mail")
tm.is_([c["state"] for c in rows("channels") if c["name"] == "tcp_local"], ["stopped"], "and is stopped behind a restart")
tm.is_(jobs("tcp_local"), [], "and needs no master")
ctl("start", "tcp_local")
tm.ok(sb.queue_empty() and len(good.mails) == 3, "started it goes on")
sb.restart("jobctl")
tm.is_([c["state"] for c in rows("channels") if c["name"] == "tcp_local"], ["running"], "also behind a restart")

# ---- a queue without room --------------------------------------------------------------------------------------
def least(octets):
    with open(sb.conf("smtp-relay.conf")) as f:
        old = f.read()
    with open(sb.conf("smtp-relay.conf"), "w") as f:
        f.write(f"queue.min_free = {octets}\n" + "".join(x for x in old.splitlines(True) if not x.startswith("queue.min_free")))
    os.kill(sb.pid("smtp-relay"), signal.SIGHUP)


def mail(size=0):
    with sb.smtp() as c:
        c.ehlo()
        code, text = c.mail("outside@sender.test", [f"SIZE={size}"] if size else [])
    return f"{code} {text.decode()}"


v = os.statvfs(sb.env["QUEUE"])
least(v.f_bavail * v.f_frsize * 3 // 4)
tm.ok(tm.wait_for(lambda: mail().startswith("452 4.3.1")), "below twice queue.min_free nobody from outside is taken")
r = sb.tool("sendmail", f"{sb.user(1)}@{D}", input="Subject: inside\n\nx\n")
tm.ok(r.returncode == 0, "programs of the host are")
least(v.f_bavail * v.f_frsize * 10)
tm.ok(tm.wait_for(lambda: sb.tool("sendmail", f"{sb.user(1)}@{D}", input="Subject: x\n\nx\n").returncode == 75), "below it they are not")
with open(f"{sb.env['RUNDIR']}/smtp-relay.log") as f:
    tm.ok("ev=queue_space" in f.read(), "which the log tells")
least(0)
tm.ok(tm.wait_for(lambda: mail().startswith("250")), "without a limit all are")
tm.done()
