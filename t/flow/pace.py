"""How slow the machine is: other tests, a disk that is busy and a processor that is shared all count.

As a program, `pace.py FILE PID`, it does a little work again and again while PID is its parent, and
keeps the sums in FILE."""
import mmap, os, struct, subprocess, sys, tempfile, time


def work(n):
    """Seconds for a piece of work, and for a sync, as parts of what a quiet machine needs."""
    began = time.monotonic()
    sum(i * i & 7 for i in range(20000 * n))
    between = time.monotonic()
    with tempfile.TemporaryFile() as f:
        for _ in range(n):
            f.write(bytes(4096))
            f.flush()
            os.fsync(f.fileno())
    return (between - began) / (0.002 * n), (time.monotonic() - between) / (0.003 * n)


class Pace:
    """How slow the machine is while something lasts: a process beside it works as above.  `mark()`
    before, `since(mark)` afterwards: so many times slower than a quiet machine.  Not a fork of this
    process: it may have threads."""

    def __init__(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(bytes(24))
            f.flush()
            self.sums = mmap.mmap(f.fileno(), 24)
            self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), f.name, str(os.getpid())], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            self.process.stdout.read(1)     # it has the file

    def mark(self):
        return struct.unpack("ddd", self.sums[:])

    def since(self, mark):
        while self.mark()[0] <= mark[0]:    # it may be starved as well
            if self.process.poll() is not None:
                raise RuntimeError("the pacemaker has died")
            time.sleep(0.005)
        times, worked, syncs = (now - then for now, then in zip(self.mark(), mark))
        return max(1, worked / times, syncs / times)


def main():
    with open(sys.argv[1], "r+b") as f:
        sums = mmap.mmap(f.fileno(), 24)
    print(".", end="", flush=True)
    times = worked = syncs = 0
    while os.getppid() == int(sys.argv[2]):
        a, b = work(1)
        times, worked, syncs = times + 1, worked + a, syncs + b
        sums[:] = struct.pack("ddd", times, worked, syncs)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
