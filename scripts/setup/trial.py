"""One message there and back as a user's mail client would send it, one reply that says it cannot be delivered,
and both removed again: `tiermail-setup test`.

The host is asked under its name, so that the certificate is looked at as clients do, but at the address of the
listener: DNS need not know it yet."""
import base64
import http.client
import imaplib
import smtplib
import socket
import time
import uuid

import host
import site_of

WAIT = 60
# No such name: resolvers know it without asking anybody (RFC 6761), so that it comes back at once.
NOWHERE = "nobody@tiermail-setup.invalid"


class Submission(smtplib.SMTP):
    def __init__(self, name, where):
        self.where = where
        super().__init__(name, where[1], local_hostname=name, timeout=WAIT)

    def _get_socket(self, _host, _port, timeout):
        return socket.create_connection(self.where, timeout)


class Mailbox(imaplib.IMAP4):
    def __init__(self, name, where):
        self.where = where
        super().__init__(name, where[1], timeout=WAIT)

    def _create_socket(self, timeout):
        return socket.create_connection(self.where, timeout)


def first(site, *services):
    for wanted in services:
        for _, _, address, tls, service in site.listeners():
            if service == wanted and tls == "starttls" and not address.startswith("unix:"):
                return site_of.endpoint(address)
    raise host.Stop("no listener of %s with tls = starttls: nothing to test with" % services[0])


def send(site, user, password, to, subject):
    name = site.get("hostname")
    with Submission(name, first(site, "submission")) as s:
        s.starttls(context=site.trust())
        s.login(user, password)
        s.sendmail(user, [to], "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\n\r\nSent by tiermail-setup, which removes it again.\r\n"
                   % (user, to, subject))


def opened(site, user, password):
    box = Mailbox(site.get("hostname"), first(site, "imap"))
    box.starttls(site.trust())
    box.login(user, password)
    box.select("INBOX")
    return box


def await_mail(box, what, *wanted):
    """The UIDs of what fits, as soon as there is any."""
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        box.noop()
        found = box.uid("SEARCH", *wanted)[1][0].split()
        if found:
            return found
        time.sleep(0.1)
    raise host.Stop("%s has not come within %d s: mailq(1), and the log, say where it is" % (what, WAIT))


def remove(box, uids):
    box.uid("STORE", b",".join(uids).decode(), "+FLAGS.SILENT", r"(\Deleted)")
    box.uid("EXPUNGE", b",".join(uids).decode())


def web(site, user, password):
    """Through memd to the mailbox, as its own page goes; False where there is no memd."""
    where = next((site_of.endpoint(address) for d, _, address, tls, _ in site.listeners() if d == "memd" and tls == "implicit"), None)
    if not where:
        return False
    name = site.get("hostname")
    h = http.client.HTTPConnection(name, timeout=WAIT)
    h.sock = site.trust().wrap_socket(socket.create_connection(where, WAIT), server_hostname=name)
    h.request("GET", "/.well-known/jmap", headers={"Authorization": "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()})
    answer = h.getresponse()
    if answer.status != 200 or b'"accounts"' not in answer.read():
        raise host.Stop("memd answers %d %s: journalctl -u tiermail-memd -u tiermail-jmapd" % (answer.status, answer.reason))
    h.close()
    return True


def roundtrip(site, user, password):
    """Send, read, bounce, and the web client's way: a line each."""
    mark = "tiermail-setup " + uuid.uuid4().hex
    try:
        begun = time.monotonic()
        send(site, user, password, user, mark)
        host.say("ok    sends as %s" % user)
        box = opened(site, user, password)
        uids = await_mail(box, "the message", "SUBJECT", '"%s"' % mark)
        host.say("ok    reads it, %.1f s later" % (time.monotonic() - begun))
        remove(box, uids)
        send(site, user, password, NOWHERE, mark)
        uids = await_mail(box, "the report", "TEXT", '"%s"' % mark)
        host.say("ok    is told that %s does not exist" % NOWHERE)
        remove(box, uids)
        box.logout()
        if web(site, user, password):
            host.say("ok    reaches the mailbox by the web")
    except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, http.client.HTTPException) as e:
        raise host.Stop("the test fails: %s" % e) from e
