// Command probe is what the containers of tests run on real nodes: each sub-command does one thing
// that a test then sees through the API.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const usage = `usage: probe COMMAND [ARGUMENT ...]
  exit CODE                     end with this code
  message TEXT CODE             leave a termination message, end with this code
  allocate MIB [TEXT]           leave a termination message, use that much memory, then hold it
  outlive MIB TEXT CODE         have a child use that much memory; killed, leave a message and end with CODE
  fill MIB FILE CODE TEXT       write so much into a file, wait for SIGTERM, leave a message, end with CODE
  serve PORT TEXT               answer every HTTP request with this text
  get [-retry SECONDS] URL      print what a URL answers; 1 when it does not answer with 200
  lookup NAME [SERVER]          print the addresses of a name, as SERVER (HOST[:PORT]) knows it
  term SECONDS CODE [TEXT]      wait for SIGTERM, leave the message TEXT or "terminated", end with CODE so much later
  wait FILE                     wait until a file is there`

// usageCode is the exit code for a command line that is not understood.
const usageCode = 2

// command is a sub-command; it gives the exit code.
type command struct {
	least, most int
	run         func(arguments []string) (int, error)
}

var commands = map[string]command{
	"exit":     {1, 1, exit},
	"message":  {2, 2, message},
	"allocate": {1, 2, allocate},
	"outlive":  {3, 3, outlive},
	"fill":     {4, 4, fill},
	"serve":    {2, 2, serve},
	"get":      {1, 3, get},
	"lookup":   {1, 2, lookup},
	"term":     {2, 3, term},
	"wait":     {1, 1, wait},
}

func main() {
	if len(os.Args) < 2 {
		fail(usageCode, usage)
	}
	chosen, known := commands[os.Args[1]]
	arguments := os.Args[2:]
	if !known || len(arguments) < chosen.least || len(arguments) > chosen.most {
		fail(usageCode, usage)
	}
	code, err := chosen.run(arguments)
	if err != nil {
		fail(max(code, 1), err.Error())
	}
	os.Exit(code)
}

func fail(code int, text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(code)
}

func exit(arguments []string) (int, error) {
	return parse(arguments[0])
}

func message(arguments []string) (int, error) {
	code, err := parse(arguments[1])
	if err != nil {
		return code, err
	}
	return code, leave(arguments[0])
}

func fill(arguments []string) (int, error) {
	count, err := parse(arguments[0])
	if err != nil {
		return usageCode, err
	}
	code, err := parse(arguments[2])
	if err != nil {
		return usageCode, err
	}
	signals := listen()
	if err := os.WriteFile(arguments[1], make([]byte, count<<20), 0o644); err != nil {
		return 1, err
	}
	<-signals
	return code, leave(arguments[3])
}

func wait(arguments []string) (int, error) {
	for {
		if _, err := os.Stat(arguments[0]); err == nil {
			return 0, nil
		} else if !os.IsNotExist(err) {
			return 1, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// parse reads a whole number that is not negative.
func parse(word string) (int, error) {
	number, err := strconv.Atoi(word)
	if err != nil || number < 0 {
		return usageCode, fmt.Errorf("%q is not a number from 0 up", word)
	}
	return number, nil
}

// leave writes the termination message where the kubelet reads it.
func leave(text string) error {
	path := os.Getenv("TERMINATION_LOG")
	if path == "" {
		path = "/dev/termination-log"
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
