#!/usr/bin/env python3
"""Confined daemons find the directory by a name: of DNS, and after a reload one of the hosts file."""
import os
import re
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../flow"), os.path.join(HERE, "../cmd")]
import tm
from mta import Dns

DAEMONS = ("smtp-relay", "lmtpd", "imapd")
dns = Dns({"test": {}, "dns.test": {"A": ["127.0.0.1"]}})
sb = tm.Sandbox("--users", "3", "--set", "tiermail.ldap.cache_age=0s")
hosts = os.path.join(sb.dir, "hosts")
with open(sb.conf("tiermail.conf")) as f:
    before = f.read()


def use(host):
    """The directory is at this name from now on; it was at a socket."""
    with open(hosts, "w") as f:
        f.write("127.0.0.1 hosts.test\n")
    with open(sb.conf("tiermail.conf"), "w") as f:
        f.write(f"dns.hosts = {hosts}\ndns.stubs = test=127.0.0.1@{dns.port}\n")
        f.write(re.sub(r"(?m)^url = .*$", f"url = ldap://{host}:{sb.env['LDAP_PORT']}", before))


def connected(daemon, host):
    with open(os.path.join(sb.env["RUNDIR"], daemon + ".log")) as f:
        return f"ev=ldap_up server=ldap://{host}:" in f.read()


use("dns.test")
for d in DAEMONS:
    tm.ok(sb.restart(d), f"{d} starts")
tm.ok(tm.wait_for(lambda: all(connected(d, "dns.test") for d in DAEMONS), 20), "all connect")
sb.send(1, "one")
tm.ok(tm.wait_for(lambda: sb.count(1) == 1, 20), "by DNS: mail arrives and users log in")
use("hosts.test")
for d in DAEMONS:
    os.kill(sb.pid(d), signal.SIGHUP)
tm.ok(tm.wait_for(lambda: all(connected(d, "hosts.test") for d in DAEMONS), 20), "all connect anew")
sb.send(1, "two")
tm.ok(tm.wait_for(lambda: sb.count(1) == 2, 20), "by the hosts file: mail arrives and users log in")
tm.done()
