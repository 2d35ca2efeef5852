// Command pause holds the namespaces of a pod, or of a whole node: as process 1 it takes up what
// other processes leave behind, and ends with 0 when it is asked to.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	reap()
	for each := range signals {
		if each != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

// reap takes up all children that have ended; several of them may have caused one signal.
func reap() {
	for {
		ended, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || ended <= 0 {
			return
		}
	}
}
