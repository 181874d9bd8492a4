#!/usr/bin/env python3
"""Every status of user and domain, asked by every door: LOGIN (imapd, PASS of pop3d), SUBMIT (AUTH of
smtp-relay), DELIVER (RCPT of smtp-relay, RCPT of lmtpd).  One table, read aloud."""
import imaplib, os, re, smtplib, subprocess, sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm
from pop3raw import Pop

# word of the directory: LOGIN, PASS, AUTH, RCPT of the relay, RCPT of lmtpd
WAITS, NO = "450 4.2.1", "CONTACTADMIN"
TABLE = {
    "active":     ("OK", "+OK", "235 2.7.0", "250 2.1.5", "250 2.1.5"),
    "overquota":  ("OK", "+OK", "235 2.7.0", "452 4.2.2", "452 4.2.2"),
    "inactive":   (NO, "-ERR [AUTH]", "525 5.7.13", WAITS, WAITS),
    "hold":       (NO, "-ERR [AUTH]", "525 5.7.13", "250 2.1.5", WAITS),
    "disabled":   (NO, "-ERR [AUTH]", "525 5.7.13", "550 5.2.1", "550 5.2.1"),
    "deleted":    (NO, "-ERR [AUTH]", "525 5.7.13", "550 5.1.1", "550 5.1.1"),
    "removed":    (NO, "-ERR [AUTH]", "525 5.7.13", "550 5.1.1", "550 5.1.1"),
    "unheard-of": (NO, "-ERR [AUTH]", "525 5.7.13", WAITS, WAITS),
}
PLACES = ("inetUserStatus", "mailUserStatus", "inetDomainStatus", "mailDomainStatus")

sb = tm.Sandbox("--users", "1", "--set", "smtp-relay.auth.delay=0s",
                "--set", "imapd.auth.delay=0s", "--set", "pop3d.auth.delay=0s")
base, host = sb.env["LDAP_BASE"], sb.env["MAILHOST"]


def user(uid, domain, place="", word=""):
    status = {"inetUserStatus": "active", "mailUserStatus": "active"}
    status[place] = word
    lines = "".join(f"{k}: {v}\n" for k, v in status.items() if k.endswith("UserStatus"))
    return (f"dn: uid={uid},o={domain},{base}\nobjectClass: inetOrgPerson\nobjectClass: inetUser\n"
            f"objectClass: inetMailUser\nobjectClass: inetLocalMailRecipient\ncn: x\nsn: x\n"
            f"uid: {uid}\nmail: {uid}@{domain}\nmailHost: {host}\n{lines}"
            f"userPassword: {sb.password}\n\n")


def domain(name, place="", word=""):
    status = {"inetDomainStatus": "active", "mailDomainStatus": "active"}
    status[place] = word
    lines = "".join(f"{k}: {v}\n" for k, v in status.items() if k.endswith("DomainStatus"))
    return (f"dn: o={name},{base}\nobjectClass: organization\nobjectClass: sunManagedOrganization\n"
            f"objectClass: inetDomain\nobjectClass: mailDomain\no: {name}\n"
            f"sunPreferredDomain: {name}\n{lines}\n")


where, ldif = {}, ""
for place in PLACES:
    for word in TABLE:
        tag = f"{place}-{word}".lower()
        if "User" in place:
            where[place, word] = f"{tag}@{sb.domain}"
            ldif += user(tag, sb.domain, place, word)
        else:
            where[place, word] = f"u@{tag}.test"
            ldif += domain(f"{tag}.test", place, word) + user("u", f"{tag}.test")
r = subprocess.run(["ldapadd", "-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"],
                    "-w", sb.env["LDAP_ADMIN_PASSWORD"]], input=ldif, text=True,
                   capture_output=True)
tm.is_(r.returncode, 0, "the entries are there " + r.stderr)


def login(name, password):
    c = imaplib.IMAP4(sb.host, sb.port("IMAP"), timeout=tm.LONG)
    try:
        typ, data = c.login(name, password)
        return typ
    except imaplib.IMAP4.error as e:
        return str(e).split("[", 1)[1].split("]")[0]
    finally:
        c.shutdown()


def pop3(name, password):
    p = Pop(sb, login=name, password=password)
    p.close()
    return re.match(r"\+OK|-ERR( \[[^]]*\])?", p.answer)[0]


def reply(code, text):
    return f"{code} {text.decode().split()[0]}"


def auth(name, password):
    s = sb.smtp("SUBMISSION")
    s.ehlo()
    try:
        return reply(*s.login(name, password))
    except smtplib.SMTPAuthenticationError as e:
        return reply(e.smtp_code, e.smtp_error)
    finally:
        s.close()


def rcpt(port, name):
    s = smtplib.LMTP(sb.env["RUNDIR"] + "/lmtpd.sock") if port == "LMTP" else sb.smtp(port)
    s.ehlo()
    s.mail("a@b.test")
    answer = reply(*s.rcpt(name))
    s.close()
    return answer


for place in PLACES:
    for word, want in TABLE.items():
        name = where[place, word]
        got = (login(name, sb.password), pop3(name, sb.password), auth(name, sb.password), rcpt("SMTP", name),
               rcpt("LMTP", name))
        tm.is_(got, want, f"{place} {word}")
        # A wrong password tells nothing of it.
        got = (login(name, "wrong"), pop3(name, "wrong"), auth(name, "wrong"))
        tm.is_(got, ("AUTHENTICATIONFAILED", "-ERR [AUTH]", "535 5.7.8"), f"{place} {word}: a wrong password")
nobody = "nobody@" + sb.domain
tm.is_((login(nobody, "x"), pop3(nobody, "x"), auth(nobody, "x"), rcpt("SMTP", nobody), rcpt("LMTP", nobody)),
       ("AUTHENTICATIONFAILED", "-ERR [AUTH]", "535 5.7.8", "550 5.1.1", "550 5.1.1"), "nobody")
tm.done()
