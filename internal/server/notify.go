package server

import (
	"net"
	"os"
)

// Notify tells the service manager how far this process is: "READY=1",
// "STOPPING=1" (sd_notify(3)). Without one it does nothing; a failure is
// nobody's business, the manager has a timeout of its own.
func Notify(state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(state))
}
