#!/usr/bin/env python3
"""Sessions that are open end within seconds when the password is changed, the account or its domain is closed or the entry
goes or is moved, a second factor is switched on or the application password that they began with is taken away, on every
door and behind the multiplexor; others stay, also when the entry is changed otherwise, and those of application passwords
when the password is."""
import hashlib, os, re, smtplib, subprocess, sys, time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tm, wire
from scramraw import Imap, ManageSieve, Pop3, Smtp, b64

tm.need("ldapmodify")
sb = tm.Sandbox("--users", "12", "--without", "jmapd", "--without", "memd", "--set", "tiermail.ldap.cache_age=1h")
ok, is_, D = tm.ok, tm.is_, sb.domain
ROOT = ["-x", "-H", sb.env["LDAP_URL"], "-D", sb.env["LDAP_ADMIN_DN"], "-w", sb.env["LDAP_ADMIN_PASSWORD"]]
ORG = f"o={D},{sb.env['LDAP_BASE']}"
dn = lambda n: f"uid={sb.user(n)},ou=People,{ORG}"


def modify(entry, *changes):
    subprocess.run(["ldapmodify", *ROOT], input=f"dn: {entry}\nchangetype: modify\n" + "-\n".join(c + "\n" for c in changes), text=True, check=True, stdout=subprocess.DEVNULL)


DOORS = {"imapd": lambda: Imap(sb, "IMAPS"), "pop3d": lambda: Pop3(sb, "POP3S"), "submission": lambda: Smtp(sb, "SUBMISSIONS"), "sieved": lambda: ManageSieve(sb, "SIEVE"),
         "imap by mmpd": lambda: Imap(sb, "MMP_IMAPS"), "sieve by mmpd": lambda: ManageSieve(sb, "MMP_SIEVE")}


def enter(n, doors=DOORS, password=None):
    made = {}
    for what in doors:
        if "pop3" in what and n in popped:
            continue
        say = DOORS[what]()
        how, text = say.begin("PLAIN", f"\0{sb.user(n)}@{D}\0{password or sb.password}".encode())
        if how != "ok":
            tm.diag(f"{what}: {text}")
        made[what] = getattr(say, "s", say)
    return made


popped = set()


def end_of(made):
    """What each said, and the seconds until the last was over."""
    began, said = time.monotonic(), {}
    for what, s in made.items():
        s.sock.settimeout(15)
        try:
            said[what] = " ".join(s.rest())
        except OSError:
            said[what] = None
    return said, time.monotonic() - began


def lives(made):
    for what, s in made.items():
        s.sock.settimeout(tm.LONG)
        said = s.say({"imapd": "z NOOP", "imap by mmpd": "z NOOP", "pop3d": "NOOP", "submission": "NOOP"}.get(what, 'NOOP "x"'))
        if not re.match(r"z OK|\+OK|250|OK", said):
            return f"{what}: {said}"
    return "all"


def rights(change):
    """slapd with other access rules."""
    path = sb.dir + "/ldap/slapd.conf"
    with open(path) as f:
        text = change(f.read())
    sb.kill("slapd")
    with open(path, "w") as f:
        f.write(text)
    sb.restart("slapd")


# ---- access rules that do not let the services see it
HIDDEN = "access to attrs=modifyTimestamp\n\tby * none\n"
rights(lambda text: text.replace("access to ", HIDDEN + "access to ", 1))
blind = enter(1, ["imapd"])
ok(wire.logged(sb, "imapd", "ev=sessions_unwatched", "may not search for modifyTimestamp"), "who may not see what has changed says so")
is_(lives(blind), "all", "and ends nobody")
blind["imapd"].close()
rights(lambda text: text.replace(HIDDEN, ""))

first, second, third, fourth, other = enter(1), enter(2), enter(3), enter(4, ["imapd", "imap by mmpd"]), enter(5)
is_([lives(m) for m in (first, second, third, fourth, other)], ["all"] * 5, "five people are logged in")
time.sleep(5.1)     # what is remembered of them would let them in again for so long
modify(dn(5), "replace: mailForwardingAddress\nmailForwardingAddress: x@elsewhere.test")
subprocess.run(["ldappasswd", *ROOT, "-s", "another-1", dn(1)], check=True)
said, took = end_of(first)
ok(None not in said.values() and took < 5 * tm.SLOW, f"a password is changed: {len(said)} sessions are over {took:.1f} s later")
ok("BYE Log in again" in said["imapd"] and "421" in said["submission"] and "BYE" in said["sieved"], f"and are told: {said}")
ok("BYE" in said["imap by mmpd"], "through the multiplexor, too")
again = enter(1, ["imapd"], "another-1")
modify(dn(2), "replace: mailUserStatus\nmailUserStatus: inactive")
said, took = end_of(second)
ok(None not in said.values() and took < 5 * tm.SLOW, f"an account is closed: over {took:.1f} s later")
modify(dn(3), "replace: inetUserStatus\ninetUserStatus: deleted")
said, took = end_of(third)
ok(None not in said.values() and took < 5 * tm.SLOW, f"a user is deleted: over {took:.1f} s later")
subprocess.run(["ldapdelete", *ROOT, dn(4)], check=True)
said, took = end_of(fourth)
ok(None not in said.values(), f"an entry that was removed is missed, too: {took:.1f} s later")
is_(lives(other), "all", "somebody whose forwarding was changed has noticed nothing")
is_(lives(again), "all", "nor who has come with the new password")
ok(wire.logged(sb, "imapd", "ev=sessions_ended", f"user={sb.user(1)}@{D}", "why=password", "sessions=") and wire.logged(sb, "imapd", "ev=disconnect", "why=revoked"), "the log says why")

# ---- application passwords
def app(n, word):
    digest = hashlib.sha256(f"tiermail app password:{word}".encode()).hexdigest()
    subprocess.run(["ldapadd", *ROOT], input=f"dn: uid={word[:4]},{dn(n)}\nobjectClass: account\nobjectClass: tiermailAppPassword\nuid: {word[:4]}\ntiermailAppSecret: {digest}\n",
                   text=True, check=True, stdout=subprocess.DEVNULL)
    return word


phone, laptop = app(10, "aaaa" + "b" * 16), app(10, "cccc" + "d" * 16)
kept, lost, own = enter(10, password=laptop), enter(10, [d for d in DOORS if d != "pop3d"], phone), enter(10, ["imapd", "imap by mmpd", "submission"])
subprocess.run(["ldappasswd", *ROOT, "-s", "another-10", dn(10)], check=True)
said, took = end_of(own)
ok(None not in said.values() and took < 5 * tm.SLOW, f"a password is changed: who came with it is out {took:.1f} s later")
time.sleep(2.5)
is_([lives(kept), lives(lost)], ["all"] * 2, "who came by an application password is not, behind the multiplexor neither")
own = enter(10, ["imapd", "imap by mmpd", "submission"], "another-10")
modify(dn(10), "add: objectClass\nobjectClass: tiermailTotp", "add: tiermailSecondFactor\ntiermailSecondFactor: totp")
said, took = end_of(own)
ok(None not in said.values() and took < 5 * tm.SLOW, f"a second factor is switched on: sessions of the password alone are over {took:.1f} s later")
ok(wire.logged(sb, "imapd", "ev=sessions_ended", f"user={sb.user(10)}@{D}", "why=factor"), "the log says why")
time.sleep(2.5)
is_([lives(kept), lives(lost)], ["all"] * 2, "those of application passwords are not")
subprocess.run(["ldapdelete", *ROOT, f"uid={phone[:4]},{dn(10)}"], check=True)
said, took = end_of(lost)
ok(None not in said.values() and took < 8 * tm.SLOW, f"one is taken away: what began with it is over {took:.1f} s later: {[k for k, v in said.items() if v is None]}")
ok(wire.logged(sb, "imapd", "ev=sessions_ended", f"user={sb.user(10)}@{D}", "why=app"), "the log says that, too")
is_(lives(kept), "all", "what began with another one is not")
for s in kept.values():
    s.close()

# ---- an entry that is found at another place
moved = enter(11, ["imapd"])
subprocess.run(["ldapadd", *ROOT], input=f"dn: ou=Moved,{ORG}\nobjectClass: organizationalUnit\nou: Moved\n", text=True, check=True, stdout=subprocess.DEVNULL)
subprocess.run(["ldapmodrdn", *ROOT, "-s", f"ou=Moved,{ORG}", dn(11), f"uid={sb.user(11)}"], check=True)
said, took = end_of(moved)
ok(None not in said.values(), f"an entry is moved, where nobody would see what changes: over {took:.1f} s later")

# ---- the directory is away meanwhile
sb.kill("slapd")
time.sleep(5)
is_(lives(other), "all", "no directory: nobody is put out")
sb.restart("slapd")
subprocess.run(["ldappasswd", *ROOT, "-s", "another-5", dn(5)], check=True)
said, took = end_of({k: v for k, v in other.items() if k != "pop3d"})
ok(None not in said.values(), f"and what is changed then counts {took:.1f} s later")
old = enter(8, ["imapd"])
subprocess.run(["ldapdelete", *ROOT, dn(8)], check=True)
modify(dn(9), f"add: mailAlternateAddress\nmailAlternateAddress: {sb.user(8)}@{D}")
said, took = end_of(old)
ok(None not in said.values(), f"an entry goes, and somebody else gets its name for an address: over {took:.1f} s later")
sixth, seventh = enter(6, ["imapd"]), enter(7, ["imapd", "submission"])
modify(ORG, "replace: mailDomainStatus\nmailDomainStatus: inactive")
said, took = end_of({**sixth, **{"7 " + k: v for k, v in seventh.items()}})
ok(None not in said.values() and took < 6 * tm.SLOW, f"a domain is closed, and all of it is over {took:.1f} s later")
tm.done()
