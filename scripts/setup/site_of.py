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
        counts when it runs; so do those that need more than their package's file, until they have it."""
        found = [d for d in host.installed() if os.path.exists("%s/%s.conf" % (self.etc, d))]
        run = confile.get(self.conf, "rundir") or host.RUN
        alone = "imapd" not in found
        wanted = {"mmpd": alone, "memd": alone, "admind": bool(self.own("admind", "ldap.bind_dn")),
                  "piped": any(section == "channel pipe" for section, _ in confile.values(self.etc + "/channels.conf"))}
        return [d for d in found if wanted.get(d, True) or os.path.exists("%s/%s.ctl" % (run, d))]

    def own(self, daemon, key):
        """Of a daemon's own file."""
        return confile.get(os.path.join(self.etc, daemon + ".conf"), key)

    def get(self, key, default=""):
        for settings in self.daemons.values():
            if settings[""].get(key):
                return settings[""][key]
        return confile.get(self.conf, key, default)

    def secret(self, daemon, key):
        """Of a daemon's own file or of tiermail.conf; -n does not tell it."""
        own = os.path.join(self.etc, daemon + ".conf")
        value = confile.get(own, key) or confile.get(self.conf, key)
        path = confile.secret_file(value, self.conf)
        return (host.read(path) or "").split("\n")[0] if path else value

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
            elif service == "web":
                found["jmap"] = endpoint(address)[1]
                if any(section.startswith("autoconfig ") for section in self.daemons["memd"]):
                    found["autodiscover"] = endpoint(address)[1]
        return found

    def mx(self):
        return any(service == "mx" for _, _, _, _, service in self.listeners())

    def trust(self):
        """Of clients that talk to this host: of the private authority, if it has one."""
        ca = self.get("tls.ca")
        return ssl.create_default_context(cafile=ca or None)


# service: what the name and the TLS of a listener are for it in the samples
LISTENERS = {"imap": ("imap", "starttls"), "imaps": ("imaps", "implicit"), "pop3": ("pop3", "starttls"), "pop3s": ("pop3s", "implicit"),
             "submission": ("submission", "starttls"), "submissions": ("submissions", "implicit")}


def port_of(path, service):
    """Of a daemon's file, or None."""
    have, (name, tls) = confile.values(path), LISTENERS[service]
    address = have.get(("listen " + name, "address"), "")
    return endpoint(address)[1] if address and not address.startswith("unix:") and have.get(("listen " + name, "tls")) == tls else None


def endpoint(address):
    """(address to connect to, port) of a listener."""
    where, _, port = address.rpartition(":")
    where = where.strip("[]")
    return ("127.0.0.1" if where in ("*", "0.0.0.0") else "::1" if where == "::" else where), int(port)
