#!/usr/bin/env python3
"""Jobs: what is many changes is kept in the directory and goes on where it stopped.  Who does one is killed behind each of
its requests to slapd; admind is killed, and slapd is away; it is paused, cancelled, and ends with its person's role."""
import base64, http.client, json, os, re, signal, socket, ssl, stat, subprocess, sys, threading, time, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch", "ldapmodify")
sb = tm.Sandbox("--users", "6", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.per_user=100", "--set", "admind.job.look=200ms",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D, BASE, PORT = sb.domain, sb.env["LDAP_BASE"], int(sb.env["ADMIN_PORT"])
# Processes are killed here, and not the machine: slapd need not wait for the disk, some thousand times.
SLAPD = sb.dir + "/ldap/slapd.conf"
with open(SLAPD) as f:
    text = f.read()
with open(SLAPD, "w") as f:
    f.write(re.sub(r"(?m)^(directory .*)$", r"\1\ndbnosync", text))
tm.ok(sb.restart("slapd") and sb.restart("admind"), "a slapd that does not wait for the disk")
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
TOP, ORG = f"admin@{D}", f"oa@one.test"
lines = {}


def ask(who, method, path, body=None):
    """(status, JSON)"""
    for again in (False, True):
        c = lines.setdefault(who, http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG))
        h = {"Authorization": "Basic " + base64.b64encode(f"{who}:{sb.password if who == TOP else 'geheim-1'}".encode()).decode()}
        if body is not None:
            h["Content-Type"] = "application/json"
        try:
            c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body), h)
            r = c.getresponse()
            text = r.read().decode()
            return r.status, json.loads(text) if text else {}
        except (OSError, http.client.HTTPException):
            del lines[who]
            if again:
                raise


def must(who, *a):
    status, said = ask(who, *a)
    if status not in (200, 201):
        tm.ok(False, f"{a}: {status} {said}")
        tm.done()
    return said


def ldap(tool, *args, text=None):
    return subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"], *args], input=text, text=True, capture_output=True)


def found(base, filter, attr="1.1"):
    """[(dn, [values])]"""
    out = ldap("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-E", "pr=500/noprompt", "-b", base, filter, attr).stdout
    return [(e.split("\n")[0][4:], [l.split(": ", 1)[1] for l in e.split("\n")[1:] if l.lower().startswith(attr.lower() + ": ")]) for e in out.split("\n\n") if e.strip().startswith("dn:")]


def make(who, *names, **more):
    return must(who, "POST", "jobs", {"names": list(names), **more})["records"][0]["job"]


def job(who, id):
    return must(who, "GET", f"jobs/{id}")


def ends(who, id, *states):
    tm.wait_for(lambda: job(who, id)["state"] in states, what=f"job {id}: {states}")
    return job(who, id)


def report(who, id, *word):
    return must(who, "POST", f"jobs/{id}/report", {"names": list(word)})["records"]


def org(domain, users, **more):
    must(TOP, "POST", "orgs", {"names": [domain, "Acme"], **more})
    for u in users:
        must(TOP, "POST", "users", {"name": f"{u}@{domain}", "password": "geheim-1"})


must(TOP, "POST", "providers", {"name": "Acme"})
org("one.test", ["oa", "desk", "prov"])
must(TOP, "POST", "roles/organisation/grant", {"names": [ORG, "one.test"]})
must(TOP, "POST", "roles/helpdesk/grant", {"names": ["desk@one.test", "one.test"]})
must(TOP, "POST", "roles/provider/grant", {"names": ["prov@one.test", "Acme"]})

# ---- a file
TABLE = "user,name,quota\n" + "".join(f"p{i:03d}@one.test,Person {i},1M\n" for i in range(150)) + "p000@one.test,Again,1M\nbad@other.test,No,1M\n"
id = make(ORG, "import", "one.test", text=TABLE)
end = ends(ORG, id, "done", "failed")
tm.is_((end["state"], end["done"], end["total"], end.get("text")), ("done", 152, 152, "1 rows have failed"), "a file of users is a job, and done")
rows = report(ORG, id)
tm.is_([(r["line"], r["result"]) for r in rows], [(i + 2, "made") for i in range(150)] + [(152, "there"), (153, "failed")], "its report has a line for each row, in their order")
tm.is_([r["line"] for r in report(ORG, id, "failed")], [153], "or those of a kind")
tm.is_(len(found(f"ou=People,o=one.test,o=Acme,{BASE}", "(&(uid=p*)(!(uid=prov)))")), 150, "and they are there")
tm.ok(not found(f"ou=Jobs,{BASE}", "(tiermailJobItem=*)"), "what was to be done is not kept when it is done")
for what, body, code in (("a password", {"names": ["import", "one.test"], "text": "user,password\na@one.test,x\n"}, "password"), ("no table", {"names": ["import", "one.test"], "text": "nonsense\n"}, "column"),
                         ("no rows", {"names": ["import", "one.test"], "text": "user,name\n"}, "text"), ("what is one change", {"names": ["user", "suspend", "oa@one.test"]}, "job"),
                         ("a setting that is none", {"names": ["org", "purge", "one.test"], "text": "x"}, "setting"), ("too few names", {"names": ["user", "move", "oa@one.test"]}, "operands")):
    status, said = ask(ORG, "POST", "jobs", body)
    tm.is_((status, said.get("code")), (400, code), f"{what}: refused")
status, said = ask(ORG, "POST", "jobs", {"names": ["import", "one.test"], "text": "user,name\n" + "a,b\n" * 120000})
tm.is_((status, said.get("code")), (422, "rows"), "more rows than the directory is for: refused")
status, said = ask("desk@one.test", "POST", "jobs", {"names": ["user", "purge", "one.test"]})
tm.is_((status, said.get("code")), (403, "denied"), "the help desk makes none")

# ---- whose it is
org("two.test", ["oa"])
must(TOP, "POST", "roles/organisation/grant", {"names": ["oa@two.test", "two.test"]})
tm.is_((ask("oa@two.test", "GET", f"jobs/{id}")[0], must("oa@two.test", "GET", "jobs")["records"]), (404, []), "another organisation's administrator sees nothing of it")
tm.is_([must(w, "GET", f"jobs/{id}")["who"] for w in (TOP, "prov@one.test", ORG)], [ORG] * 3, "those above see it, and whose it is")
tm.ok(ask("prov@one.test", "DELETE", f"jobs/{id}")[0] in (403, 404) and ask("oa@two.test", "POST", f"jobs/{id}/cancel")[0] == 404, "and do not take it away; others do nothing to it")
dn = f"cn={id},ou=Jobs,{BASE}"
forged = f"dn: {dn}\nchangetype: modify\nreplace: tiermailJobCall\ntiermailJobCall: x\n"
r = subprocess.run(["ldapmodify", "-x", "-H", sb.env["LDAP_URL"], "-D", f"uid=prov,ou=People,o=one.test,o=Acme,{BASE}", "-w", "geheim-1"], input=forged, text=True, capture_output=True)
tm.is_(r.returncode, 50, "who is above cannot write into what another has asked for")
made = f"dn: cn=x,ou=Jobs,{BASE}\nobjectClass: tiermailJob\ncn: x\ntiermailJobVerb: org purge\ntiermailJobState: waiting\n"
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", f"uid=oa,ou=People,o=one.test,o=Acme,{BASE}", "-w", "geheim-1"], input=made, text=True, capture_output=True)
tm.is_(r.returncode, 50, "nor makes anybody one beside admind")
must(ORG, "DELETE", f"jobs/{id}")
tm.ok(not found(f"ou=Jobs,{BASE}", f"(cn={id})"), "who has made it takes it away")

# ---- who does it is killed behind each request to the directory
REAL = urllib.parse.unquote(sb.env["LDAP_URL"].split("://")[1].rstrip("/"))


class Cutter:
    """Between a program and slapd: counts requests, and kills the program when it has sent the `left`th; or keeps it waiting behind
    the first entry that it adds, as long as there is a gate that is shut."""
    def __init__(self):
        self.gate, self.there, self.answered, self.started = None, *(threading.Event() for _ in range(3))
        self.path, self.left, self.victim, self.count = os.path.join(sb.dir, "cut.sock"), 0, None, 0
        self.s = socket.socket(socket.AF_UNIX)
        self.s.bind(self.path)
        self.s.listen(16)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            c, _ = self.s.accept()
            b = socket.socket(socket.AF_UNIX)
            b.connect(REAL)
            threading.Thread(target=self.up, args=(c, b), daemon=True).start()
            threading.Thread(target=self.down, args=(b, c), daemon=True).start()

    def down(self, a, b):
        try:
            while data := a.recv(65536):
                self.answered.set()
                b.sendall(data)
            b.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.answered.set()

    def up(self, a, b):
        held = b""
        try:
            while data := a.recv(65536):
                held += data
                while len(held) > 1:
                    n, skip = held[1], 2
                    if n & 0x80:
                        skip += n & 0x7f
                        if len(held) < skip:
                            break
                        n = int.from_bytes(held[2:skip], "big")
                    if len(held) < skip + n:
                        break
                    adds = held[skip + 2 + held[skip + 1]] == 0x68
                    self.answered.clear()
                    b.sendall(held[:skip + n])
                    held = held[skip + n:]
                    if adds and self.gate:
                        self.there.set()
                        self.gate.wait()
                    self.count += 1
                    if self.left and self.count == self.left:
                        self.started.wait()
                        self.victim.kill()
                        return              # what it has sent meanwhile is not heard
            b.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


cutter = Cutter()
ETC = os.path.join(sb.dir, "etc-cut")
subprocess.run(["cp", "-r", os.path.dirname(sb.conf("tiermail.conf")), ETC], check=True)
with open(ETC + "/tiermail.conf") as f:
    text = f.read()
changed = text.replace(sb.env["LDAP_URL"], "ldapi://" + urllib.parse.quote(cutter.path, safe=""))
tm.ok(changed != text, "a configuration that goes by the counter of requests")
with open(ETC + "/tiermail.conf", "w") as f:
    f.write(changed)
secret = os.path.join(sb.dir, "pw")
with open(secret, "w") as f:
    os.chmod(secret, stat.S_IRUSR | stat.S_IWUSR)
    f.write(sb.env["LDAP_SERVICE_PASSWORD"] + "\n")


def ber(tag, *parts):
    body = b"".join(p.encode() if isinstance(p, str) else p for p in parts)
    return bytes([tag, 0x82]) + len(body).to_bytes(2, "big") + body


class Root:
    """The directory's administrator on a connection that stays: a program for each change would take longer than the change."""
    def __init__(self):
        self.begin()

    def begin(self):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.connect(REAL)
        self.s.settimeout(tm.LONG)
        self.ask(ber(0x60, b"\2\1\3", ber(4, sb.env["LDAP_ADMIN_DN"]), ber(0x80, sb.env["LDAP_ADMIN_PASSWORD"])))

    def ask(self, op):
        self.s.sendall(ber(0x30, b"\2\1\1", op))
        said = self.s.recv(65536)
        if b"\x0a\1\0" not in said:          # resultCode success
            raise OSError(f"slapd refuses: {said!r}")

    def replace(self, dn, **attributes):
        self.ask(ber(0x66, ber(4, dn), ber(0x30, *(ber(0x30, b"\x0a\1\2", ber(0x30, ber(4, a), ber(0x31, ber(4, v)))) for a, v in attributes.items()))))


root = Root()


def over(id, **more):
    """The time of who holds it is over."""
    root.replace(f"cn={id},ou=Jobs,{BASE}", tiermailJobUntil="20200101000000Z", **more)


def diradm(*words):
    return [sb.bin("diradm"), "-j", "-c", ETC + "/tiermail.conf", "-D", f"uid=admind,ou=services,{BASE}", "-y", secret, "-a", TOP, *words]


def records(*words):
    r = subprocess.run(diradm(*words), capture_output=True, text=True)
    if r.returncode:
        tm.ok(False, f"diradm {' '.join(words)}: {r.returncode} {r.stderr}")
        tm.done()
    return [json.loads(line) for line in r.stdout.splitlines()]


def killed(what, *words):
    """A job whose doer dies behind its first request, then its second ...: until one lives to its end."""
    id = records("job", "create", *words)[0]["job"]
    for dead in range(200):
        cutter.started.clear()
        cutter.count, cutter.left = 0, dead + 1
        p = subprocess.Popen(diradm("job", "run", id), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        cutter.victim = p
        cutter.started.set()
        said = p.communicate(timeout=tm.LONG)
        if p.returncode != -signal.SIGKILL:
            break
        cutter.answered.wait(tm.LONG)       # else slapd may do what is written last behind what comes next
        over(id)
    cutter.left = 0
    state = records("job", "show", id)[0]
    tm.ok(state["state"] == "done" and dead > 5, f"{what}: killed behind each of {dead} requests, it is done") or tm.diag(f"{dead} {p.returncode} {state} {said}")
    return id


P1, P2 = (f"o={d},o=Acme,{BASE}" for d in ("one.test", "two.test"))
org("three.test", ["u1", "u2", "oa"])
org("four.test", ["u1", "u2"], alias=["five.test"])
org("six.test", [])
must(TOP, "DELETE", "orgs/six.test")
must(TOP, "POST", "groups", {"name": "all@two.test", "member": ["u1@three.test", "oa@two.test", "u2@three.test"], "owner": ["oa@three.test", "oa@two.test"]})
must(TOP, "POST", "roles/provider/grant", {"names": ["oa@three.test", "Acme"]})
for u in ("mo", "re", "pu"):
    must(TOP, "POST", "users", {"name": f"{u}@one.test", "password": "geheim-1"})
must(TOP, "POST", "groups", {"name": "all@one.test", "member": ["mo@one.test", "re@one.test", "pu@one.test", "oa@one.test"], "owner": ["mo@one.test"]})
must(TOP, "POST", "groups", {"name": "all@four.test", "member": ["u1@four.test"]})
must(TOP, "POST", "users", {"name": "u3@four.test", "alias": ["u1@five.test"]})
must(TOP, "POST", "packages", {"name": "pk", "quota": "1G"})
must(TOP, "PATCH", "orgs/one.test", {"package": ["pk:10"]})
for u in ("mo", "re", "oa"):
    must(TOP, "PATCH", f"users/{u}@one.test", {"package": "pk"})
must(TOP, "PATCH", "packages/pk", {"quota": "2G"})
must(TOP, "DELETE", "orgs/three.test")
must(TOP, "DELETE", "users/pu@one.test")
sb.kill("admind")
lines.clear()

killed("what a package gives", "package", "apply", "pk")
tm.is_(sorted(v for _, [v] in found(BASE, "(tiermailServicePackage=pk)", "mailQuota")), [str(2 << 30)] * 3, "all who have it have what it gives")
killed("a user is renamed", "user", "rename", "re@one.test", "renamed")
tm.is_(found(f"ou=People,{P1}", "(uid=renamed)", "mail")[0][1] + found(f"ou=People,{P1}", "(uid=renamed)", "mailAlternateAddress")[0][1], ["renamed@one.test", "re@one.test"], "with both addresses")
killed("a user moves to another organisation", "user", "move", "mo@one.test", "two.test")
tm.is_([v for _, v in found(f"ou=People,{P2}", "(uid=mo)", "mail")], [["mo@two.test"]], "and is there, once")
members = found(P1, "(cn=all)", "uniqueMember")[0][1]
tm.is_(sorted(m.split(",")[0] + m.split("o=")[1] for m in members), sorted(["uid=motwo.test,", "uid=renamedone.test,", "uid=puone.test,", "uid=oaone.test,"]), "its list has both by their names of now")
tm.is_([m.split(",o=")[1] for m in found(P1, "(cn=all)", "owner")[0][1]], ["two.test"], "and is owned by who has moved")
killed("a user is purged", "user", "purge", "pu@one.test")
tm.ok(not found(BASE, "(uid=pu)") and len(found(P1, "(cn=all)", "uniqueMember")[0][1]) == 3, "and is in no list")
id = killed("an organisation goes by another domain", "org", "readdress", "four.test", "five.test")
tm.is_(sorted(v for _, [v] in found(f"o=four.test,o=Acme,{BASE}", "(mail=*)", "mail")), ["all@five.test", "u1@four.test", "u2@five.test", "u3@five.test"], "each but the one whose address there is another's")
tm.ok(any("keeps its address" in r.get("text", "") and r["name"] == "u1@four.test" for r in records("job", "report", id)), "which the report tells")
tm.is_(found(f"o=four.test,o=Acme,{BASE}", "(uid=u2)", "mailAlternateAddress")[0][1], ["u2@four.test"], "the old ones stay")
id = killed("an organisation is purged", "org", "purge", "three.test")
tm.ok(not found(BASE, "(sunPreferredDomain=three.test)") and not found(BASE, "(member=uid=oa,ou=People,o=three.test,*)"), "and all that was in it")
tm.is_([m for m in found(f"o=Acme,{BASE}", "(cn=Provider Admins)", "member")[0][1] if "three.test" in m], [], "nobody of that name has a role over more")
tm.is_([[m.split(",")[2] for m in found(P2, "(cn=all)", a)[0][1]] for a in ("uniqueMember", "owner")], [["o=two.test"]] * 2, "nor is in a list of others, or owns one")
id = killed("a file", "import", "one.test", "text=user,name\n" + "".join(f"f{i}@one.test,F{i}\n" for i in range(4)) + "f0@one.test,F\n")
tm.is_([(r["line"], r["result"]) for r in records("job", "report", id) if r["line"] > 5 or r["result"] not in ("made", "there")], [(6, "there")], "each row once, and none failed")
tm.is_(len(found(f"ou=People,{P1}", "(uid=f*)")), 4, "and each user is there")

# ---- what it is about is gone: it was done, if it had begun
ids = [records("job", "create", "org", "purge", "six.test")[0]["job"] for _ in range(2)]
root.replace(f"cn={ids[0]},ou=Jobs,{BASE}", tiermailJobDone="3", tiermailJobTotal="3")
ldap("ldapdelete", "-r", f"o=six.test,o=Acme,{BASE}")
for i in ids:
    records("job", "run", i)
tm.is_([records("job", "show", i)[0]["state"] for i in ids], ["done", "failed"], "one that was stopped behind its last step is done; one that never began has failed")

# ---- who has asked for it may not log in any more, while it is done
def by(who, *words):
    r = subprocess.run([*diradm()[:-1], who, *words], capture_output=True, text=True)
    return r.stdout + r.stderr


id = json.loads(by(ORG, "job", "create", "import", "one.test", "text=user,name\n" + "".join(f"s{i}@one.test,S{i}\n" for i in range(5))).splitlines()[0])["job"]
tm.ok("is another's" in by("prov@one.test", "job", "run", id), "who is above does not do it in another's name")
cutter.gate = threading.Event()
p = subprocess.Popen([*diradm()[:-1], ORG, "job", "run", id], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
tm.ok(cutter.there.wait(tm.LONG), "a job is at its first row")
root.replace(f"uid=oa,ou=People,{P1}", inetUserStatus="inactive")
time.sleep(1.1)         # a note is written each second, and not before
cutter.gate.set()
p.communicate(timeout=tm.LONG)
cutter.gate = None
end = records("job", "show", id)[0]
tm.ok(end["state"] == "failed" and "may not log in" in end["text"] and len(found(f"ou=People,{P1}", "(|(uid=s0)(uid=s1)(uid=s2)(uid=s3)(uid=s4))")) == 1,
      "it ends, whose person may not log in any more, while it is done") or tm.diag(f"{end}")
root.replace(f"uid=oa,ou=People,{P1}", inetUserStatus="active")

# ---- admind is killed, and slapd away
half = records("job", "create", "import", "one.test", "text=user,name\nhalf@one.test,H\n")[0]["job"]
over(half, tiermailJobState="making")
sb.restart("admind")
end = ends(TOP, half, "cancelled", "failed", "done")
tm.is_((end["state"], ask(TOP, "POST", f"jobs/{half}/resume")[0], found(BASE, "(uid=half)")), ("cancelled", 400, []), "what was not kept whole is not done, nor resumed")
tm.is_(ask(TOP, "POST", f"jobs/{half}/run")[0], 404, "admind does none while a request waits")
N = 120
id = make(ORG, "import", "one.test", text="user,name\n" + "".join(f"k{i:03d}@one.test,K {i}\n" for i in range(N)))
for what in ("admind", "slapd", "admind"):
    before = len(found(f"ou=People,{P1}", "(uid=k*)"))
    tm.wait_for(lambda: len(found(f"ou=People,{P1}", "(uid=k*)")) > before + 8, what="some rows of the job")
    sb.kill(what)
    sb.restart(what)
    held = subprocess.run([*diradm()[:-1], ORG, "job", "run", id], capture_output=True, text=True)
    tm.ok("somebody is at it" in held.stderr, f"{what} has died: while its time is not over nobody else goes on")
    root.begin()
    over(id)
end = ends(ORG, id, "done", "failed")
tm.is_((end["state"], end["done"], len(found(f"ou=People,{P1}", "(uid=k*)"))), ("done", N, N), "killed twice, and slapd once, every row of a file is done")
rows = report(ORG, id)
tm.is_(([r["line"] for r in rows], {r["result"] for r in rows} - {"made", "there"}), (list(range(2, N + 2)), set()), "and told once")
tm.ok(sum(r["result"] == "there" for r in rows) <= 3 and all("before a stop" in r["text"] for r in rows if r["result"] == "there"), "no more than the one row of each death is told as there already")

# ---- paused, resumed, cancelled; the person
id = make(ORG, "import", "one.test", text="user,name\n" + "".join(f"w{i:03d}@one.test,W {i}\n" for i in range(N)))
next = make(ORG, "import", "one.test", text="user,name\nw@one.test,W\n")
tm.wait_for(lambda: job(ORG, id)["done"] > 0, what="its first rows")
together = [j for j in must(ORG, "GET", "jobs")["records"] if j["state"] == "running"]
must("prov@one.test", "POST", f"jobs/{id}/pause")
end = ends(ORG, id, "paused", "done")
tm.is_(ends(ORG, next, "done", "failed")["state"], "done", "the next one of the same person follows")
tm.ok(len(together) < 2, "and not before") or tm.diag(f"{together}")
tm.ok(end["state"] == "paused" and end["done"] < N and "wish" not in end, "who is above pauses it")
tm.is_(ask("prov@one.test", "POST", f"jobs/{id}/resume")[0], 403, "and cannot have it go on in another's name")
must(ORG, "POST", f"jobs/{id}/resume")
tm.wait_for(lambda: job(ORG, id)["done"] > end["done"] or job(ORG, id)["state"] == "done", what="it goes on")
must(ORG, "POST", f"jobs/{id}/cancel")
end = ends(ORG, id, "cancelled", "done")
tm.ok(end["state"] == "cancelled" and end["done"] == len(found(f"ou=People,{P1}", "(&(uid=w*)(!(uid=w)))")), "who has made it cancels it; what is done stays")
tm.is_([ask(ORG, "POST", f"jobs/{id}/{w}")[1].get("code") for w in ("pause", "cancel", "resume")], ["job-state"] * 3, "then it is over")
id = make(ORG, "import", "one.test", text="user,name\n" + "".join(f"r{i:03d}@one.test,R {i}\n" for i in range(N)))
tm.wait_for(lambda: found(f"ou=People,{P1}", "(|(uid=r0*)(uid=r1*))"), what="the first rows")
must(TOP, "POST", "roles/organisation/revoke", {"names": [ORG, "one.test"]})
end = ends(TOP, id, "done", "failed")
rows = report(TOP, id)
tm.ok(end["state"] == "done" and len(found(f"ou=People,{P1}", "(|(uid=r0*)(uid=r1*))")) == sum(r["result"] == "made" for r in rows) < N, "what follows the loss of a role is refused, row by row")
must(TOP, "POST", "roles/organisation/grant", {"names": [ORG, "one.test"]})
sb.kill("admind")
lines.clear()
made = subprocess.run([*diradm()[:-1], ORG, "job", "create", "user", "purge", "one.test"], capture_output=True, text=True)
id = json.loads(made.stdout.splitlines()[0])["job"]
subprocess.run(diradm("user", "suspend", ORG), check=True)
sb.restart("admind")
end = ends(TOP, id, "done", "failed")
tm.ok(end["state"] == "failed" and "may not log in" in end["text"], "the job of who may not log in any more is not done")

# ---- a directory of before there were jobs
ldap("ldapdelete", "-r", f"ou=Jobs,{BASE}")
status, said = ask(TOP, "POST", "jobs", {"names": ["user", "purge", "one.test"]})
tm.ok(status == 500 and said.get("code") == "no-jobs" and "diradm init" in said["detail"], "a directory without a place for jobs: what is to be done is said") or tm.diag(f"{status} {said}")
tm.ok(any(r.get("name") == f"ou=Jobs,{BASE}" for r in must(TOP, "GET", "init")["records"]), "and init has the entry")
SETUP = tm.TOP + "/scripts/setup/tiermail-setup"
r = subprocess.run([SETUP, "-c", sb.conf("tiermail.conf"), "directory"], capture_output=True, text=True)
tm.ok(f"dn: ou=Jobs,{BASE}\nchangetype: add" in r.stdout and re.search(f'(?m)^olcAccess: .*to dn.children="ou=Jobs,{BASE}" attrs=tiermailJobItem', r.stdout), "and tiermail-setup directory prints the entry and the rights") or tm.diag(r.stderr)
tm.done()
