#!/usr/bin/env python3
"""Out into the world by MX: the whole road from the relay to the hosts that a DNS server of the
test names, while hosts and DNS come and go."""
import os, socket, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm
from mta import Dns, Mail

while True:  # the same port on both addresses
    one = Mail(("127.0.0.1", 0))
    try:
        two = Mail(("127.0.0.2", one.port))
        break
    except OSError:
        one.close()
dns = Dns({
    "good.test": {"MX": [(10, "mx1.good.test"), (20, "mx2.good.test")]},
    "mx1.good.test": {"A": ["127.0.0.1"]}, "mx2.good.test": {"A": ["127.0.0.2"]},
    "half.test": {"MX": [(10, "dead.test"), (20, "mx2.good.test")]}, "dead.test": {"AAAA": ["::1"], "A": ["127.0.0.3"]},
    "plain.test": {"A": ["127.0.0.1"]}, "null.test": {"MX": [(0, "")]}, "test": {},
})
sb = tm.Sandbox("--users", "3", "--without", "imapd", "--set", f"channel-master.dns.stubs=test=127.0.0.1@{dns.port}",
                "--set", "channel-master.dns.timeout=2s", "--set", "channel-master.dns.loopback=yes", "--set", f"channels.channel tcp_local.port={one.port}",
                "--set", "channels.channel tcp_local.backoff=1s",
                "--set", "smtp-relay.relay.networks=127.0.0.0/8", "--set", "channels.channel tcp_local.maxjobs=1",
                "--set", "channels.channel tcp_local.slots=2", "--set", "channels.channel tcp_lmtp.backoff=1s")
me = f"{sb.user(1)}@{sb.domain}"


def reports():
    return sum(n.endswith(".msg") for d, _, ns in os.walk(sb.env["STORE"]) for n in ns)


def send(*to, **kw):
    sb.send(list(to), sender=me, **kw)


send("a@good.test")
tm.ok(tm.wait_for(lambda: one.mails), "to the best MX host")
tm.is_((one.mails[0][0], one.mails[0][1], len(two.mails)), (me, ["a@good.test"], 0), "and to no other")
for i in range(60):
    send(f"b{i}@good.test")
tm.ok(tm.wait_for(lambda: len(one.mails) == 61), "60 more")
tm.ok(one.connections <= 3, f"over the same connections ({one.connections})")
send("a@half.test")
tm.ok(tm.wait_for(lambda: two.mails), "a host whose AAAA and A do not answer is passed over")
send("a@plain.test")
tm.ok(tm.wait_for(lambda: len(one.mails) == 62), "a domain without MX")
send("a@null.test")
tm.ok(tm.wait_for(lambda: reports() == 1), "a null MX: returned at once")
send("a@unknown.test")
tm.ok(tm.wait_for(lambda: reports() == 2), "no such domain: returned at once")
tm.ok(sb.queue_empty(), "the queue is empty")

# ---- everything away, then back
one.say = two.say = {"GREET": "421 4.3.2 not now"}
one.hang_up()
two.hang_up()
before = len(one.mails) + len(two.mails)
for i in range(5):
    send(f"c{i}@good.test")
tm.ok(tm.wait_for(lambda: "state=deferred" in open(f"{sb.env['RUNDIR']}/jobctl.log").read()), "both hosts refuse: deferred")
one.say = two.say = {}
tm.ok(tm.wait_for(lambda: len(one.mails) + len(two.mails) == before + 5), "all of it arrives when they are back")
tm.ok(sb.queue_empty(), "the queue is empty")
tm.is_(reports(), 2, "and nothing was returned")
tm.done()
