"""Certificate and key of this host: copied from where they are given, or made by tiermail-ca(8) and renewed.

The daemons read /etc/tiermail/tls and nothing else, so that a key stays root's wherever else it lies, and a
renewal is one copy and one reload.  What certbot(1) renews comes by a hook, what tiermail-ca has made by a
timer."""
import datetime
import os
import re
import shlex

import host

SOON = 30
HOOKS = "/etc/letsencrypt/renewal-hooks/deploy"


def openssl(*args, text=None):
    return host.run(["openssl", *args], text, env={**os.environ, "OPENSSL_CONF": "/dev/null", "LC_ALL": "C"})


def end_of(cert):
    """Whole days until its end, less than 0 when it is over; None when it is no certificate."""
    code, out, _ = openssl("x509", "-in", cert, "-noout", "-enddate")
    if code:
        return None
    end = datetime.datetime.strptime(out.strip().partition("=")[2], "%b %d %H:%M:%S %Y %Z")
    return (end - datetime.datetime.utcnow()) // datetime.timedelta(days=1)


def has_name(cert, name):
    return "does match" in openssl("x509", "-in", cert, "-noout", "-checkhost", name)[1]


def is_pair(cert, key):
    return openssl("x509", "-in", cert, "-noout", "-pubkey")[1].strip() == \
        (openssl("pkey", "-in", key, "-pubout")[1].strip() or None)


def wrong(cert, key, name):
    """What speaks against them, or None."""
    for path in (cert, key):
        if not os.access(path, os.R_OK):
            return "%s cannot be read" % path
    days = end_of(cert)
    if days is None:
        return "%s is no certificate in PEM form" % cert
    if days < 0:
        return "%s has expired" % cert
    if not is_pair(cert, key):
        return "%s does not belong to %s" % (key, cert)
    if not has_name(cert, name):
        return "%s has not the name %s" % (cert, name)
    return None


def copy(tls, cert, key, ca=""):
    """True when something changed."""
    host.folder(tls)
    done = [host.put(os.path.join(tls, "key.pem"), host.read(key), 0o640),
            host.put(os.path.join(tls, "cert.pem"), host.read(cert), 0o644)]
    if ca:
        done.append(host.put(os.path.join(tls, "ca.pem"), host.read(ca), 0o644))
    return any(done)


def authority():
    path = host.program("tiermail-ca") or os.path.join(host.TREE, "scripts/tier-ca")
    if not os.path.exists(path):
        raise host.Stop("no tiermail-ca: the package tiermail-tools is missing")
    return path


def make(conf, name, others=()):
    """An authority of this host's own and a certificate, unless they are there; (cert, key, ca)."""
    ca = os.path.join(conf, "ca")
    if not os.path.exists(ca + "/ca.pem"):
        host.act("makes a private authority in %s" % ca)
        host.demand([authority(), "-C", ca, "init"])
    cert = "%s/hosts/%s.pem" % (ca, name)
    if not os.path.exists(cert):
        host.act("makes a certificate of %s" % name)
        host.demand([authority(), "-C", ca, "host", name, *others])
    return cert, cert[:-4] + ".key", ca + "/ca.pem"


def renew(conf, name):
    """Renews what tiermail-ca has made when it ends soon; the pair and the authority to copy, or None."""
    ca = os.path.join(conf, "ca")
    cert = "%s/hosts/%s.pem" % (ca, name)
    if not os.path.exists(cert):
        return None
    if (end_of(cert) or 0) <= SOON:
        host.act("renews the certificate of %s" % name)
        host.demand([authority(), "-C", ca, "renew", name])
    return cert, cert[:-4] + ".key", ca + "/ca.pem"


def certbot_lineage(cert):
    """The folder of certbot's that the certificate lies in, or None."""
    m = re.match(r"(/etc/letsencrypt/live/[^/]+)/", os.path.abspath(cert))
    return m.group(1) if m else None


def certbot_hook(lineage, setup, conf):
    """Copies a renewed certificate and tells the daemons."""
    host.folder(HOOKS)
    host.put(os.path.join(HOOKS, "tiermail"), "#!/bin/sh\n# Written by tiermail-setup(8): certbot calls it with a renewed "
             "certificate.\n[ \"$RENEWED_LINEAGE\" = %s ] || exit 0\nexec %s -c %s --certificate \"$RENEWED_LINEAGE/fullchain.pem\" --key "
             "\"$RENEWED_LINEAGE/privkey.pem\" certificates\n" % tuple(map(shlex.quote, (lineage, setup, conf))), 0o755, shared=False)
