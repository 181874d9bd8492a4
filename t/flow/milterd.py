"""milterd: a mail filter in this process, which does what a test tells it.

    m = Milter("unix:/path")            or "127.0.0.1:port"
    m.terms = (actions, steps, {stage: "macro names"})
    m.answer["M"] = lambda c: b"r"      what is said to a command: frames, or None for silence;
                                        an exception ends the connection
    m.stuck = threading.Event()         nothing more is read until it is set
    m.heard                             of each connection a list of (command, data) as they came
    m.macros                            the latest macros, by command
Frames are made by frame(letter, data); a bare letter is a frame of its own."""
import socket, struct, threading

ADD, BODY, ADDRCPT, DELRCPT, CHANGE, QUARANTINE, FROM, ARGS, LISTS = (1 << n for n in range(9))
ALL = 0x1ff
# What is not to be told, and what has no answer.
NOT = {c: 1 << n for n, c in enumerate("CHMRBLN")} | {"T": 0x200}
MUTE = {"L": 0x80, "C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "N": 0x40000, "B": 0x80000, "U": 0x20000}
SKIP, SPACE = 0x400, 0x100000


def frame(letter, data=b""):
    return struct.pack(">I", len(data) + 1) + letter.encode() + data


def text(*strings):
    return b"".join((s.encode() if isinstance(s, str) else s) + b"\0" for s in strings)


def header(letter, name, value, index=None):
    """h adds, i inserts, m changes."""
    return frame(letter, (b"" if index is None else struct.pack(">I", index)) + text(name, value))


class Conn:
    """One connection: what was heard of the message so far."""

    def __init__(self, milter, sock):
        self.milter, self.sock, self.heard, self.body, self.fields = milter, sock, [], b"", []
        self.sender, self.rcpts = None, []

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def command(self):
        n, = struct.unpack(">I", self.read(4))
        data = self.read(n)
        return chr(data[0]), data[1:]

    def note(self, c, data):
        self.heard.append((c, data))
        words = data.split(b"\0")[:-1]
        if c == "D":
            self.milter.macros[chr(data[0])] = dict(zip(*[iter(w.decode() for w in data[1:].split(b"\0")[:-1])] * 2))
        elif c == "M":
            self.sender, self.rcpts, self.fields, self.body = words[0].decode(), [], [], b""
        elif c == "R":
            self.rcpts.append(words[0].decode())
        elif c == "L":
            self.fields.append((words[0].decode(), words[1].decode("latin1")))
        elif c == "B":
            self.body += data

    def serve(self):
        m = self.milter
        c, data = self.command()
        self.note(c, data)
        actions, steps, lists = m.terms
        more = b"".join(struct.pack(">I", at) + text(names) for at, names in lists.items())
        self.sock.sendall(frame("O", struct.pack(">III", m.version, actions, steps) + more))
        if m.stuck:
            m.stuck.wait()
        while True:
            c, data = self.command()
            self.note(c, data)
            if c == "Q":
                return
            if c in "DA" or (c in MUTE and steps & MUTE[c]):
                continue
            said = m.answer.get(c, "c")
            if callable(said):
                said = said(self)
            if said is not None:
                self.sock.sendall(frame(said) if isinstance(said, str) else said)


class Milter:
    def __init__(self, address):
        self.address, self.version = address, 6
        self.reset()
        self.listening = None
        self.start()

    def reset(self):
        self.terms, self.answer, self.heard, self.macros, self.conns = (ALL, 0, {}), {}, [], {}, []
        self.stuck = None

    def start(self):
        if self.address.startswith("unix:"):
            s = socket.socket(socket.AF_UNIX)
            s.bind(self.address[5:])
        else:
            host, port = self.address.rsplit(":", 1)
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, int(port)))
        s.listen(50)
        self.listening = s
        threading.Thread(target=self.accept, args=(s,), daemon=True).start()

    def stop(self):
        """Nobody listens any more, and who was connected is not."""
        import os
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        if self.address.startswith("unix:"):
            os.unlink(self.address[5:])
        self.drop()

    def drop(self):
        for c in self.conns:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            c = Conn(self, sock)
            self.conns.append(c)
            self.heard.append(c.heard)
            threading.Thread(target=self.run, args=(c,), daemon=True).start()

    @staticmethod
    def run(c):
        try:
            c.serve()
        except (EOFError, OSError, struct.error):
            pass
        except ZeroDivisionError:      # an answer that is "the filter dies here"
            pass
        finally:
            c.sock.close()

    def commands(self, n=-1):
        """The letters that connection n has heard, without macros."""
        return "".join(c for c, _ in self.heard[n] if c != "D")
