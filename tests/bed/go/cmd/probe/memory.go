package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func allocate(arguments []string) (int, error) {
	count, err := parse(arguments[0])
	if err != nil {
		return usageCode, err
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

func term(arguments []string) (int, error) {
	seconds, err := parse(arguments[0])
	if err != nil {
		return usageCode, err
	}
	code, err := parse(arguments[1])
	if err != nil {
		return usageCode, err
	}
	signals := listen()
	fmt.Println("waiting for SIGTERM")
	<-signals
	if err := leave("terminated"); err != nil {
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
