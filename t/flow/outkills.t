#!/usr/bin/env python3
"""jobctl, channel-master and smtp-relay are killed with SIGKILL under outbound load, at random moments, again and again
(TM_KILLS, 12), while a server elsewhere counts.

Afterwards: what was answered 250 has been accepted there for each of its recipients; and what it was given twice it had
accepted the first time as the last on its connection, whose other end had died before it could write that down."""
import collections, os, random, re, signal, smtplib, socket, sys, threading, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm

KILLS = int(os.environ.get("TM_KILLS", 12))
SENDERS = 4
VICTIMS = ["smtp-relay", "jobctl", "channel-master"]
seed = int(os.environ.get("TM_SEED", time.time()))
rnd = random.Random(seed)
tm.diag(f"TM_SEED={seed}")


class Counting:
    """A server that accepts everything, but for one recipient in fifty, who is put off, and writes down what it has
    accepted: by connection, in order."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.sock.getsockname()[1]
        self.lock, self.connections, self.asked = threading.Lock(), [], 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            mine = []
            self.connections.append(mine)
            threading.Thread(target=self.serve, args=(self.sock.accept()[0], mine), daemon=True).start()

    def serve(self, c, mine):
        f = c.makefile("rwb")
        rcpts = []
        try:
            f.write(b"220 sink\r\n")
            f.flush()
            while line := f.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    f.write(b"250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
                elif verb == b"DATA" and rcpts:
                    f.write(b"354 go\r\n")
                    f.flush()
                    body = b""
                    while (line := f.readline()) not in (b".\r\n", b""):
                        body += line
                    if not line:
                        return
                    mid = re.search(rb"Subject: (\S+)", body)[1].decode()
                    mine.append((mid, tuple(rcpts)))
                    f.write(b"250 accepted\r\n")
                elif verb == b"DATA":
                    f.write(b"554 nobody\r\n")
                elif verb == b"RCPT":
                    with self.lock:
                        self.asked += 1
                        off = self.asked % 50 == 0
                    if not off:
                        rcpts.append(re.search(rb"<(.*?)>", line)[1].decode())
                    f.write(b"450 later\r\n" if off else b"250 ok\r\n")
                else:
                    if verb in (b"MAIL", b"RSET"):
                        rcpts = []
                    f.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
                if verb == b"QUIT":
                    f.flush()
                    return
                f.flush()
        except OSError:
            pass
        finally:
            c.close()


sink = Counting()
without = [a for d in ("stored", "lmtpd", "imapd", "pop3d", "jmapd", "sieved", "mmpd", "memd") for a in ("--without", d)]
sb = tm.Sandbox("--users", "1", *without, "--set", "smtp-relay.limit.per_client=10000", "--set", "smtp-relay.relay.networks=127.0.0.0/8",
                "--set", "channels.channel tcp_local.backoff=1s", "--set", "channels.channel tcp_local.maxjobs=3",
                *(a for i in range(5) for a in ("--route", f"d{i}.test=smtp:127.0.0.1:{sink.port}")))
acked, unsure, lock, stop = {}, set(), threading.Lock(), threading.Event()


def sender(k):
    n, s = 0, None
    mine = random.Random(seed * 100 + k)
    while not stop.is_set():
        n += 1
        mid = f"out-{k}-{n}"
        rcpts = [f"u{i}@d{mine.randrange(5)}.test" for i in range(mine.choice([1, 1, 1, 2, 5]))]
        text = f"From: <load@sender.test>\r\nSubject: {mid}\r\n\r\n" + "a line of it\r\n" * mine.choice([1, 20, 400])
        try:
            s = s or sb.smtp()
            s.sendmail("load@sender.test", rcpts, text)
            with lock:
                acked[mid] = rcpts
        except (smtplib.SMTPException, OSError):  # the answer was lost: another message is sent, not this one again
            unsure.add(mid)
            s = None
            time.sleep(0.02)
        time.sleep(0.01)


def kill_one(victim):
    pids = sb.pids_of(victim)
    workers = pids if victim == "channel-master" else [p for p in pids if p != sb.pid(victim)]
    if victim == "channel-master" and not workers:
        return False
    if workers and (victim == "channel-master" or rnd.random() < 0.4):
        try:
            os.kill(rnd.choice(workers), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True
    os.kill(sb.pid(victim), signal.SIGKILL)
    time.sleep(rnd.random() * 0.2)
    return sb.restart(victim)


threads = [threading.Thread(target=sender, args=(k,), daemon=True) for k in range(SENDERS)]
for t in threads:
    t.start()
kills, i, end = collections.Counter(), 0, time.monotonic() + (30 + 5 * KILLS) * tm.SLOW
while sum(kills.values()) < KILLS and time.monotonic() < end:
    time.sleep(0.1 + rnd.random() * 0.3)
    kills[VICTIMS[i % len(VICTIMS)]] += kill_one(VICTIMS[i % len(VICTIMS)])
    i += 1
stop.set()
for t in threads:
    t.join(tm.LONG)
tm.is_(sum(kills.values()), KILLS, f"so many kills: {dict(kills)}")
tm.ok(len(acked) >= 10 * KILLS, f"{len(acked)} messages were acknowledged meanwhile, {len(unsure)} lost their answer")
tm.ok(sb.queue_empty(), "the queue is empty in the end")

got, last = collections.Counter(), collections.Counter()
for mine in sink.connections:
    for at, (mid, to) in enumerate(mine):
        for r in to:
            got[mid, r] += 1
            last[mid, r] += at == len(mine) - 1
lost = [(mid, r) for mid, rcpts in acked.items() for r in rcpts if not got[mid, r]]
tm.is_(lost[:5], [], "nothing that was answered 250 is lost")
double = {k: n for k, n in got.items() if n > 1}
tm.diag(f"{sum(got.values())} accepted, {sum(n - 1 for n in double.values())} of them again")
tm.is_([k for k, n in double.items() if last[k] < n - 1][:5], [], "only what a dead connection had accepted last came again")
tm.is_([k for k in got if k[0] not in acked and k[0] not in unsure][:5], [], "and nothing that nobody has sent")
tm.is_([n for n in os.listdir(os.path.join(sb.env["QUEUE"], "tmp"))], [], "nothing is left among the temporary files of the queue")
tm.done()
