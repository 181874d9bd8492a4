#!/usr/bin/env python3
"""Who gets a message: the cases of t/expand/cases by mtatest, against a real slapd that has the entries
of t/expand/entries; and what the reject texts, steps and exit codes are."""
import json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "flow"))
import tm

tm.need("ldapadd")
without = [w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd") for w in ("--without", d)]
sb = tm.Sandbox("--users", "9", *without)
D, BASE = sb.domain, sb.env["LDAP_BASE"]


def lines(name):
    with open(os.path.join(HERE, name)) as f:
        return [l.strip() for l in f if l.strip() and not l.startswith("#")]


def value(text, domain):
    """What stands in the table as a value of LDIF."""
    text = text.replace("PEOPLE", f"ou=People,o={D},{BASE}")
    if text[:1] == "%":
        return f"uid={text[1:]},ou=People,o={D},{BASE}"
    if text[:1] == "&":
        return f"cn={text[1:]},ou=Groups,o={D},{BASE}"
    return re.sub(r"(?<=[@.])D\b", D, text)


def blanks(attr, text):
    return text if attr in ("memberURL", "uniqueMember") or "AUTH" in text or "PASS" in text or "NO_" in text \
        else text.replace("_", " ")


def entry(line):
    kind, name, *rest = line.split()
    name, _, domain = name.partition("@")
    domain = domain or D
    rest = [x.replace("HEAVY", "x" * 70000) for x in rest]
    given = [(a, blanks(a, v).replace("_OR_", " OR ")) for a, _, v in (x.partition("=") for x in rest)]
    over = {a for a, v in given}
    out = [(a, value(v, domain)) for a, v in given if v and a != "nobody"]
    if kind == "domain":
        text = [f"dn: o={name},{BASE}", *(f"objectClass: {c}" for c in
                ("organization", "sunManagedOrganization", "inetDomain", "mailDomain")),
                f"o: {name}", f"sunPreferredDomain: {name}", *(f"{a}: {v}" for a, v in out), ""]
        for ou in ("People", "Groups"):
            text += [f"dn: ou={ou},o={name},{BASE}", "objectClass: organizationalUnit", f"ou: {ou}", ""]
        return text + ([] if "nobody" in over else entry(f"user someone@{name}"))
    if kind == "user":
        usual = [("mailHost", "mail." + D), ("mailDeliveryOption", "mailbox"), ("mailUserStatus", "active")]
        out += [(a, v) for a, v in usual if a not in over]
        out.append(("mailAlternateAddress", f"{name}-alias@{domain}"))
        head = [f"dn: uid={name},ou=People,o={domain},{BASE}", f"uid: {name}", f"sn: {name}"]
        classes = ("inetOrgPerson", "inetUser", "inetMailUser", "inetLocalMailRecipient")
    else:
        head = [f"dn: cn={name},ou=Groups,o={domain},{BASE}"]
        classes = ("groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")
    mail = [] if "mail" in over else [f"mail: {name}@{domain}"]
    return [*head, f"cn: {name}", *(f"objectClass: {c}" for c in classes), *mail, *(f"{a}: {v}" for a, v in out), ""]


ALIASES = """root:   user0001
daemon: root, a@out.test
ring:   gnir
gnir:   ring
prog:   "|/bin/true"
progand: "|/bin/true", user0002
staff:  :include:INCLUDED, user0003
owner-staff: user0009
user0004: user0005
fred@D: user0006
fred:   user0007
toall:  nested, staff
abuse:  user0008
"""


def load():
    with open(sb.conf("included"), "w") as f:
        f.write("# of the staff\nuser0001\nuser0002, b@out.test\n")
    with open(sb.conf("aliases"), "w") as f:
        f.write(ALIASES.replace("INCLUDED", sb.conf("included")).replace("@D:", f"@{D}:"))
    text = "\n".join("\n".join(entry(l)) for l in lines("entries")) + "\n"
    r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
    if not tm.ok(r.returncode == 0, "the directory takes all entries"):
        tm.diag(r.stderr)


def mtatest(*args):
    return sb.tool("mtatest", *args)


def got(r):
    """An answer in the words of the cases."""
    if "error" in r:
        return {"!" + r["code"]}
    out = set()
    for x in r["recipients"]:
        if "error" in x:
            out.add(f"-{x['address']}:{x['code']}")
            continue
        way = f"{x['channel']}/{x['host']}"
        out.add(x["address"] + ("" if way == f"tcp_lmtp/mail.{D}" else ">" + way) +
                ("~" if "hold" in x else "") + ("=" + x["sender"] if "sender" in x else "") +
                ("*" + x["changed_by"] if "changed_by" in x else "") +
                ("/" + x["password_of"] if "password_of" in x else ""))
    return out | {f"{w}:{r[k]}" for k, w in (("errors_to", "errors"), ("moderator", "mod")) if k in r}


def want(word):
    word = re.sub(r"(?<=[@.])[Dd]\b", D, word)
    return re.sub(r"-%(\w+):", rf"-uid=\1,ou=People,o={D},{BASE}:", word).replace("not_an_address", "not an address")


def case(line):
    asked, _, rest = line.partition(" : ")
    outcome, _, source = rest.partition("   # ")
    address, *options = asked.split()
    address = re.sub(r"(?<=[@.])[Dd]\b", D, address).replace("@H", f"@mail.{D}")
    args = []
    for o in options:
        key, _, v = o.partition("=")
        args += ["--" + key, re.sub(r"(?<=[@.])D\b", D, v)]
    r = mtatest("-j", "expand", address, *args)
    try:
        answer = got(json.loads(r.stdout))
    except ValueError:
        answer = r.stdout + r.stderr
    tm.is_(answer, {want(w) for w in outcome.split()}, f"{asked}: {source}")
    return r.returncode == (1 if "!" in outcome else 0)


load()
cases = lines("cases")
codes = [case(l) for l in cases]
tm.ok(len(cases) >= 80 and all(codes), f"the exit codes of all {len(codes)} cases")
for name, text in (("text", "Ask the owner."), ("texttwo", "Not you."), ("dom", "you may not send to this list")):
    r = json.loads(mtatest("-j", "expand", f"{name}@{D}", "--from", "x@out.test").stdout)
    tm.is_((r["error"], r["code"]), (text, "5.7.2"), f"the words of a refusal: {name}")
r = mtatest("expand", f"two@{D}", f"nobody@{D}")
tm.is_(sorted(r.stdout.splitlines()), ["error: no such user here (5.1.1)", *(
    f"{u}@{D}: channel tcp_lmtp host mail.{D}" for u in ("user0001", "user0002"))], "two addresses, for people")
tm.is_((r.returncode, mtatest("expand").returncode, mtatest("expand", "a@b@c").returncode,
        mtatest("expand", f"two@{D}", "--size", "x").returncode), (1, 64, 64, 64), "exit codes")
tm.done()
