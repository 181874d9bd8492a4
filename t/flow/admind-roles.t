#!/usr/bin/env python3
"""Who may do what: random requests by random people to admind, held against a model of the roles.

What the model allows is done, and what it does not allow is refused as if it were not allowed or not there, and has
changed nothing: the whole directory is compared.  SEED=... in the environment repeats a run."""
import base64
import http.client
import json
import os
import random
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
ROUNDS = int(os.environ.get("ROUNDS", "250"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
pick = random.Random(SEED)
tm.diag(f"SEED={SEED}")
sb = tm.Sandbox("--users", "3", "--admin", "--set", "admind.auth.delay=0", "--set", "tiermail.ldap.auth_age=5m",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False
PORT, D = int(sb.env["ADMIN_PORT"]), sb.domain
CONNECTION = {}


def ask(who, method, path, body=None):
    c = CONNECTION.setdefault(who, http.client.HTTPSConnection(sb.host, PORT, context=TLS, timeout=tm.LONG))
    c.request(method, "/api/v1/" + path, None if body is None else json.dumps(body),
              {"Authorization": "Basic " + base64.b64encode(f"{who}:{sb.password}".encode()).decode(), "Content-Type": "application/json"})
    r = c.getresponse()
    text = r.read().decode()
    return r.status, json.loads(text) if text.startswith("{") else {}


def everything():
    """All entries but what changes by itself; a password by its hash."""
    r = subprocess.run(["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"],
                        "-b", sb.env["LDAP_BASE"], "*", "entryCSN"], capture_output=True, text=True)
    return r.stdout


# ---- two providers with two organisations each, and one of its own
TOP = f"admin@{D}"
PROVIDER = {"a1.test": "A", "a2.test": "A", "b1.test": "B", "b2.test": "B", D: None}
for p in "AB":
    ask(TOP, "POST", "providers", {"name": p})
for org, p in PROVIDER.items():
    if p:
        ask(TOP, "POST", "orgs", {"names": [org, p]})
    for uid in ("boss", "desk", "jo", "ann"):
        ask(TOP, "POST", "users", {"name": f"{uid}@{org}", "password": sb.password})
    ask(TOP, "POST", "groups", {"name": f"team@{org}", "member": [f"jo@{org}"]})
    ask(TOP, "POST", "roles/organisation/grant", {"names": [f"boss@{org}"]})
    ask(TOP, "POST", "roles/helpdesk/grant", {"names": [f"desk@{org}"]})
for p, org in (("A", "a1.test"), ("B", "b2.test")):
    ask(TOP, "POST", "users", {"name": f"chief@{org}", "password": sb.password})
    ask(TOP, "POST", "roles/provider/grant", {"names": [f"chief@{org}", p]})
CHIEF = {"chief@a1.test": "A", "chief@b2.test": "B"}
PEOPLE = [TOP, *CHIEF, *(f"{u}@{o}" for o in PROVIDER for u in ("boss", "desk", "jo"))]


# ---- the model
def rank(who, org):
    """What somebody is for an organisation: 4 top, 3 its provider's, 2 its own administrator, 1 its help desk, 0."""
    if who == TOP:
        return 4
    if who in CHIEF and CHIEF[who] == PROVIDER[org]:
        return 3
    uid, _, at = who.partition("@")
    return {"boss": 2, "desk": 1}.get(uid, 0) if at == org else 0


def above(user):
    """The rank of whom nobody below may touch: of a user who has a role, that."""
    return 4 if user in (TOP, f"admin@{D}") else 3 if user in CHIEF else 2 if user.startswith("boss@") else 1 if user.startswith("desk@") else 0


def may(who, verb, org, user):
    r = rank(who, org)
    if verb in ("user", "status", "rename"):
        return r >= 2 and (above(user) <= 2 or r >= above(user))
    if verb == "password":
        return r >= 1 and r >= above(user) and who != user        # the own one needs the old one
    return r >= {"store": 3, "program": 3, "create": 2, "group": 2, "domain": 3, "limit": 3, "about": 2, "appoint": 3, "desk": 2, "org": 3}[verb]


def request(verb, org, user, n):
    """(method, path, body)"""
    return {
        "user": ("PATCH", f"users/{user}", {"quota": n + 1000, "description": f"r{n}"}),
        "status": ("POST", f"users/{user}/" + ("suspend" if n % 2 else "resume"), {}) if not user.startswith(("boss", "desk", "jo", "chief", "admin")) else
                  ("PATCH", f"users/{user}", {"phone": [str(n)]}),
        "rename": ("PATCH", f"users/{user}", {"name": f"Name {n}"}),
        "password": ("POST", f"users/{user}/password", {"password": sb.password}),
        "store": ("PATCH", f"users/{user}", {"host": f"h{n}.test"}), "program": ("PATCH", f"users/{user}", {"delivery": ["mailbox", "program"], "description": str(n)}),
        "create": ("POST", "users", {"name": f"new{n}@{org}"}), "group": ("PATCH", f"groups/team@{org}", {"description": f"g{n}", "moderator": [f"ann@{org}"]}),
        "domain": ("PATCH", f"orgs/{org}", {"alias": [f"alias{n}.{org}"]}), "limit": ("PATCH", f"orgs/{org}", {"users": 1000 + n}),
        "about": ("PATCH", f"orgs/{org}", {"description": f"d{n}"}), "appoint": ("POST", "roles/organisation/grant", {"names": [f"new{n}@{org}"]}),
        "desk": ("POST", "roles/helpdesk/grant", {"names": [f"ann@{org}"]}) if n % 2 else ("POST", "roles/helpdesk/revoke", {"names": [f"ann@{org}"]}),
        "org": ("POST", "orgs", {"names": [f"o{n}.{org}", PROVIDER[org]] if PROVIDER[org] else [f"o{n}.{org}"]}),
    }[verb]


VERBS = ("user", "status", "rename", "password", "store", "program", "create", "group", "domain", "limit", "about", "desk", "org")
wrong, allowed = [], 0
before = everything()
for n in range(ROUNDS):
    who, verb, org = pick.choice(PEOPLE), pick.choice(VERBS), pick.choice(list(PROVIDER))
    # mostly where somebody has a say, else nearly all would be refused
    if pick.random() < 0.6 and "@" in who and who != TOP:
        org = who.partition("@")[2]
    user = pick.choice([f"{u}@{org}" for u in ("boss", "desk", "jo", "ann")] + [c for c in CHIEF if c.endswith("@" + org)] + ([f"admin@{D}"] if org == D else []))
    if verb == "org" and not PROVIDER[org]:
        good = who == TOP
    else:
        good = may(who, verb, org, user)
    method, path, body = request(verb, org, user, n)
    status, answer = ask(who, method, path, body)
    after = everything()
    words = f"round {n}: {who} {method} {path} {json.dumps(body)}: {status} {answer.get('code', '')} {answer.get('detail', '')}"
    if good and status not in (200, 201, 409) and not (verb == "desk" and status == 404 and answer.get("code") == "has-no-role"):
        wrong.append("is not let do: " + words)
    if not good and status not in (403, 404) and not (verb == "desk" and answer.get("code") == "has-role"):  # who may see it is told
        wrong.append("is let do: " + words)
    if not good and after != before:
        wrong.append("has changed something: " + words)
    allowed += good
    before = after
tm.ok(not wrong, f"{ROUNDS} requests, of which the model allows {allowed}, are answered as it says") or tm.diag("\n".join(wrong[:20]))
tm.ok(allowed > ROUNDS / 10 and allowed < ROUNDS * 9 / 10, "some are allowed, and some are not")
# nobody sees more organisations than he has a say in
for who in PEOPLE:
    seen = {r["org"] for r in ask(who, "GET", "orgs")[1].get("records", [])} & set(PROVIDER)
    tm.is_(sorted(seen), sorted(o for o in PROVIDER if rank(who, o)), f"what {who} sees")
tm.done()
