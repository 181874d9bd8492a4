#!/usr/bin/env python3
"""Real clients talk to the suite: swaks and curl (SMTP, AUTH, STARTTLS, implicit TLS, IMAP),
Python's smtplib and imaplib, and the suite's own sendmail."""
import imaplib, os, smtplib, ssl, subprocess, tempfile
import tm

tm.need("swaks", "curl")
sb = tm.Sandbox("--users", "5", "--set", "imapd.auth.delay=50ms", "--set", "smtp-relay.auth.delay=50ms")
me, you = f"{sb.user(1)}@{sb.domain}", f"{sb.user(2)}@{sb.domain}"
ca = sb.env["CAFILE"]
name = sb.env.get("HOSTNAME", "localhost")


def swaks(*args):
    r = subprocess.run(["swaks", "--server", sb.host, "--ehlo", "client.test", *args], capture_output=True, text=True)
    return r.returncode, r.stdout + r.stderr


def curl(*args):
    r = subprocess.run(["curl", "-sS", "--max-time", f"{tm.LONG:.0f}", "--cacert", ca, *args], capture_output=True)
    return r.returncode, r.stdout + r.stderr


rc, out = swaks("--port", sb.env["SMTP_PORT"], "--from", "a@sender.test", "--to", me, "--header", "Subject: one")
tm.ok(rc == 0, "swaks: mail from outside for a local user") or tm.diag(out)
rc, out = swaks("--port", sb.env["SMTP_PORT"], "--from", "a@sender.test", "--to", "x@elsewhere.test")
tm.ok(rc == 24 and "550 5.7.1" in out, "swaks: no relaying for strangers") or tm.diag(out)
rc, out = swaks("--port", sb.env["SMTP_PORT"], "--from", "a@sender.test", "--to", f"nobody@{sb.domain}")
tm.ok(rc == 24 and "550 5.1.1" in out, "swaks: an unknown user is refused at RCPT") or tm.diag(out)
rc, out = swaks("--port", sb.env["SMTP_PORT"], "--tls", "--tls-ca-path", ca, "--from", "a@sender.test", "--to", me, "--pipeline")
tm.ok(rc == 0, "swaks: STARTTLS and pipelining on port 25") or tm.diag(out)
sub = ["--port", sb.env["SUBMISSION_PORT"], "--from", me, "--to", you]
rc, out = swaks(*sub)
tm.ok(rc != 0 and "530" in out, "swaks: submission needs authentication") or tm.diag(out)
for mech in ("PLAIN", "LOGIN"):
    rc, out = swaks(*sub, "--tls", "--auth", mech, "--auth-user", me, "--auth-password", sb.password,
                    "--header", f"Subject: submitted {mech}")
    tm.ok(rc == 0, f"swaks: submission with STARTTLS and AUTH {mech}") or tm.diag(out)
rc, out = swaks("--port", sb.env["SUBMISSIONS_PORT"], "--tls-on-connect", "--auth", "PLAIN", "--auth-user", sb.user(1),
                "--auth-password", sb.password, "--from", me, "--to", you, "--header", "Subject: submissions")
tm.ok(rc == 0, "swaks: implicit TLS on the submissions port") or tm.diag(out)
rc, out = swaks(*sub, "--tls", "--auth", "PLAIN", "--auth-user", me, "--auth-password", "wrong")
tm.ok(rc != 0 and "535 5.7.8" in out, "swaks: a wrong password is refused") or tm.diag(out)
rc, out = swaks("--port", sb.env["SUBMISSION_PORT"], "--tls", "--auth", "PLAIN", "--auth-user", me, "--auth-password", sb.password,
                "--from", you, "--to", you)
tm.ok(rc != 0 and "553 5.7.1" in out, "swaks: another user's sender address is refused") or tm.diag(out)

tm.ok(sb.queue_empty(), "everything is delivered")
tm.is_(sb.count(1), 2, "user 1 has the two from outside")
tm.is_(sb.count(2), 3, "user 2 has the three submissions")
sent = sb.messages(2)[0]
tm.ok(b"\r\nMessage-ID: " in sent or b"\r\nMessage-Id: " in sent, "submission added what was missing") or tm.diag(sent.decode())
tm.ok(sent.startswith(b"Return-Path: <" + me.encode() + b">\r\n"), "Return-Path is on top")
tm.ok(b"ESMTPSA" in sent, "Received tells how it came")

with tempfile.NamedTemporaryFile("w", suffix=".eml") as f:
    f.write(f"From: <{me}>\r\nTo: <{you}>\r\nSubject: by curl\r\n\r\ncurl was here\r\n")
    f.flush()
    rc, out = curl("--ssl-reqd", f"smtp://{name}:{sb.port('SUBMISSION')}", "--resolve", f"{name}:{sb.port('SUBMISSION')}:{sb.host}",
                   "--mail-from", me, "--mail-rcpt", you, "--user", f"{me}:{sb.password}", "--upload-file", f.name)
    tm.ok(rc == 0, "curl: smtp with STARTTLS, the certificate verified") or tm.diag(out)
    rc, out = curl(f"smtps://{name}:{sb.port('SUBMISSIONS')}", "--resolve", f"{name}:{sb.port('SUBMISSIONS')}:{sb.host}",
                   "--mail-from", me, "--mail-rcpt", you, "--user", f"{me}:{sb.password}", "--upload-file", f.name)
    tm.ok(rc == 0, "curl: smtps") or tm.diag(out)
    tm.ok(sb.queue_empty(), "delivered")
    user = ["--user", f"{sb.user(2)}:{sb.password}"]
    rc, out = curl("--ssl-reqd", f"imap://{name}:{sb.port('IMAP')}/INBOX;MAILINDEX=4", "--resolve", f"{name}:{sb.port('IMAP')}:{sb.host}", *user)
    tm.ok(rc == 0 and b"curl was here" in out, "curl: imap with STARTTLS") or tm.diag(out)
    imaps = ["--resolve", f"{name}:{sb.port('IMAPS')}:{sb.host}", *user]
    rc, out = curl(f"imaps://{name}:{sb.port('IMAPS')}/INBOX;MAILINDEX=5", *imaps)
    tm.ok(rc == 0 and b"curl was here" in out, "curl: imaps") or tm.diag(out)
    rc, out = curl(f"imaps://{name}:{sb.port('IMAPS')}/", *imaps)
    tm.ok(rc == 0 and b"Trash" in out and b"\\Trash" in out, "curl: the folder list has the special uses") or tm.diag(out)
    rc, out = curl(f"imaps://{name}:{sb.port('IMAPS')}/INBOX?SUBJECT%20curl", *imaps)
    tm.ok(rc == 0 and b"SEARCH 4 5" in out, "curl: search") or tm.diag(out)
    rc, out = curl(f"imaps://{name}:{sb.port('IMAPS')}/Drafts", *imaps, "--upload-file", f.name)
    tm.ok(rc == 0 and sb.count(2, "Drafts") == 1, "curl: append") or tm.diag(out)

ctx = ssl.create_default_context(cafile=ca)
ctx.check_hostname = False
s = smtplib.SMTP(sb.host, sb.port("SUBMISSION"))
s.starttls(context=ctx)
s.login(me, sb.password)
s.send_message(__import__("email").message_from_string(f"From: {me}\nTo: {you}\nSubject: smtplib\n\nhello\n"))
s.quit()
tm.ok(sb.queue_empty(), "smtplib: submission")
c = imaplib.IMAP4_SSL(sb.host, sb.port("IMAPS"), ssl_context=ctx)
c.login(you, sb.password)
c.select()
typ, data = c.search(None, "SUBJECT", "smtplib")
tm.is_(data, [b"6"], "imaplib over TLS: search finds it")
typ, data = c.store("6", "+FLAGS", r"(\Flagged)")
tm.ok(b"\\Flagged" in data[0], "imaplib: store")
c.logout()
try:
    sb.imap(1, "wrong")
    tm.ok(False, "imaplib: a wrong password is refused")
except imaplib.IMAP4.error as e:
    tm.ok("AUTHENTICATIONFAILED" in str(e), "imaplib: a wrong password is refused")
for who, code in (("disabled", "CONTACTADMIN"), ("nobody", "AUTHENTICATIONFAILED")):
    try:
        sb.imap(who)
        tm.ok(False, f"imaplib: {who} cannot log in")
    except imaplib.IMAP4.error as e:
        tm.ok(code in str(e), f"imaplib: {who} cannot log in ({code})") or tm.diag(e)

env = dict(os.environ, TIERMAIL_CONF=sb.conf("tiermail.conf"))
r = subprocess.run([sb.bin("sendmail"), "-t", "-oi", "-f", me], env=env, text=True, capture_output=True,
                   input=f"To: {you}\nBcc: {me}\nSubject: from sendmail\n\na line\n.\nafter the dot\n")
tm.is_(r.returncode, 0, "sendmail -t hands over") or tm.diag(r.stderr)
tm.ok(sb.queue_empty(), "delivered")
got = sb.messages(2)[-1]
tm.ok(b"\r\n.\r\nafter the dot" in got and b"Bcc" not in got, "with the lone dot, without Bcc") or tm.diag(got.decode())
tm.is_(sb.count(1), 3, "the Bcc got it too")
r = subprocess.run([sb.bin("sendmail"), "-bs"], env=env, text=True, capture_output=True, input="EHLO x\r\nQUIT\r\n")
tm.ok("PIPELINING" in r.stdout and "221" in r.stdout, "sendmail -bs speaks SMTP") or tm.diag(r.stdout + r.stderr)
sb.kill("smtp-relay")
r = subprocess.run([sb.bin("sendmail"), you], env=env, text=True, capture_output=True, input="Subject: x\n\nx\n")
tm.is_(r.returncode, 75, "sendmail says EX_TEMPFAIL when the relay is away")
tm.done()
