// Receive Settlepoint's notifications: verify, drop repeats, acknowledge. JDK 17 or newer, no packages.
//
//   SETTLEPOINT_SECRET=... java Receive.java PORT
//
// While a secret is being rotated, SETTLEPOINT_SECRET holds both, with a space between.

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Receive {
    static final String[] SECRETS = System.getenv().getOrDefault("SETTLEPOINT_SECRET", "").trim().split(" +");
    static final Duration MAX_AGE = Duration.ofMinutes(5);
    static final int MAX_BODY_BYTES = 1_000_000;
    static final Set<String> HANDLED = new HashSet<>(); // in your system: a table, written with the effect

    /** Whether one of our secrets signed these very bytes, and just now. */
    static boolean isGenuine(Headers headers, byte[] body) throws GeneralSecurityException {
        String timestamp = header(headers, "webhook-timestamp");
        String start = header(headers, "webhook-id") + "." + timestamp + ".";
        for (String secret : SECRETS) {
            byte[] digest = hmac("HmacSHA256", secret, start.getBytes(UTF_8), body);
            String expected = "v1," + Base64.getEncoder().encodeToString(digest);
            for (String received : header(headers, "webhook-signature").split(" ")) {
                if (MessageDigest.isEqual(expected.getBytes(UTF_8), received.getBytes(UTF_8))) {
                    return isFresh(Instant.ofEpochSecond(Long.parseLong(timestamp)));
                }
            }
        }
        return false;
    }

    /** The alternative, by the Sud- headers. One of the two is enough. */
    static boolean isGenuineSud(Headers headers, byte[] body) throws GeneralSecurityException {
        String timestamp = header(headers, "Sud-Timestamp");
        String start = header(headers, "Sud-AppId") + "\n" + timestamp + "\n" + header(headers, "Sud-Nonce") + "\n";
        for (String secret : SECRETS) {
            byte[] digest = hmac("HmacSHA1", secret, start.getBytes(UTF_8), body, new byte[] {'\n'});
            byte[] expected = HexFormat.of().formatHex(digest).getBytes(UTF_8);
            if (MessageDigest.isEqual(expected, header(headers, "Sud-Signature").getBytes(UTF_8))) {
                return isFresh(Instant.ofEpochMilli(Long.parseLong(timestamp)));
            }
        }
        return false;
    }

    static byte[] hmac(String algorithm, String secret, byte[]... parts) throws GeneralSecurityException {
        Mac mac = Mac.getInstance(algorithm);
        mac.init(new SecretKeySpec(secret.getBytes(UTF_8), algorithm));
        for (byte[] part : parts) {
            mac.update(part);
        }
        return mac.doFinal();
    }

    static boolean isFresh(Instant sentAt) {
        return Duration.between(sentAt, Instant.now()).abs().compareTo(MAX_AGE) <= 0;
    }

    static String header(Headers headers, String name) {
        String value = headers.getFirst(name);
        return value == null ? "" : value;
    }

    /** Yours. Be quick, or put it into a queue of your own; leave events that you do not know alone. */
    static void handle(String notifyEvent, String notifyId, String body) {
        System.out.println(notifyEvent + " " + notifyId);
    }

    static synchronized void handleOnce(String body) {
        String notifyId = field(body, "notify_id");
        if (!HANDLED.contains(notifyId)) {
            handle(field(body, "notify_event"), notifyId, body);
            HANDLED.add(notifyId);
        }
    }

    /** The JDK has no JSON parser: use yours. For these fields this will do, since quotes inside a text are escaped. */
    static String field(String body, String name) {
        Matcher matcher = Pattern.compile('"' + name + "\":\"([^\"]+)\"").matcher(body);
        if (!matcher.find()) {
            throw new IllegalArgumentException("no " + name);
        }
        return matcher.group(1);
    }

    static void receive(HttpExchange exchange) throws IOException {
        try {
            byte[] body = exchange.getRequestBody().readNBytes(MAX_BODY_BYTES); // cut off, it is not genuine
            if (!isGenuine(exchange.getRequestHeaders(), body)) {
                answer(exchange, 401, 1, "not genuine");
                return;
            }
            handleOnce(new String(body, UTF_8));
            answer(exchange, 200, 0, "");
        } catch (GeneralSecurityException | RuntimeException error) { // whatever went wrong: it comes again
            error.printStackTrace();
            answer(exchange, 500, 1, "not handled");
        }
    }

    static void answer(HttpExchange exchange, int status, int retCode, String retMsg) throws IOException {
        byte[] content = "{\"ret_code\":%d,\"ret_msg\":\"%s\"}".formatted(retCode, retMsg).getBytes(UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, content.length);
        exchange.getResponseBody().write(content);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        if (SECRETS[0].isEmpty()) {
            throw new IllegalStateException("SETTLEPOINT_SECRET is not set");
        }
        System.setProperty("sun.net.httpserver.maxReqTime", "10"); // seconds; whoever sends slower is cut off
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 0);
        server.createContext("/", Receive::receive);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.start();
    }
}
