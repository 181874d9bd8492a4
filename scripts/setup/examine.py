"""`tiermail-setup check`: a running host looked at from outside, as an administrator would with a dozen tools.

Each question is a function that returns findings, (level, what, words, what to do), level OK, WARN or FAIL.
Nothing is changed and nothing is sent."""
import ctypes
import glob
import os
import re
import shutil
import socket
import ssl
import stat
import time

import certificates
import confile
import directory
import spam
import host
import ldap
import records
import resolver
import site_of

GREETINGS = {"imap": b"* OK", "pop3": b"+OK", "mx": b"220", "submission": b"220", "lmtp": b"220", "local": b"220", "sieve": b'"IMPL'}
LOW, LEAST = 10, 3  # per cent of a file system that are free
TIME_ERROR = 5


def configuration(site):
    for d, words in site.faults.items():
        yield "FAIL", "configuration", "%s -n: %s" % (d, words.split("\n")[0]), "mend that line; %s -n says all" % d
    for d, words in site.said.items():
        for line in words.split("\n"):
            if line:
                yield "WARN", "configuration", "%s -n: %s" % (d, line), ""
    if not site.daemons and not site.faults:
        yield "FAIL", "configuration", "no daemon is installed", "apt install tiermail"
    elif not site.faults:
        yield "OK", "configuration", "%s" % " ".join(site.daemons), ""


def units(site):
    if not host.systemd():
        for d in site.daemons:
            if not answers(site, d):
                yield "FAIL", "running", "%s does not answer" % d, "start it: its unit says how"
        if site.daemons and all(answers(site, d) for d in site.daemons):
            yield "OK", "running", " ".join(site.daemons), ""
        return
    for d in site.daemons:
        state = host.run(["systemctl", "is-active", "tiermail-" + d])[1].strip()
        boot = host.run(["systemctl", "is-enabled", "tiermail-" + d])[1].strip()
        target = any(host.run(["systemctl", "is-enabled", t])[1].strip() == "enabled" for t in TARGETS[host.DAEMONS[d][0]])
        if state != "active":
            yield "FAIL", "units", "tiermail-%s is %s" % (d, state), "systemctl start tiermail-%s; journalctl -u tiermail-%s" % (d, d)
        elif boot != "enabled" and not target:
            yield "WARN", "units", "tiermail-%s does not start with the host" % d, "systemctl enable tiermail-%s" % d
        else:
            yield "OK", "units", "tiermail-%s" % d, ""


TARGETS = {"store": ("tiermail-store.target",), "relay": ("tiermail-relay-in.target", "tiermail-relay-out.target"),
           "proxy": ("tiermail-proxy.target",), "web": ("tiermail-web.target", "tiermail-proxy.target"), "admin": ("tiermail-admin.target",)}


def answers(site, daemon, line=b"ping"):
    """What a daemon says on its control socket, or None."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect("%s/%s.ctl" % (site.get("rundir"), daemon))
            s.sendall(line + b"\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode(errors="replace")
    except OSError:
        return None


def errors(site):
    for d in site.daemons:
        for line in (answers(site, d, b"status") or "").split("\n"):
            if "error:" in line:
                yield "FAIL", "status", "%s: %s" % (d, line.partition("error:")[2].strip()), "tmctl -d %s status" % d


def accounts(site):
    """{(url, dn, password)}: who asks the directory, each once."""
    found = {}
    for d, settings in site.daemons.items():
        if d in ("stored", "jobctl") or not settings[""].get("ldap.base"):
            continue
        who = settings[""].get("ldap.bind_dn", "")
        for url in re.split(r"[\s,]+", settings[""].get("ldap.url", "ldapi:///").strip()):
            found[url, who] = (site.secret(d, "ldap.password"), settings[""]["ldap.base"],
                               settings[""].get("ldap.starttls") == "yes")
    return found


def service_accounts(site):
    for (url, who), (password, base, starttls) in accounts(site).items():
        yield from directory.look(ldap.Server(url, who, password, starttls=starttls, ca=site.get("tls.ca")), base)


# Who acts for people: daemon, section of its file, account
ACTING = (("sieved", "directory", directory.SIEVE), ("jmapd", "directory", directory.JMAP), ("jmapd", "pab", directory.PAB),
          ("lmtpd", "pab", directory.PAB), ("admind", "ldap", directory.ADMIN))


def acting_accounts(site):
    """{(url, dn): password}: who changes something in people's names, each once, where changes are made."""
    found = {}
    for d, section, name in ACTING:
        settings, password = site.daemons.get(d, {}).get("", {}), site.secret(d, section + ".password") if d in site.daemons else ""
        if password:
            url = (settings.get("pab.url") if section == "pab" else "") or settings.get("ldap.provider") or settings.get("ldap.url", "ldapi:///")
            dn = settings.get(section + (".bind_dn" if section == "ldap" else ".dn")) or directory.service_dn(settings["ldap.base"], name)
            found[re.split(r"[\s,]+", url.strip())[0], dn] = password
    return found


def acting(site):
    """Accounts that act for people do so, with nothing of their own; and who takes changes answers."""
    starttls, ca, person = site.get("ldap.starttls") == "yes", site.get("tls.ca"), None
    for (url, who), (password, base, _) in accounts(site).items():
        found = ldap.Server(url, who, password, starttls=starttls, ca=ca).search(base, what="(&(objectClass=inetMailUser)(uid=*))", attrs=("1.1",), most=1)[1]
        person = person or (found[0][0] if found else None)
    for (url, dn), password in acting_accounts(site).items():
        yield from directory.look_acting(ldap.Server(url, dn, password, starttls=starttls, ca=ca), person)
    for url in site.get("ldap.provider").replace(",", " ").split():
        code = ldap.Server(url, site.get("ldap.bind_dn"), site.secret("tiermail", "ldap.password"), starttls=starttls, ca=ca).whoami()[0]
        yield ("FAIL", "provider", "%s: %s" % (url, ldap.words_of(code)), "passwords, scripts and books cannot be changed: mend ldap.provider, or that server") \
            if code else ("OK", "provider", "%s takes changes" % url, "")


def indexes(site):
    base = site.get("ldap.base")
    sockets = [url for url, _ in accounts(site) if url.startswith("ldapi:")]
    if not base or not sockets:
        return
    lacking = directory.unindexed(ldap.Server(sockets[0], external=True), base)
    if lacking is None:
        yield "WARN", "indexes", "cn=config is not to be seen", "run this as root where slapd is, or look at olcDbIndex"
    elif lacking:
        yield "WARN", "indexes", "no index of %s" % " ".join(lacking), "add olcDbIndex, tiermail-directory(7)"
    else:
        yield "OK", "indexes", "all of tiermail-directory(7)", ""


def tls(site):
    seen = set()
    for d, settings in site.daemons.items():
        for section, keys in settings.items():
            if not section.startswith("listen ") or keys.get("tls", "off") == "off":
                continue
            cert = keys.get("certificate") or settings[""].get("tls.certificate", "")
            if cert in seen:
                continue
            seen.add(cert)
            yield certificate(site, cert)


def certificate(site, cert):
    days, name = certificates.end_of(cert), site.get("hostname")
    if days is None:
        return "FAIL", "certificate", "%s: no certificate that can be read" % cert, "mend tls.certificate"
    if days < 0:
        return "FAIL", "certificate", "%s has expired" % cert, "tiermail-setup certificates"
    if not certificates.has_name(cert, name):
        return "FAIL", "certificate", "%s has not the name %s" % (cert, name), "clients of this host refuse it: a new one"
    if days <= certificates.SOON // 2:
        return "WARN", "certificate", "%s ends in %d days" % (cert, days), "tiermail-setup certificates"
    return "OK", "certificate", "%s is good for %d days" % (cert, days), ""


def clock(_site):
    timex = ctypes.create_string_buffer(512)  # struct timex: nothing asked for, nothing set
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) == TIME_ERROR:
        yield "WARN", "clock", "nobody keeps it right", "systemd-timesyncd or chrony: certificates and dates of mail need it"
    else:
        yield "OK", "clock", "is kept right", ""


def speaks(site, address, kind, implicit):
    """None when the listener greets as it should, else why not."""
    wants = GREETINGS.get(kind.rstrip("s") if implicit else kind)
    try:
        if address.startswith("unix:"):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(10)
            s.connect(os.path.join(site.get("rundir"), address[5:]))
        else:
            s = socket.create_connection(site_of.endpoint(address), 10)
        with s:
            if implicit:
                s = site.trust().wrap_socket(s, server_hostname=site.get("hostname"))
            got = s.recv(512) if wants else b""
            s.close()
    except ssl.SSLError as e:
        return "TLS: %s" % (e.reason or e)
    except OSError as e:
        return e.strerror or str(e)
    return None if not wants or got.startswith(wants) else "says %r" % got[:60].decode(errors="replace")


def ports(site):
    for d, name, address, how, kind in site.listeners():
        settings = site.daemons[d]["listen " + name]
        if settings.get("proxy") == "yes" or settings.get("peer_certificate") == "demand":
            continue
        why = speaks(site, address, kind, how == "implicit")
        yield ("FAIL", "ports", "%s %s: %s" % (d, address, why), "is it running? journalctl -u tiermail-%s" % d) if why else \
            ("OK", "ports", "%s %s" % (d, address), "")


def published(site):
    """DNS of the own domains and of this host."""
    where = resolver.servers(site.get("dns.resolvers"))
    name, asked = site.get("hostname"), {}

    def ask(owner, kind):
        if (owner, kind) not in asked:
            asked[owner, kind] = resolver.ask(owner, kind, where)
        return asked[owner, kind]
    try:
        addresses = ask(name, "A") + ask(name, "AAAA")
        if not addresses:
            yield "FAIL", "dns", "%s has no address" % name, "publish A or AAAA: tiermail-setup records"
        for a in addresses:
            try:
                known = name in ask(resolver.reverse(a), "PTR")
            except resolver.Away:
                known = False
            if not known:
                yield "WARN", "dns", "%s is not %s backwards (PTR)" % (a, name), "others refuse mail for that: ask whose address it is"
        for domain in domains(site):
            yield from of_domain(site, domain, name, ask)
    except resolver.Away as e:
        yield "WARN", "dns", "nobody answers: %s" % e, "mend /etc/resolv.conf or dns.resolvers"


def of_domain(site, domain, name, ask):
    lacking = [(level, owner, kind, value) for owner, kind, value, level, _ in
               records.wanted(domain, name, [name] if site.mx() else [], site.services(), key=spam.record(site.filter_path, domain))
               if level and not records.fits(kind, value, ask(owner, kind))]
    services = [owner.split(".")[0][1:] for _, owner, kind, _ in lacking if kind == "SRV"]
    for level, owner, kind, value in lacking:
        if kind != "SRV":
            yield level, "dns", "%s has no %s %s" % (owner, kind, value), "tiermail-setup records"
    if services:
        yield "WARN", "dns", "%s has no SRV of %s" % (domain, " ".join(services)), "tiermail-setup records"
    if not lacking:
        yield "OK", "dns", domain, ""


def domains(site):
    """Those of the directory, as far as it says."""
    for (url, who), (password, base, starttls) in accounts(site).items():
        server = ldap.Server(url, who, password, starttls=starttls, ca=site.get("tls.ca"))
        _, found = server.search(base, what="(objectClass=mailDomain)", attrs=("sunPreferredDomain",), most=16)
        names = sorted(n for _, attrs in found for n in attrs.get("sunpreferreddomain", []))
        if names:
            return names
    return [site.get("default_domain")] if site.get("default_domain") else []


def secrets_of(site):
    for d in ("tiermail", *site.daemons):
        for key, value in confile.values(os.path.join(site.etc, d + ".conf")).items():
            if confile.secret_file(value, site.conf):
                yield confile.secret_file(value, site.conf)
            elif key[1] in ("tls.key", "key") and os.path.isabs(value):
                yield value
    if os.path.isdir(os.path.join(site.etc, "ca")):
        yield os.path.join(site.etc, "ca", "ca.key")


def modes(site):
    bad = 0
    wanted = [(p, False) for p in sorted(set(secrets_of(site)))]
    wanted += [(site.get(key), True) for d, key in (("stored", "store"), ("jobctl", "queue")) if d in site.daemons]
    for path, is_folder in wanted:
        try:
            st = os.stat(path)
        except OSError as e:
            bad += 1
            yield "FAIL", "modes", "%s: %s" % (path, e.strerror), "apt install --reinstall tiermail-common" if is_folder else "tiermail-setup"
            continue
        if st.st_mode & stat.S_IRWXO:
            bad += 1
            yield "FAIL", "modes", "%s is open to everybody (%03o)" % (path, st.st_mode & 0o777), "chmod o= %s" % path
        elif is_folder and site.get("group") and os.getuid() == 0 and st.st_gid != host.group_id():
            bad += 1
            yield "FAIL", "modes", "%s is not of the group %s" % (path, host.GROUP), "chgrp %s %s; chmod 770 %s" % (host.GROUP, path, path)
    if not bad:
        yield "OK", "modes", "secrets, queue and store are closed to others", ""


def disk(site):
    for d, key in (("stored", "store"), ("jobctl", "queue")):
        path = site.get(key)
        if d not in site.daemons or not os.path.isdir(path):
            continue
        use, fs = shutil.disk_usage(path), os.statvfs(path)
        free = 100 * use.free // use.total
        files = 100 * fs.f_favail // fs.f_files if fs.f_files else 100
        level = "FAIL" if min(free, files) < LEAST else "WARN" if min(free, files) < LOW else "OK"
        yield level, "disk", "%s: %d %% and %d GiB free, %d %% of the inodes" % (path, free, use.free >> 30, files), \
            "" if level == "OK" else "more space, before mail has to wait"


def ago(seconds):
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= unit:
            return "%d %s" % (seconds // unit, name)
    return "%d s" % seconds


def delivery(site):
    if "stored" in site.daemons:
        logs = glob.glob(glob.escape(site.get("store")) + "/partition/*/log/*")
        newest = max((os.stat(p).st_mtime for p in logs), default=0)
        if not newest:
            yield "WARN", "delivery", "nothing has ever been stored", "tiermail-setup test"
        else:
            yield "OK", "delivery", "the store has last changed %s ago" % ago(max(0, time.time() - newest)), ""
    if "jobctl" in site.daemons and answers(site, "jobctl"):
        _, out, _ = host.run([host.program("jobctl-ctl"), "-c", site.conf, "channels"])
        count = {w: sum(int(n) for n in re.findall(r"\b%s=(\d+)" % w, out)) for w in ("ready", "waiting", "held")}
        words = "%(ready)d ready, %(waiting)d waiting, %(held)d held" % count
        yield ("WARN" if count["held"] else "OK"), "queue", words, "jobctl-ctl list state=held" if count["held"] else ""


def filters(site):
    """Of the relay: those that do not answer keep mail waiting, or let all of it in."""
    for name, keys in site.daemons.get("smtp-relay", {}).items():
        if not name.startswith("milter "):
            continue
        where, name = keys["address"], name[7:]
        if spam.answers(where):
            yield "OK", "filter", "%s at %s" % (name, where), ""
        else:
            yield "FAIL", "filter", "%s does not answer at %s: on_failure = %s" % (name, where, keys.get("on_failure", "")), "systemctl status %s" % name
    clamd = spam.asks_scanner(site.filter_path) if "milter rspamd" in site.daemons.get("smtp-relay", {}) else None
    if clamd and spam.scans(clamd):
        yield "OK", "virus", "clamd at %s" % clamd, ""
    elif clamd:
        yield "FAIL", "virus", "clamd does not answer at %s: mail waits at its senders" % clamd, "systemctl status clamav-daemon clamav-freshclam"


QUESTIONS = (configuration, units, filters, errors, service_accounts, acting, indexes, tls, clock, published, ports, modes, disk, delivery)


def examine(conf, filter_path=spam.PATH):
    """All findings, in the order of the questions."""
    site = site_of.Site(conf)
    site.filter_path = filter_path
    found = []
    for question in QUESTIONS:
        try:
            found += list(question(site))
        except (host.Stop, OSError, ValueError) as e:
            found.append(("FAIL", question.__name__, str(e), ""))
    return found
