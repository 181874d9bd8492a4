#!/usr/bin/python3
"""What happens at the other doors while a browser looks: mail by SMTP, flags and folders by IMAP.

    elsewhere.py seed | send SUBJECT [USER] | flag SUBJECT | flags SUBJECT | where SUBJECT | folders | source SUBJECT NUMBER

send's USER is whom the mail is of, somebody of here; source is of user NUMBER's copy, and waits for it.
SANDBOX is the sandbox's directory; the user is the first.
"""
import email.utils
import imaplib
import os
import smtplib
import sys
import time
from email.message import EmailMessage

with open(os.environ["SANDBOX"] + "/env") as f:
    ENV = {k: v.strip("'") for k, v in (line.rstrip("\n").split("=", 1) for line in f if "=" in line)}
USER = ENV["USER_PATTERN"] % 1
ADDRESS = "%s@%s" % (USER, ENV["DOMAIN"])


def send(sender, subject, text, html=None, attach=None, mid=None, answers=None):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = sender, ADDRESS, subject
    m["Date"] = email.utils.localtime()
    m["Message-ID"] = mid or email.utils.make_msgid(domain="x.test")
    if answers:
        m["In-Reply-To"] = m["References"] = answers
    m.set_content(text)
    if html:
        m.add_alternative(html, subtype="html")
    if attach:
        m.add_attachment(b"hello file", maintype="application", subtype="pdf", filename=attach)
    with smtplib.SMTP(ENV["HOST"], int(ENV["SMTP_PORT"])) as s:
        s.send_message(m)


def imap(user=USER):
    c = imaplib.IMAP4(ENV["HOST"], int(ENV["IMAP_PORT"]))
    c.login(user, ENV["PASSWORD"])
    return c


def names(c):
    return [line.decode().rsplit(' "/" ', 1)[1].strip('"') for line in c.list()[1]]


def find(c, subject):
    """The folder and number of the mail of this subject."""
    for name in names(c):
        c.select('"%s"' % name)
        hit = c.search(None, "SUBJECT", '"%s"' % subject)[1][0].split()
        if hit:
            return name, hit[0]
    return None, None


def main():
    verb, rest = sys.argv[1], sys.argv[2:]
    if verb == "seed":
        send("Mara Okafor <mara@example.net>", "Room for the spring workshop", "The large hall is free.\nShall I book it?", mid="<a1@x.test>")
        send("Jonas Lind <jonas@example.net>", "Re: Room for the spring workshop", "I think so.\n\nOn Monday Mara wrote:\n> Shall I book it?\n", answers="<a1@x.test>")
        send("Library <lib@example.net>", "Books", "plain", html='<style>p { color: red }</style><h1>Books</h1><p style="font-size: 18px">Two are <b>ready</b></p>'
             '<img src="https://evil.test/x.png"><script>top.ran = 1</script>')
        send("Office <office@example.net>", "Dates", "See the file.", attach="dates.pdf")
        return
    if verb == "send":
        who = "%s@%s" % (rest[1], ENV["DOMAIN"]) if len(rest) > 1 else "press@example.net"
        send("Press <%s>" % who, rest[0], "Just now.", mid="<%s@x.test>" % rest[0].split()[0].lower())
        return
    if verb == "source":
        c = imap(ENV["USER_PATTERN"] % int(rest[1]))
        for _ in range(600):
            name, number = find(c, rest[0])
            if number:
                print(c.fetch(number, "(BODY.PEEK[])")[1][0][1].decode("utf-8", "replace").replace("\r", ""))
                return
            time.sleep(0.05)
        sys.exit("it has not come")
    c = imap()
    if verb == "folders":
        print("\n".join(names(c)))
        return
    name, number = find(c, rest[0])
    if verb == "where":
        print(name)
    elif verb == "flags":
        print(c.fetch(number, "(FLAGS)")[1][0].decode() if number else "")
    elif verb == "flag":
        c.store(number, "+FLAGS", "\\Flagged")


main()
