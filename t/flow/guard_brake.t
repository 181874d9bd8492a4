#!/usr/bin/env python3
"""The brake on our own users: limits of an hour, of a user and of his domain, and of recipients that were refused; what is
above is refused, or held in the queue with its reason until somebody releases it."""
import os, smtplib, ssl, sys

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import jmapraw, tm, wire

tm.need("ldapadd")
without = [a for d in ("pop3d", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "8", *without, "--set", "tiermail.postmaster=user0008@example.test")
path = sb.conf("smtp-relay.conf")
plain = open(path).read()


def limits(**keys):
    with open(path, "w") as f:
        f.write(plain + "\n[limit]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()))
    sb.restart("smtp-relay")


def send(user, to):
    """The code of the first refusal, or of the message, and how many recipients were taken."""
    c = sb.smtp("SUBMISSION")
    context = ssl.create_default_context(cafile=sb.env["CAFILE"])
    context.check_hostname = False
    c.starttls(context=context)
    c.ehlo()
    c.login(sb.user(user), sb.password)
    code, taken = c.mail(f"{sb.user(user)}@{sb.domain}")[0], 0
    if code == 250:
        got = [c.rcpt(t)[0] for t in to]
        taken = got.count(250)
        code = c.data("Subject: s\r\n\r\nhello\r\n")[0] if taken else got[0]
    c.close()
    return code, taken


def held():
    return sorted(f for f in sb.queue_files() if f.endswith(".HELD"))


one = f"{sb.user(6)}@{sb.domain}"
others = [f"{sb.user(n)}@{sb.domain}" for n in range(1, 6)]
nobody = [f"nobody{n}@{sb.domain}" for n in range(3)]

limits(user_messages=2, user_rcpts=4)
tm.is_([send(1, [one])[0] for _ in range(3)], [250, 250, 450], "refuse: the third message of two")
tm.is_(send(2, [one, *others])[1], 4, "the fifth recipient of four")
tm.is_(send(3, [one])[0], 250, "another user has his own")
tm.ok(wire.logged(sb, "smtp-relay", "ev=brake", f"user={sb.user(1)}@", "limit=limit.user_messages", "excess=refuse"), "with a line in the log")

limits(user_messages=3, excess="hold")
tm.is_(held(), [], "nothing is held yet")
n = sb.count(6)
tm.is_([send(1, [one])[0] for _ in range(2)], [250, 250], "hold: the user hears no difference")
tm.ok(tm.wait_for(lambda: sb.count(6) == n + 1) and len(held()) == 1, "one of them goes, the other is held")
tm.ok(b"limit.user_messages" in open(held()[0], "rb").read(), "with the reason")
r = sb.tool("mailq")
tm.ok("limit.user_messages" in r.stdout, "which mailq shows") or tm.diag(r.stdout)
r = sb.tool("jobctl-ctl", "release", os.path.basename(held()[0])[2:15])
tm.ok(r.returncode == 0 and tm.wait_for(lambda: sb.count(6) == n + 2), "and it goes when it is released")

limits(user_rcpts=6, excess="hold")
tm.is_(send(3, [one, *others]), (250, 6), "recipients above the limit are taken, too")
tm.ok(held() and b"limit.user_rcpts" in open(held()[0], "rb").read(), "and the message is held")
for f in held():
    os.unlink(f)
limits(user_failures=3, excess="hold")
tm.is_([send(4, [*nobody, one])[0] for _ in range(2)], [250, 250], "recipients that do not exist")
tm.is_((send(4, [one])[0], len(held())), (250, 1), "more than the limit of them: the next message is held")
tm.ok(b"limit.user_failures" in open(held()[0], "rb").read(), "for that")
tm.is_((send(5, [one])[0], len(held())), (250, 1), "not that of another")
# ---- who writes to many whom he does not know
for f in held():
    os.unlink(f)
limits(user_new_rcpts=4, excess="hold")
friends = [f"{sb.user(7)}+{n}@{sb.domain}" for n in range(8)]
tm.is_((send(7, friends[:4]), len(held())), ((250, 4), 0), "four that are new to a user")
tm.is_((send(7, [f.upper() for f in friends[:4]]), len(held())), ((250, 4), 0), "are not when he writes again")
sb.restart("smtp-relay")
tm.is_((send(7, friends[:4]), len(held())), ((250, 4), 0), "nor behind a restart")
tm.is_((send(7, friends[4:5]), len(held())), ((250, 1), 0), "one more is less than half of his recipients: he is busy, that is all")
limits(user_new_rcpts=4, new_share=30, excess="hold")
tm.is_((send(7, friends[5:]), len(held())), ((250, 3), 1), "with more of them, the message is held")
tm.ok(b"limit.user_new_rcpts" in open(held()[0], "rb").read(), "for that")
tm.is_(((send(7, friends[5:])), len(held())), ((250, 3), 2), "again, for nobody is known by what was held")
tm.ok(wire.logged(sb, "smtp-relay", "ev=brake", f"user={sb.user(7)}@", "limit=limit.user_new_rcpts", "excess=hold"), "the log says so")


def warnings(user):
    return [m for m in sb.messages(8) if f"Subject: {user}@{sb.domain} sends more mail".encode() in m]


tm.ok(tm.wait_for(lambda: warnings(sb.user(7))), "the postmaster is told")
tm.ok(b"limit.user_new_rcpts" in warnings(sb.user(7))[0] and b"jobctl-ctl release" in warnings(sb.user(7))[0] and b"Auto-Submitted" in warnings(sb.user(7))[0], "what it is, and what can be done")
tm.is_([len(warnings(sb.user(n))) for n in (7, 1)], [1, 1], "once of each user")
for f in held():
    os.unlink(f)
limits(user_messages=1, warn="no")
tm.is_([send(8, [one])[0] for _ in range(2)], [250, 450], "with limit.warn = no")
tm.is_(warnings(sb.user(8)), [], "nobody is told")
limits(domain_messages=1)
tm.is_(send(5, [one])[0], 450, "a domain's limit is of all its users")
tm.ok("smtp_braked_total" in sb.tool("tmctl", "-d", "smtp-relay", "metrics").stdout, "and all of it is counted")

# ---- whoever sends in the web
limits(user_messages=1)
j = jmapraw.Jmap(sb, 6)
j.using.append("urn:ietf:params:jmap:submission")
mine = j.one("Identity/get", ids=None)["list"][0]["id"]
for subject in ("first", "second"):
    sb.imap(6).append("Drafts", r"(\Draft)", None, f"From: {one}\r\nTo: {others[0]}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nhello\r\n".encode())
got = [j.one("EmailSubmission/set", create={"s": {"identityId": mine, "emailId": j.emails(subject=f'"{s}"')[0]}}) for s in ("first", "second")]
tm.is_([sorted(g["created"] or {}) for g in got], [["s"], []], "a user has one limit, by JMAP, too")
tm.ok("too many messages" in (got[1]["notCreated"] or {}).get("s", {}).get("description", ""), "and hears why") or tm.diag(got)
tm.is_(send(6, [one])[0], 450, "which holds for submission then")
tm.done()
