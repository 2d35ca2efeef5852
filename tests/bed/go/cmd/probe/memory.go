package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func allocate(arguments []string) (int, error) {
	count, err := parse(arguments[0])
	if err != nil {
		return usageCode, err
	}
	if len(arguments) > 1 {
		// Who is killed for memory has no time for last words.
		if err := leave(arguments[1]); err != nil {
			return 1, err
		}
	}
	signals := listen()
	const mebibyte = 1 << 20
	held := make([][]byte, 0, count)
	for range count {
		block := make([]byte, mebibyte)
		// A page counts once it is written.
		for i := 0; i < mebibyte; i += os.Getpagesize() {
			block[i] = 1
		}
		held = append(held, block)
	}
	fmt.Printf("holding %d MiB\n", len(held))
	<-signals
	// Used after the wait, so that nothing is freed before.
	fmt.Printf("released %d MiB\n", len(held))
	return 0, nil
}

// outlive does what a runner does whose kernel is killed: it says so, and ends by itself.
func outlive(arguments []string) (int, error) {
	code, err := parse(arguments[2])
	if err != nil {
		return usageCode, err
	}
	child := exec.Command(os.Args[0], "allocate", arguments[0])
	if err := child.Run(); err == nil {
		return 1, errors.New("the child was not killed")
	}
	return code, leave(arguments[1])
}

func term(arguments []string) (int, error) {
	seconds, err := parse(arguments[0])
	if err != nil {
		return usageCode, err
	}
	code, err := parse(arguments[1])
	if err != nil {
		return usageCode, err
	}
	words := "terminated"
	if len(arguments) > 2 {
		words = arguments[2]
	}
	signals := listen()
	fmt.Println("waiting for SIGTERM")
	<-signals
	if err := leave(words); err != nil {
		return 1, err
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	return code, nil
}

// listen gives the channel of SIGTERM and SIGINT, which process 1 would ignore otherwise.
func listen() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	return signals
}
