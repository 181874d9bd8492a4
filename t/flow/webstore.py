"""webstore: a store's HTTP in this process, which says what a test tells it, octet by octet.

    w = Store(sb)                       TLS with the sandbox's certificate on w.port, which demands one
    w.say["/path"] = b"HTTP/1.1 ..."    what is said to a path; or a function of (conn, request)
    w.heard                             requests, as they came: method, path, fields, body
    w.connections                       how many there were
    w.records                           requests about sessions, which all live: not among those heard
A function writes with conn.send and reads no more than it wants: conn.body() is the rest of the request."""
import http.client, io, socket, ssl, threading
import tm


def ok(body=b"{}", fields="", kind="application/json"):
    return b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s" % (
        kind.encode(), len(body), fields.encode(), body)


class Request:
    def __init__(self, method, path, fields):
        self.method, self.path, self.fields, self.body = method, path, fields, b""


class Conn:
    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb")

    def send(self, data):
        self.sock.sendall(data)

    def request(self):
        line = self.file.readline()
        if not line:
            return None
        method, path, version = line.decode().split()
        assert version == "HTTP/1.1" and line.endswith(b"\r\n"), line
        self.now = Request(method, path, http.client.parse_headers(self.file))
        self.left = True
        return self.now

    def body(self):
        """By Python's own reader of chunks: another parser than ours."""
        f = self.now.fields
        if not self.left:
            return self.now.body
        self.left = False
        if f.get("Transfer-Encoding") == "chunked":
            r = http.client.HTTPResponse(Fake(self.file))
            r.chunked, r.chunk_left, r.length, r.will_close = True, None, None, False
            self.now.body = r.read()
        else:
            self.now.body = self.file.read(int(f.get("Content-Length") or 0))
        return self.now.body


class Fake:
    def __init__(self, file):
        self.file = file

    def makefile(self, mode):
        return KeepOpen(self.file)


class KeepOpen(io.BufferedIOBase):
    def __init__(self, file):
        self.read, self.readline, self.readinto = file.read, file.readline, file.readinto
        self.peek, self.read1 = file.peek, file.read1


class Store:
    def __init__(self, sb, port=0):
        self.say, self.heard, self.records, self.connections, self.open = {}, [], [], 0, []
        c = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=sb.env["CAFILE"])
        c.load_cert_chain(sb.dir + "/tls/server.pem", sb.dir + "/tls/server.key")
        c.verify_mode = ssl.CERT_REQUIRED
        self.tls = c
        self.listen(port)

    def listen(self, port=0):
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.server,), daemon=True).start()

    def _accept(self, server):
        while True:
            try:
                sock = server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock = self.tls.wrap_socket(sock, server_side=True)
            self.connections += 1
            self.open.append(sock)
            conn = Conn(sock)
            while (r := conn.request()):
                path = r.path.split("?")[0]
                record = path.startswith("/sessions")
                (self.records if record else self.heard).append(r)
                say = self.say.get(path, b"HTTP/1.1 204 No Content\r\n\r\n" if record else ok())
                if callable(say):
                    if say(conn, r) == "close":
                        break
                    continue
                conn.body()
                conn.send(say)
        except (OSError, EOFError, http.client.HTTPException):
            pass     # a request that is cut off
        finally:
            sock.close()

    def stop(self):
        """Nobody answers at the port any more; what is open ends."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for sock in self.open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []
