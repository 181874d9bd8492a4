#!/usr/bin/env python3
"""What a script sends on goes when the store has what stays: nothing goes on of a message that comes again, and what
comes again is neither stored nor sent twice."""
import base64, os, smtplib, sys
import tm, wire

sb = tm.Sandbox("--users", "4", "--set", "tiermail.ldap.cache_age=0s", "--set", "lmtpd.workers=1", "--without", "pop3d", "--without", "mmpd")
ok, is_, D = tm.ok, tm.is_, sb.domain
ONE, TWO = (f"{sb.user(n)}@{D}" for n in (1, 2))


def script(n, text):
    return wire.modify(sb, n, "replace: mailSieveRuleSource\nmailSieveRuleSource:: " + base64.b64encode(text.encode()).decode())


def lmtp(subject, *to, qid=None, extra=""):
    """Delivers under the name of a queue file; (code, words) of each recipient."""
    with smtplib.LMTP(os.path.join(sb.env["RUNDIR"], "lmtpd.sock")) as c:
        c.ehlo()
        c.mail("outside@sender.test", [f"XQID={qid}"] if qid else [])
        for a in to:
            c.rcpt(a)
        c.docmd("DATA")
        c.send(f"From: a@sender.test\r\nTo: b@{D}\r\nSubject: {subject}\r\n{extra}\r\nhello\r\n.\r\n")
        return [(code, words.decode()) for code, words in (c.getreply() for _ in to)]


def subjects(n, folder="INBOX"):
    return [m.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for m in sb.messages(n, folder)]


ok(script(1, f'require "copy"; redirect :copy "{TWO}";'), "one keeps and sends on")
# ---- the store does not take it now
ok(wire.modify(sb, 1, "replace: mailMsgQuota\nmailMsgQuota: 1") and lmtp("fills it", ONE, qid="q0")[0][0] == 250, "a mailbox with room for one")
is_([lmtp("full", ONE, qid="q1")[0][0] for _ in range(2)], [452, 452], "a message for a full mailbox comes again")
ok(sb.queue_empty() and tm.wait_for(lambda: "fills it" in subjects(2)), "what was stored before went on")
is_(subjects(2), ["fills it"], "this one has not: it would come again with each try")
ok(wire.modify(sb, 1, "delete: mailMsgQuota"), "there is room again")
is_(lmtp("full", ONE, qid="q1")[0][0], 250, "it is delivered")
ok(tm.wait_for(lambda: subjects(2) == ["fills it", "full"]), "and goes on")
is_(subjects(1), ["fills it", "full"], "once")

# ---- the relay does not take it now
sb.kill("smtp-relay")
is_([lmtp("later", ONE, f"{sb.user(3)}@{D}", qid="q2") for _ in range(2)][1][1][0], 250, "without a relay another recipient has the message")
is_(lmtp("later", ONE, qid="q2")[0][0], 451, "and this one is asked for again")
is_((subjects(1)[-1], subjects(1).count("later"), sb.count(3)), ("later", 1, 1), "with one copy in the store, however often")
sb.restart("smtp-relay")
is_(lmtp("later", ONE, qid="q2")[0][0], 250, "then it is taken")
is_(lmtp("later", ONE, qid="q2")[0][0], 250, "and once more, when its answer was lost")
ok(tm.wait_for(lambda: "later" in subjects(2)) and sb.queue_empty(), "it has gone on")
is_((subjects(1).count("later"), subjects(2).count("later")), (1, 1), "once, and is here once")

# ---- without a name, who sends it cannot be told from another: then nothing stays before it has gone on
sb.kill("smtp-relay")
is_([lmtp("no name", ONE)[0][0] for _ in range(3)], [451] * 3, "of a message without a name")
is_(subjects(1).count("no name"), 0, "there is no copy for each try")
sb.restart("smtp-relay")

# ---- the relay refuses it for good, when the rest is stored
ok(script(1, f'redirect "nosuchuser@{D}";') and
   script(4, 'require ["fileinto", "mailbox", "editheader"]; addheader "X-Own" "1"; fileinto :create "Edited";'), "to a user that there is not; and a copy of its own")
is_([c for c, _ in lmtp("refused", ONE, f"{sb.user(4)}@{D}", qid="q3")], [250, 250], "both are delivered")
is_(subjects(1)[-1], "refused", "what can go nowhere stays")
is_([b"X-Own: 1" in m for m in sb.messages(4, "Edited")], [True], "and so does the copy with another header")
is_([b"X-Own" in m for m in sb.messages(1)[-1:]], [False], "each in its own form")
tm.done()
