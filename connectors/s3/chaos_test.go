package s3

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/sluicehub/sluice/connectors"
)

// fault is what happens to a request on its way to the server and back.
type fault uint8

const (
	passes     fault = iota
	lostBefore       // the connection breaks, and the server does not see it
	lostBehind       // the server carries it out, and the connection breaks before its answer
	halfAnswer       // it breaks in the middle of the answer's head
	page200          // something in front of the server answers, with success
	page503
	slowDown // the server answers as S3 does when it is busy
)

// through puts something before the server of a target that does to requests what plan says.
func (b *target) through(plan func(r *http.Request) fault) *target {
	answer := func(w http.ResponseWriter, status int, kind, body string) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		switch is := plan(r); is {
		case lostBefore:
			panic(http.ErrAbortHandler)
		case page200:
			answer(w, http.StatusOK, "text/html", "<html><body>We will be back soon.</body></html>")
		case page503:
			answer(w, http.StatusServiceUnavailable, "text/html", "<html><body>No server is available.</body></html>")
		case slowDown:
			answer(w, http.StatusServiceUnavailable, "application/xml", "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
		default:
			b.forward(w, r, body, is)
		}
	}))
	b.t.Cleanup(proxy.Close)
	server := *b.server
	server.URL = proxy.URL
	return &target{t: b.t, server: &server, bucket: b.bucket}
}

func (b *target) forward(w http.ResponseWriter, r *http.Request, body []byte, is fault) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, b.server.URL+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		b.t.Error(err)
		return
	}
	req.Header, req.Host = r.Header.Clone(), r.Host // which the signature covers
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || is == lostBehind {
		panic(http.ErrAbortHandler)
	}
	if is == halfAnswer {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le")
			c.Close()
		}
		return
	}
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	w.Write(text)
}

// kindOf says what a request is for.
func kindOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "create"
	case r.Method == http.MethodPost && q.Has("uploadId"):
		return "complete"
	case r.Method == http.MethodPut && q.Has("partNumber"):
		return "part"
	case r.Method == http.MethodPut:
		return "put"
	case r.Method == http.MethodDelete:
		return "abort"
	}
	return "look"
}

// A fault of each kind meets each kind of request once. The task goes on without an error, since requests are repeated,
// and each record is in the bucket once; of uploads in parts nothing is left but what a lost answer to the first request
// of one hides.
func TestFaultsOnTheWay(t *testing.T) {
	t.Parallel()
	for _, is := range []fault{lostBefore, lostBehind, halfAnswer, page200, page503, slowDown} {
		for _, rotation := range [][]string{{"s3.object.tagging", "true"}, {"partitioner.class", "daily", "locale", "en", "timezone", "UTC", "timestamp.extractor", "Record", "rotate.interval.ms", "3600000"}} {
			b := newTarget(t)
			var mu sync.Mutex
			met := map[string]int{}
			far := b.through(func(r *http.Request) fault {
				mu.Lock()
				defer mu.Unlock()
				kind := kindOf(r)
				if met[kind]++; kind != "look" && met[kind] == 1 {
					return is
				}
				return passes
			})
			p := part(0)
			r := far.serve(t, p, append(rotation, "flush.size", "6", "s3.part.size", "5242880", "s3.part.retries", "3", "s3.retry.backoff.ms", "1")...)
			filler := strings.Repeat("x", 1<<20)
			var records []connectors.Record
			for i := range 8 { // six large ones are a file in two parts
				rec := numbered(p, i)
				if i < 6 {
					rec.Value.Bytes = connectors.AppendString(connectors.AppendInt(nil, int64(i)), filler)
				}
				records = append(records, rec)
			}
			// The second file is a small one.
			for i := 8; i < 12; i++ {
				records = append(records, numbered(p, i))
			}
			insist(t, func() error { return r.tryPut(records...) })
			insist(t, func() error {
				positions, err := r.task.Flush(t.Context(), true)
				if err == nil && (len(positions) != 1 || positions[0].Offset != 12) {
					t.Fatalf("positions %v", positions)
				}
				return err
			})
			r.stop()
			objects := b.objects()
			if len(objects) != 2 {
				t.Errorf("%d, %v: %d objects", is, rotation, len(objects))
			}
			for name, text := range objects {
				if n := bytes.Count(text, []byte("\n")); n != 6 {
					t.Errorf("%d, %v: %s has %d lines", is, rotation, name, n)
				}
			}
			left := 0
			if is == lostBehind || is == halfAnswer {
				left = 1
			}
			if n := b.uploads(); n > left {
				t.Errorf("%d, %v: %d uploads are left", is, rotation, n)
			}
			for _, kind := range []string{"put", "create", "part", "complete"} {
				if met[kind] < 2 {
					t.Errorf("%d, %v: %d requests to %s", is, rotation, met[kind], kind)
				}
			}
		}
	}
}

// A clock that is wrong is no matter of rights, although S3 answers 403.
func TestWrongClock(t *testing.T) {
	err := (&settings{bucket: "b"}).storeError("put object", &smithy.GenericAPIError{Code: "RequestTimeTooSkewed", Message: "The difference is too large."})
	if connectors.ClassOf(err) != connectors.ClassEnvironment || !strings.Contains(err.Error(), "the clock of this machine") {
		t.Error(err)
	}
}

// insist calls until it succeeds. What the task says meanwhile is trouble that passes by itself.
func insist(t *testing.T, call func() error) {
	t.Helper()
	for {
		err := call()
		if err == nil {
			return
		}
		var ce *connectors.Error
		if !errors.As(err, &ce) || ce.Class != connectors.ClassEnvironment || !ce.Retriable || ce.Remedy == "" {
			t.Fatal(err)
		}
	}
}
