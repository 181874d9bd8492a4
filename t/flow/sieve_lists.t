#!/usr/bin/env python3
"""External lists of scripts (RFC 6134): mailing lists of the directory, by address, by entry and by URL."""
import base64, os, smtplib, subprocess, sys
import tm, wire
from jmapraw import Jmap
from sieveraw import Sieve

sb = tm.Sandbox("--users", "5", "--set", "tiermail.ldap.cache_age=0s", "--without", "pop3d", "--without", "mmpd")
ok, is_, D, BASE = tm.ok, tm.is_, sb.domain, sb.env["LDAP_BASE"]
DN = lambda n: f"uid={sb.user(n)},ou=People,o={D},{BASE}"


def ldap(tool, text):
    r = subprocess.run([tool, "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]],
                       input=text, text=True, capture_output=True)
    return r.returncode == 0 or tm.diag(r.stderr)


ok(ldap("ldapadd", f"""dn: cn=staff,ou=Groups,o={D},{BASE}
objectClass: groupOfURLs
objectClass: inetMailGroup
objectClass: inetMailGroupManagement
objectClass: inetLocalMailRecipient
cn: staff
mail: staff@{D}
inetMailGroupStatus: active
mgrpRFC822MailMember: Friend@elsewhere.test
uniqueMember: {DN(2)}
memberURL: ldap:///ou=People,o={D},{BASE}??sub?(&(mailUserStatus=active)(mail={sb.user(3)}@*))
memberURL: ldap:///ou=Groups,o={D},{BASE}??sub?(uid=*)
"""), "a list with an address, an entry and a URL")
s = Sieve(sb, login=1)
ok('"EXTLISTS" "mailto urn"' in s.told, "the kind of lists is announced")
is_(s.put("x", f'''require ["extlists", "envelope", "fileinto", "mailbox", "copy"];\r
if valid_ext_list "mailto:nosuch@{D}" {{ fileinto :create "Wrong"; }}\r
if valid_ext_list ":addrbook:nobody's" {{ fileinto :create "Wrong"; }}\r
if not valid_ext_list "MAILTO:staff@{D}" {{ fileinto :create "Wrong"; }}\r
if envelope :list "from" ["mailto:nosuch@{D}", "tag:x,2026:y", "mailto:staff@{D}"] {{ fileinto :create "Staff"; }}\r
if address :list "from" "mailto:{sb.user(4)}@{D}" {{ fileinto :create "Wrong"; }}\r
if header :is "subject" "all" {{ redirect :copy :list "mailto:staff@{D}"; }}\r
'''), 'OK "Stored"', "a script that asks about them")
is_(s.last('SETACTIVE "x"'), 'OK "Done"', "active")


def deliver(sender, subject="x"):
    with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
        c.sendmail(sender, f"{sb.user(1)}@{D}", f"From: {sender}\r\nSubject: {subject}\r\n\r\nx\r\n")


def count(n, folder):
    m = sb.imap(n)
    typ, data = m.select(folder, readonly=True)
    m.logout()
    return int(data[0]) if typ == "OK" else 0


members = ["friend@ELSEWHERE.test", f"{sb.user(2)}@{D}", f"alias0002@{D}", f"{sb.user(3)}@{D}"]
for n, who in enumerate(members, 1):
    deliver(who)
    is_((count(1, "Staff"), count(1, "INBOX")), (n, 0), f"{who} is in it")
for n, who in enumerate([f"{sb.user(4)}@{D}", "friend@other.test", f"nobody@{D}", "a@sender.test"], 1):
    deliver(who)
    is_((count(1, "Staff"), count(1, "INBOX")), (len(members), n), f"{who} is not")
is_(count(1, "Wrong"), 0, "lists that there are not are none")
ok(ldap("ldapmodify", f"dn: o={D},{BASE}\nchangetype: modify\nadd: mailDomainCatchallAddress\nmailDomainCatchallAddress: {sb.user(2)}@{D}\n"), "a member gets what nobody else does")
deliver(f"nobody@{D}")
is_(count(1, "Staff"), len(members), "which makes nobody a member")
deliver("a@sender.test", "all")
ok(tm.wait_for(lambda: count(2, "INBOX") == 1 and count(3, "INBOX") == 1), "redirect :list goes to who is in it")

# ---- address books (RFC 6134 2.5) ----------------------------------------------------------------------------------
CONTACTS = "urn:ietf:params:jmap:contacts"
j = Jmap(sb, 1)
j.using = j.using + [CONTACTS]
book = j.one("AddressBook/set", create={"b": {"name": "Friends"}})["created"]["b"]["id"]
other = j.one("AddressBook/set", create={"b": {"name": "Others"}})["created"]["b"]["id"]


def contact(name, where, *emails):
    got = j.one("ContactCard/set", create={"c": {"@type": "Card", "version": "1.0", "addressBookIds": {where: True}, "name": {"full": name},
                                                  "emails": {f"e{n}": {"address": a} for n, a in enumerate(emails)}}})
    return got["created"]["c"]["id"] if got["created"] else tm.diag(got)


contact("Fay", book, "fay@home.test", "fay@work.test")
contact("Otto", other, "otto@home.test")
is_(s.put("x", '''require ["extlists", "fileinto", "mailbox"];\r
if not valid_ext_list [":addrbook:default", "urn:ietf:params:sieve:addrbook:Friends"] { fileinto :create "Wrong"; }\r
if valid_ext_list "urn:ietf:params:sieve:addrbook:Enemies" { fileinto :create "Wrong"; }\r
if address :list "from" ":addrbook:Friends" { fileinto :create "Friends"; }\r
elsif address :list "from" "urn:ietf:params:sieve:addrbook:default" { fileinto :create "Known"; }\r
'''), 'OK "Stored"', "a script that asks about address books")
for who, folder in (("FAY@home.test", "Friends"), ("fay@work.test", "Friends"), ("otto@home.test", "Known"), ("eve@home.test", "INBOX")):
    before = count(1, folder)
    deliver(who)
    is_(count(1, folder), before + 1, f"{who}: {folder}")
is_(count(1, "Wrong"), 0, "books that there are not are none")
is_(s.put("x", 'require ["extlists", "fileinto", "mailbox"]; if address :list "from" ":addrbook:default" { fileinto :create "Mine"; }'), 'OK "Stored"', "for another")
t = Sieve(sb, login=2)
t.put("x", 'require ["extlists", "fileinto", "mailbox"]; if address :list "from" ":addrbook:default" { fileinto :create "Mine"; }')
t.last('SETACTIVE "x"')
for n in (1, 2):
    with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
        c.sendmail("fay@home.test", f"{sb.user(n)}@{D}", "From: fay@home.test\r\nSubject: x\r\n\r\nx\r\n")
is_((count(1, "Mine"), count(2, "Mine")), (1, 0), "nobody has another's contacts")
ok(ldap("ldapmodify", f"dn: {DN(1).replace(',' + BASE, ',o=pab')}\nchangetype: modify\nreplace: tiermailPabOf\ntiermailPabOf: another-life\n"), "the book is of one who had the name before")
deliver("fay@home.test")
is_(count(1, "Mine"), 1, "then it has nobody in it, and mail comes")
ok(ldap("ldapmodify", f"dn: {DN(1).replace(',' + BASE, ',o=pab')}\nchangetype: modify\ndelete: tiermailPabOf\n"), "it is nobody's")
deliver("fay@home.test")
is_(count(1, "Mine"), 2, "it has the contact again")
is_(s.put("x", 'require ["vnd.dovecot.environment", "variables", "fileinto", "mailbox"]; fileinto :create "${env.vnd.dovecot.username}_${env.vnd.dovecot.default_mailbox}";'), 'OK "Stored"',
    "a script that was Pigeonhole's")
deliver("x@y.test")
is_(count(1, f"{sb.user(1)}@{D}_INBOX"), 1, "knows whose it is")
is_(s.put("x", 'require ["extlists", "fileinto", "mailbox"]; if address :list "from" ":addrbook:default" { fileinto :create "Mine"; }'), 'OK "Stored"', "and one for the end")
sb.kill("slapd")
try:
    deliver("fay@home.test")
    said = 250
except smtplib.SMTPException as e:
    said = list(e.recipients.values())[0][0] if isinstance(e, smtplib.SMTPRecipientsRefused) else e.smtp_code
ok(str(said).startswith("4"), f"without the directory mail comes again ({said})")
tm.done()
