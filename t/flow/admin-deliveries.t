#!/usr/bin/env python3
"""What became of messages, by admind: found in the logs by whatever is known of them; who administers one organisation
sees its own users' messages and recipients, and of others not even that they are there."""
import base64, http.client, json, os, socket, ssl, sys, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
LOGS = tm.tempdir()
sb = tm.Sandbox("--users", "4", "--admin", "--set", "admind.auth.delay=0", "--set", f"tiermail.log_to=dir:{LOGS}")
D, O = sb.domain, "two.test"
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False


def ask(method, path, body=None, who="admin", password=None):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
              {"Authorization": "Basic " + base64.b64encode(f"{who}:{password or sb.password}".encode()).decode(), "Content-Type": "application/json"})
    r = c.getresponse()
    return r.status, json.loads(r.read())


for a in (("POST", "orgs", {"name": O}), ("POST", "users", {"name": f"x@{O}", "password": sb.password}), ("POST", "users", {"name": f"boss@{O}", "password": sb.password}),
          ("POST", "roles/organisation/grant", {"names": [f"boss@{O}"]}), ("POST", "users", {"name": f"desk@{D}", "password": sb.password}), ("POST", "roles/helpdesk/grant", {"names": [f"desk@{D}"]})):
    status, said = ask(*a)
    assert status in (200, 201), said
BOSS, ADMIN, TOP = f"boss@{O}", f"orgadmin@{D}", "admin"


def send(sender, to, msgid, user=None):
    with sb.smtp("SUBMISSION" if user else "SMTP") as s:
        if user:
            s.starttls(context=TLS)
            s.login(user, sb.password)
        s.sendmail(sender, to, f"Message-ID: <{msgid}>\r\nFrom: {sender}\r\nSubject: t\r\n\r\nhello\r\n")


U1, U2, X = f"user0001@{D}", f"user0002@{D}", f"x@{O}"
send("out@outside.test", [U1, X], "both@outside.test")
send(U1, [X, U2], "sent@here.test", user=U1)
send(U1, [X], "forged@outside.test")                 # who the envelope says, and nobody has proved


def find(q, who=TOP, org=None, **more):
    """({kind: records} of each message by its Message-ID, status)"""
    args = {"q": q, **({"org": org} if org else {}), **more}
    status, said = ask("GET", "deliveries?" + urllib.parse.urlencode(args), who=who)
    by = {}
    for r in said.get("records", []):
        if r["kind"] == "message":
            name = r.get("message-id", r["id"]).strip("<>")
            ids[r["id"]] = name
            by[name] = {"message": r, "recipient": [], "step": []}
        elif r["kind"] != "more":
            by[ids[r["id"]]][r["kind"]].append(r)
    return status, by


ids = {}


def delivered(name):
    got = find(X)[1].get(name)
    return got and all(r["state"] == "delivered" for r in got["recipient"]) and got


tm.wait_for(lambda: all(map(delivered, ("both@outside.test", "sent@here.test", "forged@outside.test"))), what="deliveries in the logs")

# ---- who administers everything
status, all_ = find(X)
tm.is_((status, sorted(all_)), (200, ["both@outside.test", "forged@outside.test", "sent@here.test"]), "an address: each message that it was of")
both = all_["both@outside.test"]
tm.is_(sorted((r["to"], r["state"]) for r in both["recipient"]), sorted([(U1, "delivered"), (X, "delivered")]), "and what became of each recipient")
tm.ok(both["message"]["from"] == "out@outside.test" and both["message"]["at"] and "peer" in both["message"], "who sent it, when, from where") or tm.diag(both["message"])
steps = [(s["daemon"], s["event"]) for s in both["step"]]
tm.ok(("smtp-relay", "queued") in steps and ("channel-master", "deliver") in steps and ("lmtpd", "deliver") in steps, "step by step") or tm.diag(steps)
for q in ("<both@outside.test>", both["message"]["id"], f"from=out@outside.test to={U1}", f"to={X} from=out@outside.test"):
    tm.is_(sorted(find(q)[1]), ["both@outside.test"], f"{q}")
tm.is_(sorted(find(f"user={U1}")[1]), ["both@outside.test", "sent@here.test"], "by a user: sent by and stored for")
tm.is_(find(X, since="2099-01-01")[1], {}, "since when")
tm.is_(len(find(X, limit=1)[1]), 1, "a limit")
tm.ok(any(r["kind"] == "more" for r in ask("GET", f"deliveries?q={X}&limit=1")[1]["records"]), "says that there is more")
tm.is_([ask("GET", "deliveries")[0], ask("GET", "deliveries?q=nonsense%3Dx")[0], ask("GET", f"deliveries?q={'+'.join(['a@b.test'] * 9)}")[0]], [400] * 3, "words that are none")

# ---- who administers one
status, own = find(X, who=BOSS, org=O)
tm.is_((status, sorted(own)), (200, ["both@outside.test", "forged@outside.test", "sent@here.test"]), "an organisation's administrator: what came for its users")
tm.is_([[r["to"] for r in m["recipient"]] for m in own.values()], [[X]] * 3, "and its own recipients alone")
text = json.dumps(list(own.values()))
tm.ok(U2 not in text and text.count(U1) == sum(m["message"]["from"] == U1 for m in own.values()), "no other address is in it but who sent it") or tm.diag(text)
tm.ok('"peer"' not in text and '"host"' not in text, "nor an address of a machine")
status, mine = find(U1, who=ADMIN, org=D)
tm.is_((status, sorted(mine)), (200, ["both@outside.test", "sent@here.test"]), "what was sent in a user's name by nobody knows whom is not the user's")
tm.is_([r["to"] for r in mine["both@outside.test"]["recipient"]], [U1], "of what came, the own")
tm.is_(sorted(r["to"] for r in mine["sent@here.test"]["recipient"]), sorted([U2, X]), "of what a user has sent, all")
for q in ("<forged@outside.test>", f"from={U1} to={X} msgid=forged@outside.test", f"<both@outside.test> to={X} from=nobody@x.test"):
    tm.is_(find(q, who=ADMIN, org=D), (200, {}), f"{q}: nothing, and no word of it")
tm.is_([find(X, who=ADMIN, org=O)[0], find(X, who=ADMIN)[0], find(X, who=f"desk@{D}", org=D)[0], find(U1, who=U1, org=D)[0], find(U1, who=U1)[0]], [404, 403, 403, 404, 403],
       "another organisation, everything, the help desk, a user: nothing")

# ---- who is behind a list and a forwarding of others
for a in (("POST", "orgs", {"name": "three.test"}), ("POST", "users", {"name": "y@three.test", "password": sb.password}), ("POST", "users", {"name": "z@three.test", "password": sb.password}),
          ("POST", "users", {"name": f"away@{O}", "forward": ["z@three.test"], "delivery": ["forward"]}), ("POST", "groups", {"name": f"team@{O}", "member": [X], "external": ["y@three.test"]})):
    status, said = ask(*a)
    assert status in (200, 201), (a, said)
send(U1, [f"team@{O}", f"away@{O}", U2], "behind@here.test", user=U1)
LEGS = sorted([X, "y@three.test", "z@three.test", U2])


def behind(**whose):
    return sorted((r["to"], r["state"]) for r in find("<behind@here.test>", **whose)[1].get("behind@here.test", {"recipient": []})["recipient"])


tm.wait_for(lambda: behind() == [(to, "delivered") for to in LEGS], what="each leg")
tm.is_(behind(who=ADMIN, org=D), sorted([(f"team@{O}", "expanded"), (f"away@{O}", "expanded"), (U2, "delivered")]), "of what a user has sent, those that he has named, and nobody behind them")
text = json.dumps(find("<behind@here.test>", who=ADMIN, org=D)[1])
tm.ok("three.test" not in text and X not in text, "nor in a step") or tm.diag(text)
tm.is_([behind(who=BOSS, org=O), behind(who="admin", org="three.test")], [[(X, "delivered")], [("y@three.test", "delivered"), ("z@three.test", "delivered")]], "who is of it, to whose it is")

out = sb.tool("diradm", "-j", "delivery", "list", "", "<sent@here.test>")
tm.ok(out.returncode == 0 and '"state":"delivered"' in out.stdout and U2 in out.stdout, "diradm: the same") or tm.diag(out)

# ---- who asks and leaves, again and again, has no more turns than who waits
LONG = f"{LOGS}/long.log"
with open(LONG, "w") as f:
    f.truncate(1 << 42)                             # nothing at all, for as long as anybody reads
working = lambda: int(sb.tool("tmctl", "-d", "admind", "status").stdout.split("working=")[1].split()[0])


def leave():
    """What is answered before that takes long, b"" for nothing; and nobody waits any more."""
    s = TLS.wrap_socket(socket.create_connection((sb.host, int(sb.env["ADMIN_PORT"])), timeout=tm.LONG), server_hostname="x")
    before = working()
    s.sendall((f"GET /api/v1/deliveries?q=nobody%40{O}&org={O} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + base64.b64encode(f"{BOSS}:{sb.password}".encode()).decode() + "\r\n\r\n").encode())
    s.settimeout(0.1)
    said = b""
    while not said and working() == before:
        try:
            said = s.recv(12)[9:]
        except TimeoutError:
            pass
    s.close()
    return said


said = [leave() for _ in range(12)]
tm.is_(said, [b""] * 8 + [b"429"] * 4, "eight of them go on, the others do not begin")
tm.is_(ask("GET", "orgs")[0], 200, "and others are served")
os.truncate(LONG, 0)
tm.wait_for(lambda: find(X, who=BOSS, org=O)[0] == 200, what="that it is over")
tm.done()
