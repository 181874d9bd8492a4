#!/usr/bin/env python3
"""A right to read that the administrator has forgotten refuses nobody for good: each attribute that mail is
routed by is hidden from the services in turn, and mtatest says what RCPT would."""
import json, os, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

tm.need("ldapadd")
sb = tm.Sandbox("--users", "3", *[w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd")
                                  for w in ("--without", d)])
D, BASE = sb.domain, sb.env["LDAP_BASE"]
PATH = os.path.join(sb.dir, "ldap", "slapd.conf")
with open(PATH) as f:
    RULES = f.read()
FIRST = "access to attrs=entry,objectClass,"  # the first rule that speaks of people
text = "\n".join([f"dn: cn=list,ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
    "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), "cn: list",
    f"mail: list@{D}", f"uniqueMember: uid=user0001,ou=People,o={D},{BASE}", "", ""])
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                    "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
tm.ok(r.returncode == 0, "a list") or tm.diag(r.stderr)


def hide(attrs, right="search"):
    rule = f'access to attrs={attrs}\n\tby dn.children="ou=services,{BASE}" {right}\n\tby * none\n' if attrs else ""
    with open(PATH, "w") as f:
        f.write(RULES.replace(FIRST, rule + FIRST, 1))
    return sb.restart("slapd")


def code(address):
    r = sb.tool("mtatest", "-j", "expand", f"{address}@{D}")
    try:
        return json.loads(r.stdout).get("code", "taken")
    except ValueError:
        return r.stdout + r.stderr


tm.is_([code(a) for a in ("user0001", "list", "forward", "nobody")], ["taken", "taken", "taken", "5.1.1"], "with all rights")
for attrs, address, want in (
        ("objectClass", "user0001", "4.3.5"), ("objectClass", "list", "4.3.5"),
        ("uid", "user0001", "4.3.5"),
        ("mail,mailAlternateAddress,mailEquivalentAddress", "user0001", "4.3.5"),
        ("mail,mailAlternateAddress,mailEquivalentAddress", "list", "4.3.5"),
        ("uniqueMember", "list", "4.2.4"), ("mailForwardingAddress", "forward", "4.3.5"),
        ("sunPreferredDomain", "user0001", "4.3.5"), ("entry", "user0001", "4.3.5"),
        ("mailHost", "user0001", "taken"), ("mailDeliveryOption", "user0001", "taken")):
    hide(attrs)
    tm.is_(code(address), want, f"{attrs} may be searched for and not read: {address}")
for attrs, address in (("entry", "user0001"), ("mail,mailAlternateAddress,mailEquivalentAddress", "user0001"),
                       ("sunPreferredDomain,associatedDomain", "user0001"), ("objectClass", "list")):
    hide(attrs, "none")
    tm.ok(code(address)[:2] in ("4.", "ta"), f"{attrs} may not even be searched for: {address}") or tm.diag(code(address))

# ---- one member of a list
def hide_one(right, attrs=""):
    rule = f'access to dn.base="uid=user0001,ou=People,o={D},{BASE}"{attrs}\n\tby dn.children="ou=services,{BASE}" {right}\n\tby * none\n'
    with open(PATH, "w") as f:
        f.write(RULES.replace(FIRST, rule + FIRST, 1))
    return sb.restart("slapd")


def add(*lines):
    r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                        "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input="\n".join([*lines, ""]), capture_output=True, text=True)
    tm.ok(r.returncode == 0, lines[0]) or tm.diag(r.stderr)


hide("")
for name, members in (("both", ("user0001", "user0002")), ("stale", ("nobody", "user0002"))):
    add(f"dn: cn={name},ou=Groups,o={D},{BASE}", *(f"objectClass: {c}" for c in (
        "groupOfURLs", "inetMailGroup", "inetMailGroupManagement", "inetLocalMailRecipient")), f"cn: {name}", f"mail: {name}@{D}",
        *(f"uniqueMember: uid={m},ou=People,o={D},{BASE}" for m in members))
tm.is_([code(a) for a in ("both", "stale")], ["taken", "taken"], "a member that is not there stops nobody")
for right, attrs, what in (("none", "", "all of it"), ("disclose", "", "all but that it is there"), ("search", "", "all but what is searched for"),
                           ("none", " attrs=mail", "its address"), ("search", " attrs=entry", "the entry"),
                           ("none", " attrs=mail,objectClass", "what it is, too")):
    hide_one(right, attrs)
    tm.is_([code(a) for a in ("both", "stale")], ["4.3.5", "taken"], f"a member that is hidden is not left out: {what}")
hide("")
tm.is_([code(a) for a in ("user0001", "both")], ["taken", "taken"], "and all is well again")
tm.done()
