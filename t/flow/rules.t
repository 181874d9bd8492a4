#!/usr/bin/env python3
"""mta.cnf and mappings at work: addresses are rewritten and routed by the administrator's rules, channels
of mta.cnf deliver, the directory is asked where the rules ask for it, and a file that is wrong changes
nothing."""
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Mail

partner = Mail(("127.0.0.1", 0))
world = Mail(("127.0.0.1", 0))
sb = tm.Sandbox("--users", "3", "--set", "smtp-relay.relay.networks=127.0.0.0/8",
                "--set", "channels.channel tcp_lmtp.backoff=1s")
D = sb.domain
etc = os.path.dirname(sb.conf("channels.conf"))
RULES = f"""! one rule of each kind
old.test		$U%{D}
.old.test		$U-$&0%{D}
partner.test		$U%$D@partner-daemon
mapped.test		${{PEOPLE,$U}}
inside.test		$Mtcp_submit$U%{D}
sender.test		$R$U%rewritten.test
blocked.test		$U%$D@none$?This domain has closed
far.test		$U%$D@conversion-daemon
held.test		$U%{D}@hold-daemon
again.test		$U%{D}@process-daemon
loop.test		$U%$D@reprocess-daemon
bin.test		$U%$D@bitbucket-daemon
.			$U%$H$V$H@this-host
.			$U%$H@world-daemon

l
this-host

tcp_partner smtp daemon 127.0.0.1 port {partner.port} maxjobs 1 backoff PT1S
partner-daemon

tcp_submit smtp slave
tcp_submit-daemon

tcp_local smtp
tcp_local-daemon
world-daemon world-daemon 127.0.0.1:{world.port}

reprocess
reprocess-daemon

process
process-daemon

hold
hold-daemon

bitbucket
bitbucket-daemon

conversion
conversion-daemon
"""
MAPPINGS = f"""PEOPLE

  chief  $Y{sb.user(3)}%{D}
  *      $N
"""


def put(name, text):
    with open(os.path.join(etc, name), "w") as f:
        f.write(text)


def answer(to, port="SMTP"):
    with sb.smtp(port) as s:
        s.ehlo()
        s.mail("out@sender.test")
        code, text = s.rcpt(to)
        return f"{code} {text.decode()}"


def log():
    with open(f"{sb.env['RUNDIR']}/jobctl.log") as f:
        return f.read()


put("mta.cnf", RULES)
put("mappings", MAPPINGS)
for d in ("smtp-relay", "jobctl"):
    sb.restart(d)

sb.send([f"{sb.user(1)}@old.test"], subject="old")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1), "a domain that has moved: the address is rewritten, then delivered")
sb.send(["user0002@user0002.old.test", f"{sb.user(2)}@{D}"], subject="plain")
tm.ok(tm.wait_for(lambda: sb.count(2) == 1), "a domain of the directory, as ever")
tm.is_(answer("user0001@unknown.old.test")[:9], "550 5.1.1", "what the rules made is not there")
sb.send(["chief@mapped.test"], subject="mapped")
tm.ok(tm.wait_for(lambda: sb.count(3) == 1), "a mapping says who it is")
sb.send(["x@partner.test"], sender=f"{sb.user(1)}@{D}", subject="partner")
tm.ok(tm.wait_for(lambda: partner.mails), "a channel of mta.cnf delivers, by its daemon and port")
tm.is_(partner.mails[0][:2] if partner.mails else None, (f"{sb.user(1)}@{D}", ["x@partner.test"]), "with this envelope")
sb.send(["x@partner.test"], sender="a@sender.test", subject="sender")
tm.ok(tm.wait_for(lambda: len(partner.mails) == 2), "another message")
tm.is_(partner.mails[1][0], "a@rewritten.test", "whose sender the rules have rewritten")
tm.is_(answer("x@sender.test")[:3], "250", "a rule for senders does not count for recipients")
sb.send(["x@else.test", "y@[192.0.2.77]"], sender=f"{sb.user(1)}@{D}", subject="world")
tm.ok(tm.wait_for(lambda: sum(len(m[1]) for m in world.mails) == 2), "the rest of the world, by the way of its host name")
tm.is_(answer("x@blocked.test"), "550 5.1.2 This domain has closed", "a rule's own words")
tm.is_(answer("x@far.test")[:9], "451 4.3.5", "a channel that nobody delivers: for now")
sb.send(["x@bin.test", "y@bin.test"], subject="bin")
tm.ok(tm.wait_for(lambda: log().count("state=discarded") == 2), "bitbucket: gone, with a line of the log for each")
sb.send([f"{sb.user(1)}@again.test"], subject="again")
tm.ok(tm.wait_for(lambda: sb.count(1) == 2), "process: looked at once more, and delivered")
sb.send(["x@loop.test"], subject="loop")
tm.ok(tm.wait_for(lambda: "lead in a circle" in log()), "reprocess, to which the rules send again: for now")
sb.tool("jobctl-ctl", "delete", "channel=reprocess")
sb.send([f"{sb.user(2)}@held.test"], subject="held")
tm.ok(tm.wait_for(lambda: "state=held" in sb.tool("jobctl-ctl", "list", "channel=hold").stdout), "hold: it is held")
tm.is_(sb.count(2), 1, "and not delivered")
sb.tool("jobctl-ctl", "release", "channel=hold")
tm.ok(tm.wait_for(lambda: sb.count(2) == 2), "until it is released")
tm.is_(answer("nobody@mapped.test")[:3], "250", "a rule that fails: the next one")
tm.is_(answer(f"nobody@{D}")[:9], "550 5.1.1", "no such user, as ever")
tm.is_(answer(f"{sb.user(1)}@inside.test")[:3], "250", "a rule for another channel does not count")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- a file that is wrong
put("mta.cnf", RULES.replace("old.test", "new.test").replace("$U%$D@partner", "$Y%$D@partner"))
check = subprocess.run([sb.bin("smtp-relay"), "-n", "-c", sb.conf("smtp-relay.conf")], capture_output=True, text=True)
tm.ok(check.returncode == 78 and "mta.cnf:4: template" in check.stderr + check.stdout, "-n tells it with its place")
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
tm.ok(tm.wait_for(lambda: answer(f"{sb.user(1)}@old.test")[:3] == "250"), "a reload keeps the old rules")
put("mta.cnf", RULES.replace("old.test", "new.test"))
os.kill(sb.pid("smtp-relay"), signal.SIGHUP)
sb.send([f"{sb.user(1)}@{D}"], subject="after")
tm.ok(tm.wait_for(lambda: answer(f"{sb.user(9)}@new.test")[:9] == "550 5.1.1"), "a good file is taken by a reload")
tm.ok(tm.wait_for(lambda: sb.count(1) == 3), "and mail goes on")
r = subprocess.run([sb.bin("mtatest"), "-c", os.path.join(etc, "tiermail.conf"), "-j", "-l", D, "rewrite",
                    "a@new.test"], capture_output=True, text=True)
tm.is_(json.loads(r.stdout), {"address": f"a@{D}", "channel": "l", "host": "this-host"}, "mtatest says the same")
partner.close()
world.close()
tm.done()
