#!/usr/bin/env python3
"""What the API says of roles (GET /api/v1/verbs, "roles" and "closed") against slapd: each verb and each closed setting is
tried as each role, on entries made for it.  The console shows what is said; slapd decides, and they must agree.  Also the
log of changes by role, and one's own entry without a role."""
import base64, http.client, json, os, ssl, sys, time, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
sb = tm.Sandbox("--users", "6", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.per_user=100", "--set", "admind.session.idle=60s",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
PORT = int(sb.env["ADMIN_PORT"])
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
O = "one.test"      # below the provider Acme
ROLES = {"top": "admin@" + sb.domain, "provider": "prov@" + O, "organisation": "oa@" + O, "helpdesk": "desk@" + O}
lines = {}


def ask(who, method, path, body=None, headers=()):
    """(status, JSON), on a connection that each person keeps."""
    password = sb.password if who == ROLES["top"] else "geheim-1"
    c = lines.setdefault(who, http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG))
    h = {"Authorization": "Basic " + base64.b64encode(f"{who}:{password}".encode()).decode(), **dict(headers)}
    if body is not None:
        h["Content-Type"] = "application/json"
    c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body), h)
    r = c.getresponse()
    text = r.read().decode()
    return r.status, json.loads(text) if text else {}


def must(*a):
    status, said = ask(ROLES["top"], *a)
    if status not in (200, 201):
        tm.bail(f"{a}: {status} {said}") if hasattr(tm, "bail") else sys.exit(f"{a}: {status} {said}")
    return said


def page(method, path, body=None, cookie=None, **headers):
    """As a page of the console asks: (status, JSON, cookie that was set)."""
    c = http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG)
    h = {"Origin": f"https://{sb.host}:{PORT}", "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", **({"Cookie": cookie} if cookie else {}), **headers}
    c.request(method, path, None if body is None else json.dumps(body), h)
    r = c.getresponse()
    text, cookie = r.read().decode(), r.headers["Set-Cookie"]
    return r.status, json.loads(text) if text.startswith("{") else {}, cookie and cookie.split(";")[0]


status, _, cookie = page("POST", "/login", {"user": "admin", "password": sb.password})
begun = time.monotonic()
tm.ok(status == 200 and cookie.startswith("__Host-tiermail-admin="), "a session begins")
must("POST", "providers", {"name": "Acme"})
must("POST", "packages", {"name": "pk", "quota": "1G"})
must("PATCH", "providers/Acme", {"package": ["pk:1000"]})
must("POST", "orgs", {"names": [O, "Acme"], "package": ["pk:500"]})
for name in ("prov", "oa", "desk", "plain"):
    must("POST", "users", {"name": f"{name}@{O}", "password": "geheim-1"})
must("POST", "roles/provider/grant", {"names": [ROLES["provider"], "Acme"]})
must("POST", "roles/organisation/grant", {"names": [ROLES["organisation"]]})
must("POST", "roles/helpdesk/grant", {"names": [ROLES["helpdesk"]]})

verbs = {(v["object"], v["verb"]): v for v in must("GET", "verbs")["verbs"]}
tm.ok(all("roles" in v for v in verbs.values()), "each verb says which roles have it")
serial = 0


def fresh(kind):
    """An entry to try a verb on."""
    global serial
    serial += 1
    if kind == "user":
        must("POST", "users", {"name": f"u{serial}@{O}"})
        return f"u{serial}@{O}"
    if kind == "group":
        must("POST", "groups", {"name": f"g{serial}@{O}", "external": "x@else.test"})
        return f"g{serial}@{O}"
    if kind == "org":
        must("POST", "orgs", {"names": [f"o{serial}.test", "Acme"]})
        return f"o{serial}.test"
    if kind == "package":
        must("POST", "packages", {"name": f"p{serial}", "quota": "1G"})
        return f"p{serial}"
    must("POST", "providers", {"name": f"V{serial}"})
    return f"V{serial}"


def wish(obj, verb, role):
    """The request of a verb, with what it needs made before."""
    global serial
    serial += 1
    path = {"org": "orgs", "user": "users", "group": "groups", "package": "packages", "provider": "providers", "role": "roles", "host": "hosts", "queue": "queues"}.get(obj, obj)
    if obj == "delivery":       # there are no logs: who may hears just that
        return ("GET", f"deliveries?org={O}&q=x@{O}", None)
    if verb == "list":
        return ("GET", path + (f"?org={O}" if obj in ("user", "group", "audit") else ""), None)
    if obj in ("host", "queue"):        # of a host that there is not: who may hears just that
        return ("POST", f"queues/none.test/{verb}", {"names": ["qid=none"] if verb != "top" else []})
    if obj in ("check", "init"):
        return ("GET", obj + (f"?org={O}" if obj == "check" else ""), None)
    if obj == "role":
        user = fresh("user")
        what = "helpdesk"
        if verb == "revoke":
            must("POST", f"roles/{what}/grant", {"names": [user]})
        return ("POST", f"roles/{what}/{verb}", {"names": [user]})
    if verb == "create":
        name = {"org": [f"n{serial}.test", "Acme"], "user": [f"n{serial}@{O}"], "group": [f"n{serial}@{O}"]}.get(obj, [f"n{serial}"])
        return ("POST", path, {"names": name, **({"external": "x@else.test"} if obj == "group" else {})})
    # an organisation's administrator has one organisation, and cannot be tried on others: its status comes back
    name = O if obj == "org" and role in ("organisation", "helpdesk") else fresh(obj)
    if verb in ("undelete", "purge"):
        if name != O:
            must("DELETE", f"{path}/{name}")
    if verb == "resume" and name != O:
        must("POST", f"{path}/{name}/suspend")
    if verb == "apply":        # somebody has it, and it gives something else now
        must("PATCH", "providers/Acme", {"package+": [f"{name}:5"]})
        must("PATCH", f"orgs/{O}", {"package+": [f"{name}:5"]})
        must("POST", "users", {"names": [f"a{serial}@{O}"], "package": name})
        must("PATCH", f"packages/{name}", {"quota": "2G"})
    at = f"{path}/{urllib.parse.quote(name)}"
    if verb == "show":
        return ("GET", at, None)
    if verb == "modify":
        return ("PATCH", at, {"description": f"d{serial}"})
    if verb == "delete":
        return ("DELETE", at, None)
    if verb == "readdress":     # to another domain, and, by who may not, back
        must("PATCH", at, {"alias+": [f"also{serial}.test"]})
        if role == "top":
            must("POST", "users", {"name": f"x@{name}"})
    body = {"readdress": {"names": [O if role == "helpdesk" else f"also{serial}.test"]}, "rename": {"names": [f"r{serial}"]}, "move": {"names": [MOVE]}}.get(verb, {})
    return ("POST", f"{at}/{verb}", body)


must("POST", "orgs", {"names": ["move.test", "Acme"]})
MOVE = "move.test"
for (obj, verb), v in verbs.items():
    if obj in ("factor", "app", "job"):      # t/flow/admin-factors.t and jobs.t have these: they are mostly one's own
        continue
    said = []
    for role, who in ROLES.items():
        method, path, body = wish(obj, verb, role)
        status, answer = ask(who, method, path, body)
        may = status in (200, 201)
        if obj == "delivery" or (obj == "queue" and verb != "list"):
            may = answer.get("code") in ("no-host", "no-logs")
        if verb == "apply":        # it says how many, and those who may not change any
            may = may and "1 were changed" in json.dumps(answer)
        if verb == "list" and obj not in ("audit", "delivery") and role not in v["roles"]:
            may = bool(answer.get("records"))       # a list of nothing is none
        if may != (role in v["roles"]):
            said.append(f"{role}: {status} {json.dumps(answer)[:200]}")
    if verb == "readdress":
        must("POST", f"orgs/{O}/readdress", {"names": [O]})
    if not tm.ok(not said, f"{obj} {verb}: for {', '.join(v['roles']) or 'nobody'}"):
        tm.diag("\n".join(said))

VALUES = {"alias": "alias-x.test", "login": "inactive", "status": "hold", "quota": "1G", "messages": "5", "maxsize": "10M", "services": "+imap:*", "smarthost": "h.test",
          "routing-host": "h.test", "host": "h.test", "users": "9", "default-package": "pk", "package": "pk:9", "partition": "p9", "routing": "x@else.test"}
for (obj, verb), v in verbs.items():
    for role, settings in v.get("closed", {}).items():
        for s in settings:
            if verb == "create":
                status, answer = ask(ROLES[role], "POST", "users", {"names": [f"c{serial}{s}@{O}"], s: VALUES[s]})
            else:
                name = O if obj == "org" else fresh("user")
                if obj == "user":
                    must("PATCH", f"users/{name}", {"host": "old.test", "partition": "old", "routing": "old@else.test"})
                status, answer = ask(ROLES[role], "PATCH", f"{'orgs' if obj == 'org' else 'users'}/{name}", {s: VALUES[s]})
            if not tm.ok(status == 403, f"{obj} {verb} {s}: closed to the role {role}"):
                tm.diag(f"{status} {answer}")
    if verb == "modify" and obj in ("org", "user"):
        name = O if obj == "org" else fresh("user")
        left = [s for s in v["settings"] if s in ("description", "catchall", "quota", "alias") and s not in v["closed"].get("organisation", [])]
        bad = [s for s in left if ask(ROLES["organisation"], "PATCH", f"{'orgs' if obj == 'org' else 'users'}/{name}",
                                      {s: {"catchall": "all@else.test", "alias": f"left@{O}"}.get(s, VALUES.get(s, "x"))})[0] != 200]
        tm.is_(bad, [], f"{obj} {verb}: what is not closed is open ({' '.join(left)})")

# ---- without a role
plain = "plain@" + O
tm.is_([ask(plain, "GET", p)[0] for p in (f"users/{plain}", f"users/oa@{O}", f"users?org={O}", f"audit?org={O}", "audit")], [200, 404, 404, 404, 403],
       "who has no role sees the own entry, and nothing else")
tm.is_([ask(w, "POST", f"users/{w}/password", {"password": "x"})[1].get("code") for w in (plain, ROLES["organisation"])], ["own-password"] * 2,
       "nor gives anybody himself a password without the old one")
tm.is_([ask(plain, "PATCH", f"users/{n}", b)[0] for n, b in ((plain, {"vacation": "x"}), (plain, {"quota": "1T"}), (plain, {"alias+": "z@" + O}), (f"oa@{O}", {"vacation": "x"}))],
       [200, 403, 403, 404], "and changes in it what is the person's own")

# ---- the log
status, said = ask(ROLES["organisation"], "GET", f"audit?org={O}&limit=1000")
tm.ok(said["records"] and all(json.loads(r["line"])["dn"].lower().endswith(f"o={O},o=acme,{sb.env['LDAP_BASE']}") for r in said["records"] if r["kind"] == "audit"),
      "an administrator reads what was changed in the own organisation")
tm.ok("@" + sb.domain not in json.dumps(said) and "move.test" not in json.dumps(said), "and no name of another: not of who did it, nor of where somebody went")
tm.ok("(above)" in json.dumps(said) and "(elsewhere)" in json.dumps(said), "which are left out")
one, rest = ask(ROLES["top"], "GET", "audit?limit=1")[1]["records"]
two = ask(ROLES["top"], "GET", f"audit?limit=1&before={rest['before']}")[1]["records"][0]
tm.ok(rest["kind"] == "more" and two["at"] < one["at"] == rest["before"], "page by page, backwards")
tm.is_(ask(ROLES["top"], "GET", "audit?q=" + urllib.parse.quote("NO such word"))[1]["records"], [], "looked for by a word")
tm.is_(ask(ROLES["organisation"], "GET", f"audit?org={sb.domain}")[0], 404, "another organisation's log is not there")
tm.is_(ask(ROLES["helpdesk"], "GET", f"audit?org={O}")[0], 403, "nor is any for the help desk")
tm.ok("geheim-1" not in open(sb.dir + "/admin.audit").read(), "no password is in it")

# ---- sessions
time.sleep(max(0, begun + 4 - time.monotonic()))
tm.is_(page("GET", "/session", cookie=cookie)[::2], (200, None), "whoever looks whether a session is over does not make it go on")
status, _, newer = page("GET", "/api/v1/me", cookie=cookie)
tm.ok(status == 200 and newer and newer != cookie, "whoever asks for something does")
tm.is_([page("GET", "/session", cookie=c)[0] for c in (None, "__Host-tiermail-admin=", "__Host-tiermail-admin=AAAA", cookie[:-2] + "AA", cookie.replace("-admin", ""))], [401] * 5,
       "no cookie, an empty one, one that is none, one that was changed, and another name: nobody's")
tm.is_([page("POST", p, {"user": "admin", "password": sb.password, "old": sb.password, "new": "x"}, cookie=cookie, Origin="https://evil.test")[0] for p in ("/login", "/logout", "/password")],
       [403] * 3, "forms of another site do nothing")
tm.is_(page("POST", "/password", {"old": "wrong", "new": "x"}, cookie=cookie)[1].get("code"), "wrong", "another password needs the old one")
tm.is_([page("POST", "/login", b)[0] for b in ({}, {"user": 1, "password": 2}, {"user": "admin"}, [])], [400] * 4, "a login that is none")
tm.is_(page("POST", "/login", {"user": "admin", "password": "x" * 5000})[0], 413, "and one that is too long")
tm.done()
