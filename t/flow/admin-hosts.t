#!/usr/bin/env python3
"""Hosts and their queues by admind: daemons, versions, certificates and disks; channels, destinations and messages; what
an operator's certificate lets be done and an admin's; who administers one organisation sees nothing of it."""
import base64, http.client, json, os, signal, socket, ssl, subprocess, sys, threading, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm, wire

tm.need("ldapsearch", "openssl")
HOST = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 250}.11"
EMPTY, NOWHERE = HOST[:-2] + "12", "nowhere.hosts.test"     # nobody listens there; no such name
CUT = HOST[:-2] + "14"      # answers by halves
sb = tm.Sandbox("--users", "4", "--admin", "--set", "admind.auth.delay=0", "--set", f"tiermail.control.address={HOST}", "--set", "tiermail.roles.operator=ops.hosts.test",
                "--set", f"admind.hosts={HOST}, {EMPTY}, {NOWHERE}, {CUT}", "--set", "tiermail.dns.resolvers=127.0.0.1@9")
# The hosts' certificate is that of who asks, too: a role is by its name.
wire.directory.certificates(sb.dir + "/host", ["ops.hosts.test"], [HOST, CUT], sb.dir + "/tls")
for name in ("server.pem", "server.key"):
    os.replace(f"{sb.dir}/host/{name}", f"{sb.dir}/tls/{name}")
DAEMONS = ["smtp-relay", "jobctl", "stored", "lmtpd", "imapd", "pop3d", "mmpd", "sieved", "jmapd", "memd", "admind"]
for d in DAEMONS:
    sb.restart(d) or tm.diag(d)
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
D = sb.domain


def ask(method, path, body=None, who="admin"):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
              {"Authorization": "Basic " + base64.b64encode(f"{who}:{sb.password}".encode()).decode(), "Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, json.loads(r.read())


def queue(verb, *names, who="admin", dry=False, host=HOST):
    return ask("POST", f"queues/{host}/{verb}" + ("?dry=1" if dry else ""), {"names": list(names)}, who)


def messages(*filters):
    return [r for r in queue("messages", *filters)[1].get("records", []) if r["kind"] == "message"]


# ---- daemons
status, said = ask("GET", "hosts")
there = {r["daemon"]: r for r in said["records"] if r["host"] == HOST}
tm.is_((status, sorted(there)), (200, sorted(DAEMONS)), "each daemon of a host is told") or tm.diag(said)
version = subprocess.run([sb.bin("imapd"), "-V"], capture_output=True, text=True).stdout.split()[-1]
tm.is_({(r["version"], r["state"]) for r in there.values()}, {(version, "running")}, "its version, and that it runs")
stored = there["stored"]
tm.ok(0 < stored["disk-free"] <= stored["disk-size"], "the disk of the store") or tm.diag(stored)
tm.ok(all("T" in there[d]["certificate"] and there[d]["certificate"] > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) for d in ("imapd", "smtp-relay", "admind")),
      "when certificates end") or tm.diag(there["imapd"])
tm.ok(all(r["memory"] > 1 << 20 for r in there.values()), "memory")
tm.ok(all([r.get("error") for r in said["records"] if r["host"] == h] and len([r for r in said["records"] if r["host"] == h]) == 1 for h in (EMPTY, NOWHERE)),
      "a host that does not answer, and one without an address, is one line with a reason") or tm.diag([r for r in said["records"] if r["host"] != HOST])
tm.freeze(sb.pid("pop3d"))
status, said = ask("GET", "hosts")
frozen = [r for r in said["records"] if r.get("daemon") == "pop3d"]
tm.ok(status == 200 and len(frozen) == 1 and (frozen[0].get("error") or frozen[0].get("state")) and len([r for r in said["records"] if r["host"] == HOST]) == len(DAEMONS),
      "one that hangs is told of, and the others are") or tm.diag((status, frozen))
os.kill(sb.pid("pop3d"), signal.SIGCONT)

# ---- the queue
sb.kill("lmtpd")
for i in (1, 2):
    sb.send(i)
tm.wait_for(lambda: len(messages("state=waiting")) == 2 or None, what="two messages that wait")
tm.ok(any(r.get("queue-free", 0) > 0 for r in ask("GET", "hosts")[1]["records"]), "the disk of the queue, which smtp-relay looks at with the first message")
status, said = ask("GET", "queues")
total = [r for r in said["records"] if r["kind"] == "queue" and "messages" in r]
tm.is_((status, [(r["host"], r["messages"], r["waiting"], r["held"]) for r in total]), (200, [(HOST, 2, 2, 0)]), "the queue of a host, in numbers") or tm.diag(said)
tm.ok(any(r["kind"] == "channel" and r["name"] == "tcp_lmtp" and r["waiting"] == 2 and r["state"] == "running" for r in said["records"]), "and its channels")
tm.ok(any(r["kind"] == "queue" and r["host"] == NOWHERE and r["error"] for r in said["records"]), "a host that does not answer is told, too")
tm.ok(any(r["kind"] == "destination" and r["channel"] == "tcp_lmtp" and r["messages"] == 2 for r in queue("top")[1]["records"]), "destinations with most messages")
tm.is_([len(queue("top", c)[1].get("records", [])) for c in ("tcp_lmtp", "tcp_local")], [1, 0], "of one channel")
one, two = sorted(messages(), key=lambda r: r["qid"])
tm.ok(len(one["qid"]) == 13 and one["channel"] == "tcp_lmtp" and one["size"] > 0 and one["at"] > 1e9 and one["host"] == HOST, "messages") or tm.diag(one)
status, said = ask("POST", f"queues/{HOST}/messages?limit=1", {"names": []})
tm.is_([r["kind"] for r in said["records"]] + [said["records"][-1].get("left")], ["message", "more", 1], "a limit, and how many are left")

QID = "qid=" + one["qid"]
tm.is_(queue("hold", QID, dry=True)[1]["records"], [{"kind": "change", "host": HOST, "would": "hold", "n": 1}], "what would be held")
tm.is_(len(messages("state=held")), 0, "nothing is yet")
tm.is_(queue("hold", QID)[1]["records"], [{"kind": "queue", "host": HOST, "verb": "hold", "n": 1}], "one is held")
tm.is_([m["qid"] for m in messages("state=held")], [one["qid"]], "held messages: that one")
tm.is_(queue("release", "state=held")[1]["records"][0]["n"], 1, "it is released")
tm.is_(len(messages("state=held")), 0, "and is")
tm.is_(queue("retry", "dest=" + two["dest"], "channel=tcp_lmtp")[0], 200, "those of a destination are tried")
for verb in ("return", "delete"):
    got = queue(verb, QID)
    tm.ok(got[0] == 403 and "role admin" in got[1]["detail"], f"{verb}: not by the certificate of an operator") or tm.diag(got)
tm.is_(len(messages()), 2, "both are there")

# ---- words that are none
for names in (["subject=x"], ["stop"], ["qid="], ["=x"], ["state=waiting", "nonsense"]):
    tm.is_([queue(v, *names)[0] for v in ("messages", "hold")], [400, 400], f"{names}: no filter")
tm.is_(queue("hold")[0], 400, "nothing is held without a filter")
got = queue("hold", "dest=x\nstop channel=tcp_lmtp", "channel=tcp_lmtp all=1")
tm.ok(got[0] in (200, 400) and not messages("state=held"), "a line in a value stays a value") or tm.diag(got)
tm.is_([r["state"] for r in ask("GET", "queues")[1]["records"] if r.get("name") == "tcp_lmtp"], ["running"], "and does nothing else")
tm.is_([queue("messages", host=h)[0] for h in ("elsewhere.test", "127.0.0.1", EMPTY)], [404, 404, 503], "a host that is none of ours; one without a queue")

# ---- an answer that was cut off
ctx = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
ctx.load_cert_chain(sb.dir + "/tls/server.pem", sb.dir + "/tls/server.key")
whole = threading.Event()


def half(server):
    while True:
        c = server.accept()[0]
        try:
            with ctx.wrap_socket(c, server_side=True) as t:
                t.recv(1000)
                t.sendall(b"queue messages=7 ready=7 waiting=0 leased=0 held=0\nok\n")
                if whole.is_set():
                    t.unwrap()
        except OSError:
            pass


server = socket.create_server((CUT, 4891))
threading.Thread(target=half, args=(server,), daemon=True).start()
said = [r for r in ask("GET", "queues?host=" + CUT)[1]["records"]]
tm.ok(len(said) == 1 and said[0]["error"] and "messages" not in said[0], "an answer that ends without TLS saying so is none") or tm.diag(said)
whole.set()
tm.is_([r.get("messages") for r in ask("GET", "queues?host=" + CUT)[1]["records"]], [7], "and one that ends well is one")

# ---- who may
for who in ("orgadmin", sb.user(1)):
    tm.is_([ask("GET", "hosts", who=who)[0], ask("GET", "queues", who=who)[0], *(queue(v, QID, who=who)[0] for v in ("messages", "hold", "release", "retry", "return", "delete")), queue("top", who=who)[0]],
           [403] * 9, f"{who}: nothing of it")
tm.ok(len(messages()) == 2 and not messages("state=held"), "and nothing has changed")

# ---- by an admin's certificate
for d in ("jobctl",):
    with open(sb.conf("tiermail.conf")) as f:
        text = f.read()
    with open(sb.conf("tiermail.conf"), "w") as f:
        f.write(text.replace("operator = ops.hosts.test", "operator = ops.hosts.test\nadmin = ops.hosts.test"))
    sb.restart(d)
tm.wait_for(lambda: len(messages()) == 2 or None, what="the queue, again")
tm.is_(queue("delete", QID)[1]["records"][0]["n"], 1, "one is deleted")
tm.is_([m["qid"] for m in messages()], [two["qid"]], "it is gone")
tm.is_(queue("return", "qid=" + two["qid"])[1]["records"][0]["n"], 1, "one is returned")

# ---- what was done
lines = [json.loads(r["line"]) for r in ask("GET", "audit?limit=100")[1]["records"] if r["kind"] == "audit"]
did = {(l["verb"], l["result"]) for l in lines if l["op"] == "queue" and l["who"] == f"admin@{D}"}
tm.ok({("queue hold", "done"), ("queue release", "done"), ("queue delete", "denied"), ("queue delete", "done"), ("queue return", "done")} <= did, "the log of changes has it") or tm.diag(did)
tm.ok(any(QID in json.dumps(l["changes"]) for l in lines if l["verb"] == "queue hold"), "with what it was of")
tm.ok("queue" not in json.dumps(ask("GET", f"audit?org={D}", who="orgadmin")[1]), "and tells an organisation's administrator nothing")
tm.ok(wire.logged(sb, "jobctl", "ev=control ", "by=ops.hosts.test", "from=remote", "queue hold"), "jobctl's log says whose certificate it was")

# ---- by hand, and when jobctl hangs
out = sb.tool("diradm", "queue", "messages", HOST, "state=held")
tm.is_((out.returncode, out.stdout), (0, ""), "diradm: the same verbs") or tm.diag(out.stderr)
out = sb.tool("diradm", "-j", "host", "list")
tm.ok(out.returncode == 0 and '"daemon":"imapd"' in out.stdout, "hosts, too") or tm.diag(out)
tm.freeze(sb.pid("jobctl"))
tm.is_([queue("messages")[0], queue("hold", "all=1")[0]], [503, 504], "a jobctl that hangs: it does not answer; and of a change nobody knows")
tm.is_(ask("GET", "me")[0], 200, "nobody else waits")
os.kill(sb.pid("jobctl"), signal.SIGCONT)

# ---- when DNS says nothing at all
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.bind(("127.0.0.1", 0))
SILENT = "silent.example.net"        # not below test, of which resolvers say themselves that nothing is there
for name, old, new in (("tiermail.conf", "127.0.0.1@9", f"127.0.0.1@{dns.getsockname()[1]}"), ("admind.conf", NOWHERE, SILENT)):
    with open(sb.conf(name)) as f:
        text = f.read()
    assert old in text, (name, text)
    with open(sb.conf(name), "w") as f:
        f.write(text.replace(old, new))
sb.restart("admind")
began = time.monotonic()
status, said = queue("top", host=SILENT)
took = time.monotonic() - began
tm.ok(status == 503 and 4 < took < 12, "a host whose name is not found out is not waited for either") or tm.diag((status, said, took))
tm.done()
