// A webhook of Node's http module; argument: how it ends its answers.
import { createServer } from "node:http";

const manner = process.argv[2];
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    if (manner === "hints") response.writeEarlyHints({ link: "</style.css>; rel=preload" });
    if (manner === "close") response.setHeader("Connection", "close");
    if (manner === "trailers") {
      response.setHeader("Trailer", "X-Sum");
      response.write("o");
      response.addTrailers({ "X-Sum": "1" });
      response.end("k");
      return;
    }
    if (manner === "empty") response.writeHead(204);
    response.end(manner === "empty" ? undefined : "ok");
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
