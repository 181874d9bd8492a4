#!/usr/bin/env python3
"""Names of clients: what DNS calls an address, when that leads back to it, for filters, policy services and Received; a name
that somebody has made up is none, and DNS that does not answer keeps nobody waiting for long."""
import os, re, socket, sys, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../cmd")]
import tm, wire
from mta import Dns
from milterd import *

tm.need("ldapadd")
dns = Dns({"33.22.11.in-addr.arpa": {}, "test": {}, "44.33.22.11.in-addr.arpa": {"PTR": ["mail.good.test"]}, "mail.good.test": {"A": ["192.0.2.1", "11.22.33.44"]},
           "45.33.22.11.in-addr.arpa": {"PTR": ["mail.good.test"]}, "46.33.22.11.in-addr.arpa": {"PTR": ["nowhere.test"]},
           "2.0.a.2.ip6.arpa": {}, ".".join(reversed("2a020000000000000000000000000009")) + ".ip6.arpa": {"PTR": ["six.good.test"]},
           "six.good.test": {"AAAA": ["2a02::9"]}})
silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
silent.bind(("127.0.0.1", 0))
MX = tm.free_port()
without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd", "jobctl") for a in ("--without", d)]
at = f"127.0.0.1@{dns.port}"
sb = tm.Sandbox("--users", "1", *without, "--set", "smtp-relay.proxy.networks=127.0.0.1", "--set", "smtp-relay.workers=1",
                "--set", f"smtp-relay.listen behind.address=127.0.0.1:{MX}", "--set", "smtp-relay.listen behind.role=mx",
                "--set", "smtp-relay.listen behind.proxy=yes", "--set", "smtp-relay.relay.client_names=yes", "--set", "smtp-relay.guard.list_wait=1s",
                "--set", f"smtp-relay.dns.stubs=test={at} 33.22.11.in-addr.arpa={at} 2.0.a.2.ip6.arpa={at} 9.9.9.in-addr.arpa=127.0.0.1@{silent.getsockname()[1]}")
me = f"{sb.user(1)}@{sb.domain}"
m = Milter(f"unix:{sb.dir}/one.sock")
heard = []


def policy(server):
    while True:
        c, _ = server.accept()
        with c, c.makefile("rb") as f:
            request = {}
            for line in f:
                k, eq, v = line.decode().strip().partition("=")
                if eq:
                    request[k] = v
                else:
                    heard.append(request)
                    request = {}
                    c.sendall(b"action=DUNNO\n\n")


server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=policy, args=(server,), daemon=True).start()
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[milter one]\naddress = {m.address}\n[policy p]\naddress = 127.0.0.1:{server.getsockname()[1]}\n")
sb.restart("smtp-relay")


def come(address):
    """What the filter, the policy service and Received call him."""
    m.reset()
    m.terms = (ALL | LISTS, 0, {0: "{client_name} {client_ptr}"})
    heard.clear()
    files = set(sb.queue_files())
    c = wire.Line((sb.host, MX), wire.v1(address, to="2001:db8::25" if ":" in address else "198.51.100.1"))
    c.send("EHLO client.test\r\n")
    c.line()
    while c.line()[3:4] == "-":
        pass
    for say in ("MAIL FROM:<a@else.test>", f"RCPT TO:<{me}>", "DATA"):
        c.say(say)
    answer = c.say("Subject: s\r\n\r\nhello\r\n.")
    c.close()
    tm.ok(answer.startswith("250"), f"{address} sends a message") or tm.diag(answer)
    text = b"".join(open(f, "rb").read() for f in set(sb.queue_files()) - files).decode("latin1")
    return (dict(m.heard[0])["C"].split(b"\0")[0].decode(), m.macros["C"].get("{client_name}"), m.macros["C"].get("{client_ptr}"),
            heard[0]["client_name"], heard[0]["reverse_client_name"], re.search(r"Received: from client\.test \((\S*) ?\[", text).group(1) if "Received: from client.test (" in text else text[:300])


tm.is_(come("11.22.33.44"), ("mail.good.test",) * 5 + ("mail.good.test",), "a name that leads back")
tm.is_(come("2a02::9"), ("six.good.test",) * 6, "so does one of IPv6")
tm.is_(come("11.22.33.45"), ("[11.22.33.45]", "unknown", "mail.good.test", "unknown", "mail.good.test", ""), "one that somebody has made up does not")
tm.is_(come("11.22.33.46"), ("[11.22.33.46]", "unknown", "nowhere.test", "unknown", "nowhere.test", ""), "nor one that is not there")
tm.is_(come("11.22.33.47"), ("[11.22.33.47]", "unknown", "unknown", "unknown", "unknown", ""), "and most have none")
began = time.monotonic()
tm.is_(come("9.9.9.9")[0], "[9.9.9.9]", "DNS that does not answer")
tm.ok(time.monotonic() - began < 5 * tm.SLOW, "is not waited for for long")
c = wire.Line((sb.host, MX), wire.v1("9.9.9.9"))
c.line()
c.send("EHLO x\r\n")
c.close()
tm.ok(wire.logged(sb, "smtp-relay", "ev=disconnect") and sb.restart("smtp-relay"), "who goes while his name is asked for is gone")
tm.done()
