"""What an administrator has to decide: by options, by what the configuration says already, or asked.

Every answer is looked at here, since it goes into LDIF, file names and commands."""
import getpass
import os
import re
import socket

import confile
import host

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
ROLES = ("all", "relay", "store", "proxy", "web", "admin")
ACCOUNTS = {("relay",): "mta", ("store",): "store", ("proxy",): "mmp", ("web",): "mmp", ("proxy", "web"): "mmp", ("admin",): "admind"}


def not_domain(word):
    return None if re.fullmatch(r"(%s\.)+%s" % (LABEL, LABEL), word) and len(word) < 254 else "%s is no name like mail.example.org" % word


def not_dn(word):
    return None if re.fullmatch(r'[A-Za-z][A-Za-z0-9-]*=[^,=+"\\<>;#\x00-\x1f]+(, *[A-Za-z][A-Za-z0-9-]*=[^,=+"\\<>;#\x00-\x1f]+)*', word) else \
        "%s is no distinguished name like dc=example,dc=org" % word


def not_uid(word):
    return None if re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", word) else "%s is no login like anna" % word


def not_url(word):
    return None if all(re.fullmatch(r"ldap(s://[^\s/]+|://[^\s/]+|i://\S*)", w) for w in word.split()) and word else \
        "%s is no URL like ldapi:/// or ldaps://ldap.example.org" % word


def not_file(word):
    return None if os.path.isfile(word) else "there is no file %s" % word


def not_names(word):
    return next((w for w in map(not_domain, word.replace(",", " ").split()) if w), None)


def not_conf(word):
    return None if os.path.basename(word) == "tiermail.conf" else "the file has the name tiermail.conf; the daemons' are beside it"


def not_address(word):
    login, at, domain = word.partition("@")
    return not_uid(login) or (not_domain(domain) if at else None)


# Whatever the command: no option goes unseen into LDIF, a configuration, the name of a file or a shell.
CHECKS = {"conf": not_conf, "domain": not_domain, "hostname": not_domain, "base": not_dn, "bind_dn": not_dn, "people": not_dn, "ldap_url": lambda w: not_url(w),
          "relays": not_names, "stores": not_names, "proxies": not_names}


def look_at(options):
    """Stops at an option that cannot be."""
    options.conf = os.path.abspath(options.conf)
    for name in ("domain", "hostname"):
        if getattr(options, name):
            setattr(options, name, getattr(options, name).lower())
    for name, wrong in CHECKS.items():
        word = getattr(options, name)
        if word and wrong(word):
            raise host.Stop("--%s: %s" % (name.replace("_", "-"), wrong(word)), 64)
    if options.user and options.user != "-" and not_address(options.user):
        raise host.Stop("--user: %s" % not_address(options.user), 64)


def not_roles(word):
    return None if word.split() and all(w in ROLES for w in word.split()) else "of %s" % ", ".join(ROLES)


class Answers:
    """domain, hostname, roles, directory, url, base, bind_dn, certificate, key, ca, user; of `options`, in which
    what was not given is None."""

    def __init__(self, options, conf):
        self.options, self.conf = options, conf
        self.etc = os.path.dirname(conf)
        self.known = confile.values(conf)

    def had(self, key):
        return self.known.get(("", key), "")

    def of(self, name, question, default, wrong):
        """The option --NAME, else what is configured or likely, which an administrator at a terminal confirms."""
        word = getattr(self.options, name)
        if isinstance(word, list):
            word = " ".join(word)
        if not word and self.options.yes:
            word = default
        if not word:
            word = host.ask(question, default, wrong)
        if not word:
            raise host.Stop("--%s is needed" % name.replace("_", "-"), 64)
        if wrong(word):
            raise host.Stop("--%s: %s" % (name.replace("_", "-"), wrong(word)), 64)
        return word

    def has(self, daemon):
        """Has the package of a daemon left its file?  Not all hosts of a role have all of them."""
        return host.program(daemon) and os.path.exists("%s/%s.conf" % (self.etc, daemon))

    def gather(self):
        fqdn = socket.getfqdn().lower()
        self.domain = self.of("domain", "The domain of the mail addresses", self.had("default_domain"), not_domain)
        self.hostname = self.of("hostname", "The name of this host, as others know it", self.had("hostname") or
                                ("" if not_domain(fqdn) or fqdn.endswith("localdomain") else fqdn), not_domain)
        roles = self.of("role", "What this host is (%s)" % ", ".join(ROLES), self.likely_roles(), not_roles).split()
        self.roles = ["store", "relay"] if "all" in roles else [r for r in ROLES if r in roles]
        if self.has("memd") and ("proxy" in roles or ("all" in roles and self.has("jmapd"))) and "web" not in roles:
            self.roles.append("web")
        # The administrators' console, where the directory gets its account here, or has given its password already.
        admin = os.path.join(self.etc, "admind.password")
        if self.has("admind") and "all" in roles and "admin" not in self.roles and (self.options.directory != "existing" or os.path.exists(admin)):
            self.roles.append("admin")
        self.one_host = "all" in roles
        lacking = [d for r in self.roles for d in host.NEEDED[r] if not host.program(d)]
        if lacking:
            raise host.Stop("--role: %s is not installed: apt install %s" % (
                " and ".join(lacking), "tiermail" if self.one_host else " ".join("tiermail-" + {"web": "webmail"}.get(r, r) for r in self.roles)))
        self.admin = admin if "admin" in self.roles and len(self.roles) > 1 else None
        self.directory = self.of("directory", "The directory: fresh, made here, or existing", "existing" if self.had("ldap.url") not in (
            "", "ldapi:///") else "fresh", lambda w: None if w in ("fresh", "existing") else "fresh or existing")
        self.url = self.of("ldap_url", "Its servers", self.had("ldap.url") or "ldapi:///", not_url) \
            if self.directory == "existing" else self.options.ldap_url or "ldapi:///"
        if self.admin and self.directory == "existing" and not os.path.exists(admin):
            if "admin" in roles:
                raise host.Stop("--role admin: %s has to have the password of uid=admind in the directory" % admin, 64)
            self.roles.remove("admin")
            self.admin = None
        self.base = self.of("base", "The entry below which domains and users are", self.had("ldap.base") or
                            "dc=" + self.domain.replace(".", ",dc="), not_dn)
        self.account = ACCOUNTS.get(tuple(self.roles), "tiermail")
        sieve = os.path.join(self.etc, "sieve.password")
        # Where scripts can be changed: the file of sieved's password for the directory.
        self.sieve = sieve if "store" in self.roles and self.has("sieved") and (
            self.directory == "fresh" or os.path.exists(sieve)) else None
        jmap = os.path.join(self.etc, "jmap.password")
        # The same of jmapd, for the vacation.
        self.jmap = jmap if "store" in self.roles and self.has("jmapd") and (
            self.directory == "fresh" or os.path.exists(jmap)) else None
        pab = os.path.join(self.etc, "pab.password")
        # And for address books, which a fresh directory gets with jmapd.
        self.pab = pab if self.jmap and (self.directory == "fresh" or os.path.exists(pab)) else None
        self.bind_dn = self.options.bind_dn or self.had("ldap.bind_dn") or "uid=%s,ou=services,%s" % (self.account, self.base)
        if not_dn(self.bind_dn):
            raise host.Stop("--bind-dn: %s" % not_dn(self.bind_dn), 64)
        self.certificates()
        self.beside = "web" in self.roles and "store" in self.roles
        if self.beside and not (self.self_made or self.ca or self.had("tls.ca")):
            if "web" in roles:
                raise host.Stop("--role web beside a store: memd shows the store this host's certificate, which only a private "
                                "authority's can be for: --self-made, or --ca", 64)
            host.say("The web client is left out: memd would have to show the store a certificate of a private authority (--self-made, or --ca).")
            self.roles.remove("web")
            self.beside = False
        self.user = self.options.user
        if self.user is None and not self.options.yes and self.directory == "fresh" and "store" in self.roles:
            self.user = host.ask("A first user, by the login (- for none)", "-", lambda w: None if w == "-" else not_uid(w))
        if self.user in (None, "-", ""):
            self.user = None
        elif not_uid(self.user):
            raise host.Stop("--user: %s" % not_uid(self.user), 64)
        return self

    def likely_roles(self):
        have = {host.DAEMONS[d][0] for d in host.installed()}
        return "all" if {"store", "relay"} <= have else " ".join(sorted(have))

    def certificates(self):
        o = self.options
        self.certificate, self.key, self.ca, self.self_made = o.certificate, o.key, o.ca or "", o.self_made
        if self.certificate or self.self_made or (self.had("tls.certificate") and os.path.exists(self.had("tls.certificate"))):
            if self.certificate and (self.self_made or not self.key):
                raise host.Stop("--certificate needs --key, and no --self-made", 64)
            return
        if o.yes:
            raise host.Stop("--certificate and --key, or --self-made", 64)
        if host.agree("Has this host a certificate already?"):
            self.certificate = host.ask("Its file, with the chain", "/etc/letsencrypt/live/%s/fullchain.pem" % self.hostname, not_file)
            self.key = host.ask("The file of its key", os.path.join(os.path.dirname(self.certificate), "privkey.pem"), not_file)
        else:
            self.self_made = True

    def password_known(self, user):
        """Of somebody who is in the directory already; None: it is nobody's but his."""
        path = os.path.join(self.etc, "%s@%s.password" % (user, self.domain))
        return self.password_of(user) if self.options.user_password_file or os.path.exists(path) else None

    def password_of(self, user):
        """The user's: of --user-password-file, of the file that a former run has left, typed, or a new one in such
        a file."""
        path = os.path.join(self.etc, "%s@%s.password" % (user, self.domain))
        if self.options.user_password_file:
            return host.first_line(self.options.user_password_file, "--user-password-file")
        if os.path.exists(path) or self.options.yes:
            return host.secret(path, 0o600)
        return getpass.getpass("A password for %s@%s (empty: one is made up, in a file): " % (user, self.domain)) or host.secret(path, 0o600)
