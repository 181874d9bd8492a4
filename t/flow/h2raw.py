"""h2raw: HTTP/2 by hand: python3-h2 for what is right, frames as octets for what is not.

    c = H2(sb, port)                    TLS with ALPN "h2", and the preface
    n = c.ask("GET", "/", fields)       a stream; end=False: its body follows by c.body(n, octets, end)
    c.wait(n)                           its Answer: status, fields, body; or .reset, the code of RST_STREAM
    c.frame(kind, flags, stream, octets)    as it is
    c.over(seconds)                     has the server ended the connection?  .goaway is the code that it said"""
import os, socket, ssl, struct, sys, time

sys.path[:0] = [os.path.dirname(os.path.abspath(__file__))]
import tm, wire

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)


def needed():
    """python3-h2, or the test is skipped.  Debian's Python has it, whichever is first in PATH."""
    try:
        import h2.connection, hpack
    except ImportError:
        if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
            os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
        tm.skip_all("python3-h2 is not there")
    return h2.connection, hpack


class Answer:
    def __init__(self):
        self.status = self.reset = None
        self.fields, self.body, self.over = {}, b"", False


class H2:
    def __init__(self, sb, port, window=1 << 24, alpn=("h2",)):
        connection, _ = needed()
        import h2.config, h2.settings
        tls = wire.context(sb)
        tls.set_alpn_protocols(list(alpn))
        self.sock = tls.wrap_socket(socket.create_connection((sb.host, port), timeout=tm.LONG))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.alpn, self.answers, self.goaway, self.ended = self.sock.selected_alpn_protocol(), {}, None, False
        self.h2 = connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False,
                                                                      normalize_outbound_headers=False))
        if self.alpn != "h2":
            return
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
                                                                                   h2.settings.SettingCodes.ENABLE_PUSH: 0})
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 24)
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            try:
                self.sock.sendall(data)
            except OSError:
                self.ended = True

    def frame(self, kind, flags, stream, octets=b""):
        self.sock.sendall(struct.pack(">I", len(octets))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + octets)

    def ask(self, method, path, fields=(), end=True, authority="localhost"):
        n = self.h2.get_next_available_stream_id()
        self.answers[n] = Answer()
        self.h2.send_headers(n, [(":method", method), (":path", path), (":scheme", "https"), *([(":authority", authority)] if authority else []), *fields],
                             end_stream=end)
        self.flush()
        return n

    def body(self, n, octets, end=True):
        while octets or end:
            room = min(self.h2.local_flow_control_window(n), self.h2.max_outbound_frame_size, len(octets))
            if octets and room == 0:
                if not self.read() or self.answers[n].over:
                    return
                continue
            self.h2.send_data(n, octets[:room], end_stream=end and room == len(octets))
            octets = octets[room:]
            self.flush()
            if not octets:
                return

    def read(self):
        """What the server has to say; False when it is over."""
        import h2.events as e
        import h2.exceptions
        if self.ended:
            return False
        try:
            data = self.sock.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return True
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return False
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as bad:
            raise AssertionError(f"not HTTP/2: {bad}")
        for ev in events:
            a = self.answers.get(getattr(ev, "stream_id", None))
            if isinstance(ev, e.ConnectionTerminated):
                self.goaway = int(ev.error_code)
            elif a is None:
                continue
            elif isinstance(ev, e.ResponseReceived):
                a.fields = dict(ev.headers)
                a.status = int(a.fields[":status"])
            elif isinstance(ev, e.DataReceived):
                a.body += ev.data
                if ev.flow_controlled_length and not self.ended:
                    self.h2.acknowledge_received_data(ev.flow_controlled_length, ev.stream_id)
            elif isinstance(ev, e.StreamEnded):
                a.over = True
            elif isinstance(ev, e.StreamReset):
                a.reset, a.over = int(ev.error_code), True
        self.flush()
        return True

    def wait(self, n, until=lambda a: a.over):
        end = time.monotonic() + tm.LONG
        while not until(self.answers[n]) and time.monotonic() < end and self.read():
            pass
        return self.answers[n]

    def get(self, path, fields=(), **kw):
        return self.wait(self.ask("GET", path, fields, **kw))

    def frames(self, seconds=None):
        """What comes, frame by frame, for who has said frames that python3-h2 does not know of: (kind, flags, stream, octets)."""
        end, kept = time.monotonic() + (seconds or tm.LONG), b""
        while time.monotonic() < end:
            self.sock.settimeout(max(end - time.monotonic(), .01))
            try:
                data = self.sock.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                break
            except OSError:
                data = b""
            if not data:
                self.ended = True
                break
            kept += data
            while len(kept) >= 9 and len(kept) >= 9 + int.from_bytes(kept[:3], "big"):
                n = int.from_bytes(kept[:3], "big")
                kind, flags, stream, octets = kept[3], kept[4], int.from_bytes(kept[5:9], "big") & 0x7fffffff, kept[9:9 + n]
                kept = kept[9 + n:]
                if kind == GOAWAY:
                    self.goaway = int.from_bytes(octets[4:8], "big")
                yield kind, flags, stream, octets
        self.sock.settimeout(tm.LONG)

    def raw(self, n):
        """The Answer of a stream that was made of frames; without its content."""
        a, decoder = Answer(), needed()[1].Decoder()
        for kind, flags, stream, octets in self.frames():
            if kind == HEADERS and stream == n:
                a.status = int(dict(decoder.decode(octets))[":status"])
            elif kind == RST and stream == n:
                a.reset = int.from_bytes(octets, "big")
            if a.status or a.reset is not None or self.goaway is not None:
                break
        return a

    def over(self, seconds=None):
        for _ in self.frames(seconds):
            pass
        return self.ended

    def close(self):
        self.sock.close()
