// Whoami reads the cookie of a request and answers with the user: whoami HOST:PORT of session replicas...
package main

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"sesior"
)

func main() {
	client, err := sesior.Open(sesior.Options{Addresses: os.Args[1:], Token: sesior.FixedToken(os.Getenv("SESIOR_TOKEN"))})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		found, err := client.ResolveCookie(request.Context(), request.Header.Get("Cookie"), true)
		if errors.Is(err, sesior.ErrUnavailable) { // that never means "logged out"
			response.Header().Set("Retry-After", "1")
			http.Error(response, "sessions are away for a moment", http.StatusServiceUnavailable)
			return
		} else if err != nil {
			http.Error(response, "that went wrong", http.StatusInternalServerError)
			return
		}
		if found.SetCookie != "" {
			response.Header().Add("Set-Cookie", found.SetCookie)
		}
		if found.Verdict != sesior.Valid {
			fmt.Fprintln(response, "I do not know you.")
			return
		}
		user := struct{ UserName string }{"a visitor"}
		if err := found.Session.Decode(&user); err != nil {
			http.Error(response, "that went wrong", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(response, "You are %s.\n", user.UserName)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
