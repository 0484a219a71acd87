// Sign and send a call to the game API, and verify a received notification. Go 1.18 or newer, standard library only.
//
//	go run sign.go vector
//	go run sign.go query OUT_ORDER_ID
//	go run sign.go verify TIMESTAMP NONCE SIGNATURE < body
//
// query and verify read SETTLEPOINT_APP_ID and SETTLEPOINT_SECRET, query also SETTLEPOINT_BASE_URL.
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

func sign(secret, appID, timestamp, nonce string, body []byte) string {
	mac := hmac.New(sha1.New, []byte(secret))
	fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n", appID, timestamp, nonce, body)
	return hex.EncodeToString(mac.Sum(nil))
}

func authorization(secret, appID string, body []byte) (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	timestamp, nonce := strconv.FormatInt(time.Now().UnixMilli(), 10), hex.EncodeToString(random)
	return fmt.Sprintf(`Sud-Auth app_id="%s",timestamp="%s",nonce="%s",signature="%s"`,
		appID, timestamp, nonce, sign(secret, appID, timestamp, nonce, body)), nil
}

func isGenuine(secret, appID, timestamp, nonce, signature string, body []byte) bool {
	if !hmac.Equal([]byte(sign(secret, appID, timestamp, nonce, body)), []byte(signature)) {
		return false
	}
	sentAt, err := strconv.ParseInt(timestamp, 10, 64)
	age := time.Since(time.UnixMilli(sentAt))
	return err == nil && -5*time.Minute <= age && age <= 5*time.Minute
}

func call(baseURL, secret, appID, path string, fields any) (int, string, error) {
	body, err := json.Marshal(fields) // serialised once: these bytes are signed, and these are sent
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequest(http.MethodPost, baseURL+path, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	header, err := authorization(secret, appID, body)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", header)
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

func vector() string {
	body := []byte(`{"app_id": "1461564080052506238","mg_id": "1461227817776713818","room_id": "9009"}`)
	return sign("test-app-secret", "1461564080052506636", "1688464949817", "keVJLJTItd1VBtGT", body)
}

func setting(name string) string {
	value := os.Getenv(name)
	if value == "" {
		log.Fatalf("%s is not set", name)
	}
	return value
}

func main() {
	log.SetFlags(0)
	arguments := os.Args[1:]
	switch {
	case len(arguments) == 1 && arguments[0] == "vector":
		fmt.Println(vector())
	case len(arguments) == 2 && arguments[0] == "query":
		status, answer, err := call(setting("SETTLEPOINT_BASE_URL"), setting("SETTLEPOINT_SECRET"),
			setting("SETTLEPOINT_APP_ID"), "/v1/app/server/query_user_settle",
			map[string]string{"out_order_id": arguments[1]})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(answer)
		if status != http.StatusOK {
			os.Exit(1)
		}
	case len(arguments) == 4 && arguments[0] == "verify":
		body, err := io.ReadAll(os.Stdin)
		if err != nil {
			log.Fatal(err)
		}
		if !isGenuine(setting("SETTLEPOINT_SECRET"), setting("SETTLEPOINT_APP_ID"),
			arguments[1], arguments[2], arguments[3], body) {
			fmt.Println("not genuine")
			os.Exit(1)
		}
		fmt.Println("genuine")
	default:
		fmt.Fprintln(os.Stderr,
			"usage: sign.go vector | query OUT_ORDER_ID | verify TIMESTAMP NONCE SIGNATURE < body")
		os.Exit(2)
	}
}
