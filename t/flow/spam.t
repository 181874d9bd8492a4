#!/usr/bin/env python3
"""Mail that a filter has found to be spam goes into the folder for it: of users and domains who want that, by what our
filter says and nobody else, beside scripts and their tests, once, however often it comes."""
import base64, imaplib, os, smtplib, subprocess, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm
from milterd import *

tm.need("ldapadd")
sb = tm.Sandbox("--users", "5", *(w for d in ("pop3d", "mmpd", "memd", "jmapd", "sieved") for w in ("--without", d)))
e = sb.env
m = Milter(f"unix:{sb.dir}/one.sock")
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[milter one]\naddress = {m.address}\n")
sb.restart("smtp-relay")
lmtpd = open(sb.conf("lmtpd.conf")).read()


def settings(text):
    with open(sb.conf("lmtpd.conf"), "w") as f:
        f.write(lmtpd + "\n" + text)
    sb.restart("lmtpd")


def entry(n, **attrs):
    """Of user n, or of the domain (0)."""
    dn = f"uid={sb.user(n)},ou=People,o={sb.domain},{e['LDAP_BASE']}" if n else f"o={sb.domain},{e['LDAP_BASE']}"
    change = "-\n".join(f"replace: {a}\n" + (f"{a}:: {base64.b64encode(v.encode()).decode()}\n" if v else "") for a, v in attrs.items())
    r = subprocess.run(["ldapmodify", "-x", "-H", e["LDAP_URL"], "-D", e["LDAP_ADMIN_DN"], "-w", e["LDAP_ADMIN_PASSWORD"]], text=True,
                       capture_output=True, input=f"dn: {dn}\nchangetype: modify\n{change}")
    assert r.returncode == 0, r.stderr
    sb.restart("lmtpd")      # (nothing is remembered)


def verdict(**fields):
    """What the filter says from now on."""
    m.reset()
    m.answer = {"E": lambda c: b"".join(header("h", k.replace("_", "-"), v) for k, v in fields.items()) + frame("c")}


seen = 0


def send(to, extra="", body="x\r\n", port="SMTP", sender="a@else.test"):
    """Sends it, and says in which folder of which user it is: "Junk", "INBOX" of each."""
    global seen
    seen += 1
    with sb.smtp(port) as s:
        s.ehlo()
        s.mail(sender)
        for t in to:
            assert s.rcpt(t if isinstance(t, str) else f"{sb.user(t)}@{sb.domain}")[0] == 250
        assert s.data(f"{extra}Subject: n{seen}.\r\n\r\n{body}")[0] == 250
    return tuple(where(int(t[len("user"):].split("+")[0].split("@")[0]) if isinstance(t, str) else t) for t in to)


def where(n):
    def look():
        with imaplib.IMAP4(sb.host, sb.port("IMAP")) as c:
            c.login(sb.user(n), sb.password)
            found = []
            for line in c.list()[1]:
                name = line.decode().rsplit('"/" ', 1)[1].strip('"')
                c.select(f'"{name}"', readonly=True)
                found += [name] * len(c.search(None, "SUBJECT", f"n{seen}.")[1][0].split())
            return " ".join(sorted(found))
    return tm.wait_for(look)


# ---- off
verdict(X_Spam="Yes")
tm.is_(send([1]), ("INBOX",), "without spam.folder mail goes where it always goes")

settings("[spam]\nfolder = Junk\n")
tm.is_(send([1]), ("Junk",), "with it spam has a folder")
with imaplib.IMAP4(sb.host, sb.port("IMAP")) as c:
    c.login(sb.user(1), sb.password)
    tm.ok(any(b"\\Junk" in l and b"Junk" in l for l in c.list()[1]), "with the use \\Junk")
    c.rename("Junk", "Werbung")
tm.is_(send([1]), ("Werbung",), "which counts, whatever it is called")
tm.is_(send([1, 2]), ("Werbung", "Junk"), "of each recipient")
tm.is_(send([f"{sb.user(2)}+Junk@{sb.domain}"]), ("Junk",), "user+folder is that folder")
verdict(X_Spam="yes, surely")
tm.is_(send([1]), ("Werbung",), "by what the value begins with")
for value in ("No", "", "Ye", "No, not Yes"):
    verdict(X_Spam=value)
    tm.is_(send([1]), ("INBOX",), f"not by {value!r}")
verdict(X_Spam_Flag="Yes")
tm.is_(send([1], extra="X-Spam: Yes\r\n"), ("INBOX",), "nor by what a stranger says of another's mail")
verdict(X_Spam="Yes")
tm.is_(send([1], extra="X-Spam: No\r\n"), ("Werbung",), "or of his own")
tm.is_(send([1], body="y" * 70 + "\r\n" + ("z" * 70 + "\r\n") * 15000), ("Werbung",), "a large one, too")
tm.is_(send([1], extra="".join(f"X-Long-{i}: {'l' * 900}\r\n" for i in range(700)), body=("z" * 70 + "\r\n") * 2000), ("Werbung",),
       "and one whose header hides the verdict behind 600 KB")
settings("[message]\nkeep = 0\n[spam]\nfolder = Junk\n")
tm.is_(send([1]), ("Werbung",), "and one that was never in memory")
verdict(X_Spam="No")
tm.is_(send([1]), ("INBOX",), "which is looked at, not taken for granted")
settings("[spam]\nfolder = Junk\n")

# ---- once
with smtplib.LMTP(f"{e['RUNDIR']}/lmtpd.sock") as c:
    for again in range(2):
        seen += not again
        c.ehlo()
        c.docmd("MAIL", "FROM:<a@else.test> XQID=abc")
        c.rcpt(f"{sb.user(1)}@{sb.domain}")
        tm.is_(c.data(f"X-Spam: Yes\r\nSubject: n{seen}.\r\n\r\nx\r\n")[0], 250, "the same message" + " again" * again)
tm.is_(where(1), "Werbung", "is there once")

# ---- who wants it
verdict(X_Spam="Yes")
entry(3, mailAntiUBEService="none")
tm.is_(send([3, 4]), ("INBOX", "Junk"), "a user who has opted out")
entry(0, mailAntiUBEService="none")
entry(4, mailAntiUBEService="rspamd")
tm.is_(send([2, 3, 4]), ("INBOX", "INBOX", "Junk"), "a domain that has, and a user in it who has not")
entry(0, mailAntiUBEService="rspamd")
tm.is_(send([2, 3]), ("Junk", "INBOX"), "or the other way round")
entry(0, mailAntiUBEService="")
settings("[spam]\nfolder = Junk\noptin = yes\n")
tm.is_(send([2, 3, 4]), ("INBOX", "INBOX", "Junk"), "with optin who says nothing is out")
settings("[spam]\nfolder = Junk\nfield = X-Virus-Status\nvalue = Infected\n")
verdict(X_Virus_Status="infected by Eicar")
tm.is_(send([2]), ("Junk",), "another field, another value")

# ---- scripts
settings("[spam]\nfolder = Junk\n\n[spamtest]\nstatus_header = \"X-Spamd-Result: \\\\[(-?[0-9.]+) /\"\n"
         "max_header = \"X-Spamd-Result: / ([0-9.]+)\\\\]\"\n[virustest]\nstatus_header = X-Virus-Status\nstatus_type = text\ntext_values = 1=Clean 5=Infected\n")
entry(2, mailSieveRuleSource='require ["fileinto", "spamtestplus", "virustest", "relational", "comparator-i;ascii-numeric", "mailbox"];\n'
      'if header :contains "X-Case" "keep" { keep; }\n'
      'elsif header :contains "X-Case" "into" { fileinto :create "Own"; }\n'
      'elsif virustest :value "ge" :comparator "i;ascii-numeric" "4" { fileinto :create "Virus"; }\n'
      'elsif allof(spamtest :percent :value "ge" :comparator "i;ascii-numeric" "80", spamtest :percent :value "lt" :comparator "i;ascii-numeric" "90")\n'
      ' { fileinto :create "Eighty"; }\n'
      'elsif spamtest :percent :count "eq" :comparator "i;ascii-numeric" "0" { fileinto :create "Untested"; }\n')
verdict(X_Spam="Yes", X_Spamd_Result="default: True [15.00 / 15.00];\n\tBAYES_SPAM(5.1)[]")
tm.is_(send([2]), ("Junk",), "a script that says nothing of it")
tm.is_(send([2], extra="X-Case: keep\r\n"), ("INBOX",), "one that keeps it")
tm.is_(send([2], extra="X-Case: into\r\n"), ("Own",), "one that has another folder")
verdict(X_Spam="Yes", X_Spamd_Result="default: False [12.30 / 15.00];\n\tBAYES_SPAM(5.1)[]")
tm.is_(send([2]), ("Eighty",), "what the filter says reaches spamtest")
verdict(X_Spamd_Result="default: False [-1.30 / 15.00];")
tm.is_(send([2]), ("INBOX",), "less than nothing is tested, too")
verdict()
tm.is_(send([2], extra="X-Spamd-Result: default: True [12.30 / 15.00];\r\n"), ("Untested",), "and what a stranger says does not")
verdict(X_Virus_Status="Infected", X_Spamd_Result="default: False [1 / 15];")
tm.is_(send([2]), ("Virus",), "virustest")
entry(2, mailSieveRuleSource="if true { gibberish\n")
verdict(X_Spam="Yes")
tm.is_(send([2]), ("Junk",), "a script with errors is as good as none")

metrics = sb.tool("tmctl", "-d", "lmtpd", "metrics").stdout
tm.ok(any(l.startswith("tiermail_lmtpd_spam_total") and float(l.split()[-1]) >= 1 for l in metrics.splitlines()), "it is counted") or tm.diag(metrics)
for wrong in ("[spam]\nfolder = a/../b\x01\n", "[spam]\nfolder = Junk\nfield =\n", "[spamtest]\nstatus_header = X: (\n", "[spamtest]\nstatus_header = X\nmax_value = none\n",
              "[virustest]\nstatus_header = X\nstatus_type = text\ntext_values = 6=x\n"):
    with open(sb.conf("lmtpd.conf"), "w") as f:
        f.write(lmtpd + "\n" + wrong)
    r = subprocess.run([sb.bin("lmtpd"), "-n", "-c", sb.conf("lmtpd.conf")], capture_output=True, text=True)
    tm.ok(r.returncode == 78 and r.stderr, f"refused: {wrong.splitlines()[1]}") or tm.diag(f"{r.returncode} {r.stderr}")
tm.done()
