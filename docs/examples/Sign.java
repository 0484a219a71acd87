// Sign and send a call to the game API, and verify a received notification. JDK 17 or newer, no packages.
//
//   java Sign.java vector
//   java Sign.java query OUT_ORDER_ID
//   java Sign.java verify TIMESTAMP NONCE SIGNATURE < body
//
// `query` and `verify` read SETTLEPOINT_APP_ID and SETTLEPOINT_SECRET, `query` also SETTLEPOINT_BASE_URL.

import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HexFormat;
import java.util.UUID;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Sign {
    public static void main(String[] arguments) throws Exception {
        String mode = arguments.length == 0 ? "" : arguments[0];
        if (mode.equals("vector") && arguments.length == 1) {
            System.out.println(vector());
        } else if (mode.equals("query") && arguments.length == 2) {
            HttpResponse<String> response = query(arguments[1]);
            System.out.write((response.body() + "\n").getBytes(UTF_8));
            System.out.flush();
            System.exit(response.statusCode() == 200 ? 0 : 1);
        } else if (mode.equals("verify") && arguments.length == 4) {
            byte[] body = System.in.readAllBytes();
            boolean genuine = SudSignature.isGenuine(setting("SETTLEPOINT_SECRET"), setting("SETTLEPOINT_APP_ID"),
                    arguments[1], arguments[2], arguments[3], body);
            System.out.println(genuine ? "genuine" : "not genuine");
            System.exit(genuine ? 0 : 1);
        } else {
            System.err.println(
                    "usage: Sign.java vector | query OUT_ORDER_ID | verify TIMESTAMP NONCE SIGNATURE < body");
            System.exit(2);
        }
    }

    static HttpResponse<String> query(String outOrderId) throws Exception {
        String quoted = '"' + outOrderId.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
        // Serialised once: these bytes are signed, and these are sent.
        byte[] body = ("{\"out_order_id\":" + quoted + "}").getBytes(UTF_8);
        HttpRequest request = HttpRequest
                .newBuilder(URI.create(setting("SETTLEPOINT_BASE_URL") + "/v1/app/server/query_user_settle"))
                .header("Authorization",
                        SudSignature.authorization(setting("SETTLEPOINT_SECRET"), setting("SETTLEPOINT_APP_ID"), body))
                .header("Content-Type", "application/json")
                .timeout(Duration.ofSeconds(30))
                .POST(HttpRequest.BodyPublishers.ofByteArray(body))
                .build();
        // HTTP/1.1: Java otherwise offers an upgrade to h2c on plain http, which local servers may take badly.
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        return client.send(request, HttpResponse.BodyHandlers.ofString(UTF_8));
    }

    static String vector() throws GeneralSecurityException {
        String body = "{\"app_id\": \"1461564080052506238\",\"mg_id\": \"1461227817776713818\",\"room_id\": \"9009\"}";
        return SudSignature.sign("test-app-secret", "1461564080052506636", "1688464949817", "keVJLJTItd1VBtGT",
                body.getBytes(UTF_8));
    }

    static String setting(String name) {
        String value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalStateException(name + " is not set");
        }
        return value;
    }
}

class SudSignature {
    static String sign(String secret, String appId, String timestamp, String nonce, byte[] body)
            throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA1");
        mac.init(new SecretKeySpec(secret.getBytes(UTF_8), "HmacSHA1"));
        mac.update((appId + "\n" + timestamp + "\n" + nonce + "\n").getBytes(UTF_8));
        mac.update(body);
        mac.update((byte) '\n');
        return HexFormat.of().formatHex(mac.doFinal());
    }

    static String authorization(String secret, String appId, byte[] body) throws GeneralSecurityException {
        String timestamp = Long.toString(System.currentTimeMillis());
        String nonce = UUID.randomUUID().toString().replace("-", "");
        return "Sud-Auth app_id=\"%s\",timestamp=\"%s\",nonce=\"%s\",signature=\"%s\"".formatted(
                appId, timestamp, nonce, sign(secret, appId, timestamp, nonce, body));
    }

    static boolean isGenuine(String secret, String appId, String timestamp, String nonce, String signature,
            byte[] body) throws GeneralSecurityException {
        String expected = sign(secret, appId, timestamp, nonce, body);
        if (!MessageDigest.isEqual(expected.getBytes(UTF_8), signature.getBytes(UTF_8))) {
            return false;
        }
        return Math.abs(System.currentTimeMillis() - Long.parseLong(timestamp)) <= 300_000;
    }
}
