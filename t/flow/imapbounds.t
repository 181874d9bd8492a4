#!/usr/bin/env python3
"""What a client can make long holds nobody: LIST of many patterns and names, LSUB of many subscriptions.
Each is run beside a session that only says NOOP, whose longest wait is looked at.  All is measured in
processor time of imapd's worker, so that it does not matter what else the machine does."""
import threading, time
import tm
from imapraw import Raw

sb = tm.Sandbox("--users", "3", "--without", "lmtpd", "--without", "jobctl", "--without", "smtp-relay",
                "--set", "imapd.limit.subscriptions=1500", "--set", "imapd.workers=1")
worker, = set(sb.pids_of("imapd")) - {sb.pid("imapd")}


class Beside:
    """The longest wait of another user's NOOPs while the block runs."""

    def __enter__(self):
        self.c, self.worst, self.on = Raw(sb, login=3), 0, True
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def ask(self):
        while self.on:
            at = tm.cpu(worker)
            self.c.ok("NOOP")
            self.worst = max(self.worst, tm.cpu(worker) - at)
            time.sleep(0.002)

    def __exit__(self, *_):
        self.on = False
        self.thread.join()
        self.c.close()


def pipelined(c, commands):
    """All at once; the tagged answers."""
    tags = []
    for i in range(0, len(commands), 100):
        part = commands[i:i + 100]
        c.send(b"".join(b"p%d %s\r\n" % (i + k, x.encode()) for k, x in enumerate(part)))
        tags += [c.finish(b"p%d" % (i + k))[1] for k in range(len(part))]
    return tags


c = Raw(sb, login=1)
long = "x" * 190
made = pipelined(c, [f"CREATE {long}{n:04d}" for n in range(300)])
tm.is_([m for m in made if not m.startswith(b"OK")][:1], [], "300 folders with long names")
patterns = " ".join('"' + "*x" * 480 + f'{n}"' for n in range(100))


def run(command):
    """How long it takes, and how long another waits meanwhile, as parts of what is allowed."""
    with Beside() as b:
        at = tm.cpu(worker)
        run.got = c.ok(command)
        took = tm.cpu(worker) - at
    tm.diag(f"{command[:20]} took {took * 1000:.0f} ms, another's NOOP at most {b.worst * 1000:.0f} ms")
    return took, b.worst


many = 4 if tm.SANITIZED else 1
tm.ok(tm.least(lambda: max(a / b for a, b in zip(run(f'LIST "" ({patterns})'), (5 * many, 0.3 * many))), 1) < 1,
      "100 patterns of 1,000 bytes over them: the product, in words of 64 positions, and others are answered meanwhile")
tm.is_(len(c.ok('LIST "" (INBOX *0000 %0001 *x0299)')), 4, "what they match is right")

c = Raw(sb, login=2)
there = len(c.ok('LSUB "" *'))
names = pipelined(c, [f"SUBSCRIBE d{n:04d}/e{n % 7}/f" for n in range(1500 - there)])
tm.is_([m for m in names if not m.startswith(b"OK")][:1], [], "1,500 subscriptions")
tm.ok(c.tagged("SUBSCRIBE one/more").startswith(b"NO [LIMIT]"), "one more is over the limit")
tm.ok(c.tagged("SUBSCRIBE d0000/e0/f").startswith(b"OK"), "one that is there is none more")
tm.ok(tm.least(lambda: run('LSUB "" %')[0], 0.5 * many) < 0.5 * many, "LSUB % over them is not quadratic")
tm.is_(len(run.got), 1500, "their tops")
tm.is_(len(c.ok('LSUB "" *')), 1500, "all of them")
tm.is_(len([l for l in c.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" %') if b"CHILDINFO" in l]), 1500 - there, "the same by LIST")
tm.ok(c.tagged("UNSUBSCRIBE d0000/e0/f").startswith(b"OK") and c.tagged("SUBSCRIBE one/more").startswith(b"OK"), "room again")
tm.done()
