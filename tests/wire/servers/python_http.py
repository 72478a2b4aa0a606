"""A webhook of Python's http.server; argument: its version of HTTP, and whether it says lengths."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(BaseHTTPRequestHandler):
    protocol_version = sys.argv[1]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        if sys.argv[2] == "length":
            self.send_header("Content-Length", "2")
        else:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(b"ok")


server = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
print(server.server_address[1], flush=True)
server.serve_forever()
