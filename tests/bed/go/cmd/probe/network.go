package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	attemptTime = 5 * time.Second
	pause       = 200 * time.Millisecond
)

func serve(arguments []string) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("", arguments[0]))
	if err != nil {
		return 1, err
	}
	fmt.Printf("serving on %s\n", listener.Addr())
	answer := func(w http.ResponseWriter, _ *http.Request) {
		// Who asked may be gone already; the next one is served all the same.
		_, _ = io.WriteString(w, arguments[1])
	}
	server := &http.Server{Handler: http.HandlerFunc(answer), ReadHeaderTimeout: attemptTime}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
		return 1, err
	case <-listen():
		return 0, server.Close()
	}
}

func get(arguments []string) (int, error) {
	flags := flag.NewFlagSet("get", flag.ContinueOnError)
	retry := flags.Int("retry", 0, "seconds")
	if err := flags.Parse(arguments); err != nil || flags.NArg() != 1 {
		return usageCode, fmt.Errorf("%s", usage)
	}
	deadline := time.Now().Add(time.Duration(*retry) * time.Second)
	// A connection of its own for each attempt: a Service may answer from elsewhere the next time.
	client := &http.Client{
		Timeout:   attemptTime,
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	for {
		body, err := fetch(client, flags.Arg(0))
		if err == nil {
			fmt.Print(body)
			return 0, nil
		}
		if !time.Now().Before(deadline) {
			return 1, err
		}
		time.Sleep(pause)
	}
}

func fetch(client *http.Client, url string) (string, error) {
	answer, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", answer.Status, body)
	}
	return string(body), nil
}

func lookup(arguments []string) (int, error) {
	resolver := &net.Resolver{PreferGo: true}
	if len(arguments) > 1 {
		server := arguments[1]
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(server, "53")
		}
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, server)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), attemptTime)
	defer cancel()
	addresses, err := resolver.LookupHost(ctx, arguments[0])
	if err != nil {
		return 1, err
	}
	for _, address := range addresses {
		fmt.Println(address)
	}
	return 0, nil
}
