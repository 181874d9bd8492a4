"""roundtrip DIR: one message from user0001 to user0002 of the sandbox DIR, sent as a mail
client sends it (submission, STARTTLS, AUTH) and read back as a mail client reads it (IMAP over
TLS, IDLE until it is there); then how to connect with a client of one's own."""
import email
import imaplib
import os
import select
import shlex
import smtplib
import ssl
import sys
import time
from email.utils import make_msgid


def environment(d):
    with open(os.path.join(d, "env")) as f:
        return dict(shlex.split(line)[0].split("=", 1) for line in f if "=" in line)


def send(env, tls, msgid):
    domain = env["DOMAIN"]
    text = ("From: First User <user0001@{d}>\r\nTo: Second User <user0002@{d}>\r\n"
            "Subject: Hello from tiermail\r\nMessage-ID: {id}\r\n\r\n"
            "This message went SMTP -> smtp-relay -> queue -> jobctl -> channel-master\r\n"
            "-> LMTP -> lmtpd -> stored -> partition -> imapd -> you.\r\n"
            ).format(d=domain, id=msgid)
    with smtplib.SMTP(env["HOST"], int(env["SUBMISSION_PORT"]), timeout=30) as s:
        s.starttls(context=tls)
        s.login("user0001", env["PASSWORD"])
        s.sendmail("user0001@" + domain, ["user0002@" + domain], text)


def wait_exists(imap, seconds):
    """IDLE until the server says something (RFC 2177), then DONE."""
    tag = imap._new_tag().decode()
    imap.send((tag + " IDLE\r\n").encode())
    imap.readline()  # + idling
    if not imap.sock.pending():
        select.select([imap.sock], [], [], seconds)
    imap.send(b"DONE\r\n")
    while not imap.readline().startswith(tag.encode()):
        pass


def read(env, tls, msgid, seconds=30):
    imap = imaplib.IMAP4_SSL(env["HOST"], int(env["IMAPS_PORT"]), ssl_context=tls, timeout=30)
    imap.login("user0002", env["PASSWORD"])
    imap.select("INBOX")
    until = time.monotonic() + seconds
    while True:
        found = imap.search(None, "HEADER", "Message-ID", msgid)[1][0].split()
        if found:
            break
        left = until - time.monotonic()
        if left <= 0:
            sys.exit("demo: the message did not arrive in %d s; logs are in %s" %
                     (seconds, env["RUNDIR"]))
        wait_exists(imap, left)
    body = imap.fetch(found[-1], "(BODY[])")[1][0][1]
    number = int(found[-1])
    imap.logout()
    return number, body


def main():
    d = sys.argv[1]
    env = environment(d)
    tls = ssl.create_default_context(cafile=env["CAFILE"])
    msgid = make_msgid(domain=env["DOMAIN"])
    start = time.monotonic()
    send(env, tls, msgid)
    sent = time.monotonic()
    number, body = read(env, tls, msgid)
    print(body.decode(errors="replace").replace("\r\n", "\n").rstrip())
    print("\nSent in %.0f ms, read back %.0f ms later (two TLS handshakes and two logins "
          "in it).\n" % (1000 * (sent - start), 1000 * (time.monotonic() - sent)))
    assert email.message_from_bytes(body)["Message-ID"] == msgid
    print("""Point a mail client at it:
  user       user0001 ... user%04d   (addresses user0001@%s ...)
  password   %s
  IMAP       %s port %s (TLS), %s (STARTTLS)
  send by    %s port %s (TLS), %s (STARTTLS)
  webmail    %s   (your browser warns: it does not know the CA)
  console    %s   (for administrators: admin, orgadmin; for the others: their account)
  CA file    %s
  e.g.       curl -s --cacert %s -u 'user0002:%s' 'imaps://%s:%s/INBOX;MAILINDEX=%d'   (that message)
Logs are in %s; `make demo-stop` ends it.""" % (
        int(env["USERS"]), env["DOMAIN"], env["PASSWORD"], env["HOST"], env["IMAPS_PORT"],
        env["IMAP_PORT"], env["HOST"], env["SUBMISSIONS_PORT"], env["SUBMISSION_PORT"],
        env.get("WEBURL", "-"), env.get("ADMIN_URL", "-"), env["CAFILE"], env["CAFILE"], env["PASSWORD"], env["HOST"], env["IMAPS_PORT"], number,
        env["RUNDIR"]))


main()
