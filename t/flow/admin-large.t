#!/usr/bin/env python3
"""Lists of a large organisation, in order and by words with which all logins begin: what they cost slapd is little also where
an administrator's role is one among many rules, and they are the same for him."""
import base64, http.client, json, os, ssl, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm

tm.need("ldapsearch")
N = 20000
sb = tm.Sandbox("--users", str(N), "--user-pattern", "user%05d", "--admin", "--set", "admind.auth.delay=0", "--set", "admind.limit.per_user=50",
                *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd", "pop3d", "sieved", "mmpd", "memd", "jmapd") for w in ("--without", d)])
D = sb.domain
TLS = ssl.create_default_context(cafile=sb.env["CAFILE"])
TLS.check_hostname = False


def ask(who, args):
    c = http.client.HTTPSConnection(sb.host, int(sb.env["ADMIN_PORT"]), context=TLS, timeout=tm.LONG)
    c.request("GET", f"/api/v1/users?org={D}&limit=100&{args}", None, {"Authorization": "Basic " + base64.b64encode(f"{who}:{sb.password}".encode()).decode()})
    r = c.getresponse()
    said = json.loads(r.read())
    c.close()
    return [x["user"].partition("@")[0] for x in said.get("records", [])] if r.status == 200 else said


FIRST = [f"user{i:05d}" for i in range(1, 101)]
LAST = [f"user{i:05d}" for i in range(N, N - 100, -1)]
for who in ("orgadmin", "admin"):
    ask(who, "q=warm")
    for args, wanted in (("q=user&sort=user", FIRST), ("q=user&sort=-user", LAST), ("q=user000&sort=user", FIRST[:99]), ("q=user000", FIRST[:99]), ("q=user00042", ["user00042"])):
        got = []

        def cost():
            before = tm.cpu(sb.pid("slapd"))
            got[:] = ask(who, args)
            return tm.cpu(sb.pid("slapd")) - before

        seconds = tm.least(cost, 0.15)
        tm.is_(sorted(got) if "sort" not in args else got, wanted, f"{who}, {args}: who is to be found")
        tm.ok(seconds < 0.3 * tm.SLOW, f"and {N} entries cost slapd little") or tm.diag(f"{seconds:.2f} s of a processor")
tm.done()
