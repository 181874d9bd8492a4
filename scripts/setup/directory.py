"""The directory that tiermail-directory(7) describes: made in a slapd that has none of it, or the changes that
an existing one needs.

The schema, the entries and the rights all come from the samples in /usr/share/tiermail, which are for reading
and for slapd.conf(5); here they become changes of cn=config(5).  What is there already is left alone, so that
all of this can be run again."""
import os
import re
import secrets

import host
import ldap

CONFIG = "cn=config"
SIEVE = "sieve"  # sieved's account (conf/ldif/base.ldif)
JMAP = "jmap"    # jmapd's
PAB = "pab"      # of address books
ADMIN = "admind"  # of administrators' changes
BOOKS = "o=pab"  # where these are (pab.base)
# What a service reads of users and domains, whatever else an entry has; the rest stands in the sample's rules.
NEEDED = ("mailHost", "mailUserStatus", "inetUserStatus", "mailDeliveryOption", "mailAlternateAddress", "mailQuota",
          "sunPreferredDomain", "inetDomainStatus", "mailDomainStatus")
NAMES = re.compile(r"NAME (?:'([^']+)'|\(\s*'([^']+)')")


def statements(path):
    """The statements of a slapd.conf(5) file: lines that begin with a blank go on, comments are left out."""
    with open(path) as f:
        text = re.sub(r"(?m)^#.*\n", "", f.read())
    return [" ".join(s.split()) for s in re.sub(r"\n[ \t]+", " ", text).split("\n") if s.strip()]


# ---- the schema ------------------------------------------------------------------------------
WORDS = {"objectidentifier": "olcObjectIdentifier", "attributetype": "olcAttributeTypes", "objectclass": "olcObjectClasses"}


def definitions():
    """[(attribute of cn=config, definition)] of our schema, in its order."""
    found = []
    for s in statements(host.sample("schema/tiermail.schema")):
        word, _, rest = s.partition(" ")
        if word.lower() not in WORDS:
            raise host.Stop("tiermail.schema: what is %s?" % word)
        found.append((WORDS[word.lower()], rest))
    return found


def schema_ldif():
    """For ldapadd(1)."""
    return "dn: cn=tiermail,cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: tiermail\n" + \
        "".join("%s: %s\n" % d for d in definitions())


def name_of(definition):
    m = NAMES.search(definition)
    return (m.group(1) or m.group(2) if m else definition.split()[0]).lower()


def load_schema(config):
    """Loads ours, and dyngroup for lists; of an older one that is there, adds what is new."""
    code, have = config.search("cn=schema," + CONFIG, "one", "(objectClass=olcSchemaConfig)",
                               ("olcObjectIdentifier", "olcAttributeTypes", "olcObjectClasses"))
    if code:
        raise host.Stop("cn=config of slapd: %s" % ldap.words_of(code))
    loaded = {re.sub(r"^cn=(\{\d+\})?([^,]+),.*$", r"\2", dn): (dn, attrs) for dn, attrs in have}
    for needed in ("core", "cosine", "inetorgperson", "dyngroup"):
        if needed not in loaded:
            host.act("loads the schema %s" % needed)
            with open("/etc/ldap/schema/%s.ldif" % needed) as f:
                config.change(f.read(), add=True)
    if "misc" in loaded:
        raise host.Stop("slapd has OpenLDAP's misc.schema, which gives an OID of ours to another attribute: "
                        "tiermail-directory(7)")
    if "tiermail" not in loaded:
        host.act("loads the schema tiermail")
        config.change(schema_ldif(), add=True)
        return
    dn, attrs = loaded["tiermail"]
    known = {name_of(re.sub(r"^\{\d+\}", "", v)) for values in attrs.values() for v in values}
    new = [d for d in definitions() if name_of(d[1]) not in known]
    if new:
        host.act("adds to the schema: %s" % " ".join(name_of(d) for _, d in new))
        config.change("dn: %s\nchangetype: modify\n" % dn + "-\n".join("add: %s\n%s: %s\n" % (a, a, d) for a, d in new))


# ---- what slapd brings with it that is not in every one ----------------------------------------
# overlay of the sample: what its entry in cn=config says
OVERLAYS = {"ppolicy": "objectClass: olcPPolicyConfig\n", "sssvlv": "objectClass: olcSssVlvConfig\nolcSssVlvMax: 32\n"}


def overlay_entry(database, name):
    return "olcOverlay=%s,%s" % (name, database), "objectClass: olcOverlayConfig\n%solcOverlay: %s\n" % (OVERLAYS[name], name)


def load_modules(config):
    """The sample's modules, those that are on this host."""
    wanted = [s.split()[1] for s in statements(host.sample("ldif/slapd.conf")) if s.startswith("moduleload ")]
    code, found = config.search(CONFIG, "one", "(objectClass=olcModuleList)", ("olcModuleLoad", "olcModulePath"))
    if code:
        raise host.Stop("cn=config of slapd: %s" % ldap.words_of(code))
    loaded = {os.path.basename(re.sub(r"^\{\d+\}", "", v)).partition(".")[0] for _, attrs in found for v in attrs.get("olcmoduleload", [])}
    paths = [p for _, attrs in found for p in attrs.get("olcmodulepath", [])] or ["/usr/lib/ldap"]
    new = [m for m in wanted if m not in loaded and any(os.path.exists("%s/%s.so" % (d, m)) for p in paths for d in p.split(":"))]
    if not new:
        return
    host.act("lets slapd load %s" % " ".join(new))
    values = "".join("olcModuleLoad: %s\n" % m for m in new)
    if found:
        config.change("dn: %s\nchangetype: modify\nadd: olcModuleLoad\n%s" % (found[0][0], values))
    else:
        config.change("dn: cn=module,cn=config\nobjectClass: olcModuleList\nolcModulePath: %s\n%s" % (paths[0], values), add=True)


def add_overlays(config, base):
    """The sample's overlays, of the database that holds the base."""
    database = database_of(config, base)[0]
    code, found = config.search(database, "one", "(objectClass=olcOverlayConfig)", ("olcOverlay",))
    have = {re.sub(r"^\{\d+\}", "", v).lower() for _, attrs in found if code == 0 for v in attrs.get("olcoverlay", [])}
    for name in (s.split()[1] for s in statements(host.sample("ldif/slapd.conf")) if s.startswith("overlay ")):
        if name not in have:
            host.act("gives the database of %s the overlay %s" % (base, name))
            config.change("dn: %s\n%s" % overlay_entry(database, name), add=True)


# ---- rights, indexes and limits, as the sample has them -----------------------------------------
def rules(base, sample="slapd.conf"):
    """(access rules, indexes, limits) of a sample for this base."""
    all_of = [s.replace("@BASE@", base).partition(" ")[::2] for s in statements(host.sample("ldif/" + sample))]
    return tuple([rest for word, rest in all_of if word == wanted] for wanted in ("access", "index", "limits"))


def attributes(base, me, sample="slapd.conf"):
    """The settings of our own database."""
    access, indexes, limits = rules(base, sample)
    mine = 'to * by dn.exact="%s" manage by * break' % me
    return "olcAddContentAcl: TRUE\n" + "".join("olcDbIndex: %s\n" % i for i in indexes) + \
        "".join("olcAccess: {%d}%s\n" % pair for pair in enumerate([mine, *access])) + \
        "".join("olcLimits: {%d}%s\n" % pair for pair in enumerate(limits))


def database_of(config, base):
    """(DN of the database that holds the base, its settings), or (None, {})"""
    code, found = config.search(CONFIG, "one", "(olcSuffix=*)", ("olcSuffix", "olcAccess", "olcDbIndex", "olcLimits"))
    if code:
        raise host.Stop("cn=config of slapd: %s" % ldap.words_of(code))
    for dn, attrs in found:
        if any(same_dn(s, base) for s in attrs["olcsuffix"]):
            return dn, attrs
    return None, {}


def same_dn(a, b):
    return re.sub(r"\s*,\s*", ",", a.lower()) == re.sub(r"\s*,\s*", ",", b.lower())


# ---- a fresh one ------------------------------------------------------------------------------
def domain_dn(base, domain):
    return "o=%s,%s" % (domain, base)


def fill(name, **words):
    """A template's LDIF, with its words; lines whose word is empty are left out."""
    with open(host.sample("ldif/" + name)) as f:
        text = "".join(line for line in f if not line.startswith("#"))
    for word, value in words.items():
        if not value:
            text = re.sub(r"(?m)^.*@%s@.*\n" % word, "", text)
        text = text.replace("@%s@" % word, value)
    return text.strip() + "\n\n"


def missing(server, ldif):
    """Those entries of LDIF that are not there."""
    return "".join(block + "\n\n" for block in ldif.strip().split("\n\n")
                   if server.search(re.match(r"dn: (.*)", block).group(1), "base", attrs=("1.1",))[0] == 32)


def add(server, ldif):
    new = missing(server, ldif)
    for dn in re.findall(r"(?m)^dn: (.*)$", new):
        host.act("adds %s" % dn)
    server.change(new, add=True)


def make_database(config, base, me, where):
    """A database of our own for the base, or Debian's that has it and is empty."""
    dn, have = database_of(config, base)
    if dn is None:
        host.folder(where, 0o700, host.user_of("openldap"))
        host.act("makes the database of %s in %s" % (base, where))
        config.change("dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n"
                      "olcDatabase: mdb\nolcDbDirectory: %s\nolcSuffix: %s\nolcRootDN: %s\nolcDbMaxSize: 4294967296\n%s"
                      % (where, base, me, attributes(base, me)), add=True)
        return
    if any("ou=services," + base.lower() in a.lower() for a in have.get("olcaccess", [])):
        return  # ours, or with rules for our services: an administrator's matter
    host.act("gives the database of %s the rights and indexes of tiermail-directory(7)" % base)
    settings = attributes(base, me).rstrip("\n").split("\n")
    change = ["dn: %s\nchangetype: modify" % dn]
    for attr in ("olcAddContentAcl", "olcDbIndex", "olcAccess", "olcLimits"):
        change.append("replace: %s\n%s\n-" % (attr, "\n".join(s for s in settings if s.startswith(attr + ":"))))
    config.change("\n".join(change) + "\n")


def make_books(config, base, me, where):
    """The database of the address books and its top, when it is not there."""
    if database_of(config, BOOKS)[0] is None:
        host.folder(where, 0o700, host.user_of("openldap"))
        host.act("makes the database of %s in %s" % (BOOKS, where))
        config.change("dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n"
                      "olcDatabase: mdb\nolcDbDirectory: %s\nolcSuffix: %s\nolcRootDN: %s\nolcDbMaxSize: 4294967296\n%s"
                      % (where, BOOKS, me, attributes(base, me, "pab.conf")), add=True)
    add(config, fill("pab.ldif"))


def empty(server, base):
    """Has this base nothing but itself and an administrator's entry?  True when it is not there."""
    code, found = server.search(base, "sub", attrs=("1.1",), most=3)
    if code == 32:
        return True
    return code == 0 and all(same_dn(dn, base) or dn.lower().startswith("cn=admin,") for dn, _ in found)


def service_dn(base, account):
    return "uid=%s,ou=services,%s" % (account, base)


def make(config, base, domain, passwords, where):
    """A fresh directory: schema, database, top, services with the passwords {account: password}, and the domain."""
    code, me = config.whoami()
    if code:
        raise host.Stop("slapd at %s: %s" % (config.url, ldap.words_of(code)))
    load_modules(config)
    load_schema(config)
    if database_of(config, base)[0] is None or empty(config, base):
        make_database(config, base, me, where)
    elif not any("ou=services," + base.lower() in a.lower() for a in database_of(config, base)[1].get("olcaccess", [])):
        raise host.Stop("%s has entries already: use --directory existing, which shows what it lacks" % base)
    add_overlays(config, base)
    top = fill("base.ldif", BASE=base, DC=base.split(",")[0].split("=")[1])
    blocks = [b.replace("@SERVICEPW@", ldap.hashed(passwords.get(b.partition("dn: uid=")[2].partition(",")[0]) or secrets.token_urlsafe(18)))
              for b in top.strip().split("\n\n")]
    if not base.lower().startswith("dc="):
        attr, _, value = base.split(",")[0].partition("=")
        blocks[0] = "dn: %s\nobjectClass: %s\n%s: %s" % (
            base, "organization" if attr.lower() == "o" else "organizationalUnit", attr, value)
    add(config, "\n\n".join(blocks))
    add_domain(config, base, domain)
    forbid_anonymous(config)
    if PAB in passwords:
        make_books(config, base, me, os.path.join(where, "pab"))
    if SIEVE in passwords or JMAP in passwords or PAB in passwords:
        let_act(config)


def let_act(config):
    """Services may act for people, those whose entries say for whom."""
    code, found = config.search(CONFIG, "base", attrs=("olcAuthzPolicy",))
    if code == 0 and not any(v.lower() in ("to", "any", "both") for _, attrs in found for v in attrs.get("olcauthzpolicy", [])):
        host.act("lets services of slapd act for people (authzTo)")
        config.change("dn: cn=config\nchangetype: modify\nreplace: olcAuthzPolicy\nolcAuthzPolicy: to\n")


def forbid_anonymous(config):
    code, found = config.search(CONFIG, "base", attrs=("olcDisallows",))
    if code == 0 and not any("bind_anon" in v for _, attrs in found for v in attrs.get("olcdisallows", [])):
        host.act("lets nobody ask slapd without a name")
        config.change("dn: cn=config\nchangetype: modify\nadd: olcDisallows\nolcDisallows: bind_anon\n")


def add_domain(server, base, domain):
    code, found = server.search(base, what="(|(sunPreferredDomain=%s)(associatedDomain=%s))" % (domain, domain), attrs=("1.1",))
    if code or not found:
        add(server, fill("domain.ldif", BASE=base, DOMAIN=domain, ALIAS=""))


def user_dn(base, domain, uid):
    return "uid=%s,ou=People,%s" % (uid, domain_dn(base, domain))


def has_user(server, base, domain, uid):
    return server.search(user_dn(base, domain, uid), "base", attrs=("1.1",))[0] == 0


def add_user(server, base, domain, uid, mailhost, password):
    add(server, fill("user.ldif", BASE=base, DOMAIN=domain, UID=uid, ALIAS="", MAILHOST=mailhost, USERPW=ldap.hashed(password)))


# ---- an existing one ----------------------------------------------------------------------------
def known_attributes(server):
    """Their names in lower case; none when the directory does not say."""
    code, found = server.search("", "base", attrs=("subschemaSubentry",))
    where = found[0][1].get("subschemasubentry", ["cn=Subschema"])[0] if found else "cn=Subschema"
    code, found = server.search(where, "base", attrs=("attributeTypes",))
    return set() if code else {n.lower() for _, attrs in found for v in attrs.get("attributetypes", []) for n in re.findall(r"'([^']+)'", v)}


def lacking_schema(server):
    """Names of ours that the directory does not know; None when it does not say."""
    known = known_attributes(server)
    return [n for n in NEEDED if n.lower() not in known] if known else None


# What each may write in a person's name: targets of access rules, and the rights.
SCRIPTS = (("attrs=mailSieveRuleSource,tiermailSieveScript", "write"),)
VACATION = (('attrs=mailDeliveryOption val.regex="^autoreply$"', "write"), ('attrs=mailDeliveryOption val.regex="^mailbox$"', "=arscx"),
            ("attrs=mailAutoReplySubject,mailAutoReplyText,vacationStartDate,vacationEndDate", "write"))
# and reads besides
OF_VACATION = ",mailDeliveryOption,mailAutoReplyTextInternal"


def acting_parts(server, base, database, name, why, writes, reads=""):
    """What a daemon needs besides that acts for people: an account, and its rights in their names."""
    who = service_dn(base, name)
    parts = ["# %s; its password is set by ldappasswd(1).\n"
             "dn: cn=config\nchangetype: modify\nreplace: olcAuthzPolicy\nolcAuthzPolicy: to\n" % why,
             "dn: %s\nchangetype: modify\nadd: olcAccess\n" % database +
             "".join("olcAccess: {%d}%s\n" % pair for pair in enumerate((
                 'to dn.exact="%s" attrs=authzTo by self auth by * none' % who,
                 *('to dn.subtree="%s" %s by self realdn.exact="%s" %s by * break' % (base, what, who, right) for what, right in writes),
                 'to dn.subtree="%s" attrs=entry,objectClass,entryCSN%s by self realdn.exact="%s" read by * break' % (base, reads, who),
                 'to dn.subtree="%s" by self realdn.exact="%s" none by * break' % (base, who))))]
    if server.search(who, "base", attrs=("1.1",))[0]:
        parts.append("dn: %s\nchangetype: add\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: %s\n"
                     "authzTo: dn.regex:^uid=[^,]+,.*%s$\nuserPassword: {SSHA}!\n" % (who, name, re.escape(base)))
    return parts


def further_rules(base, who):
    """The sample's rights of a service for a directory that has rules of its own: they give, and take nothing
    from anybody else."""
    found = ['to dn.subtree="%s" attrs=userPassword by dn.exact="%s" none by * break' % (base, who)]
    for rule in rules(base)[0]:
        what, _, by = rule.partition(" by ")
        if 'dn.children="ou=services' in by and "dn." not in what:  # those with a DN are of administrators
            right = "search" if what == "to *" else "read"
            what = what.replace("to *", "to ").replace("to ", 'to dn.subtree="%s" ' % base, 1).rstrip()
            found.append('%s by dn.exact="%s" %s by * break' % (what, who, right))
    return found


def changes(server, base, domain, who, hostname, database, people=None):
    """LDIF of what an existing directory needs, each part with a comment that says why."""
    parts = []
    lacking = lacking_schema(server)
    if lacking is None or lacking:
        parts.append("# The schema, by who may change cn=config: ldapadd -Y EXTERNAL -H ldapi:///\n" + schema_ldif())
    if "pwdchangedtime" not in known_attributes(server):
        parts.append("# The module that knows when a password was changed (pwdChangedTime), which the rights name.\n"
                     "dn: cn=module{0},cn=config\nchangetype: modify\nadd: olcModuleLoad\nolcModuleLoad: ppolicy\n")
    parts.append("# Its overlay, without a policy, keeps that (one that is there already is refused, and that is well).\n"
                 "dn: %s\nchangetype: add\n%s" % overlay_entry(database, "ppolicy"))
    access, indexes = further_rules(base, who), rules(base)[1]
    parts.append("# Rights of the service, in front of your own rules, from which they take nothing; what is no index of\n"
                 "# yours yet; and no more entries in an answer than a mistake needs.\n"
                 "dn: %s\nchangetype: modify\nadd: olcAccess\n" % database +
                 "".join("olcAccess: {%d}%s\n" % pair for pair in enumerate(access)) + "-\nadd: olcLimits\nolcLimits: {0}dn.exact=\"%s\" "
                 "size.soft=16 size.hard=16 size.pr=500 size.prtotal=500000 time=10\n" % who)
    for index in indexes:
        parts.append("# An index (one that is there already is refused, and that is well).\n"
                     "dn: %s\nchangetype: modify\nadd: olcDbIndex\nolcDbIndex: %s\n" % (database, index))
    code, _ = server.search(who, "base", attrs=("1.1",))
    if code:
        parts.append("# The account of the service; its password is set by ldappasswd(1).\n"
                     "dn: %s\nchangetype: add\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: %s\n"
                     "userPassword: {SSHA}!\n" % (who, who.split(",")[0].split("=")[1]))
    if host.program("sieved"):
        parts += acting_parts(server, base, database, SIEVE, "sieved acts for people, to see and change their scripts", SCRIPTS)
    if host.program("jmapd"):
        parts += acting_parts(server, base, database, JMAP, "jmapd acts for people, to see and change their vacation and scripts", VACATION + SCRIPTS, OF_VACATION)
    code, found = server.search(base, what="(sunPreferredDomain=%s)" % domain, attrs=("1.1",))
    if code or not found:
        parts.append("# The domain; its users are those below inetDomainBaseDN.\n"
                     "dn: %s\nchangetype: add\nobjectClass: organization\nobjectClass: sunManagedOrganization\n"
                     "objectClass: inetDomain\nobjectClass: mailDomain\no: %s\nsunPreferredDomain: %s\n"
                     "inetDomainStatus: active\nmailDomainStatus: active\ninetDomainBaseDN: %s\n"
                     % (domain_dn(base, domain), domain, domain, people or base))
    code, found = server.search(people or base, what="(&(mail=*@%s)(uid=*)(!(objectClass=inetMailUser)))" % domain,
                                attrs=("objectClass", "mailHost"), pages=500)
    for dn, attrs in found:
        classes = [c for c in ("inetUser", "inetMailUser", "inetLocalMailRecipient")
                   if c.lower() not in {v.lower() for v in attrs.get("objectclass", [])}]
        parts.append("dn: %s\nchangetype: modify\nadd: objectClass\n" % dn + "".join("objectClass: %s\n" % c for c in classes) +
                     ("" if "mailhost" in attrs else "-\nadd: mailHost\nmailHost: %s\n" % hostname))
    return parts


def jobs_dn(base):
    return "ou=Jobs,%s" % base


def job_parts(server, base, database, have=None):
    """Where admind keeps jobs, for a directory that it used before there were any.  `have`: the settings of the database,
    where they can be seen, and then `server` sees all entries; None: what is there already is printed, too."""
    account = service_dn(base, "admind")
    there = have is not None and server.search(jobs_dn(base), "base", attrs=("1.1",))[0] == 0
    ruled = have is not None and any(jobs_dn(base).lower() in rule.lower() for rule in have.get("olcaccess", []))
    if not host.program("admind") or (have is not None and server.search(account, "base", attrs=("1.1",))[0]):
        return []
    parts = []
    if "tiermailjobstate" not in known_attributes(server):
        parts.append("# The schema of before there were jobs: tiermail-setup --load-schema adds what is new.\n")
    if not ruled:
        found = [rule for rule in rules(base)[0] if jobs_dn(base) in rule.partition(" by ")[0]]
        parts.append("# Whose jobs are whose (diradm(8)), in front of your own rules, which these take nothing from.\n"
                     "dn: %s\nchangetype: modify\nadd: olcAccess\n" % database + "".join("olcAccess: {%d}%s\n" % pair for pair in enumerate(found)))
    if not there:
        parts.append("# What is many changes, for admind (one that is there already is refused, and that is well).\n"
                     "dn: %s\nchangetype: add\nobjectClass: organizationalUnit\nou: Jobs\n" % jobs_dn(base))
    return parts


# ---- rights --------------------------------------------------------------------------------------
def look(server, base):
    """What a service account sees: [(level, what, words, what to do)]"""
    who = server.dn or "nobody"
    code, _ = server.whoami()
    if code:
        todo = "start slapd, or mend ldap.url" if code == ldap.AWAY else "mend ldap.bind_dn and ldap.password"
        return [("FAIL", "directory", "%s as %s: %s" % (server.url, who, ldap.words_of(code)), todo)]
    out = [("OK", "directory", "%s answers %s" % (server.url, who), "")]
    lacking = lacking_schema(server)
    if lacking:
        out.append(("FAIL", "schema", "the directory does not know %s" % ", ".join(lacking), "tiermail-setup schema | ldapadd ..."))
    code, _ = server.search(base, "base", attrs=("objectClass",))
    if code:
        return out + [("FAIL", "base", "%s: %s for %s" % (base, ldap.words_of(code), who),
                       "mend ldap.base, or give the account the rights of tiermail-directory(7)")]
    code, domains = server.search(base, what="(|(objectClass=mailDomain)(objectClass=inetDomain))",
                                  attrs=("sunPreferredDomain",), most=16)
    names = [n for _, attrs in domains for n in attrs.get("sunpreferreddomain", [])]
    if not domains:
        return out + [("FAIL", "domains", "%s sees no domain below %s" % (who, base), "add one, or mend the account's rights")]
    out.append(("OK", "domains", "%s" % " ".join(names[:5]) + (" and %d more" % (len(names) - 5) if len(names) > 5 else ""), ""))
    code, users = server.search(base, what="(objectClass=inetMailUser)", attrs=("uid", "mail", "userPassword"), most=5)
    if any("userpassword" in attrs for _, attrs in users):
        out.append(("FAIL", "passwords", "%s reads userPassword" % who, "no service needs it: take the right away"))
    if not users:
        out.append(("WARN", "users", "%s sees no user" % who, "add users, or mend the account's rights"))
    elif not all("uid" in attrs and "mail" in attrs for _, attrs in users):
        out.append(("FAIL", "users", "%s sees users without uid or mail" % who, "give the account the rights of tiermail-directory(7)"))
    else:
        out.append(("OK", "users", "%s sees users" % who, ""))
    return out


def look_acting(server, person):
    """What an account may that acts for people: [(level, what, words, what to do)]"""
    code, _ = server.whoami()
    if code:
        return [("FAIL", "accounts", "%s as %s: %s" % (server.url, server.dn, ldap.words_of(code)), "mend the password that its daemon has, or ldap.provider")]
    if person is None:
        return []
    code, known = server.acts_for(person)
    if code or not same_dn(known, person):
        return [("FAIL", "accounts", "%s may not act for %s: %s" % (server.dn, person, ldap.words_of(code)), "tiermail-setup directory says what it needs")]
    return [("OK", "accounts", "%s acts for people" % server.dn, "")]


def unindexed(config, base):
    """Attributes of the sample's indexes that the database of the base has not; None when it cannot be seen."""
    try:
        dn, have = database_of(config, base)
    except host.Stop:
        return None
    if dn is None:
        return None
    words = {w.lower() for i in have.get("olcdbindex", []) for w in i.split()[0].split(",")}
    return [a for i in rules(base)[1] for a in i.split()[0].split(",") if a.lower() not in words]


def default_path():
    return "/var/lib/ldap/tiermail" if os.path.isdir("/var/lib/ldap") else "/var/lib/ldap-tiermail"
