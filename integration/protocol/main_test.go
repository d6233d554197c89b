package protocol

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/sluicehub/sluice/log"
	"github.com/sluicehub/sluice/log/broker"
)

// startBroker serves an empty log on a free port until the test ends, and returns the address.
func startBroker(t *testing.T, o broker.Options) string {
	t.Helper()
	return startBrokerIn(t, t.TempDir(), o)
}

// startBrokerIn serves the log in a folder.
func startBrokerIn(t *testing.T, dir string, o broker.Options) string {
	t.Helper()
	l, err := log.Open(log.Options{Dir: dir})
	must(t, err)
	o.Log = l
	b, err := broker.New(o)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() {
		served <- b.Serve(ln, broker.Listener{Advertised: broker.Advertised{Host: "127.0.0.1", Port: int32(ln.Addr().(*net.TCPAddr).Port)}})
	}()
	t.Cleanup(func() {
		must(t, b.Close())
		must(t, <-served)
		must(t, l.Close())
	})
	return ln.Addr().String()
}

// deadline is the end of every wait in a test.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
