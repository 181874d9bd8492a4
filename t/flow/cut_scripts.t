#!/usr/bin/env python3
"""Cut-through to somebody whose script sends mail on, tells of it, or answers, by a relay that is slow to take that: the
message goes by the queue while its first delivery still waits, and yet all of it goes once."""
import os, socket, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

tm.need("ldapmodify")
without = [a for d in ("pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "4", *without, "--set", "channels.channel tcp_lmtp.minjobs=1", "--set", "channels.channel tcp_lmtp.backoff=1s")
_, two, three, four = (f"{sb.user(n)}@{sb.domain}" for n in (1, 2, 3, 4))


def slow(path, seconds):
    """A policy service that lets everybody in, after a while."""
    def serve(c):
        for line in c.makefile("rb"):
            if line == b"\n":
                time.sleep(seconds)
                c.sendall(b"action=DUNNO\n\n")

    def accept():
        while True:
            threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()

    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o666)
    s.listen(50)
    threading.Thread(target=accept, daemon=True).start()


slow(f"{sb.dir}/slow.sock", 4)
with open(sb.conf("smtp-relay.conf"), "a") as f:
    f.write(f"\n[policy slow]\naddress = unix:{sb.dir}/slow.sock\nlisteners = local\n")
sb.restart("smtp-relay")
tm.ok(wire.modify(sb, 1, f'replace: mailSieveRuleSource\nmailSieveRuleSource: require ["copy", "enotify", "vacation"]; redirect :copy "{two}"; notify "mailto:{three}"; vacation "away";'), "somebody's script")
tm.ok(tm.wait_for(lambda: os.path.exists(f"{sb.env['QUEUE']}/tcp_lmtp.cut")), "a master waits for messages")
sb.send(1, sender=four, subject="on", extra="Message-ID: <on@cut.test>\r\n")
tm.ok(wire.logged(sb, "lmtpd", "ev=deliver", "reply=451") and wire.logged(sb, "smtp-relay", "ev=queued", "cut=0", "msgid=<on@cut.test>"),
      "the message is queued, and comes again while it is being sent on")
tm.ok(tm.wait_for(lambda: (sb.count(1), sb.count(2), sb.count(3), sb.count(4)) >= (1, 1, 1, 1)) and sb.queue_empty(), "it arrives, and what was to be sent, too")
tm.is_([sb.count(n) for n in range(1, 5)], [1] * 4, "a copy for him, one on its way, one word of it, one answer: nothing twice")
tm.done()
