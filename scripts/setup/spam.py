"""rspamd beside a relay: what it is told in local.d/ so that it is our mail filter, the key with which it signs, and the
DNS record of that key; and of clamd, which it asks about viruses.

Nothing of rspamd's own files is changed.  A file of local.d/ that an administrator has written stays."""
import base64
import os
import re
import socket
import struct

import host

PATH = "/etc/rspamd"
STATE = "/var/lib/rspamd"
MILTER = "127.0.0.1:11332"
CONTROLLER = "127.0.0.1:11334"
CLAMD = "/etc/clamav/clamd.conf"
USER = "_rspamd"
SELECTOR = "tiermail"
MARK = "# Written by tiermail-setup, which writes it anew as long as this line is here."
BITS = 2048
SECONDS = 10


def keys_of(path):
    """Where its DKIM keys are."""
    return os.path.join(STATE if path == PATH else path, "dkim")


def scanner():
    """Where clamd of this host listens."""
    said = re.search(r"(?m)^\s*LocalSocket\s+(\S+)", host.read(CLAMD) or "")
    return said.group(1) if said else "/run/clamav/clamd.ctl"


def virus_files(clamd):
    return {
        "antivirus.conf": "# clamd says what is a virus, of whole messages: rspamd would show it attachments alone.  Above max_size it would take none.\n"
                          'clamav {\n  type = "clamav";\n  servers = "%s";\n  symbol = "CLAM_VIRUS";\n  action = "reject";\n'
                          "  message = 'virus found: ${VIRUS}';\n  scan_mime_parts = false;\n"
                          "  max_size = 20000000;\n  timeout = 6.0;\n  retransmits = 0;\n}\n" % clamd,
        "force_actions.conf": "# While clamd is away mail waits at its senders.\n"
                              'rules {\n  CLAM_AWAY {\n    action = "soft reject";\n    expression = "CLAM_VIRUS_FAIL";\n'
                              '    message = "the virus scanner does not answer";\n    honor_action = ["reject"];\n  }\n}\n',
    }


def files(path, clamd=None):
    """{file of local.d: text}"""
    keys = keys_of(path)
    sign = 'path = "%s/$domain.$selector.key";\nselector = "%s";\nuse_esld = false;\n' % (keys, SELECTOR)
    return {
        "worker-proxy.inc": "# The relay asks here; this worker scans by itself.\n"
                            'bind_socket = "%s";\nmilter = yes;\nupstream "local" {\n  default = yes;\n  self_scan = yes;\n}\n' % MILTER,
        "worker-controller.inc": "# Stores tell here what people move to and from Junk.\n"
                                 'bind_socket = "%s";\n' % CONTROLLER,
        "milter_headers.conf": "# X-Spam: Yes comes without being asked for; what else people and scripts may read.\n"
                               'use = ["authentication-results", "x-spamd-result"];\n'
                               'authenticated_headers = ["authentication-results"];\n',
        "dkim_signing.conf": "# Mail of our users, and of programs of this host.\n" + sign + "allow_username_mismatch = true;\n",
        "arc.conf": "# Mail that comes in, which may be forwarded.\n" + sign,
        "redis.conf": 'servers = "127.0.0.1";\n',
        **(virus_files(clamd) if clamd else {}),
    }


def settings():
    """{(section, key): value} of the relay's file, of lmtpd's, imapd's and stored's."""
    relay = {("milter rspamd", "address"): MILTER, ("milter rspamd", "listeners"): "mx, submission"}
    store = {("spam", "folder"): "Junk", ("spamtest", "status_header"): r"X-Spamd-Result: \[(-?[0-9.]+) /",
             ("spamtest", "max_header"): r"X-Spamd-Result: / ([0-9.]+)\]"}
    return relay, store, {("learn", "address"): CONTROLLER}, {("", "events"): "junk"}


def demand(path, virus=False):
    """Stops where rspamd, or where it keeps what it has learned, or whom it is to ask is not installed."""
    wanted = (("rspamd", "rspamd"), ("redis-server", "redis-server"), *((("clamd", "clamav-daemon"),) if virus else ()))
    lacking = [package for name, package in wanted if not host.program(name)]
    if lacking:
        raise host.Stop("--filter rspamd: apt install %s" % " ".join(lacking))
    if not os.path.isdir(path):
        raise host.Stop("--filter-path: there is no folder %s" % path, 64)


def changes(path, replace=(), clamd=None):
    """({path: text} to be written, [paths that are an administrator's, and not to be replaced])"""
    wanted, others = {}, []
    for name, text in files(path, clamd).items():
        file = os.path.join(path, "local.d", name)
        old, text = host.read(file), MARK + "\n" + text
        if old == text:
            continue
        if old is not None and MARK not in old and file not in replace:
            others.append(file)
        else:
            wanted[file] = text
    return wanted, others


def key_file(path, domain):
    """Where rspamd is told that the key of a domain is, or None when it signs nothing."""
    text = host.read(os.path.join(path, "local.d", "dkim_signing.conf")) or ""
    where, selector = (re.search(r'(?m)^\s*%s\s*=\s*"([^"]+)"' % k, text) for k in ("path", "selector"))
    if not where or not selector:
        return None, None
    return where.group(1).replace("$domain", domain).replace("$selector", selector.group(1)), selector.group(1)


def make_key(path, domain):
    """Makes the domain's key, unless it has one; for rspamd to read and nobody else."""
    file, _ = key_file(path, domain)
    if not file or os.path.exists(file):
        return False
    owner = host.user_of(USER)
    host.folder(os.path.dirname(file), 0o750, owner)
    text = host.demand(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:%d" % BITS])
    host.put(file, text, 0o600, shared=False, owner=owner)
    return True


def record(path, domain):
    """(owner, value) of the TXT record for the key of a domain, or None."""
    file, selector = key_file(path, domain)
    if not file or not os.path.exists(file):
        return None
    text = host.demand(["openssl", "pkey", "-in", file, "-pubout"])
    der = base64.b64decode("".join(text.split("-----")[2].split()))
    return "%s._domainkey.%s" % (selector, domain), "v=DKIM1; k=rsa; p=" + base64.b64encode(der).decode()


def write(path, wanted):
    """True when rspamd must be told."""
    host.folder(os.path.join(path, "local.d"))
    return any([host.put(file, text, 0o644, shared=False) for file, text in wanted.items()])


def restart(changed, no_start, virus=False):
    """Starts what has to run, where there is systemd; else says what to start.  clamd starts when freshclam has fetched
    what it knows viruses by."""
    if host.systemd() and not no_start:
        host.demand(["systemctl", "enable", "--now", "redis-server", "rspamd", *(("clamav-freshclam", "clamav-daemon") if virus else ())])
        if changed:
            host.demand(["systemctl", "restart", "rspamd"])
    elif changed:
        host.say("(Re)start rspamd, and redis-server%s beside it." % (", clamav-freshclam and clamav-daemon" if virus else ""))


def answers(address):
    """Does a filter agree on terms (sendmail's protocol, version 6), as a relay that asks it for nothing?"""
    try:
        if address.startswith("unix:"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(SECONDS)
            s.connect(address[5:])
        else:
            where, _, port = address.rpartition(":")
            s = socket.create_connection((where.strip("[]"), int(port)), SECONDS)
        with s:
            s.sendall(struct.pack("!IcIII", 13, b"O", 6, 0x1ff, 0x1fffff))
            return s.recv(5)[4:] == b"O"
    except (OSError, ValueError):
        return False


def asks_scanner(path):
    """Where rspamd is told, by us, that clamd is; or None."""
    text = host.read(os.path.join(path, "local.d", "antivirus.conf")) or ""
    said = re.search(r'(?m)^\s*servers\s*=\s*"(/[^"]+)"', text)
    return said.group(1) if said and MARK in text else None


def scans(clamd):
    """Does it answer?"""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(SECONDS)
            s.connect(clamd)
            s.sendall(b"zPING\0")
            return s.recv(5)[:4] == b"PONG"
    except OSError:
        return False
