#!/usr/bin/python3
"""An OpenID provider over HTTPS: Debian's oauthlib decides (clients, redirect URIs, PKCE, codes, tokens), PyJWT signs.

    oidcd.py PORT FOLDER        FOLDER has server.pem and server.key

Nobody asks people for passwords here: /authorize lets in whom the test has named.  POST /test takes JSON:
{"mint": {claims}, "key": "rsa", ...} gives a token; {"set": {...}} changes how it behaves; {} tells what was asked.
"""
import base64, json, ssl, sys, threading, time, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from oauthlib.openid import RequestValidator, Server

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]
ISSUER = f"https://127.0.0.1:{PORT}"
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
num = lambda n: b64(n.to_bytes((n.bit_length() + 7) // 8, "big"))


def make(kind):
    if kind == "rsa":
        k = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        n = k.public_key().public_numbers()
        return k, "RS256", {"kty": "RSA", "n": num(n.n), "e": num(n.e)}
    if kind == "ec":
        k = ec.generate_private_key(ec.SECP256R1())
        n = k.public_key().public_numbers()
        return k, "ES256", {"kty": "EC", "crv": "P-256", "x": b64(n.x.to_bytes(32, "big")), "y": b64(n.y.to_bytes(32, "big"))}
    k = ed25519.Ed25519PrivateKey.generate()
    raw = k.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return k, "EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}


keys = {name: make({"new": "ec", "never": "rsa"}.get(name, name)) for name in ("rsa", "ec", "ed", "new", "never")}
published = {"rsa", "ec", "ed"}
state = {"user": None, "down": False, "mode": "", "id": {}, "lie": {}, "active": {}, "info": {}, "end": None, "refuse": None}
asked = {}
codes, tokens = {}, {}
lock = threading.Lock()
CLIENT, SECRET = "web", "a secret: of %the client"


def mint(claims, key="rsa", header=None, **_):
    return jwt.encode(claims, keys[key][0], keys[key][1], headers={"kid": key, **(header or {})})


class Validator(RequestValidator):
    def validate_client_id(self, client_id, request, *a, **kw):
        return client_id == CLIENT

    def validate_redirect_uri(self, client_id, uri, request, *a, **kw):
        return uri == state["redirect"]

    def validate_scopes(self, client_id, scopes, client, request, *a, **kw):
        return set(scopes) <= {"openid", "email", "profile"}

    def get_default_scopes(self, *a, **kw):
        return ["openid"]

    def validate_response_type(self, client_id, response_type, *a, **kw):
        return response_type == "code"

    def validate_user_match(self, *a, **kw):
        return True

    def is_pkce_required(self, client_id, request):
        return True

    def save_authorization_code(self, client_id, code, request, *a, **kw):
        codes[code["code"]] = {"redirect": request.redirect_uri, "challenge": request.code_challenge, "method": request.code_challenge_method,
                               "nonce": request.nonce, "scopes": request.scopes, "user": dict(request.user)}

    def get_code_challenge(self, code, request):
        return codes.get(code, {}).get("challenge")

    def get_code_challenge_method(self, code, request):
        return codes.get(code, {}).get("method")

    def authenticate_client(self, request, *a, **kw):
        if state.get("how") == "post":
            user, password = request.client_id, getattr(request, "client_secret", None)
            request.client = type("Client", (), {"client_id": CLIENT})
            return "Authorization" not in request.headers and (user, password) == (CLIENT, SECRET)
        try:
            user, password = base64.b64decode(request.headers["Authorization"].split(" ")[1]).decode().split(":")
        except (KeyError, ValueError, IndexError):
            return False
        request.client = type("Client", (), {"client_id": CLIENT})
        return (urllib.parse.unquote(user), urllib.parse.unquote(password)) == (CLIENT, SECRET)

    def validate_code(self, client_id, code, client, request, *a, **kw):
        if code not in codes:
            return False
        request.user, request.scopes, request.nonce = (codes[code][k] for k in ("user", "scopes", "nonce"))
        return True

    def confirm_redirect_uri(self, client_id, code, redirect_uri, client, request, *a, **kw):
        return codes[code]["redirect"] == redirect_uri

    def validate_grant_type(self, client_id, grant_type, client, request, *a, **kw):
        return grant_type == "authorization_code"

    def save_bearer_token(self, token, request, *a, **kw):
        tokens[token["access_token"]] = dict(request.user)

    def invalidate_authorization_code(self, client_id, code, request, *a, **kw):
        codes.pop(code, None)

    def get_authorization_code_nonce(self, client_id, code, redirect_uri, request):
        return codes[code]["nonce"]

    def get_authorization_code_scopes(self, client_id, code, redirect_uri, request):
        return codes.get(code, {}).get("scopes", [])

    def finalize_id_token(self, id_token, token, token_handler, request):
        now = int(time.time())
        claims = {"iss": ISSUER, "sub": "u", "aud": CLIENT, "exp": now + 300, "iat": now, **id_token, **request.user, **state["id"]}
        claims = {k: v for k, v in claims.items() if v is not None}
        return mint(claims, state.get("id_key", "rsa"))

    def validate_bearer_token(self, token, scopes, request):
        request.user = tokens.get(token)
        return request.user is not None

    def get_userinfo_claims(self, request):
        return {"sub": "u", **{k: v for k, v in {**request.user, **state["info"]}.items() if v is not None}}

    def introspect_token(self, token, token_type_hint, request, *a, **kw):
        return state["active"].get(token)


server = Server(Validator())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *a):
        pass

    def send(self, status, body=b"", headers=None):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for k, v in (headers or {}).items():
            self.send_header(k, v)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def json(self, what):
        self.send(200, json.dumps(what), {"Content-Type": "application/json"})

    def trouble(self, path):
        """What a server may do that it should not."""
        mode = state["mode"]
        if mode == "500":
            self.send(500, "no")
        elif mode == "garbage":
            self.send(200, "<html>")
        elif mode == "large":
            self.send(200, b"x" * 300000)
        elif mode == "redirect":
            self.send(302, "", {"Location": "/else"})
        elif mode == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            try:
                for _ in range(600):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.1)
            except OSError:
                pass
            self.close_connection = True
        else:
            return False
        return True

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        with lock:
            asked[url.path] = asked.get(url.path, 0) + 1
        if self.trouble(url.path):
            return
        if url.path == "/.well-known/openid-configuration":
            self.json({"issuer": ISSUER, "authorization_endpoint": ISSUER + "/authorize", "token_endpoint": ISSUER + "/token",
                       "introspection_endpoint": ISSUER + "/introspect", "jwks_uri": ISSUER + "/jwks", "userinfo_endpoint": ISSUER + "/userinfo", "end_session_endpoint": ISSUER + "/end",
                       "authorization_response_iss_parameter_supported": True, **state["lie"]})
        elif url.path == "/jwks":
            self.json({"keys": [{"kid": n, "use": "sig", **keys[n][2]} for n in sorted(published)]})
        elif url.path == "/userinfo":
            headers, text, status = server.create_userinfo_response(ISSUER + self.path, "GET", None, dict(self.headers))
            self.send(status, text or "", headers)
        elif url.path == "/end":
            self.end(dict(urllib.parse.parse_qsl(url.query)))
        elif url.path == "/authorize" and state["refuse"]:
            q = dict(urllib.parse.parse_qsl(url.query))
            self.send(302, "", {"Location": f"{q['redirect_uri']}?error={state['refuse']}&state={q['state']}&iss=" + urllib.parse.quote(ISSUER, safe="")})
        elif url.path == "/authorize":
            scopes, credentials = server.validate_authorization_request(ISSUER + self.path, "GET", None, dict(self.headers))
            credentials["user"] = state["user"]
            headers, _, status = server.create_authorization_response(ISSUER + self.path, "GET", None, dict(self.headers), scopes, credentials)
            headers["Location"] += "&iss=" + urllib.parse.quote(ISSUER, safe="")
            self.send(status, "", {"Location": headers["Location"]})
        else:
            self.send(404)

    def do_POST(self):
        body = self.body()
        with lock:
            asked[self.path] = asked.get(self.path, 0) + 1
        if self.path == "/test":
            self.test(json.loads(body))
        elif self.trouble(self.path):
            pass
        elif self.path == "/token":
            time.sleep(state.get("slow", 0))
            headers, text, status = server.create_token_response(ISSUER + self.path, "POST", body, dict(self.headers))
            self.send(status, text, {k: v for k, v in headers.items()})
        elif self.path == "/introspect":
            time.sleep(state.get("slow", 0))
            headers, text, status = server.create_introspect_response(ISSUER + self.path, "POST", body, dict(self.headers))
            self.send(status, text or "", {k: v for k, v in headers.items()})
        else:
            self.send(404)

    def end(self, q):
        """Whose ID token it is, goes back to where that client may come back to."""
        try:
            who = jwt.decode(q["id_token_hint"], keys["rsa"][0].public_key(), ["RS256"], audience=q["client_id"], options={"verify_exp": False})
        except (KeyError, jwt.InvalidTokenError) as e:
            return self.send(400, f"no good hint: {e!r}")
        if q["client_id"] != CLIENT or q["post_logout_redirect_uri"] != state["end"]:
            return self.send(400, "not to there")
        with lock:
            asked["end of " + str(who.get("email"))] = 1
        return self.send(302, "", {"Location": q["post_logout_redirect_uri"]})

    def test(self, what):
        if "mint" in what:
            self.json(mint(what["mint"], **{k: v for k, v in what.items() if k != "mint"}))
            return
        if "publish" in what:
            published.clear()
            published.update(what["publish"])
        state.update(what.get("set", {}))
        with lock:
            told = dict(asked)
            if "set" in what or "publish" in what:
                asked.clear()
        self.json(told)


httpd = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
httpd.daemon_threads = True
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(FOLDER + "/server.pem", FOLDER + "/server.key")
httpd.socket = tls.wrap_socket(httpd.socket, server_side=True, do_handshake_on_connect=False)
print("ready", flush=True)
httpd.serve_forever()
