// A webhook of the JDK's own server.
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;

class Webhook {
  public static void main(String[] arguments) throws Exception {
    var server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.createContext("/", exchange -> {
      exchange.getRequestBody().readAllBytes();
      exchange.sendResponseHeaders(200, 0);
      exchange.getResponseBody().write("ok".getBytes());
      exchange.close();
    });
    server.start();
    System.out.println(server.getAddress().getPort());
  }
}
