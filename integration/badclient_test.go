package integration

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluicehub/sluice/integration/worker"
	"github.com/sluicehub/sluice/plugins"
)

// endless is a body that does not end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// ends waits until the other side ends a connection, and returns how long that took.
func ends(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	must(t, c.SetReadDeadline(began.Add(worker.Deadline)))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection still stands after %s", worker.Deadline)
	}
	return time.Since(began)
}

// Clients that send too much, too slowly or nonsense are shut out; memory stays bounded and others are served.
func TestBadClients(t *testing.T) {
	t.Parallel()
	w := startWorker(t, worker.Options{})
	ctx := deadline(t)
	served := func() {
		t.Helper()
		for _, url := range []string{w.REST + "/connectors", w.Registry + "/subjects"} {
			if status, body, err := worker.Do(ctx, http.MethodGet, url, nil); err != nil || status != http.StatusOK {
				t.Errorf("another client: %d %s %v", status, body, err)
			}
		}
		produce(t, w, "others", "served")
	}

	for door, url := range map[string]string{"REST": w.REST + "/connectors", "registry": w.Registry + "/subjects/s/versions"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, endless{})
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil { // it may as well have seen the connection end
			resp.Body.Close()
			if resp.StatusCode < 400 || resp.StatusCode >= 500 {
				t.Errorf("%s: a body without end: %s", door, resp.Status)
			}
		}
	}
	served()

	addresses := map[string]string{"REST": strings.TrimPrefix(w.REST, "http://"), "registry": strings.TrimPrefix(w.Registry, "http://"), "Kafka": w.Kafka}
	dial := func(door string, first []byte) net.Conn {
		c, err := net.Dial("tcp", addresses[door])
		must(t, err)
		t.Cleanup(func() { c.Close() })
		_, err = c.Write(first)
		must(t, err)
		return c
	}
	var slow []net.Conn
	for _, door := range []string{"REST", "registry"} {
		for range 200 {
			slow = append(slow, dial(door, []byte("GET /connectors HTTP/1.1\r\nHost: x\r\nX-")))
		}
	}
	served()

	random := make([]byte, 1<<16)
	source := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(source.Uint32())
	}
	for name, first := range map[string][]byte{
		"2 GiB announced":   {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 4, 0, 0, 0, 1},
		"a negative length": {0xff, 0xff, 0xff, 0xff, 0, 3},
		"HTTP":              []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"random bytes":      append([]byte{0, 1, 0, 0}, bytes.Repeat(random, 2)...),
	} {
		t.Logf("Kafka, %s: the connection ended after %s", name, ends(t, dial("Kafka", first)))
	}
	served()

	for _, c := range slow {
		ends(t, c)
	}
	if _, resident := plugins.Usage(w.PID()); resident == 0 || resident > 300<<20 {
		t.Errorf("%d bytes resident", resident)
	}
	served()
}
