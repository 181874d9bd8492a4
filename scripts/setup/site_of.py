"""What the configuration of this host says that more than one part of setup asks: listeners, services, TLS."""
import os
import ssl

import confile
import host

SECURE = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions"}


class Site:
    """Of the daemons that are installed, as their -n says; `faults` are those that are refused."""

    def __init__(self, conf):
        self.conf = conf
        self.etc = os.path.dirname(conf)
        self.daemons, self.said, self.faults = {}, {}, {}
        for d in self.present():
            settings, words = confile.effective(d, conf, host.identity(d))
            if settings is None:
                self.faults[d] = words
            else:
                self.daemons[d], self.said[d] = settings, words

    def present(self):
        """Installed and configured.  A proxy beside the daemons that it stands in front of has their ports: it
        counts when it runs; so does the web client, which needs more than its package's file."""
        found = [d for d in host.installed() if os.path.exists("%s/%s.conf" % (self.etc, d))]
        run = confile.get(self.conf, "rundir") or host.RUN
        return [d for d in found if d not in ("mmpd", "memd") or "imapd" not in found or os.path.exists("%s/%s.ctl" % (run, d))]

    def get(self, key, default=""):
        for settings in self.daemons.values():
            if settings[""].get(key):
                return settings[""][key]
        return confile.get(self.conf, key, default)

    def secret(self, daemon, key):
        """Of a daemon's own file or of tiermail.conf; -n does not tell it."""
        own = os.path.join(self.etc, daemon + ".conf")
        value = confile.get(own, key) or confile.get(self.conf, key)
        if value.startswith("file:"):
            value = (host.read(value[5:]) or "").split("\n")[0]
        return value

    def listeners(self):
        """[(daemon, name, address, tls, service or "")]"""
        found = []
        for d, settings in self.daemons.items():
            for section, keys in settings.items():
                if not section.startswith("listen "):
                    continue
                kind = {"imapd": "imap", "pop3d": "pop3", "lmtpd": "lmtp", "sieved": "sieve"}.get(d) or keys.get("role", "")
                tls = keys.get("tls", "off")
                found.append((d, section[7:], keys["address"], tls, SECURE.get(kind, kind) if tls == "implicit" else kind))
        return found

    def services(self):
        """{service: port} of those that people use."""
        found = {}
        for _, _, address, _, service in self.listeners():
            if not address.startswith("unix:") and service in ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "sieve"):
                found[service] = endpoint(address)[1]
        return found

    def mx(self):
        return any(service == "mx" for _, _, _, _, service in self.listeners())

    def trust(self):
        """Of clients that talk to this host: of the private authority, if it has one."""
        ca = self.get("tls.ca")
        return ssl.create_default_context(cafile=ca or None)


def endpoint(address):
    """(address to connect to, port) of a listener."""
    where, _, port = address.rpartition(":")
    where = where.strip("[]")
    return ("127.0.0.1" if where in ("*", "0.0.0.0") else "::1" if where == "::" else where), int(port)
