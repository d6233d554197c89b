package elasticsearch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// proxy stands in front of the real server and makes faults.
type proxy struct {
	t      testing.TB
	target *url.URL

	mu sync.Mutex
	// request may answer a bulk request itself, and says so.
	request func(w http.ResponseWriter, r *http.Request, body []byte) bool
	// item returns the status that an operation fails with, 0 if the server is to decide.
	item func(op, index, id string, source string) int
	// applied counts how often the server got each pair of lines.
	applied map[string]int
	bulks   int
}

// newProxy puts a proxy between the world's server and its tasks.
func newProxy(w *world) *proxy {
	target, err := url.Parse(w.server.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &proxy{t: w.t, target: target, applied: map[string]int{}}
	forward := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_bulk" {
			forward.ServeHTTP(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		p.mu.Lock()
		p.bulks++
		request := p.request
		p.mu.Unlock()
		if request == nil || !request(rw, r, body) {
			p.bulk(rw, r, body)
		}
	}))
	w.t.Cleanup(server.Close)
	w.url = server.URL
	return p
}

func (p *proxy) set(request func(http.ResponseWriter, *http.Request, []byte) bool, item func(op, index, id, source string) int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request, p.item = request, item
}

// bulk passes on the operations that are not to fail, and puts the answer together.
func (p *proxy) bulk(w http.ResponseWriter, r *http.Request, body []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var items []json.RawMessage // nil: as the server says
	var rest bytes.Buffer
	errors := false
	for lines := bytes.SplitAfter(body, []byte("\n")); len(lines) > 1; {
		pair, op, index, id := lines[0], "", "", ""
		var action map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(lines[0], &action); err != nil {
			http.Error(w, fmt.Sprintf("not an action: %q", lines[0]), http.StatusTeapot)
			return
		}
		for o, a := range action {
			op, index, id = o, a.Index, a.ID
		}
		source := ""
		if lines = lines[1:]; op != "delete" {
			source, lines = string(lines[0]), lines[1:]
		}
		pair = append(bytes.Clone(pair), source...)
		if p.item != nil {
			if status := p.item(op, index, id, source); status != 0 {
				errors = true
				items = append(items, json.RawMessage(fmt.Sprintf(`{%q:{"status":%d,"error":{"type":"es_rejected_execution_exception","reason":"by the test"}}}`, op, status)))
				continue
			}
		}
		items = append(items, nil)
		rest.Write(pair)
		p.applied[string(pair)]++
	}
	answer := struct {
		Errors bool              `json:"errors"`
		Items  []json.RawMessage `json:"items"`
	}{}
	if rest.Len() > 0 {
		resp, err := http.Post(p.target.String()+"/_bulk?"+r.URL.RawQuery, "application/x-ndjson", &rest)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || json.Unmarshal(text, &answer) != nil {
			w.WriteHeader(resp.StatusCode)
			w.Write(text)
			return
		}
	}
	real := answer.Items
	for i := range items {
		if items[i] == nil {
			items[i], real = real[0], real[1:]
		}
	}
	answer.Items, answer.Errors = items, answer.Errors || errors
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

// counts returns how many bulk requests came, and how often each pair of lines was passed on.
func (p *proxy) counts() (bulks int, applied map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	applied = map[string]int{}
	for pair, n := range p.applied {
		applied[pair] = n
	}
	return p.bulks, applied
}

// fail answers every bulk request with a status.
func fail(status int, body string) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.WriteHeader(status)
		io.WriteString(w, body)
		return true
	}
}

// hang keeps bulk requests waiting until release is closed or the client hangs up; it then passes them on.
func hang(release <-chan struct{}) func(http.ResponseWriter, *http.Request, []byte) bool {
	return func(_ http.ResponseWriter, r *http.Request, _ []byte) bool {
		select {
		case <-release:
			return false
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
}

// contains reports whether an error's text has all of the parts.
func contains(err error, parts ...string) bool {
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return true
}

// untilTrouble calls the task as the idle hub does, until it says what the trouble is.
func (r *run) untilTrouble() error {
	r.t.Helper()
	var err error
	eventually(r.t, "trouble", func() bool {
		err = r.task.Put(context.Background(), nothing())
		return err != nil
	})
	return err
}
