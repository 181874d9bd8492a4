#!/usr/bin/env python3
"""Domains of Schema 1, in a DC tree of their own: canonical names, aliases, a tree of users elsewhere, and
what is missing; asked by mtatest."""
import json, os, subprocess, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
import tm

tm.need("ldapadd")
without = [w for d in ("stored", "lmtpd", "jobctl", "smtp-relay", "imapd") for w in ("--without", d)]
sb = tm.Sandbox("--users", "1", *without)
BASE = sb.env["LDAP_BASE"]
NET, ISP = f"o=internet,{BASE}", f"o=isp,{BASE}"


def node(name, *lines, classes=("domain", "inetDomain", "mailDomain")):
    dn = ",".join("dc=" + l for l in name.split(".")) + "," + NET
    return "\n".join([f"dn: {dn}", *(f"objectClass: {c}" for c in classes), f"dc: {name.split('.')[0]}", *lines, "", ""])


def person(uid, org, *addresses):
    return "\n".join([f"dn: uid={uid},o={org},{ISP}", *(f"objectClass: {c}" for c in (
        "inetOrgPerson", "inetMailUser", "inetUser", "inetLocalMailRecipient")), f"uid: {uid}", f"cn: {uid}",
        f"sn: {uid}", f"mail: {addresses[0]}", *(f"mailAlternateAddress: {a}" for a in addresses[1:]), "", ""])


def org(name, under=ISP):
    return f"dn: o={name},{under}\nobjectClass: organization\no: {name}\n\n"


text = org("internet", BASE) + org("isp", BASE) + org("One") + org("Two, Ltd".replace(", ", "\\, "))
text = text.replace("o: Two\\, Ltd", "o: Two, Ltd")
text += node("test", classes=("domain",))
text += node("one.test", f"inetDomainBaseDN: o=One,{ISP}")
text += node("also.test", f"inetDomainBaseDN: o=One,{ISP}", "inetCanonicalDomainName: one.test")
text += node("alias.test", f"aliasedObjectName: dc=one,dc=test,{NET}", classes=("alias", "dcObject"))
text += node("late.test", f"inetDomainBaseDN: o=One,{ISP}", "mailDomainStatus: inactive")
text += node("lost.test", f"inetDomainBaseDN: o=nowhere,{ISP}")
text += node("two.one.test", f"inetDomainBaseDN: o=Two\\, Ltd,{ISP}")
text += person("jane", "One", "jane@one.test", "boss@also.test", "late@late.test")
text += person("joe", "Two\\, Ltd", "joe@two.one.test")
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                    "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=text, capture_output=True, text=True)
tm.ok(r.returncode == 0, "the directory takes both trees") or tm.diag(r.stderr)
with open(sb.conf("tiermail.conf")) as f:
    settings = f.read()
with open(sb.conf("tiermail.conf"), "w") as f:
    f.write(settings.replace(f"base = {BASE}", f"base = {NET}\nschema = 1"))


def who(address):
    r = sb.tool("mtatest", "-j", "expand", address)
    try:
        answer = json.loads(r.stdout)
    except ValueError:
        return r.stdout + r.stderr
    return answer.get("code") or " ".join(x["address"] + " " + x["channel"] for x in answer["recipients"])


for address, want, what in (
        ("jane@one.test", "jane@one.test tcp_lmtp", "a user"),
        ("JANE@One.Test", "JANE@one.test tcp_lmtp", "in any case"),
        ("nobody@one.test", "5.1.1", "nobody"),
        ("jane@also.test", "jane@also.test tcp_lmtp", "by a name whose canonical one is another"),
        ("boss@also.test", "boss@also.test tcp_lmtp", "by an address in that name"),
        ("jane@alias.test", "jane@alias.test tcp_lmtp", "by an alias entry"),
        ("late@late.test", "4.2.1", "each entry has its own status"),
        ("joe@two.one.test", "joe@two.one.test tcp_lmtp", "a domain below another, with a comma in its tree"),
        ("jane@two.one.test", "5.1.1", "which has users of its own"),
        ("jane@lost.test", "4.3.5", "a tree that is not there refuses nobody"),
        ("jane@test", "jane@test tcp_local", "an entry that is no domain of ours"),
        ("jane@else.test", "jane@else.test tcp_local", "a domain that is elsewhere"),
        ("postmaster@one.test", "postmaster@one.test tcp_lmtp", "a postmaster, held")):
    tm.is_(who(address), want, f"{address}: {what}")
tm.done()
