"""The directory as setup sees it: OpenLDAP's own tools, and LDIF.  Passwords go by a file that has no name."""
import base64
import hashlib
import os
import re

import host

AWAY, SIZE = 255, 4
WORDS = {49: "wrong password or account", 32: "there is no such entry", 50: "not allowed", AWAY: "nobody answers",
         34: "not a distinguished name", 123: "not allowed (authzTo of the entry, olcAuthzPolicy)", 13: "it wants TLS", 53: "refused"}


class Server:
    """A server as somebody: `dn` with a password, root by the socket (EXTERNAL), or nobody."""

    def __init__(self, url, dn="", password="", external=False, starttls=False, ca=""):
        self.url, self.dn, self.password, self.external = url, dn, password, external
        self.starttls, self.ca = starttls, ca

    def call(self, tool, *args, text=None):
        argv = [host.program(tool) or tool, "-H", self.url, "-o", "nettimeout=10"]
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        if self.ca:
            env["LDAPTLS_CACERT"] = self.ca
        argv += ["-ZZ"] if self.starttls and self.url.startswith("ldap://") else []
        if self.external:
            return host.run(argv + ["-Q", "-Y", "EXTERNAL", *args], text, env=env)
        if not self.dn:
            return host.run(argv + ["-x", *args], text, env=env)
        fd = os.memfd_create("password")
        try:
            os.fchmod(fd, 0o600)
            os.write(fd, self.password.encode())
            return host.run(argv + ["-x", "-D", self.dn, "-y", "/proc/self/fd/%d" % fd, *args], text, pass_fds=[fd], env=env)
        finally:
            os.close(fd)

    def whoami(self):
        """(result code, DN)"""
        code, out, _ = self.call("ldapwhoami")
        return code, out.strip().partition(":")[2]

    def acts_for(self, dn):
        """(result code, as whom it is known when it acts for `dn`): RFC 4370"""
        code, out, _ = self.call("ldapwhoami", "-e", "!authzid=dn:" + dn)
        return code, out.strip().partition(":")[2]

    def search(self, base, scope="sub", what="(objectClass=*)", attrs=(), most=0, pages=0):
        """(result code, [(dn, {attribute in lower case: [values]})]); of `most` entries, or of all in pages"""
        how = (["-z", str(most)] if most else []) + (["-E", "pr=%d/noprompt" % pages] if pages else [])
        code, out, _ = self.call("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-s", scope, "-b", base, *how, what, *attrs)
        return (0 if code == SIZE and most else code), list(entries(out))

    def change(self, ldif, add=False):
        """Adds or modifies; what is there already stays.  Stops when the server refuses."""
        if not ldif.strip():
            return
        code, out, err = self.call("ldapadd" if add else "ldapmodify", text=ldif)
        if code not in (0, 20, 68):
            raise host.Stop("the directory refuses a change: %s\n%s" % ((err or out).strip(), ldif))


def words_of(code):
    return WORDS.get(code, "LDAP error %d" % code)


def entries(text):
    """The entries of LDIF as ldapsearch prints it."""
    for block in re.sub(r"\n ", "", text).split("\n\n"):
        dn, attrs = None, {}
        for line in block.split("\n"):
            m = re.match(r"([^:#]+)(::?) ?(.*)$", line)
            if not m:
                continue
            value = base64.b64decode(m.group(3)).decode(errors="replace") if m.group(2) == "::" else m.group(3)
            if dn is None and m.group(1) == "dn":
                dn = value
            else:
                attrs.setdefault(m.group(1).lower(), []).append(value)
        if dn is not None:
            yield dn, attrs


def hashed(password):
    """{SSHA}, which every slapd knows."""
    salt = os.urandom(8)
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()
