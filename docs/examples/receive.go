// Receive Settlepoint's notifications: verify, drop repeats, acknowledge. Go 1.18 or newer, standard library only.
//
//	SETTLEPOINT_SECRET=... go run receive.go PORT
//
// While a secret is being rotated, SETTLEPOINT_SECRET holds both, with a space between.
package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxAge = 5 * time.Minute

var secrets = strings.Fields(os.Getenv("SETTLEPOINT_SECRET"))

// handled is, in your system, a table that is written in the same transaction as the effect.
var handled = struct {
	sync.Mutex
	ids map[string]bool
}{ids: map[string]bool{}}

type notification struct {
	NotifyID    string          `json:"notify_id"`
	NotifyEvent string          `json:"notify_event"`
	Data        json.RawMessage `json:"data"`
}

// isGenuine tells whether one of our secrets signed these very bytes, and just now.
func isGenuine(header http.Header, body []byte) bool {
	timestamp := header.Get("webhook-timestamp")
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%s.%s.%s", header.Get("webhook-id"), timestamp, body)
		expected := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		for _, received := range strings.Split(header.Get("webhook-signature"), " ") {
			if hmac.Equal([]byte(expected), []byte(received)) {
				seconds, err := strconv.ParseInt(timestamp, 10, 64)
				return err == nil && isFresh(time.Unix(seconds, 0))
			}
		}
	}
	return false
}

// isGenuineSud is the alternative, by the Sud- headers. One of the two is enough.
func isGenuineSud(header http.Header, body []byte) bool {
	timestamp := header.Get("Sud-Timestamp")
	for _, secret := range secrets {
		mac := hmac.New(sha1.New, []byte(secret))
		fmt.Fprintf(mac, "%s\n%s\n%s\n%s\n", header.Get("Sud-AppId"), timestamp, header.Get("Sud-Nonce"), body)
		expected := hex.EncodeToString(mac.Sum(nil))
		if hmac.Equal([]byte(expected), []byte(header.Get("Sud-Signature"))) {
			milliseconds, err := strconv.ParseInt(timestamp, 10, 64)
			return err == nil && isFresh(time.UnixMilli(milliseconds))
		}
	}
	return false
}

func isFresh(sentAt time.Time) bool {
	age := time.Since(sentAt)
	return -maxAge <= age && age <= maxAge
}

// handle is yours. Be quick, or put it into a queue of your own; leave events that you do not know alone.
func handle(received notification) error {
	_, err := fmt.Println(received.NotifyEvent, received.NotifyID)
	return err
}

func handleOnce(body []byte) error {
	var received notification
	if err := json.Unmarshal(body, &received); err != nil {
		return err
	}
	handled.Lock()
	defer handled.Unlock()
	if handled.ids[received.NotifyID] {
		return nil
	}
	if err := handle(received); err != nil {
		return err
	}
	handled.ids[received.NotifyID] = true
	return nil
}

func receive(response http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(response, request.Body, 1_000_000))
	if err != nil || !isGenuine(request.Header, body) {
		answer(response, http.StatusUnauthorized, 1, "not genuine")
		return
	}
	if err := handleOnce(body); err != nil { // whatever went wrong: it comes again
		log.Print(err)
		answer(response, http.StatusInternalServerError, 1, "not handled")
		return
	}
	answer(response, http.StatusOK, 0, "")
}

func answer(response http.ResponseWriter, status, retCode int, retMsg string) {
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(status)
	fmt.Fprintf(response, `{"ret_code":%d,"ret_msg":%q}`, retCode, retMsg)
}

func main() {
	if len(secrets) == 0 {
		log.Fatal("SETTLEPOINT_SECRET is not set")
	}
	server := &http.Server{
		Addr:        "127.0.0.1:" + os.Args[1],
		Handler:     http.HandlerFunc(receive),
		ReadTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
