"""The DNS records of a domain: what others need to find its servers and to trust its mail.

Printed by `tiermail-setup records`, compared with what is published by `tiermail-setup check`."""
import re

# (name, port, what it is): RFC 6186, RFC 8314 and RFC 5804 1.8, offered where a listener is there
SERVICES = {
    "imaps": ("_imaps._tcp", 993), "imap": ("_imap._tcp", 143), "pop3s": ("_pop3s._tcp", 995), "pop3": ("_pop3._tcp", 110),
    "submissions": ("_submissions._tcp", 465), "submission": ("_submission._tcp", 587), "sieve": ("_sieve._tcp", 4190),
    "jmap": ("_jmap._tcp", 443), "autodiscover": ("_autodiscover._tcp", 443),
}
AT_ONCE = ("sieve", "jmap", "autodiscover")  # that have one way alone


def wanted(domain, hostname, mx, services, addresses=(), key=None):
    """[(owner, type, value, level when it is missing or "", why)]; `mx` are the hosts that take the domain's mail,
    `services` {service: port} of those that people use here."""
    found = [(domain, "MX", "%d %s" % (10, h), "FAIL", "where mail for %s goes" % domain) for h in mx]
    found += [(hostname, "AAAA" if ":" in a else "A", a, "FAIL", "this host") for a in addresses]
    found += [
        (domain, "TXT", "v=spf1 mx -all", "WARN", "SPF (RFC 7208): its mail comes from its MX hosts"),
        ("_dmarc." + domain, "TXT", "v=DMARC1; p=none; rua=mailto:postmaster@%s" % domain, "WARN",
         "DMARC (RFC 7489): reports at first; quarantine when they are clean"),
        ("_mta-sts." + domain, "TXT", "v=STSv1; id=1", "", "MTA-STS (RFC 8461); a new id with each change of the policy"),
        ("_smtp._tls." + domain, "TXT", "v=TLSRPTv1; rua=mailto:postmaster@%s" % domain, "", "TLSRPT (RFC 8460)"),
    ]
    if key:
        found.append((*key[:1], "TXT", key[1], "FAIL", "DKIM (RFC 6376): the key that the filter signs with"))
    for service, (name, port) in SERVICES.items():
        if service in services:
            value = "%d 1 %d %s" % (0 if service.endswith("s") or service in AT_ONCE else 10, services[service] or port, hostname)
            found.append(("%s.%s" % (name, domain), "SRV", value, "WARN", "mail clients (RFC 6186, RFC 8314, RFC 8620, Outlook)"))
    if "autodiscover" in services:
        found.append(("autoconfig." + domain, "CNAME", hostname, "", "Thunderbird and others; the certificate has to have that name, too"))
    return found


def quoted(text):
    """Strings of a TXT record, which have 255 octets at most."""
    return " ".join('"%s"' % text[i:i + 255] for i in range(0, len(text), 255))


def policy(mx):
    """What https://mta-sts.DOMAIN/.well-known/mta-sts.txt has to say."""
    return "version: STSv1\nmode: testing\n" + "".join("mx: %s\n" % h for h in mx) + "max_age: 604800\n"


def zone(domain, hostname, mx, services, addresses=(), key=None):
    """As lines of a zone file."""
    text, last = "", None
    for owner, kind, value, _, why in wanted(domain, hostname, mx, services, addresses, key):
        value = quoted(value) if kind == "TXT" else value + "." if kind in ("MX", "SRV", "CNAME") else value
        text += "" if why == last else "; %s\n" % why
        text += "%-40s IN %-5s %s\n" % (owner + ".", kind, value)
        last = why
    if not addresses:
        text += "; this host, by the address at which others reach it\n; %-38s IN A\n" % (hostname + ".")
    text += "; and from whom the address is: its name (PTR) is %s\n" % hostname
    return text + "".join("; %s\n" % line for line in
                          ["with MTA-STS, https://mta-sts.%s/.well-known/mta-sts.txt says:" % domain, *policy(mx).split("\n")[:-1]])


def fits(kind, value, published):
    """Does what is published do the work of the value?  A site's own words are as good as ours."""
    if kind == "TXT" and value.startswith("v=DKIM1"):  # this key and no other
        return any(re.sub(r"\s", "", p).endswith(value.rpartition(" ")[2]) for p in published)
    if kind == "TXT":
        begin = re.match(r"v=\w+", value).group(0).lower()
        return any(p.lower().startswith(begin) for p in published)
    if kind == "MX":
        return any(p[1] == value.split()[1].lower() for p in published)
    if kind == "SRV":
        return any(p[2:] == (int(value.split()[2]), value.split()[3].lower()) for p in published)
    return value in published
